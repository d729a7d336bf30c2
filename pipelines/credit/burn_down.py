"""When credit runs out at the pace at which it is spent: pure, in whole days and minor units.

Nothing is rounded before the end: a pace is an amount and the days in which it was spent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

#: What was spent over so many days, today included, says how fast it goes.
WINDOW_DAYS = 30
#: One busy first day is no pace: it counts as spread over a week.
LEAST_DAYS = 7
#: Further ahead nothing is foretold.
HORIZON_DAYS = 3_650


@dataclass(frozen=True, slots=True)
class Pace:
    """`spent_minor` within `days`; both whole."""

    spent_minor: int
    days: int

    @property
    def per_day_minor(self) -> int:
        """For people to read: rounded up, so that something is never shown as nothing."""
        return -(-self.spent_minor // self.days)

    def spent_by(self, day: int) -> int:
        """What is spent from now until the end of a day, counted from today (0)."""
        return self.spent_minor * day // self.days


@dataclass(frozen=True, slots=True)
class Due:
    """A charge that nothing is held for yet, and in how many days it comes."""

    day: int
    charge_minor: int


def pace_of(spent_minor: int, *, first: date | None, today: date) -> Pace:
    """The pace of what was spent since `first`, the first day in the window with any.

    What was undone is taken off; more undone than issued is no pace at all.
    """
    seen = 0 if first is None else (today - first).days + 1
    return Pace(max(0, spent_minor), min(WINDOW_DAYS, max(LEAST_DAYS, seen)))


def free_on(free_minor: int, pace: Pace, due: Sequence[Due], *, day: int) -> int:
    """What is free at the end of a day at this pace, never below zero."""
    coming = sum(one.charge_minor for one in due if one.day <= day)
    return max(0, free_minor - pace.spent_by(day) - coming)


def covers(free_minor: int, pace: Pace, *, wanted_minor: int, day: int) -> bool:
    """Whether what is free on a day at this pace pays for what is wanted then."""
    return free_on(free_minor, pace, (), day=day) >= wanted_minor


def days_left(free_minor: int, pace: Pace, due: Sequence[Due]) -> int | None:
    """The first day, counted from today (0), at whose end nothing is free.

    None where that is further away than the horizon, or never at this pace.
    """
    for start, end, left in _stretches(free_minor, due):
        day = _first_day(left, pace, at_least=start)
        if day is not None and day < end:
            return day if day <= HORIZON_DAYS else None
    return None


def cards_left(
    free_minor: int, *, cards: int, charged_minor: int, latest_minor: int | None = None
) -> int | None:
    """How many more cards this pays for at the average charge, rounded down.

    Where none was issued lately, at the charge of the latest job; None where there is none either.
    """
    free = max(0, free_minor)
    if cards > 0 and charged_minor > 0:
        return free * cards // charged_minor
    return free // latest_minor if latest_minor else None


def _stretches(free_minor: int, due: Sequence[Due]) -> list[tuple[int, int, int]]:
    """Runs of days (first, one after the last) with what is free in them before the pace is taken."""
    days = sorted({0, *(max(0, one.day) for one in due)})
    charges = [sum(one.charge_minor for one in due if max(0, one.day) == day) for day in days]
    ends = [*days[1:], HORIZON_DAYS + 1]
    taken = accumulate(charges)
    return [
        (day, max(end, day + 1), free_minor - gone)
        for day, end, gone in zip(days, ends, taken, strict=True)
    ]


def _first_day(left: int, pace: Pace, *, at_least: int) -> int | None:
    if left <= 0:
        return at_least
    if pace.spent_minor == 0:
        return None
    # The smallest day with spent * day // days >= left.
    return max(at_least, -(-left * pace.days // pace.spent_minor))
