"""Whether purchases, their slots and top-ups are what their payments say."""

from pipelines.reconciliation.invariant import Invariant

# What may still be paid is live, and what is live may be paid or waits for a person; money that came
# when its purchase was over waits beside it.
_LIVE = """
SELECT 'purchase ' || p.id || ' is ' || CASE WHEN p.is_live THEN 'live' ELSE 'over' END
    || ', and its payment ' || m.state
FROM purchases p JOIN payments m ON m.id = p.id
WHERE CASE WHEN p.is_live THEN m.state NOT IN ('open', 'processing', 'mismatched')
    ELSE m.state = 'open' END
"""
# A slot is used by one purchase that was paid, can be paid with one that is live, or waits with one
# on which a person decides.
_SLOTS = """
SELECT 'reservation ' || u.id || ' is ' || u.state || ', and its purchase '
    || coalesce(m.state, 'none')
FROM discount_usages u
LEFT JOIN purchases p ON p.id = u.purchase_id AND p.usage_id = coalesce(u.stacked_on, u.id)
LEFT JOIN payments m ON m.id = p.id
WHERE CASE u.state
    WHEN 'confirmed' THEN m.state IS DISTINCT FROM 'succeeded'
    WHEN 'refunded' THEN m.state IS DISTINCT FROM 'refunded'
    WHEN 'reserved' THEN u.purchase_id IS NOT NULL AND p.is_live IS DISTINCT FROM true
      AND p.review IS NULL
    ELSE u.purchase_id IS NOT NULL END
UNION ALL
SELECT 'purchase ' || p.id || ' is paid, and its slot is not used'
FROM purchases p JOIN payments m ON m.id = p.id JOIN discount_usages u ON u.id = p.usage_id
WHERE m.state IN ('succeeded', 'refunded') AND p.refused IS NULL AND p.review IS NULL
  AND u.purchase_id IS DISTINCT FROM p.id
"""
_TOP_UPS = """
SELECT 'top-up ' || t.id || ' is ' || m.state || ', and its credit '
    || CASE WHEN t.transfer_id IS NULL THEN 'is not there' ELSE 'is there' END
FROM top_ups t JOIN payments m ON m.id = t.id LEFT JOIN transfers v ON v.id = t.transfer_id
WHERE (t.transfer_id IS NOT NULL) <> (m.state IN ('succeeded', 'refunded'))
   OR v.amount <> m.amount_minor
"""

INVARIANTS = (
    Invariant(
        "purchase-payments", "A purchase is over when its payment is", "purchases", _LIVE, False
    ),
    Invariant(
        "purchase-slots", "A slot is used by one paid purchase", "discount_usages", _SLOTS, False
    ),
    Invariant("top-ups", "What was topped up is what was paid", "top_ups", _TOP_UPS, False),
)
