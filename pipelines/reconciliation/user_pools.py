"""Whether each pool of people counts those who are in it."""

#: A line per pool whose count is another one than that of its members.
VIOLATIONS = """
SELECT 'pool of people ' || p.id || ': ' || p.members || ' counted, ' || coalesce(m.members, 0)
    || ' in it'
FROM user_pools p
LEFT JOIN (SELECT pool_id, count(*) AS members FROM user_pool_members GROUP BY pool_id) m
  ON m.pool_id = p.id
WHERE p.members <> coalesce(m.members, 0)
"""
