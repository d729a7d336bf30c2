"""Percent, rate, time to go, and whether a job has stalled: pure."""

from dataclasses import dataclass
from datetime import datetime

#: A time to go is told while something moved within this; a queue that stands has none.
MOVING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; rates are items per second since it started."""

    percent: float
    rate_per_second: float | None
    eta_seconds: int | None
    last_progress_at: datetime | None
    stalled: bool


def progress_of(
    *,
    total: int,
    still_open: int,
    pending: int,
    started_at: datetime | None,
    finished_at: datetime | None,
    last_progress_at: datetime | None,
    is_moving: bool,
    now: datetime,
    stalled_seconds: float,
) -> Progress:
    """Progress from counts and times; `is_moving` is False for paused and ended jobs."""
    done = total - still_open
    if total == 0:  # rows that are still to be read are no work done
        percent = 0.0 if finished_at is None else 100.0
    else:
        percent = round(100 * done / total, 1)
    if finished_at is not None or started_at is None:
        elapsed = (finished_at - started_at).total_seconds() if finished_at and started_at else 0
    else:
        elapsed = (now - started_at).total_seconds()
    rate = round(done / elapsed, 1) if elapsed > 0 and done > 0 else None
    quiet_since = last_progress_at or started_at
    quiet_seconds = (now - quiet_since).total_seconds() if quiet_since else 0.0
    can_tell = is_moving and quiet_seconds <= MOVING_SECONDS
    eta = int(still_open / rate) + 1 if can_tell and rate and still_open else None
    stalled = is_moving and quiet_seconds > stalled_seconds
    return Progress(percent, rate, eta, last_progress_at, stalled)
