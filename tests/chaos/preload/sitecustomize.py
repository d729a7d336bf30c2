"""Python's sleep for processes under libfaketime, whose clock_nanosleep refuses to sleep."""

import select
import time


def sleep(seconds: float, /) -> None:
    """Wait by the real clock: `select` is left alone by the library."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        select.select([], [], [], left)


time.sleep = sleep
