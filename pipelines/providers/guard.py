"""Ask before a vendor is called: one row per vendor account holds rate and breaker for all."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.providers.breaker import Breaker, BreakerState
from pipelines.providers.bucket import Bucket, pause, take


@dataclass(frozen=True, slots=True)
class Permit:
    """May the call begin? If not, when to ask again and why."""

    is_granted: bool
    ask_again_at: datetime
    reason: str


_LOCK = text("SELECT * FROM vendor_accounts WHERE vendor = :vendor FOR NO KEY UPDATE")
_STORE_BUCKET = text("""
UPDATE vendor_accounts SET micro_tokens = :micro_tokens, filled_at = :filled_at
WHERE vendor = :vendor
""")
_STORE_BREAKER = text("""
UPDATE vendor_accounts SET breaker_state = :state, breaker_failures_in_row = :failures,
    breaker_window = :window, breaker_window_calls = :calls, breaker_openings = :openings,
    breaker_blocked_until = :until
WHERE vendor = :vendor
""")


def ask(session: Session, vendor: str, *, now: datetime) -> Permit:
    """Take one call's worth from the vendor's bucket, if the breaker lets calls through."""
    row = _lock(session, vendor)
    breaker, bucket = _breaker(row), _bucket(row)
    if not breaker.may_call(now):
        assert breaker.blocked_until is not None
        return Permit(False, breaker.blocked_until, "vendor_down")
    taken = take(bucket, now, 1)
    if taken.granted == 0:
        return Permit(False, now + timedelta(seconds=taken.wait_seconds), "vendor_rate")
    _store_bucket(session, vendor, taken.bucket)
    if (begun := breaker.beginning(now)) != breaker:
        _store_breaker(session, vendor, begun)
    return Permit(True, now, "")


def note_success(session: Session, vendor: str) -> None:
    """The vendor answered; a refusal is an answer too."""
    breaker = _breaker(_lock(session, vendor))
    if (after := breaker.after_success()) != breaker:
        _store_breaker(session, vendor, after)


def note_failure(session: Session, vendor: str, *, now: datetime) -> None:
    """The vendor gave no usable answer."""
    breaker = _breaker(_lock(session, vendor))
    _store_breaker(session, vendor, breaker.after_failure(now))


def note_throttled(session: Session, vendor: str, *, until: datetime) -> None:
    """The vendor asked for slower calls: nobody calls before `until`."""
    _store_bucket(session, vendor, pause(_bucket(_lock(session, vendor)), until))


def _lock(session: Session, vendor: str) -> Row[Any]:
    return session.execute(_LOCK, {"vendor": vendor}).one()


def _breaker(row: Row[Any]) -> Breaker:
    return Breaker(
        state=BreakerState(row.breaker_state),
        failures_in_row=row.breaker_failures_in_row,
        window=row.breaker_window,
        window_calls=row.breaker_window_calls,
        openings=row.breaker_openings,
        blocked_until=row.breaker_blocked_until,
    )


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(row.rate_per_minute, row.burst, row.micro_tokens, row.filled_at)


def _store_bucket(session: Session, vendor: str, bucket: Bucket) -> None:
    session.execute(
        _STORE_BUCKET,
        {
            "vendor": vendor,
            "micro_tokens": bucket.micro_tokens,
            "filled_at": bucket.filled_at,
        },
    )


def _store_breaker(session: Session, vendor: str, breaker: Breaker) -> None:
    session.execute(
        _STORE_BREAKER,
        {
            "vendor": vendor,
            "state": breaker.state.value,
            "failures": breaker.failures_in_row,
            "window": breaker.window,
            "calls": breaker.window_calls,
            "openings": breaker.openings,
            "until": breaker.blocked_until,
        },
    )
