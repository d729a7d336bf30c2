"""Show coupons by state, and who waits for locks, asked of PostgreSQL at scrape time (S3-101, S3-102).

The sums of books are one row each and what was not added up yet; the waits are those of this moment.
"""

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlalchemy.orm import Session

_STATES = ("unassigned", "assigned", "locked", "redeemed", "void")
_COUPONS = text("""
SELECT sum(unassigned) AS unassigned, sum(assigned) AS assigned, sum(locked) AS locked,
    sum(redeemed) AS redeemed, sum(void) AS void, sum(redemptions) AS redemptions FROM book_stock
""")
#: As PostgreSQL names what is waited for -> as it is called here.
_LOCKS = {
    "advisory": "advisory",
    "transactionid": "row",
    "tuple": "row",
    "relation": "table",
    "virtualxid": "table",
}
# What waits for a row waits for its writer's transaction, which belongs to no database in the view.
_WAITS = text("""
SELECT l.locktype, count(*) AS waiting,
    coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0) AS seconds
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.datname = current_database() GROUP BY l.locktype
""")
_DEADLOCKS = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


def coupon_families(session: Session) -> list[Metric]:
    """Coupons of all books by state, and how often any was redeemed."""
    found = session.execute(_COUPONS).one()._mapping
    coupons = GaugeMetricFamily("largesse_coupons", "Coupons by state.", labels=["state"])
    for state in _STATES:
        coupons.add_metric([state], int(found[state] or 0))
    redeemed = CounterMetricFamily("largesse_coupon_redemptions", "Coupons redeemed, each time.")
    redeemed.add_metric([], int(found["redemptions"] or 0))
    return [coupons, redeemed]


def lock_families(session: Session) -> list[Metric]:
    """Who waits for a lock at this moment, the longest of these waits, and deadlocks so far."""
    counts, longest = dict.fromkeys(_LOCKS.values(), 0), dict.fromkeys(_LOCKS.values(), 0.0)
    for row in session.execute(_WAITS):
        kind = _LOCKS.get(row.locktype, "other")
        counts[kind] = counts.get(kind, 0) + row.waiting
        longest[kind] = max(longest.get(kind, 0.0), float(row.seconds))
    waiting = GaugeMetricFamily(
        "largesse_lock_waiting", "Transactions that wait for a lock now.", labels=["lock"]
    )
    seconds = GaugeMetricFamily(
        "largesse_lock_longest_seconds", "The longest of these waits.", labels=["lock"]
    )
    for kind, count in counts.items():
        waiting.add_metric([kind], count)
        seconds.add_metric([kind], longest[kind])
    deadlocks = CounterMetricFamily("largesse_deadlocks", "Deadlocks that PostgreSQL broke.")
    deadlocks.add_metric([], int(session.execute(_DEADLOCKS).scalar_one() or 0))
    return [waiting, seconds, deadlocks]
