"""What the monitor looks at: each check is one bounded statement that gives a row per trouble.

A row is (kind, subject_id, agency_id, client_id, level, detail), and may say a `severity` of its own;
`detail` holds ids, numbers and our own codes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, TextClause, text

from pipelines.alerts import kinds
from pipelines.alerts.kind import AlertKind
from pipelines.credit.burn_down import WINDOW_DAYS, covers, pace_of
from pipelines.credit.follow import SHORTAGE
from pipelines.credit.hold import PAYS
from pipelines.pricing.read import PRICES_FOR, rules_in
from pipelines.pricing.rules import charge_of, cost_max, is_too_dear

#: Findings of one check; what is beyond waits until there are fewer.
FINDINGS_MAX = 500
#: Rows of a check whose trouble a rule decides: most of them may be none.
JUDGED_MAX = 20_000
#: Failed rows that are counted by their code.
FAILURES_COUNTED_MAX = 100_000
#: A job of which nothing moves for so long, and an order nobody knows the end of.
STALLED_MINUTES = 15
UNKNOWN_MINUTES = 15
#: Work that is due and of which nobody takes any for so long.
UNSERVED_MINUTES = 2
#: The books are proved once a day; later than this somebody has to look why not.
UNPROVED_HOURS = 26


class Group(StrEnum):
    """The parts of the breakdown."""

    CSV_POOLS = "csv_pools"
    CAMPAIGNS = "campaigns"
    AGENCIES = "agencies"
    CLIENTS = "clients"
    PROVISIONING_FAILURES = "provisioning_failures"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Check:
    """One statement and the kinds of alert it raises: what it does not find of them is over.

    Without a group a finding is its client's, or its agency's.
    """

    group: Group | None
    kinds: tuple[AlertKind, ...]
    statement: TextClause
    #: Where a rule decides, and not the statement alone, whether a row is trouble.
    is_trouble: Callable[[Row[Any], datetime], bool] | None = None


# The rule of `pools.health.judge`, counted no further than it matters: a full pool is not read
# through. Of a pool that never had a card and of which none is asked, nothing is expected.
_POOLS = text("""
SELECT CASE WHEN n.usable = 0 THEN 'pool_depleted' ELSE 'pool_low' END AS kind,
    p.id AS subject_id, p.agency_id, p.client_id, 0 AS level,
    jsonb_build_object('usable', n.usable, 'low_watermark', p.low_watermark,
                       'issued_in_7_days', g.issued) AS detail
FROM card_pools p
CROSS JOIN LATERAL (
    SELECT count(*) AS issued FROM cards c
    WHERE c.pool_id = p.id AND c.state = 'issued' AND c.issued_at > :lately) g
CROSS JOIN LATERAL (
    SELECT count(*) AS usable FROM (
        SELECT FROM cards c WHERE c.pool_id = p.id AND c.state = 'available'
            AND c.expires_on >= :usable_from
        LIMIT greatest(p.low_watermark, g.issued * :days_min / :days + 1) + 1) counted) n
WHERE p.disabled_at IS NULL
  AND (n.usable <= p.low_watermark OR n.usable * :days < g.issued * :days_min)
  AND (p.low_watermark > 0 OR EXISTS (SELECT FROM cards c WHERE c.pool_id = p.id))
ORDER BY p.id LIMIT :limit
""")
# Of each pool the first cards by expiry, by their index; more than are counted are not told apart.
_EXPIRING = text("""
SELECT 'inventory_expiring' AS kind, p.id AS subject_id, p.agency_id, p.client_id, 0 AS level,
    jsonb_build_object('cards', n.cards, 'days_left', n.soonest - CAST(:today AS date)) AS detail
FROM card_pools p CROSS JOIN LATERAL (
    SELECT count(*) AS cards, min(expires_on) AS soonest FROM (
        SELECT c.expires_on FROM cards c WHERE c.pool_id = p.id AND c.state = 'available'
            AND c.expires_on >= CAST(:today AS date) AND c.expires_on < :usable_from
        ORDER BY c.expires_on LIMIT 10000) first) n
