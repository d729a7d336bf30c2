"""Whether the rewards that are counted towards limits are those that are open or given (S4-128)."""

from pipelines.tenants.conditions import COUNTING

LIMITED = "(c.max_rewards IS NOT NULL OR c.max_rewards_per_recipient IS NOT NULL)"
_IS_LIMITED = f"IN (SELECT c.id FROM campaigns c WHERE {LIMITED})"
_COUNTING = COUNTING.format(
    of_job=f"j.campaign_id {_IS_LIMITED}", of_provision=f"p.campaign_id {_IS_LIMITED}"
)
#: A line per campaign, or recipient of one, whose count is not what it should be, is missing, or is
#: there though nobody asks for it.
VIOLATIONS = f"""
SELECT 'campaign ' || coalesce(l.id, r.campaign_id) || ': '
    || coalesce(r.counted || ' rewards counted', 'no count') || ', '
    || coalesce(CAST(l.rewards AS text), 'not limited')
FROM (SELECT c.id, count(n.campaign_id) AS rewards
      FROM campaigns c LEFT JOIN ({_COUNTING}) n ON n.campaign_id = c.id
      WHERE {LIMITED} GROUP BY c.id) l
FULL JOIN (SELECT campaign_id, counted FROM reward_counts WHERE person_key = '') r
  ON r.campaign_id = l.id
WHERE r.counted IS DISTINCT FROM l.rewards
UNION ALL
SELECT 'campaign ' || campaign_id || ': a recipient''s rewards are not what is counted'
FROM (SELECT n.campaign_id, n.person_key, count(*) AS rewards
      FROM ({_COUNTING}) n JOIN campaigns c ON c.id = n.campaign_id
      WHERE n.person_key <> '' AND c.max_rewards_per_recipient IS NOT NULL
      GROUP BY n.campaign_id, n.person_key) l
FULL JOIN (SELECT campaign_id, person_key, counted FROM reward_counts WHERE person_key <> '') r
  USING (campaign_id, person_key)
WHERE r.counted IS DISTINCT FROM l.rewards
"""
