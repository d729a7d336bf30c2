"""What became of reservations, counted and added up: plain values (S2-062, S2-064)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.discounts.pricing import WHOLE_BP

#: The reason of a slot that nobody paid in time.
ABANDONED = "timeout"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Of the reservations of a time: how they stand now. All of them are one of these."""

    confirmed: int = 0
    refunded: int = 0
    live: int = 0
    #: How many were given back, by the reason.
    released: Mapping[str, int] = field(default_factory=dict)

    @property
    def made(self) -> int:
        return self.paid + self.live + self.given_back

    @property
    def paid(self) -> int:
        """Also those that were refunded later: the code had done its work."""
        return self.confirmed + self.refunded

    @property
    def given_back(self) -> int:
        return sum(self.released.values())

    @property
    def abandoned(self) -> int:
        return self.released.get(ABANDONED, 0)

    @property
    def conversion_bp(self) -> int | None:
        """How many of those that are settled were paid, in basis points; None where none is."""
        settled = self.made - self.live
        return (self.paid * WHOLE_BP + settled // 2) // settled if settled else None

    def __add__(self, other: "Outcomes") -> "Outcomes":
        reasons = sorted({*self.released, *other.released})
        return Outcomes(
            self.confirmed + other.confirmed,
            self.refunded + other.refunded,
            self.live + other.live,
            {one: self.released.get(one, 0) + other.released.get(one, 0) for one in reasons},
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "made": self.made,
            "confirmed": self.confirmed,
            "refunded": self.refunded,
            "live": self.live,
            "released": self.given_back,
            "abandoned": self.abandoned,
            "conversion_bp": self.conversion_bp,
        }


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of uses that are paid and not refunded: what was given and what was kept, in minor units."""

    discount_minor: int = 0
    revenue_minor: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            self.discount_minor + other.discount_minor, self.revenue_minor + other.revenue_minor
        )

    def as_json(self) -> dict[str, int]:
        return {"discount_minor": self.discount_minor, "revenue_minor": self.revenue_minor}


def outcomes_of(state: str, reason: str | None, uses: int) -> Outcomes:
    """So many reservations that stand alike."""
    if state == "released":
        return Outcomes(released={reason or "": uses})
    return Outcomes(
        confirmed=uses if state == "confirmed" else 0,
        refunded=uses if state == "refunded" else 0,
        live=uses if state == "reserved" else 0,
    )


def added_up(parts: Iterable[Outcomes]) -> Outcomes:
    return sum(parts, start=Outcomes())