WHERE n.cards > 0 ORDER BY p.id LIMIT :limit
""")
# What it draws on is empty in every currency, and was not always: one never funded waits for that.
_CAMPAIGNS = text(f"""
SELECT 'campaign_depleted' AS kind, c.id AS subject_id, c.agency_id, c.client_id, 0 AS level,
    jsonb_build_object('balance_minor', max(a.balance), 'held_minor', max(a.held), 'currency',
        CASE WHEN count(*) = 1 THEN min(a.currency) END) AS detail
FROM campaigns c JOIN accounts a ON {PAYS}
WHERE c.pause_reason = 'credit_exhausted' OR c.state = 'active'
GROUP BY c.id
HAVING c.pause_reason = 'credit_exhausted'
    OR (max(a.balance) <= 0 AND NOT bool_or(a.unlimited)
        AND bool_or(EXISTS (SELECT FROM postings p WHERE p.account_id = a.id)))
ORDER BY c.id LIMIT :limit
""")
# Whoever moves credit tells of it at once; this is for whatever moved past them.
_CREDIT = text(f"""
SELECT 'low_credit' AS kind, s.id AS subject_id, s.agency_id, s.client_id, s.level,
    CASE WHEN s.level = 3 THEN 'critical' END AS severity,
    jsonb_build_object('balance_minor', s.balance, 'full_minor', s.full_minor,
        'currency', s.currency, 'percent', (ARRAY[20, 10, 0])[s.level]) AS detail
FROM (SELECT a.*, {SHORTAGE} AS level FROM accounts a WHERE a.kind = 'credit') s
WHERE s.level > 0 ORDER BY s.id LIMIT :limit
""")
# Whoever resolved the alert has unfrozen nothing. The numbers are those of the freeze.
_FROZEN = text("""
SELECT 'ledger_drift' AS kind, a.id AS subject_id, CAST(NULL AS uuid) AS agency_id,
    CAST(NULL AS uuid) AS client_id, 0 AS level,
    coalesce((SELECT e.detail FROM audit_entries e
              WHERE e.object_id = a.id AND e.action = 'credit.frozen'
              ORDER BY e.at DESC LIMIT 1),
        jsonb_build_object('balance_minor', a.balance, 'held_minor', a.held,
                           'currency', a.currency)) AS detail
FROM accounts a WHERE a.frozen_at IS NOT NULL ORDER BY a.id LIMIT :limit
""")
_OWED = text("""
SELECT 'credit_owed' AS kind, a.id AS subject_id, a.agency_id, a.client_id, 0 AS level,
    jsonb_build_object('currency', a.currency, 'owed_minor', (
        SELECT coalesce(sum(r.claimed - r.taken - r.written_off), 0) FROM receivables r
        WHERE r.account_id = a.id AND r.settled_at IS NULL)) AS detail
