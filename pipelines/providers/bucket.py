"""Share a vendor's rate limit: a token bucket taken in lots, kept as one flat row.

Tokens are counted in millionths and time in microseconds, all integers, so that many workers
taking small lots never gain a token from rounding.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

_MICRO = 1_000_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`micro_tokens` stood in the bucket at `filled_at`; never more than `burst` tokens."""

    rate_per_minute: int
    burst: int
    micro_tokens: int
    filled_at: datetime

    def __post_init__(self) -> None:
        if self.rate_per_minute < 1 or self.burst < 1:
            raise ValueError("rate_per_minute and burst must be at least 1")


class Taken(NamedTuple):
    """How many calls may start now, the bucket to store, and how long to wait if none may."""

    granted: int
    bucket: Bucket
    wait_seconds: float


def full(*, rate_per_minute: int, burst: int, now: datetime) -> Bucket:
    """A bucket that has been left alone long enough."""
    return Bucket(rate_per_minute, burst, burst * _MICRO, now)


def take(bucket: Bucket, now: datetime, want: int) -> Taken:
    """Take up to `want` tokens; `wait_seconds` is 0 unless nothing was granted.

    An empty-handed take leaves the bucket as it is: asking often must not slow the refill.
    """
    if want < 1:
        raise ValueError("want must be at least 1")
    standing = _standing(bucket, now)
    granted = min(want, standing // _MICRO)
    if granted == 0:
        return Taken(0, bucket, _wait_seconds(bucket, now, standing))
    left = standing - granted * _MICRO
    taken = replace(bucket, micro_tokens=left, filled_at=max(now, bucket.filled_at))
    return Taken(granted, taken, 0.0)


def pause(bucket: Bucket, until: datetime) -> Bucket:
    """The vendor said 429: empty, and without refill until `until`."""
    return replace(bucket, micro_tokens=0, filled_at=max(until, bucket.filled_at))


def _standing(bucket: Bucket, now: datetime) -> int:
    elapsed = max(0, (now - bucket.filled_at) // _MICROSECOND)
    refill = elapsed * bucket.rate_per_minute // 60
    return min(bucket.burst * _MICRO, bucket.micro_tokens + refill)


def _wait_seconds(bucket: Bucket, now: datetime, standing: int) -> float:
    """Until one token stands in the bucket; a pause ahead is waited out first."""
    paused = max(0, (bucket.filled_at - now) // _MICROSECOND)
    missing = _MICRO - standing
    refill = -(-missing * 60 // bucket.rate_per_minute)
    return (paused + refill) / _MICRO
