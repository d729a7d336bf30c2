"""The invariants: what must be true of the books and the stock at every commit, as SQL."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """`population` counts what is checked; `violations` selects a line per broken row."""

    id: str
    title: str
    population: str
    violations: str


# Each job's items by state, beside the counters its readers are shown.
_ITEM_SUMS = """
SELECT 'job ' || j.id || ': items ' || coalesce(i.items, 0) || ', counted ' || c.counted ||
       ', total ' || j.total
FROM jobs j
JOIN (SELECT job_id, sum(pending + running + retrying + succeeded + failed + skipped
             + needs_review + cancelled) AS counted FROM chunks GROUP BY job_id) c
  ON c.job_id = j.id
LEFT JOIN (SELECT job_id, count(*) AS items FROM items GROUP BY job_id) i ON i.job_id = j.id
WHERE c.counted <> j.total OR (j.kind = 'provisioning' AND coalesce(i.items, 0) <> j.total)
"""
_COUNTERS = """
SELECT 'chunk ' || c.job_id || '/' || c.number || ': counters differ from items'
FROM chunks c JOIN jobs j ON j.id = c.job_id AND j.kind = 'provisioning'
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
WHERE (c.pending, c.running, c.retrying, c.succeeded, c.failed, c.skipped, c.needs_review,
       c.cancelled)
  IS DISTINCT FROM
      (coalesce(i.pending, 0), coalesce(i.running, 0), coalesce(i.retrying, 0),
       coalesce(i.succeeded, 0), coalesce(i.failed, 0), coalesce(i.skipped, 0),
       coalesce(i.needs_review, 0), coalesce(i.cancelled, 0))
"""
_ENDED_JOBS = """
SELECT 'job ' || j.id || ': ended with open items, tasks or credit'
FROM jobs j
WHERE j.state IN ('succeeded', 'partially_succeeded', 'failed', 'cancelled') AND (
    EXISTS (SELECT FROM items i WHERE i.job_id = j.id
            AND i.state IN ('pending', 'running', 'retrying'))
 OR EXISTS (SELECT FROM tasks t WHERE t.job_id = j.id AND t.kind <> 'settle_job'
            AND t.state = 'ready')
 OR (SELECT coalesce(sum(h.amount - h.captured - h.voided), 0) FROM holds h
     WHERE h.job_id = j.id)
    <> (SELECT coalesce(sum(i.charge_minor), 0) FROM items i
        WHERE i.job_id = j.id AND i.state = 'needs_review'))
"""
_OPEN_HOLDS = """
SELECT 'job ' || j.id || ': open hold is not the charge of its open items'
FROM jobs j
WHERE j.kind = 'provisioning'
  AND (SELECT coalesce(sum(h.amount - h.captured - h.voided), 0) FROM holds h
       WHERE h.job_id = j.id)
   <> (SELECT coalesce(sum(i.charge_minor), 0) FROM items i WHERE i.job_id = j.id
       AND i.state IN ('pending', 'running', 'retrying', 'needs_review'))
"""
_SERVED_ITEMS = """
SELECT 'item ' || i.job_id || '/' || i.position || ': succeeded without its provision'
FROM items i JOIN jobs j ON j.id = i.job_id AND j.kind = 'provisioning'
WHERE i.state = 'succeeded' AND NOT EXISTS (
    SELECT FROM provisions p WHERE p.job_id = i.job_id AND p.position = i.position
    AND p.id = i.result_id AND p.charge_minor = i.charge_minor)
UNION ALL
SELECT 'provision ' || p.id || ': its item did not succeed'
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
WHERE i.state <> 'succeeded'
"""
_CARDS_OF_PROVISIONS = """
SELECT 'card ' || min(c.id::text) || ': given more than once, or not marked issued'
FROM provisions p JOIN cards c ON c.id = p.card_id
GROUP BY c.id, c.state HAVING count(*) > 1 OR c.state <> 'issued'
UNION ALL
SELECT 'card ' || c.id || ': issued to nobody'
FROM cards c WHERE c.state = 'issued'
  AND NOT EXISTS (SELECT FROM provisions p WHERE p.card_id = c.id)
"""
_TRANSFERS = """
SELECT 'transfer ' || t.id || ': postings sum to ' || coalesce(sum(p.amount), 0)
FROM transfers t LEFT JOIN postings p ON p.transfer_id = t.id
GROUP BY t.id, t.amount
HAVING coalesce(sum(p.amount), 0) <> 0
    OR coalesce(sum(p.amount) FILTER (WHERE p.amount > 0), 0) <> t.amount
"""
_CAPTURES = """
SELECT 'transfer ' || t.id || ': captured ' || t.amount || ', provisions cost ' ||
       coalesce(sum(p.charge_minor), 0)
