"""When a delivery is tried again, and when an endpoint counts as failing: pure (EC-133)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import IntEnum

#: Between one try and the next; with the longest jitter all eight are over within a day.
WAITS = (
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=7),
    timedelta(hours=10),
)
ATTEMPTS_MAX = len(WAITS) + 1
#: An endpoint without success for so long is disabled.
PATIENCE = timedelta(days=3)
DAY = timedelta(days=1)
#: Part of a wait that chance may take away, so that a crowd does not come back at once.
JITTER = 0.2


class Trouble(IntEnum):
    """How long an endpoint has failed, as its owner is told."""

    NONE = 0
    BEGUN = 1
    A_DAY = 2
    DISABLED = 3


def wait_after(attempts: int, *, draw: Callable[[], float]) -> timedelta | None:
    """The wait after so many failed tries; None: it is not tried again."""
    if attempts >= ATTEMPTS_MAX:
        return None
    return WAITS[attempts - 1] * (1 - JITTER * draw())


def trouble(failing_since: datetime | None, *, now: datetime) -> Trouble:
    """What an endpoint that has failed since then has come to."""
    if failing_since is None:
        return Trouble.NONE
    lasted = now - failing_since
    if lasted >= PATIENCE:
        return Trouble.DISABLED
    return Trouble.A_DAY if lasted >= DAY else Trouble.BEGUN
