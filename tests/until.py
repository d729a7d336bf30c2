"""Wait for a state of the world, never for a time."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.05


def until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Ask until it holds; what never comes to hold fails loudly."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not reached within {seconds:g} s")
        time.sleep(POLL_SECONDS)
