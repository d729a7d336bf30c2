"""Whether slots of discount codes are as many as was counted: by their codes and their customers (EC-022)."""

from pipelines.reconciliation.invariant import Invariant, of_job

# Invariant 5: what is counted as used is reserved, confirmed, or refunded for good; what came too late
# counts beside it.
_USED = """
SELECT 'discount ' || c.id || ': ' || c.used || ' uses and ' || c.overflow_uses
    || ' too late counted, ' || coalesce(u.used, 0) || ' and ' || coalesce(u.overflow, 0) || ' there'
FROM discount_codes c
LEFT JOIN (SELECT code_id,
             count(*) FILTER (WHERE NOT is_overflow) AS used,
             count(*) FILTER (WHERE is_overflow) AS overflow
           FROM discount_usages WHERE state <> 'released' AND restored IS NULL
           GROUP BY code_id) u ON u.code_id = c.id
WHERE c.used <> coalesce(u.used, 0) OR c.overflow_uses <> coalesce(u.overflow, 0)
"""
_CUSTOMERS = """
SELECT 'client ' || client_id || ': a customer''s slots are not what is counted'
FROM (SELECT client_id, key AS customer_key, count(*) AS live
      FROM discount_usages, unnest(customer_keys) AS key
      WHERE state = 'reserved' AND stacked_on IS NULL GROUP BY 1, 2) u
FULL JOIN discount_customers c USING (client_id, customer_key)
WHERE coalesce(u.live, 0) <> coalesce(c.live, 0)
UNION ALL
SELECT 'discount ' || code_id || ': how often a customer used it is not what is counted'
FROM (SELECT code_id, key AS customer_key, count(*) AS uses
      FROM discount_usages, unnest(customer_keys) AS key
      WHERE state <> 'released' AND restored IS DISTINCT FROM 'customer' GROUP BY 1, 2) u
FULL JOIN discount_customer_uses c USING (code_id, customer_key)
WHERE coalesce(u.uses, 0) <> coalesce(c.uses, 0)
"""
# EC-018: codes of one cart are together whatever becomes of it. Only the first one is followed.
_STACKS = """
SELECT 'reservation ' || h.id || ' is ' || h.state || ', and its code ' || f.code_id || ' ' || f.state
FROM discount_usages f JOIN discount_usages h ON h.id = f.stacked_on
WHERE h.stacked_on IS NOT NULL OR f.code_id = h.code_id
  OR (f.client_id, f.state, f.cart_reference, f.cart_digest, f.customer_keys, f.total_minor)
    <> (h.client_id, h.state, h.cart_reference, h.cart_digest, h.customer_keys, h.total_minor)
  OR (f.user_id, f.purchase_id, f.release_reason)
    IS DISTINCT FROM (h.user_id, h.purchase_id, h.release_reason)
  OR (f.state = 'reserved' AND f.expires_at <> h.expires_at)
UNION ALL
SELECT 'reservation ' || h.id || ' takes off ' || (h.quote->>'discount_minor') || ', and its codes '
    || h.discount_minor + f.discount_minor
FROM discount_usages h
JOIN (SELECT stacked_on, CAST(sum(discount_minor) AS bigint) AS discount_minor
      FROM discount_usages WHERE stacked_on IS NOT NULL GROUP BY stacked_on) f ON f.stacked_on = h.id
WHERE CAST(h.quote->>'discount_minor' AS bigint) <> h.discount_minor + f.discount_minor
"""
# EC-028: what a job counts as made is there, no code fewer and none more.
_MADE_BY = f"jobs j WHERE {of_job('j.id')} AND j.kind IN ('discount_generation', 'discount_import')"
_BATCHES = f"""
SELECT 'job ' || j.id || ': ' || coalesce(d.codes, 0) || ' discount codes counted, '
    || coalesce(n.codes, 0) || ' there'
FROM jobs j
LEFT JOIN (SELECT job_id, sum(succeeded) AS codes FROM chunks GROUP BY job_id) d ON d.job_id = j.id
LEFT JOIN (SELECT batch_id, count(*) AS codes FROM discount_codes GROUP BY batch_id) n
  ON n.batch_id = j.id
WHERE {of_job("j.id")} AND j.kind IN ('discount_generation', 'discount_import')
  AND coalesce(d.codes, 0) <> coalesce(n.codes, 0)
"""

INVARIANTS = (
    Invariant(
        "discount-batches", "Every generated or imported discount code is there", _MADE_BY, _BATCHES
    ),
    Invariant(
        "discount-uses", "A code is used as often as is counted", "discount_codes", _USED, False
    ),
    Invariant(
        "discount-customers",
        "Customers' slots are as many as is counted",
        "discount_usages",
        _CUSTOMERS,
        False,
    ),
    Invariant(
        "discount-stacks",
        "Codes of one cart are as its first one",
        "discount_usages",
        _STACKS,
        False,
    ),
)
