"""Give one process a wrong clock, as a machine without time service has."""

import os
from pathlib import Path

from tests.chaos.exact import Skipped

PRELOAD = Path(__file__).parent / "preload"
_LIBRARY = "libfaketimeMT.so.1"
_PLACES = ("/usr/lib", "/usr/local/lib")


def wrong_clock(minutes: int) -> dict[str, str]:
    """The environment of a process whose clock is so many minutes ahead (or behind, below zero).

    Only the time of day is wrong: waits run as they should. `Skipped` if the library is missing.
    """
    found = [path for place in _PLACES for path in Path(place).glob(f"**/{_LIBRARY}")]
    if not found:
        raise Skipped("libfaketime is missing: apt-get install --no-install-recommends faketime")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{minutes:+d}m",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join((str(PRELOAD), os.getcwd())),
    }
