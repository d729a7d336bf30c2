"""How many wrong passwords an account takes, and how long it then rests (SEC-03)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: Wrong in a row before an account rests.
FAILURES_MAX = 10
FIRST_REST = timedelta(minutes=15)
LONGEST_REST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Standing:
    """Tries in a row that were not right, the present one among them, and when the next may be."""

    failures: int
    rests_until: datetime | None


NEW = Standing(0, None)


def try_again(standing: Standing, *, now: datetime) -> Standing | None:
    """How the account stands while a password is checked; None while it rests.

    A try counts before it is known to be wrong, so that many at once are no more than as many in a
    row; a right password clears it.
    """
    if standing.rests_until is not None and now < standing.rests_until:
        return None
    failures = standing.failures + 1
    return Standing(failures, _rest(failures, now))


def _rest(failures: int, now: datetime) -> datetime | None:
    if failures < FAILURES_MAX:
        return None
    doublings = min(failures - FAILURES_MAX, 16)
    return now + min(FIRST_REST * (1 << doublings), LONGEST_REST)
