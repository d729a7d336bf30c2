"""Share a vendor's rate limit: a token bucket with a line before it, kept as one flat row.

Who finds it empty gets a place in the line: a moment at which a token will have flowed in, for
nobody else. So no token is lost while workers come back, and each comes back once.
Tokens are counted in millionths and time in microseconds, all integers, so that many workers
never gain a token from rounding.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

_MICRO = 1_000_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`micro_tokens` stood in the bucket at `filled_at`; never more than `burst` tokens.

    Below zero they are promised to who stands in the line. Nothing flows in before `paused_until`.
    """

    rate_per_minute: int
    burst: int
    micro_tokens: int
    filled_at: datetime
    paused_until: datetime | None = None
    #: Until when calls that have begun take up the rate, one after another.
    taken_until: datetime | None = None

    def __post_init__(self) -> None:
        if self.rate_per_minute < 1 or self.burst < 1:
            raise ValueError("rate_per_minute and burst must be at least 1")

    @property
    def flows_from(self) -> datetime:
        return max(self.filled_at, self.paused_until or self.filled_at)


class Place(NamedTuple):
    """When the call may begin, as seconds from now; and the bucket to store.

    `is_kept`: the token is the caller's, now (0 seconds) or then. Else the line is too long: come
    back after so many seconds and ask again.
    """

    is_kept: bool
    wait_seconds: float
    bucket: Bucket


def full(*, rate_per_minute: int, burst: int, now: datetime) -> Bucket:
    """A bucket that has been left alone long enough."""
    return Bucket(rate_per_minute, burst, burst * _MICRO, now)


def line_up(bucket: Bucket, now: datetime, *, line_seconds: float) -> Place:
    """Take a token, or a place in a line of at most `line_seconds`.

    Who comes to a full line leaves the bucket as it is, and comes back when half of it is gone:
    asking often must not slow the refill. During a pause nobody lines up.

    Who waited for the account's row may come with a moment before `filled_at`: one who began later
    was quicker. The bucket's time is then that of the quicker one.
    """
    at = max(now, bucket.filled_at)
    behind = (at - now) // _MICROSECOND
    paused = max(0, (bucket.flows_from - at) // _MICROSECOND)
    standing = _standing(bucket, at)
    wait = 0 if standing >= _MICRO else -(-(_MICRO - standing) * 60 // bucket.rate_per_minute)
    if paused or wait > line_seconds * _MICRO:
        shorter = wait if paused else wait - line_seconds * _MICRO / 2
        return Place(False, (behind + paused + shorter) / _MICRO, bucket)
    taken = replace(bucket, micro_tokens=standing - _MICRO, filled_at=at)
    return Place(True, (behind + wait) / _MICRO if wait else 0.0, taken)


def soonest_start(bucket: Bucket, now: datetime) -> datetime:
    """When a call that has its token may begin, so that late ones do not begin all at once.

    What a vendor counts is when calls come, not when they were promised.
    """
    if bucket.taken_until is None:
        return now
    return max(now, bucket.taken_until - (bucket.burst - 1) * _interval(bucket))


def started(bucket: Bucket, at: datetime) -> Bucket:
    """The bucket once it is sure that a call begins at that moment."""
    taken_until = max(at, bucket.taken_until or at) + _interval(bucket)
    return replace(bucket, taken_until=taken_until)


def pause(bucket: Bucket, until: datetime) -> Bucket:
    """The vendor said 429: empty, and without refill until `until`; the line is dissolved."""
    return replace(bucket, micro_tokens=0, paused_until=max(until, bucket.paused_until or until))


def _interval(bucket: Bucket) -> timedelta:
    return timedelta(minutes=1) / bucket.rate_per_minute


def _standing(bucket: Bucket, now: datetime) -> int:
    elapsed = max(0, (now - bucket.flows_from) // _MICROSECOND)
    refill = elapsed * bucket.rate_per_minute // 60
    return min(bucket.burst * _MICRO, bucket.micro_tokens + refill)
