"""Whether each reward of a referrer is one code of theirs, for a purchase that was kept (S2-128)."""

from pipelines.reconciliation.invariant import Invariant

# Refunds and codes have their ids while the payment is locked: they tell which was first, where the
# times, those at which the transactions began, may not.
#
# Who learns of a refund takes its time before it waits for whoever gives the reward at this moment: a
# minute is far longer than either of them works.
_REWARDS = """
SELECT 'reward ' || r.id || ': its code is not for one purchase of its referrer'
FROM referral_rewards r JOIN discount_codes d ON d.id = r.reward_code_id
LEFT JOIN referral_codes f ON f.code_id = r.code_id AND f.program_id = r.program_id
WHERE r.state = 'issued' AND (d.max_uses IS DISTINCT FROM 1
  OR NOT coalesce(d.assignee_keys && f.referrer_keys, false))
UNION ALL
SELECT 'reward ' || r.id || ': given though all of its purchase had gone back'
FROM referral_rewards r JOIN purchases p ON p.id = r.id
JOIN discount_usages u ON u.id = p.usage_id AND u.purchase_id = p.id
WHERE r.state = 'issued' AND u.state = 'refunded'
  AND u.ended_at < r.ended_at - interval '1 minute'
UNION ALL
SELECT 'reward ' || r.id || ': given though all of its purchase had been asked back'
FROM referral_rewards r JOIN payments m ON m.id = r.id
WHERE r.state = 'issued' AND m.paid_minor <= (
    SELECT sum(b.amount_minor) FROM refunds b
    WHERE b.payment_id = m.id AND b.state <> 'failed' AND b.reason <> 'outside'
      AND b.created_at < r.ended_at AND b.id < r.reward_code_id)
"""

INVARIANTS = (
    Invariant(
        "referral-rewards",
        "A reward is one code of its referrer, for a purchase that was kept",
        "referral_rewards WHERE state = 'issued'",
        _REWARDS,
        False,
    ),
)
