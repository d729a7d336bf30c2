"""Ask before a vendor is called, and tell how it went: one row per account holds for all workers.

Rate, breaker and bulkhead stand in that row; a call in flight is a row of its own with an end, so
that the place of a worker that died comes free by itself.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.providers.breaker import Breaker, BreakerState
from pipelines.providers.bucket import Bucket, line_up, pause, soonest_start, started
from pipelines.providers.ports import (
    NOT_AUTHORISED,
    QUESTION_THROTTLED,
    AuthFailed,
    Balance,
    CataloguePage,
    LookUp,
    NotSent,
    Throttled,
    Unknown,
)
from pipelines.providers.turn import Turn, early_by

#: All places are taken: one comes free when any call ends.
BUSY_SECONDS = 1.0
#: A vendor that has not answered for this long gets few calls at once until it does, so that keys
#: that are not good are found out by few calls (EC-060).
PROVEN_SECONDS = 900.0
UNPROVEN_CALLS_MAX = 2
#: Why work waits whose vendor does not take our keys.
PROVIDER_AUTH = "provider_auth"
#: Nobody asks sooner while the probe runs; its end wakes who waits for keys.
BLOCKED_SECONDS = 5.0
#: How long before its time a call may be promised a token; after it, how long that is kept.
LINE_SECONDS = 5.0
PLACE_KEPT_SECONDS = 10.0
#: An account that is out of use, or not there yet, is looked at again after this.
AWAY_SECONDS = 60.0
#: Calls are counted by slices of this.
SLICE = timedelta(minutes=5)


class Purpose(StrEnum):
    """What a call is for."""

    ORDER = "order"
    #: What became of an order: also asked of an account that is out of use.
    QUESTION = "question"
    #: Buys nothing, and is the probe of an account whose keys were refused.
    CHECK = "check"


class Went(StrEnum):
    """How a call went, as it is counted."""

    ANSWERED = "answered"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Permit:
    """May the call begin, and at which moment? If not, when to ask again and why."""

    is_granted: bool
    at: datetime
    reason: str


_LOCK = text("SELECT * FROM vendor_accounts WHERE vendor = :vendor FOR NO KEY UPDATE")
_IN_FLIGHT = text("""
SELECT count(*) FILTER (WHERE starts_at IS NULL AND id <> :call) AS calls,
    max(starts_at) FILTER (WHERE id = :call) AS place,
    clock_timestamp() - transaction_timestamp() AS elapsed
FROM vendor_calls WHERE vendor = :vendor AND until > :now
""")
_ENTER = text("""
INSERT INTO vendor_calls (id, vendor, until, starts_at) VALUES (:call, :vendor, :until, :starts_at)
ON CONFLICT (id) DO UPDATE SET until = excluded.until, starts_at = excluded.starts_at
""")
#: Who stood in the line asks again: the vendor said that it may not go on as it was.
_DISSOLVE_LINE = text("""
DELETE FROM vendor_calls WHERE vendor = :vendor AND starts_at IS NOT NULL
""")
_ENDED = text("""
WITH ended AS (DELETE FROM vendor_calls WHERE id = :call)
INSERT INTO vendor_call_counts AS c (vendor, since, answered, failed, unknown)
VALUES (:vendor, :since, :answered, :failed, :unknown)
ON CONFLICT (vendor, since) DO UPDATE SET answered = c.answered + excluded.answered,
    failed = c.failed + excluded.failed, unknown = c.unknown + excluded.unknown
""")
_STORE_BUCKET = text("""
UPDATE vendor_accounts SET micro_tokens = :micro_tokens, filled_at = :filled_at,
    paused_until = :paused_until, taken_until = :taken_until
WHERE vendor = :vendor
""")
_STORE_BREAKER = text("""
UPDATE vendor_accounts SET breaker_state = :state, breaker_failures_in_row = :failures,
    breaker_window = :window, breaker_window_calls = :calls, breaker_openings = :openings,
    breaker_blocked_until = :until, breaker_refuses_keys = :refuses_keys, breaker_since = :since,
    answered_at = :answered_at
