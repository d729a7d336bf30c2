"""How long to wait before the next attempt: exponential with full jitter."""

from collections.abc import Callable
from datetime import timedelta

from pipelines.limits import Limits


def backoff(attempts: int, *, limits: Limits, draw: Callable[[], float]) -> timedelta:
    """The wait after `attempts` failed attempts; `draw` gives a number in [0, 1).

    At least half of the full wait, so that a crowd of failures does not come back at once.
    """
    full = min(limits.backoff_first_seconds * 2 ** (attempts - 1), limits.backoff_max_seconds)
    return timedelta(seconds=full * (0.5 + draw() / 2))
