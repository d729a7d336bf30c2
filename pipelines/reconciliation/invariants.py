"""The invariants: what must be true of the books and the stock at every commit, as SQL.

Each statement takes `:job` and looks at that job alone, or at everything when it is null.
"""

from pipelines.reconciliation import (
    accounts,
    audit_chain,
    claims,
    coupons,
    discounts,
    purchases,
    receivables,
    referrals,
    rewards,
    user_pools,
)
from pipelines.reconciliation.invariant import Invariant, of_job

_JOBS = f"jobs j WHERE {of_job('j.id')}"
_ORDERS = f"provider_orders o WHERE {of_job('o.job_id')}"
_TRANSFERS_OF = f"transfers t WHERE {of_job('t.job_id')}"

#: Kinds of jobs whose chunks count by themselves; what they made is compared in its own place.
_WITHOUT_ITEMS = """('card_import', 'code_import', 'code_generation', 'pool_import',
    'discount_generation', 'discount_import')"""
# Each job's items by state, beside the counters its readers are shown.
_ITEM_SUMS = f"""
SELECT 'job ' || j.id || ': items ' || coalesce(i.items, 0) || ', counted ' ||
       coalesce(c.counted, 0) || ', total ' || j.total
FROM jobs j
LEFT JOIN (SELECT job_id, sum(pending + running + retrying + succeeded + failed + skipped
             + needs_review + cancelled) AS counted FROM chunks GROUP BY job_id) c
  ON c.job_id = j.id
LEFT JOIN (SELECT job_id, count(*) AS items FROM items GROUP BY job_id) i ON i.job_id = j.id
WHERE {of_job("j.id")} AND (coalesce(c.counted, 0) <> j.total
   OR (j.kind NOT IN {_WITHOUT_ITEMS} AND coalesce(i.items, 0) <> j.total))
"""
_COUNTERS = f"""
SELECT 'chunk ' || c.job_id || '/' || c.number || ': counters differ from items'
FROM chunks c JOIN jobs j ON j.id = c.job_id AND j.kind NOT IN {_WITHOUT_ITEMS}
LEFT JOIN (SELECT job_id, chunk_number,
        count(*) FILTER (WHERE state = 'pending') AS pending,
        count(*) FILTER (WHERE state = 'running') AS running,
        count(*) FILTER (WHERE state = 'retrying') AS retrying,
        count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE state = 'failed') AS failed,
        count(*) FILTER (WHERE state = 'skipped') AS skipped,
        count(*) FILTER (WHERE state = 'needs_review') AS needs_review,
        count(*) FILTER (WHERE state = 'cancelled') AS cancelled
      FROM items GROUP BY job_id, chunk_number) i
  ON i.job_id = c.job_id AND i.chunk_number = c.number
WHERE {of_job("c.job_id")} AND (c.pending, c.running, c.retrying, c.succeeded, c.failed,
       c.skipped, c.needs_review, c.cancelled)
  IS DISTINCT FROM
      (coalesce(i.pending, 0), coalesce(i.running, 0), coalesce(i.retrying, 0),
       coalesce(i.succeeded, 0), coalesce(i.failed, 0), coalesce(i.skipped, 0),
       coalesce(i.needs_review, 0), coalesce(i.cancelled, 0))
"""
_ENDED_JOBS = f"""
SELECT 'job ' || j.id || ': ended with open items, tasks or credit'
FROM jobs j
WHERE {of_job("j.id")}
  AND j.state IN ('succeeded', 'partially_succeeded', 'failed', 'cancelled') AND (
    EXISTS (SELECT FROM items i WHERE i.job_id = j.id
            AND i.state IN ('pending', 'running', 'retrying'))
 OR EXISTS (SELECT FROM tasks t WHERE t.job_id = j.id AND t.kind <> 'settle_job'
            AND t.state = 'ready')
 OR (SELECT coalesce(sum(h.amount - h.captured - h.voided), 0) FROM holds h
     WHERE h.job_id = j.id)
    <> (SELECT coalesce(sum(i.charge_minor), 0) FROM items i
        WHERE i.job_id = j.id AND i.state = 'needs_review'))
"""
# An ended job is the business of the invariant above. What no hold covers is what it still wants.
_OPEN_HOLDS = f"""
SELECT 'job ' || j.id || ': hold, or what it wants beside, is not the charge of its open items'
FROM jobs j WHERE {of_job("j.id")} AND j.kind = 'provisioning'
  AND j.state IN ('queued', 'running', 'paused', 'cancelling')
  AND ((SELECT coalesce(sum(h.amount - h.captured - h.voided), 0) FROM holds h
        WHERE h.job_id = j.id), CASE j.state WHEN 'cancelling' THEN 0 ELSE j.unfunded_minor END)
   <> (SELECT coalesce(sum(i.charge_minor) FILTER (WHERE i.state IN ('pending', 'running',
           'retrying', 'needs_review') AND i.position <= coalesce(j.funded_to, i.position)), 0),
         coalesce(sum(i.charge_minor) FILTER (WHERE i.state = 'pending'
           AND i.position > j.funded_to AND j.state <> 'cancelling'), 0)
       FROM items i WHERE i.job_id = j.id)
"""
_SERVED_ITEMS = f"""
SELECT 'item ' || i.job_id || '/' || i.position || ': succeeded without its provision'
FROM items i JOIN jobs j ON j.id = i.job_id AND j.kind = 'provisioning'
WHERE {of_job("i.job_id")} AND i.state = 'succeeded' AND NOT EXISTS (
    SELECT FROM provisions p WHERE p.job_id = i.job_id AND p.position = i.position
    AND p.id = i.result_id AND p.charge_minor = i.charge_minor)
UNION ALL
SELECT 'provision ' || p.id || ': its item did not succeed'
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
WHERE {of_job("p.job_id")} AND i.state <> 'succeeded'
"""
# An undone provision gave its card back: it owns none any more.
_CARDS_OF_PROVISIONS = f"""
SELECT 'card ' || p.card_id || ': given more than once'
FROM provisions p WHERE {of_job("p.job_id")} AND p.undone_at IS NULL AND EXISTS (
    SELECT FROM provisions o WHERE o.card_id = p.card_id AND o.undone_at IS NULL AND o.id <> p.id)
UNION ALL
SELECT 'card ' || c.id || ': given, yet ' || c.state
FROM provisions p JOIN cards c ON c.id = p.card_id
WHERE {of_job("p.job_id")} AND p.undone_at IS NULL
  AND c.state <> CASE WHEN p.replaced_at IS NULL THEN 'issued' ELSE 'defective' END
UNION ALL
SELECT 'card ' || c.id || ': issued to nobody'
FROM cards c WHERE c.state IN ('issued', 'defective') AND {of_job("c.import_job_id")}
  AND NOT EXISTS (SELECT FROM provisions p WHERE p.card_id = c.id AND p.undone_at IS NULL)
"""
_TRANSFERS = f"""
SELECT 'transfer ' || t.id || ': postings sum to ' || coalesce(sum(p.amount), 0)
FROM transfers t LEFT JOIN postings p ON p.transfer_id = t.id
WHERE {of_job("t.job_id")}
GROUP BY t.id, t.amount
HAVING coalesce(sum(p.amount), 0) <> 0
    OR coalesce(sum(p.amount) FILTER (WHERE p.amount > 0), 0) <> t.amount
"""
_CAPTURES = f"""
SELECT 'transfer ' || t.id || ': captured ' || t.amount || ', provisions cost ' ||
       coalesce(p.cost, 0)
FROM transfers t LEFT JOIN (
    SELECT transfer_id, sum(charge_minor) AS cost FROM provisions p WHERE {of_job("p.job_id")}
    GROUP BY transfer_id) p ON p.transfer_id = t.id
WHERE {of_job("t.job_id")} AND t.kind = 'capture' AND t.amount <> coalesce(p.cost, 0)
UNION ALL
SELECT 'provision ' || p.id || ': not paid for'
FROM provisions p WHERE {of_job("p.job_id")}
  AND NOT EXISTS (SELECT FROM transfers t WHERE t.id = p.transfer_id)
"""
# What was given back is what the undone provisions had cost.
_REFUNDS = f"""
SELECT 'transfer ' || t.id || ': refunded ' || t.amount || ', undone provisions had cost ' ||
       coalesce(sum(p.charge_minor), 0)
FROM transfers t LEFT JOIN provisions p ON p.undo_transfer_id = t.id
WHERE {of_job("t.job_id")} AND t.kind = 'refund' GROUP BY t.id, t.amount
HAVING t.amount <> coalesce(sum(p.charge_minor), 0)
UNION ALL
SELECT 'provision ' || p.id || ': undone and not refunded'
FROM provisions p WHERE {of_job("p.job_id")} AND p.undone_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM transfers t WHERE t.id = p.undo_transfer_id AND t.kind = 'refund')
"""
# A card that did not work was given for once: its charge went back, and one job gives another.
_REPLACED = f"""
SELECT 'transfer ' || t.id || ': gave back ' || t.amount || ', the replaced card had cost ' ||
       coalesce(sum(p.charge_minor), 0)
FROM transfers t LEFT JOIN provisions p ON p.replacement_job_id = t.job_id
    AND p.replacement_transfer_id = t.id
WHERE {of_job("t.job_id")} AND t.kind = 'replacement' GROUP BY t.id, t.amount
HAVING t.amount <> coalesce(sum(p.charge_minor), 0)
UNION ALL
SELECT 'provision ' || p.id || ': replaced, but not by a job that has its charge'
FROM provisions p WHERE {of_job("p.job_id")} AND p.replaced_at IS NOT NULL
  AND (p.undone_at IS NOT NULL OR p.reveal_version = 1
    OR NOT EXISTS (SELECT FROM jobs j WHERE j.id = p.replacement_job_id
                   AND j.client_id = p.client_id AND j.spec->>'replaces' = p.id::text)
    OR NOT EXISTS (SELECT FROM transfers t WHERE t.id = p.replacement_transfer_id
                   AND t.kind = 'replacement' AND t.job_id = p.replacement_job_id))
UNION ALL
SELECT 'job ' || j.id || ': replaces a card that is not replaced by it'
FROM jobs j WHERE {of_job("j.id")} AND j.spec ? 'replaces' AND NOT EXISTS (
    SELECT FROM provisions p WHERE p.replacement_job_id = j.id
    AND p.id::text = j.spec->>'replaces')
"""
_UNDONE = f"""
SELECT 'provision ' || p.id || ': undone though it was seen, or not by an undo of its job'
FROM provisions p WHERE {of_job("p.job_id")} AND p.undone_at IS NOT NULL
  AND (p.revealed_at IS NOT NULL OR p.reveal_version = 1 OR NOT EXISTS (
    SELECT FROM items i JOIN jobs u ON u.id = i.job_id AND u.undoes_id = p.job_id
    WHERE i.job_id = p.undone_job_id AND i.position = p.position
      AND i.state = 'succeeded' AND i.result_id = p.id))
UNION ALL
SELECT 'item ' || i.job_id || '/' || i.position || ': taken back, but its provision is not undone'
FROM items i JOIN jobs u ON u.id = i.job_id AND u.kind = 'provisioning_undo'
WHERE {of_job("i.job_id")} AND i.state = 'succeeded' AND NOT EXISTS (
    SELECT FROM provisions p WHERE p.id = i.result_id AND p.undone_job_id = i.job_id
    AND p.undone_at IS NOT NULL)
"""
_IMPORTS = f"""
SELECT 'import ' || j.id || ': ' || c.succeeded || ' counted, ' || coalesce(n.cards, 0) || ' kept'
FROM jobs j JOIN chunks c ON c.job_id = j.id
LEFT JOIN (SELECT import_job_id, count(*) AS cards FROM cards GROUP BY import_job_id) n
  ON n.import_job_id = j.id
WHERE {of_job("j.id")} AND j.kind = 'card_import' AND c.succeeded <> coalesce(n.cards, 0)
"""
_VENDOR_CARDS = f"""
SELECT 'order ' || o.id || ': succeeded without its card'
FROM provider_orders o WHERE {of_job("o.job_id")} AND o.state = 'succeeded'
  AND NOT EXISTS (SELECT FROM cards c WHERE c.provider_order_id = o.id)
UNION ALL
SELECT 'card ' || c.id || ': its order did not succeed'
FROM cards c JOIN provider_orders o ON o.id = c.provider_order_id
WHERE {of_job("o.job_id")} AND o.state <> 'succeeded'
UNION ALL
SELECT 'card ' || c.id || ': bought for a pool, and not in it'
FROM provider_orders o JOIN cards c ON c.provider_order_id = o.id
WHERE CAST(:job AS uuid) IS NULL AND o.pool_id IS NOT NULL AND c.pool_id IS DISTINCT FROM o.pool_id
"""
_ORDERS_OF_ITEMS = f"""
SELECT 'item ' || job_id || '/' || position || ': ' || count(*) || ' live orders'
FROM provider_orders o WHERE {of_job("o.job_id")} AND job_id IS NOT NULL
  AND state IN ('created', 'sent', 'accepted', 'unknown', 'succeeded')
GROUP BY job_id, position HAVING count(*) > 1
UNION ALL
SELECT 'item ' || i.job_id || '/' || i.position || ': running without a live order'
FROM items i JOIN jobs j ON j.id = i.job_id AND j.kind = 'provisioning'
WHERE {of_job("i.job_id")} AND i.state = 'running' AND NOT EXISTS (
    SELECT FROM provider_orders o WHERE o.job_id = i.job_id AND o.position = i.position
    AND o.state IN ('created', 'sent', 'accepted', 'unknown'))
"""
# An order on its way, or an open job, must have a task that takes it further, or say why not.
_MOVING = f"""
SELECT 'order ' || o.id || ': ' || o.state || ' without a task'
FROM provider_orders o JOIN items i ON i.job_id = o.job_id AND i.position = o.position
WHERE {of_job("o.job_id")}
  AND o.state IN ('created', 'sent', 'accepted', 'unknown') AND i.state = 'running'
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.job_id = o.job_id
                  AND t.state = 'ready' AND t.args->>'order_id' = o.id::text)
UNION ALL
SELECT 'order ' || o.id || ': ' || o.state || ' without a task, and nobody was asked to look'
FROM provider_orders o
WHERE CAST(:job AS uuid) IS NULL AND o.pool_id IS NOT NULL
  AND o.state IN ('created', 'sent', 'accepted', 'unknown') AND o.review_since IS NULL
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.kind IN ('place_pool_order', 'recover_pool_order')
                  AND t.state = 'ready' AND t.args->>'order_id' = o.id::text)
UNION ALL
SELECT 'job ' || j.id || ': open without a task'
FROM jobs j WHERE {of_job("j.id")} AND j.state IN ('queued', 'running', 'cancelling')
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.job_id = j.id AND t.state = 'ready')
UNION ALL
SELECT 'job ' || j.id || ': paused without a reason'
FROM jobs j WHERE {of_job("j.id")} AND j.state = 'paused' AND j.pause_reason IS NULL
UNION ALL
SELECT 'task ' || t.id || ': ' || t.state || ' without a date or a fault'
FROM tasks t WHERE {of_job("t.job_id")} AND t.state <> 'ready'
  AND (t.died_at IS NULL OR t.last_error IS NULL)
"""
# A sealed value is a version, a nonce of 12 bytes, the text and a tag of 16; a PIN is never empty.
_SEALED = f"""
SELECT 'card ' || c.id || ': not sealed, or shown by more than its last four'
FROM cards c WHERE {of_job("c.import_job_id")}
  AND (least(octet_length(c.sealed_number), octet_length(c.sealed_pin),
             octet_length(c.sealed_url)) < 30
       OR length(ltrim(c.last4, '*')) > 4)
UNION ALL
SELECT 'task ' || t.id || ': its arguments are not only ids and numbers'
FROM tasks t, jsonb_each_text(t.args) a(name, value)
WHERE {of_job("t.job_id")} AND a.value !~ '^([0-9a-fA-F-]{{36}}|-?[0-9]{{1,18}})$'
"""

