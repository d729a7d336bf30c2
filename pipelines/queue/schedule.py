"""The standing duties and their ticks: any number of schedulers, one task per tick."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.queue.defer import defer
from pipelines.queue.kinds import (
    ADD_UP_BOOKS,
    ADD_UP_ISSUED,
    CHECK_BALANCES,
    FOLD_ALERTS,
    INTEGRITY_CHECK,
    ISSUE_REWARDS,
    LOOK_AFTER_VENDORS,
    MONITOR,
    PUBLISH_EVENTS,
    PULL_EVENTS,
    PURGE_KEYS,
    RECONCILE_DISCOUNTS,
    RECONCILE_PAYMENTS,
    REFILL_BUFFERS,
    RELEASE_EXPIRED,
    RETENTION,
    SEAL_AUDIT,
    SYNC_CATALOGUES,
    TIDY_LOCKS,
    WITNESS_AUDIT,
    TaskKind,
)


@dataclass(frozen=True, slots=True)
class Duty:
    """A task kind deferred once per period, aligned to the epoch."""

    kind: TaskKind
    every: timedelta


DUTIES = (
    Duty(REFILL_BUFFERS, timedelta(minutes=1)),
    Duty(RETENTION, timedelta(hours=1)),
    Duty(PURGE_KEYS, timedelta(hours=1)),
    #: As often as schedulers look, so that an entry is sealed within ten seconds.
    Duty(SEAL_AUDIT, timedelta(seconds=5)),
    Duty(CHECK_BALANCES, timedelta(days=1)),
    Duty(WITNESS_AUDIT, timedelta(days=1)),
    Duty(FOLD_ALERTS, timedelta(seconds=5)),
    Duty(PUBLISH_EVENTS, timedelta(seconds=5)),
    Duty(MONITOR, timedelta(minutes=5)),
    Duty(INTEGRITY_CHECK, timedelta(days=1)),
    Duty(ADD_UP_ISSUED, timedelta(minutes=1)),
    Duty(TIDY_LOCKS, timedelta(minutes=1)),
    Duty(ADD_UP_BOOKS, timedelta(minutes=1)),
    Duty(RELEASE_EXPIRED, timedelta(minutes=5)),
    Duty(ISSUE_REWARDS, timedelta(minutes=5)),
    Duty(PULL_EVENTS, timedelta(hours=1)),
    Duty(RECONCILE_DISCOUNTS, timedelta(days=1)),
    Duty(RECONCILE_PAYMENTS, timedelta(days=1)),
    Duty(LOOK_AFTER_VENDORS, timedelta(minutes=5)),
    Duty(SYNC_CATALOGUES, timedelta(hours=6)),
)
#: Rows of ticks are kept this long; they exist to be unique, not to be read.
TICKS_KEPT = timedelta(days=2)

_TICK = text("""
INSERT INTO schedule_runs (name, fire_at) VALUES (:name, :fire_at)
ON CONFLICT DO NOTHING RETURNING 1
""")
_FORGET = text("DELETE FROM schedule_runs WHERE fire_at < :before")


def last_tick(duty: Duty, now: datetime) -> datetime:
    """The latest tick at or before `now`: a missed one is caught up once, older ones are not."""
    epoch = datetime.fromtimestamp(0, UTC)
    return now - (now - epoch) % duty.every


def fire_due(session: Session, now: datetime) -> int:
    """Defer each duty whose tick nobody has fired yet; returns how many were fired here."""
    fired = 0
    for duty in DUTIES:
        values = {"name": duty.kind.name, "fire_at": last_tick(duty, now)}
        if session.execute(_TICK, values).scalar_one_or_none() is not None:
            defer(session, duty.kind, args={}, now=now, dedupe_key=duty.kind.name)
            fired += 1
    session.execute(_FORGET, {"before": now - TICKS_KEPT})
    return fired