FROM accounts a WHERE a.restricted_at IS NOT NULL ORDER BY a.id LIMIT :limit
""")
# Who waits for the same credit is served in the order of submission, so each wants what those before
# it want too. What is wholly held for is paid for, unless the account pays nothing now. Each part is made
# once: planned into one, spending would be summed for every job.
_UNPAYABLE = text(f"""
WITH waiting AS MATERIALIZED (
    SELECT j.id, j.agency_id, j.client_id, j.scheduled_for, a.id AS account_id, a.currency,
        a.balance - a.held AS free, a.unlimited, a.frozen_at IS NOT NULL AS frozen,
        a.restricted_at IS NOT NULL AS restricted,
        j.started_at IS NULL AND j.scheduled_for > :now AS is_scheduled,
        j.unfunded_minor AS waiting
    FROM jobs j JOIN campaigns c ON c.id = j.campaign_id
    JOIN accounts a ON {PAYS} AND a.currency = j.currency
    WHERE j.kind = 'provisioning' AND j.state IN ('queued', 'running', 'paused')
      AND (j.funded_to IS NOT NULL OR a.frozen_at IS NOT NULL OR a.restricted_at IS NOT NULL)
), ordered AS (
    SELECT w.*, sum(waiting) OVER (PARTITION BY account_id ORDER BY id) AS wanted FROM waiting w
), spent AS MATERIALIZED (
    SELECT a.id AS account_id, sum(i.charge_minor) AS spent, min(i.day) AS first
    FROM accounts a JOIN campaigns c ON {PAYS} AND c.state <> 'closed'
    JOIN issued i ON i.campaign_id = c.id AND i.currency = a.currency
    WHERE a.id IN (SELECT account_id FROM waiting)
      AND i.day BETWEEN CAST(:today AS date) - {WINDOW_DAYS - 1} AND CAST(:today AS date)
    GROUP BY a.id
)
SELECT 'scheduled_job_unpayable' AS kind, o.id AS subject_id, o.agency_id, o.client_id,
    CASE WHEN o.scheduled_for < CAST(:now AS timestamptz) + interval '24 hours' THEN 1
         ELSE 0 END AS level,
    jsonb_build_object('waiting_minor', o.waiting, 'available_minor', o.free,
        'currency', o.currency, 'frozen', CAST(o.frozen AS integer),
        'restricted', CAST(o.restricted AS integer),
        'starts_at', to_char(o.scheduled_for AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"'))
        AS detail,
    o.scheduled_for, o.free, o.frozen OR o.restricted AS is_stopped, o.unlimited, o.wanted, coalesce(s.spent, 0) AS spent,
    s.first
FROM ordered o LEFT JOIN spent s ON s.account_id = o.account_id
WHERE o.is_scheduled AND (o.waiting > 0 OR o.frozen OR o.restricted) ORDER BY o.id LIMIT :limit
""")


def _is_unpayable(row: Row[Any], now: datetime) -> bool:
    """Whether its credit will not be there on its day, if it goes on as lately."""
    if row.is_stopped or row.unlimited:
        return bool(row.is_stopped)
    pace = pace_of(int(row.spent), first=row.first, today=now.date())
    day = (row.scheduled_for.date() - now.date()).days
    return not covers(int(row.free), pace, wanted_minor=int(row.wanted), day=day)


_FAILURES = text(f"""
WITH lately AS (
    SELECT id FROM jobs WHERE kind = 'provisioning'
        AND state IN ('queued', 'running', 'paused', 'cancelling')
    UNION ALL
    SELECT id FROM jobs WHERE kind = 'provisioning' AND finished_at >= :hour_ago
        AND state IN ('failed', 'partially_succeeded')
), failed AS (
    SELECT i.agency_id, i.client_id, coalesce(i.code, 'internal_error') AS code
    FROM lately l JOIN chunks c ON c.job_id = l.id AND c.failed > 0 AND c.updated_at >= :hour_ago
    JOIN items i ON i.job_id = c.job_id AND i.chunk_number = c.number AND i.state = 'failed'
    LIMIT {FAILURES_COUNTED_MAX}
), by_code AS (
    SELECT agency_id, client_id, code, count(*) AS items FROM failed GROUP BY 1, 2, 3
)
SELECT 'provisioning_failures' AS kind, client_id AS subject_id, agency_id, client_id,
    CASE WHEN sum(items) >= 1000 THEN 3 WHEN sum(items) >= 100 THEN 2
         WHEN sum(items) >= 10 THEN 1 ELSE 0 END AS level,
    jsonb_object_agg(code, items) || jsonb_build_object('failed', sum(items)) AS detail
FROM by_code GROUP BY agency_id, client_id ORDER BY client_id LIMIT :limit
""")
# A job whose time has not come, or whose campaign is paused, waits as it should.
_STALLED = text("""
SELECT 'job_stalled' AS kind, j.id AS subject_id, j.agency_id, j.client_id, 0 AS level,
    jsonb_build_object('rows', j.total) AS detail
FROM jobs j LEFT JOIN campaigns c ON c.id = j.campaign_id
WHERE j.state IN ('queued', 'running', 'cancelling')
  AND greatest(j.created_at, j.scheduled_for, j.started_at)
      < CAST(:now AS timestamptz) - make_interval(mins => :stalled)
  AND (j.state <> 'queued' OR c.state IS DISTINCT FROM 'paused')
  AND NOT EXISTS (SELECT FROM chunks k WHERE k.job_id = j.id
      AND k.updated_at >= CAST(:now AS timestamptz) - make_interval(mins => :stalled))
ORDER BY j.id LIMIT :limit
""")
_DEAD = text("""
SELECT 'dead_letters' AS kind, CAST(NULL AS uuid) AS subject_id, CAST(NULL AS uuid) AS agency_id,
    CAST(NULL AS uuid) AS client_id,
    CASE WHEN count(*) >= 100 THEN 2 WHEN count(*) >= 10 THEN 1 ELSE 0 END AS level,
    jsonb_build_object('tasks', count(*)) AS detail
FROM tasks WHERE state = 'dead' HAVING count(*) > 0 LIMIT :limit
""")
# Stopped in good order a process takes its row away: one that left it behind fell silent.
_SILENT = text("""
SELECT 'process_silent' AS kind, CAST(NULL AS uuid) AS subject_id, CAST(NULL AS uuid) AS agency_id,
    CAST(NULL AS uuid) AS client_id, CAST(count(*) AS integer) AS level,
    jsonb_object_agg(n.name, 1) AS detail
FROM unnest(CAST(:processes AS text[])) n (name)
WHERE NOT EXISTS (SELECT FROM processes p WHERE p.name = n.name AND p.beat_at > :beat_since)
  AND (EXISTS (SELECT FROM processes p WHERE p.name = n.name)
    OR EXISTS (SELECT FROM tasks t WHERE t.queue = n.name AND t.state = 'ready'
        AND t.run_after < CAST(:now AS timestamptz) - make_interval(mins => :unserved)
        AND (t.lease_until IS NULL OR t.lease_until <= :now)))
HAVING count(*) > 0 LIMIT :limit
""")
_UNKNOWN = text("""
SELECT 'orders_unknown' AS kind, CAST(NULL AS uuid) AS subject_id, CAST(NULL AS uuid) AS agency_id,
    CAST(NULL AS uuid) AS client_id,
    CASE WHEN min(sent_at) < CAST(:now AS timestamptz) - interval '12 hours' THEN 2
         WHEN min(sent_at) < CAST(:now AS timestamptz) - interval '2 hours' THEN 1
         ELSE 0 END AS level,
    jsonb_build_object('orders', count(*), 'oldest_minutes',
        CAST(extract(epoch FROM CAST(:now AS timestamptz) - min(sent_at)) / 60 AS integer)) AS detail
FROM provider_orders
WHERE state IN ('created', 'sent', 'accepted', 'unknown') AND state = 'unknown'
  AND sent_at < CAST(:now AS timestamptz) - make_interval(mins => :unknown)
HAVING count(*) > 0 LIMIT :limit
""")
_BOOKS = text("""
SELECT CASE WHEN ok IS FALSE THEN 'books_broken' ELSE 'books_unproved' END AS kind,
    CAST(NULL AS uuid) AS subject_id, CAST(NULL AS uuid) AS agency_id,
    CAST(NULL AS uuid) AS client_id, 0 AS level, detail
FROM check_runs WHERE name = 'integrity' AND (ok IS NOT TRUE
    OR at < CAST(:now AS timestamptz) - make_interval(hours => :unproved))
LIMIT :limit
""")

# Jobs of many tenants may wait for the same brand: it is over when the last of them does not any more.
_MARGINS = text("""
SELECT 'margin_below_floor' AS kind, b.id AS subject_id, CAST(NULL AS uuid) AS agency_id,
    CAST(NULL AS uuid) AS client_id, 0 AS level,
    jsonb_build_object('job_id', n.job_id, 'items', n.items) AS detail
FROM brands b CROSS JOIN LATERAL (
    SELECT count(*) AS items, min(CAST(job_id AS text)) AS job_id FROM (
        SELECT i.job_id FROM items i WHERE i.brand_id = b.id AND i.state = 'needs_review'
            AND i.code = 'margin_below_floor' LIMIT 10000) counted) n
WHERE n.items > 0 ORDER BY b.id LIMIT :limit
""")

# It stands until what its card cost is allowed by the price and floor of today, or the cost is known.
_LOSSES = text(f"""
SELECT a.kind, a.subject_id, a.agency_id, a.client_id, 0 AS level, a.detail,
    d.face, d.cost, d.client, b.min_margin_minor,
    {PRICES_FOR.format(brand="b.id", client="d.client")} AS prices
FROM alerts a CROSS JOIN LATERAL (
    SELECT CAST(a.detail ->> 'face_value_minor' AS bigint) AS face,
        CAST(a.detail ->> 'cost_minor' AS bigint) AS cost,
        CAST(a.detail ->> 'client_id' AS uuid) AS client) d
JOIN brands b ON b.id = CAST(a.detail ->> 'brand_id' AS uuid)
JOIN route_costs c ON c.brand_id = b.id AND c.vendor = a.detail ->> 'vendor'
    AND c.product = a.detail ->> 'product' AND c.cost_bp IS NULL
WHERE a.kind = 'route_sells_at_loss' AND a.state <> 'resolved'
ORDER BY a.id LIMIT :limit
""")


def _sells_at_loss(row: Row[Any], _now: datetime) -> bool:
    """Whether the card would be too dear at the price and floor of today (EC-081)."""
    charge = charge_of(rules_in(row.prices), row.face, row.client)
    return is_too_dear(row.cost, cost_max(charge, row.min_margin_minor))


CHECKS = (
    Check(Group.CSV_POOLS, (kinds.POOL_LOW, kinds.POOL_DEPLETED), _POOLS),
    Check(Group.CSV_POOLS, (kinds.INVENTORY_EXPIRING,), _EXPIRING),
    Check(Group.CAMPAIGNS, (kinds.CAMPAIGN_DEPLETED,), _CAMPAIGNS),
    Check(None, (kinds.LOW_CREDIT,), _CREDIT),
    Check(None, (kinds.SCHEDULED_JOB_UNPAYABLE,), _UNPAYABLE, _is_unpayable),
    Check(Group.ENGINE, (kinds.LEDGER_DRIFT,), _FROZEN),
    Check(None, (kinds.CREDIT_OWED,), _OWED),
    Check(Group.PROVISIONING_FAILURES, (kinds.PROVISIONING_FAILURES,), _FAILURES),
    Check(Group.ENGINE, (kinds.JOB_STALLED,), _STALLED),
    Check(Group.ENGINE, (kinds.DEAD_LETTERS,), _DEAD),
    Check(Group.ENGINE, (kinds.PROCESS_SILENT,), _SILENT),
    Check(Group.ENGINE, (kinds.ORDERS_UNKNOWN,), _UNKNOWN),
    Check(Group.ENGINE, (kinds.MARGIN_BELOW_FLOOR,), _MARGINS),
    Check(Group.ENGINE, (kinds.ROUTE_SELLS_AT_LOSS,), _LOSSES, _sells_at_loss),
    Check(Group.ENGINE, (kinds.BOOKS_BROKEN, kinds.BOOKS_UNPROVED), _BOOKS),
)
