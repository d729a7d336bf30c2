"""Wait for a call's turn with the work in hand: let in a little early, it begins at its moment."""

import time
from dataclasses import dataclass
from datetime import timedelta

#: So long before its turn a call is let in: to be woken takes about so long, and a call that
#: begins late may hold up all that follow. Not sooner than so many calls before its own, so that
#: few threads stand at one vendor.
EARLY_SECONDS = 0.25
EARLY_CALLS = 3


@dataclass(slots=True)
class Turn:
    """The moment, monotonic, at which a call that was let in may begin; waited for after the commit."""

    at: float = 0.0

    def wait(self) -> None:
        time.sleep(max(0.0, self.at - time.monotonic()))


def early_by(*, rate_per_minute: int, calls: int, places: int) -> timedelta:
    """How early the next call is let in, while `calls` of `places` are in flight.

    Who stands in hand takes a place from those that call: the first half of them may.
    """
    if 2 * calls + 2 > places:
        return timedelta(0)
    return timedelta(seconds=min(EARLY_SECONDS, EARLY_CALLS * 60 / rate_per_minute))