WHERE vendor = :vendor
""")


def ask(
    session: Session,
    vendor: str,
    *,
    now: datetime,
    call: UUID,
    seconds: float,
    purpose: Purpose = Purpose.ORDER,
    turn: Turn | None = None,
) -> Permit:
    """Take one call's worth from the vendor's bucket and a place among its calls in flight.

    `call` is the task that calls, `seconds` how long it holds its place at most: its lease.
    A refusal may have given it a place in the line: commit that, and come back when told.
    Who gives a `turn` may be let in a little early, and is told there when the call may begin.
    """
    row = session.execute(_LOCK, {"vendor": vendor}).one_or_none()
    if row is None:
        return _later(now, AWAY_SECONDS, "vendor_not_configured")
    if row.disabled_at is not None and purpose is Purpose.ORDER:
        return _later(now, AWAY_SECONDS, "vendor_disabled")
    breaker = _breaker(row)
    if not breaker.may_call(now, is_check=purpose is Purpose.CHECK):
        return _blocked(breaker, now)
    values = {"vendor": vendor, "now": now, "call": call}
    flying = session.execute(_IN_FLIGHT, values).one()
    looked, places = time.monotonic(), _places(row, breaker, now)
    if flying.calls >= places:
        return _later(now, BUSY_SECONDS, "vendor_busy")
    early = timedelta(0)
    if turn is not None:
        rate = row.rate_per_minute
        early = early_by(rate_per_minute=rate, calls=flying.calls, places=places)
    permit = _turn(session, row, values, flying.place, now, early)
    if not permit.is_granted:
        return permit
    if turn is not None:
        turn.at = looked + (permit.at - now - flying.elapsed).total_seconds()
    until = now + timedelta(seconds=seconds)
    session.execute(_ENTER, values | {"until": until, "starts_at": None})
    if (begun := breaker.beginning(now)) != breaker:
        _store_breaker(session, row, begun, answered_at=row.answered_at)
    return permit


def note(
    session: Session,
    vendor: str,
    answer: LookUp | Balance | CataloguePage,
    *,
    call: UUID,
    now: datetime,
    purpose: Purpose = Purpose.ORDER,
) -> bool:
    """Tell how the call `call` went; True if by this answer the account's keys came to be refused.

    The last lock that a transaction takes: the row is everybody's.
    """
    row = session.execute(_LOCK, {"vendor": vendor}).one()
    before, went = _breaker(row), _went(answer)
    after = _after(before, answer, now=now, is_check=purpose is Purpose.CHECK)
    if (slower := asks_slower(answer)) is not None:
        until = now + timedelta(seconds=slower)
        _store_bucket(session, vendor, pause(_bucket(row), until))
        session.execute(_DISSOLVE_LINE, {"vendor": vendor})
    is_proof = went is Went.ANSWERED and not after.refuses_keys
    if after != before or is_proof:
        _store_breaker(session, row, after, answered_at=now if is_proof else row.answered_at)
    since = now - (now - datetime.fromtimestamp(0, UTC)) % SLICE
    counted = {way.value: int(way is went) for way in Went}
    session.execute(_ENDED, counted | {"vendor": vendor, "call": call, "since": since})
    return after.refuses_keys and not before.refuses_keys


def asks_slower(answer: LookUp | Balance | CataloguePage) -> float | None:
    """For how many seconds the vendor wants no call; None if it did not ask for that."""
    match answer:
        case Throttled(retry_after_seconds=seconds) | Unknown(retry_after_seconds=seconds):
            return seconds
        case _:
            return None


def close(session: Session, vendor: str) -> Breaker | None:
    """Let calls through again, whatever the breaker knows; what it was, None if it was closed."""
    row = session.execute(_LOCK, {"vendor": vendor}).one()
    before = _breaker(row)
    if before.state is BreakerState.CLOSED:
        return None
    _store_breaker(session, row, Breaker(openings=before.openings), answered_at=None)
    return before


def _turn(
    session: Session,
    row: Row[Any],
    values: dict[str, Any],
    place: datetime | None,
    now: datetime,
    early: timedelta,
) -> Permit:
    """A token and the moment of the call, at most `early`; else a place in the line, or none."""
    bucket = _bucket(row)
    if place is None:
        found = line_up(bucket, now, line_seconds=LINE_SECONDS)
        bucket, place = found.bucket, now + timedelta(seconds=found.wait_seconds)
        if not found.is_kept:
            return Permit(False, place, "vendor_rate")
    starts_at = max(place, soonest_start(bucket, now))
    if starts_at <= now + early:
        _store_bucket(session, row.vendor, started(bucket, starts_at))
        return Permit(True, starts_at, "")
    _store_bucket(session, row.vendor, bucket)
    until = starts_at + timedelta(seconds=PLACE_KEPT_SECONDS)
    session.execute(_ENTER, values | {"until": until, "starts_at": starts_at})
    return Permit(False, starts_at - early, "vendor_rate")


def _blocked(breaker: Breaker, now: datetime) -> Permit:
    assert breaker.blocked_until is not None
    reason = PROVIDER_AUTH if breaker.refuses_keys else "vendor_down"
    soonest = now + timedelta(seconds=BLOCKED_SECONDS)
    return Permit(False, max(breaker.blocked_until, soonest), reason)


def _later(now: datetime, seconds: float, reason: str) -> Permit:
    return Permit(False, now + timedelta(seconds=seconds), reason)


def _places(row: Row[Any], breaker: Breaker, now: datetime) -> int:
    """How many calls may be in flight: one after refused keys, few at a vendor not heard lately."""
    if breaker.is_recovering:
        return 1
    proven_until = row.answered_at and row.answered_at + timedelta(seconds=PROVEN_SECONDS)
    if proven_until is None or proven_until < now:
        return min(UNPROVEN_CALLS_MAX, int(row.concurrency))
    return int(row.concurrency)


def _went(answer: LookUp | Balance | CataloguePage) -> Went:
    match answer:
        case Unknown(reason="reference_used" | "order_in_progress"):
            return Went.ANSWERED  # unclear about the order, but the vendor is there
        case Unknown(reason=reason) if reason not in {NOT_AUTHORISED, QUESTION_THROTTLED}:
            return Went.UNKNOWN
        case Unknown() | AuthFailed() | NotSent() | Throttled():
            return Went.FAILED
        case _:
            return Went.ANSWERED


def _after(
    breaker: Breaker, answer: LookUp | Balance | CataloguePage, *, now: datetime, is_check: bool
) -> Breaker:
    """The breaker after the answer; a check is only heard by an account that waits for one."""
    went = _went(answer)
    if isinstance(answer, AuthFailed) or answer == Unknown(NOT_AUTHORISED):
        return breaker.after_keys_refused(now)
    if is_check and breaker.state is BreakerState.CLOSED:
        return breaker
    # Slower is an answer, not a failure.
    if went is Went.ANSWERED or asks_slower(answer) is not None:
        return breaker.after_success()
    return breaker.after_failure(now)


def _breaker(row: Row[Any]) -> Breaker:
    return Breaker(
        state=BreakerState(row.breaker_state),
        failures_in_row=row.breaker_failures_in_row,
        window=row.breaker_window,
        window_calls=row.breaker_window_calls,
        openings=row.breaker_openings,
        blocked_until=row.breaker_blocked_until,
        refuses_keys=row.breaker_refuses_keys,
        since=row.breaker_since,
    )


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(
        row.rate_per_minute,
        row.burst,
        row.micro_tokens,
        row.filled_at,
        row.paused_until,
        row.taken_until,
    )


def _store_bucket(session: Session, vendor: str, bucket: Bucket) -> None:
    session.execute(
        _STORE_BUCKET,
        {
            "vendor": vendor,
            "micro_tokens": bucket.micro_tokens,
            "filled_at": bucket.filled_at,
            "paused_until": bucket.paused_until,
            "taken_until": bucket.taken_until,
        },
    )


def _store_breaker(
    session: Session, row: Row[Any], breaker: Breaker, *, answered_at: datetime | None
) -> None:
    session.execute(
        _STORE_BREAKER,
        {
            "vendor": row.vendor,
            "state": breaker.state.value,
            "failures": breaker.failures_in_row,
            "window": breaker.window,
            "calls": breaker.window_calls,
            "openings": breaker.openings,
            "until": breaker.blocked_until,
            "refuses_keys": breaker.refuses_keys,
            "since": breaker.since,
            "answered_at": answered_at,
        },
    )