FROM transfers t LEFT JOIN provisions p ON p.transfer_id = t.id
WHERE t.kind = 'capture' GROUP BY t.id, t.amount
HAVING t.amount <> coalesce(sum(p.charge_minor), 0)
UNION ALL
SELECT 'provision ' || p.id || ': not paid for'
FROM provisions p WHERE NOT EXISTS (SELECT FROM transfers t WHERE t.id = p.transfer_id)
"""
_BALANCES = """
SELECT 'account ' || a.id || ': balance ' || a.balance || ', postings ' ||
       coalesce(sum(p.amount), 0)
FROM accounts a LEFT JOIN postings p ON p.account_id = a.id
GROUP BY a.id, a.balance HAVING a.balance <> coalesce(sum(p.amount), 0)
"""
_HELD = """
SELECT 'account ' || a.id || ': held ' || a.held || ', open holds ' ||
       coalesce(sum(h.amount - h.captured - h.voided), 0)
FROM accounts a LEFT JOIN holds h ON h.account_id = a.id AND h.state = 'open'
GROUP BY a.id, a.held HAVING a.held <> coalesce(sum(h.amount - h.captured - h.voided), 0)
"""
_ZERO_SUM = """
SELECT 'currency ' || currency || ': all balances sum to ' || sum(balance)
FROM accounts GROUP BY currency HAVING sum(balance) <> 0
"""
_IMPORTS = """
SELECT 'import ' || j.id || ': ' || c.succeeded || ' counted, ' || coalesce(n.cards, 0) || ' kept'
FROM jobs j JOIN chunks c ON c.job_id = j.id
LEFT JOIN (SELECT import_job_id, count(*) AS cards FROM cards GROUP BY import_job_id) n
  ON n.import_job_id = j.id
WHERE j.kind = 'card_import' AND c.succeeded <> coalesce(n.cards, 0)
"""
_VENDOR_CARDS = """
SELECT 'order ' || o.id || ': succeeded without its card'
FROM provider_orders o WHERE o.state = 'succeeded'
  AND NOT EXISTS (SELECT FROM cards c WHERE c.provider_order_id = o.id)
UNION ALL
SELECT 'card ' || c.id || ': its order did not succeed'
FROM cards c JOIN provider_orders o ON o.id = c.provider_order_id WHERE o.state <> 'succeeded'
"""
_ORDERS_OF_ITEMS = """
SELECT 'item ' || job_id || '/' || position || ': ' || count(*) || ' live orders'
FROM provider_orders WHERE state IN ('created', 'sent', 'accepted', 'unknown', 'succeeded')
GROUP BY job_id, position HAVING count(*) > 1
UNION ALL
SELECT 'item ' || i.job_id || '/' || i.position || ': running without a live order'
FROM items i JOIN jobs j ON j.id = i.job_id AND j.kind = 'provisioning'
WHERE i.state = 'running' AND NOT EXISTS (
    SELECT FROM provider_orders o WHERE o.job_id = i.job_id AND o.position = i.position
    AND o.state IN ('created', 'sent', 'accepted', 'unknown'))
"""
# An order on its way, or a released chunk, must have a task that will take it further.
_MOVING = """
SELECT 'order ' || o.id || ': ' || o.state || ' without a task'
FROM provider_orders o JOIN items i ON i.job_id = o.job_id AND i.position = o.position
WHERE o.state IN ('created', 'sent', 'accepted', 'unknown') AND i.state = 'running'
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.job_id = o.job_id
                  AND t.state = 'ready' AND t.args->>'order_id' = o.id::text)
UNION ALL
SELECT 'job ' || j.id || ': open without a task'
FROM jobs j WHERE j.state IN ('queued', 'running', 'cancelling')
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.job_id = j.id AND t.state = 'ready')
"""
INVARIANTS = (
    Invariant("item-sums", "The items of a job sum to its total", "jobs", _ITEM_SUMS),
    Invariant("item-counters", "Counters show what the items are", "chunks", _COUNTERS),
    Invariant("ended-jobs", "An ended job has nothing open", "jobs", _ENDED_JOBS),
    Invariant("open-holds", "A job's hold covers its open items", "jobs", _OPEN_HOLDS),
    Invariant("one-effect", "A succeeded item has its one provision", "items", _SERVED_ITEMS),
    Invariant("one-owner", "An issued card has its one recipient", "cards", _CARDS_OF_PROVISIONS),
    Invariant("transfers-balance", "Postings of a transfer sum to zero", "transfers", _TRANSFERS),
    Invariant("captures-match", "What was captured was provisioned", "transfers", _CAPTURES),
    Invariant("balances", "A balance is the sum of its postings", "accounts", _BALANCES),
    Invariant("held", "Held credit is the sum of open holds", "accounts", _HELD),
    Invariant("zero-sum", "Each currency sums to zero", "accounts", _ZERO_SUM),
    Invariant("imports", "Every imported card is there", "jobs", _IMPORTS),
    Invariant(
        "vendor-cards", "Vendor cards are succeeded orders", "provider_orders", _VENDOR_CARDS
    ),
    Invariant(
        "one-order", "An item has at most one live order", "provider_orders", _ORDERS_OF_ITEMS
    ),
    Invariant("moving", "Whatever is open has a task", "jobs", _MOVING),
)