INVARIANTS = (
    Invariant("item-sums", "The items of a job sum to its total", _JOBS, _ITEM_SUMS),
    Invariant(
        "item-counters",
        "Counters show what the items are",
        f"chunks c WHERE {of_job('c.job_id')}",
        _COUNTERS,
    ),
    Invariant("ended-jobs", "An ended job has nothing open", _JOBS, _ENDED_JOBS),
    Invariant("open-holds", "A job's hold covers its open items", _JOBS, _OPEN_HOLDS),
    Invariant(
        "one-effect",
        "A succeeded item has its one provision",
        f"items i WHERE {of_job('i.job_id')}",
        _SERVED_ITEMS,
    ),
    Invariant(
        "one-owner",
        "An issued card has its one recipient",
        f"provisions p WHERE {of_job('p.job_id')}",
        _CARDS_OF_PROVISIONS,
    ),
    Invariant("transfers-balance", "Postings of a transfer sum to zero", _TRANSFERS_OF, _TRANSFERS),
    Invariant("captures-match", "What was captured was provisioned", _TRANSFERS_OF, _CAPTURES),
    Invariant("refunds-match", "What was refunded was undone", _TRANSFERS_OF, _REFUNDS),
    Invariant(
        "replaced-once",
        "A card that did not work was replaced once, for no second charge",
        f"provisions p WHERE {of_job('p.job_id')}",
        _REPLACED,
    ),
    Invariant(
        "undone-unseen",
        "Only an undo takes back, and only what nobody saw",
        f"provisions p WHERE {of_job('p.job_id')}",
        _UNDONE,
    ),
    Invariant(
        "balances", "A balance is the sum of its postings", "accounts", accounts.BALANCES, False
    ),
    Invariant("held", "Held credit is the sum of open holds", "accounts", accounts.HELD, False),
    Invariant("zero-sum", "Each currency sums to zero", "accounts", accounts.ZERO_SUM, False),
    Invariant("bounded", "No bounded account is below zero", "accounts", accounts.BOUNDED, False),
    Invariant(
        "receivables",
        "What was clawed back is in the books, and who owes is restricted",
        "receivables",
        receivables.VIOLATIONS,
        False,
    ),
    Invariant(
        "rewards",
        "Rewards counted towards a limit are open or given",
        f"campaigns c WHERE {rewards.LIMITED}",
        rewards.VIOLATIONS,
        False,
    ),
    Invariant(
        "pool-members",
        "A pool counts the people in it",
        "user_pools",
        user_pools.VIOLATIONS,
        False,
    ),
    *coupons.INVARIANTS,
    Invariant(
        "claims", "A claim's coupon went to its claimant", "claims", claims.VIOLATIONS, False
    ),
    *discounts.INVARIANTS,
    *purchases.INVARIANTS,
    *referrals.INVARIANTS,
    Invariant("imports", "Every imported card is there", _JOBS, _IMPORTS),
    Invariant("vendor-cards", "Vendor cards are succeeded orders", _ORDERS, _VENDOR_CARDS),
    Invariant("one-order", "An item has at most one live order", _ORDERS, _ORDERS_OF_ITEMS),
    Invariant("moving", "Whatever is open has a task or a reason", _JOBS, _MOVING),
    Invariant(
        "sealed",
        "Cards are sealed, messages hold ids",
        f"cards c WHERE {of_job('c.import_job_id')}",
        _SEALED,
    ),
    Invariant(
        "audit-chain",
        "The newest audit entries are what was sealed",
        "audit_heads",
        audit_chain.VIOLATIONS,
        False,
    ),
)
#: What SQL cannot see, or what does not exist yet.
NOT_CHECKED = (
    "Coupons stay within their limits: a limit may be set below what was given before it.",
    "No secret is in Redis, logs or exports: tests look there, a statement cannot.",
)
