"""Whether each claim's coupon was given to its claimant, whatever became of it since."""

#: A line per claim without the move that gave its coupon; that a coupon has one claim, an index holds.
VIOLATIONS = """
SELECT 'claim ' || x.id || ': its coupon was not given to its claimant then'
FROM claims x
WHERE NOT EXISTS (SELECT FROM coupon_events e WHERE e.coupon_id = x.coupon_id
                  AND e.move = 'assigned' AND e.user_id = x.user_id AND e.at = x.claimed_at)
"""
