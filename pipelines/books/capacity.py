"""How many codes a pattern has room for, and how long it takes to hit one by trying (mission idea 10)."""

import math
from dataclasses import dataclass

from pipelines.books.patterns import (
    BEARER_BITS,
    BEARER_BITS_LEFT,
    SPACE_PER_CODE,
    Pattern,
    told,
)

#: Of a network of many machines: what was seen against gift cards, 1.7 million tries an hour.
GUESSES_PER_DAY = 1_700_000 * 24


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many codes fit a pattern, and how many more may be made of it."""

    space: int
    bits: float
    room_for: int

    def as_json(self) -> dict[str, int | float]:
        """As answers tell it: numbers end at `TOLD_MAX`, `bits` says how large the space really is."""
        return {
            "space": told(self.space),
            "bits": round(self.bits, 2),
            "room_for": told(self.room_for),
        }


def capacity(pattern: Pattern, *, existing: int, is_bearer: bool) -> Capacity:
    """What is left beside `existing` codes, by the rule of `check_space`."""
    space = pattern.space
    per_code = 2**BEARER_BITS_LEFT if is_bearer else SPACE_PER_CODE
    most = 0 if is_bearer and space < 2**BEARER_BITS else space // per_code
    return Capacity(space, pattern.bits, max(0, most - existing))


def guesses_per_hit(pattern: Pattern, live: int) -> int:
    """How many tries find one of `live` codes, on average."""
    return pattern.space // max(1, live)


def days_per_hit(pattern: Pattern, live: int) -> float:
    """How long trying takes until it finds a code, at the rate of `GUESSES_PER_DAY`.

    Short answers are told to three digits, long ones in whole days.
    """
    days = guesses_per_hit(pattern, live) / GUESSES_PER_DAY
    if days <= 0:
        return 0.0
    return round(days, max(0, 2 - math.floor(math.log10(days))))
