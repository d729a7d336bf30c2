"""Tiers of a discount, spend more and save more: which one a subtotal reaches, and how they are kept (S2-127)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TIERS_MAX = 10
#: In one cell: between two tiers, and between where one begins and what it gives.
BETWEEN_TIERS, BEFORE_GIVEN = ";", ":"


@dataclass(frozen=True, slots=True)
class Tier:
    """What a code takes off from a subtotal on, in minor units: basis points, or an amount."""

    from_minor: int
    percent_bp: int | None = None
    amount_minor: int | None = None

    def gives(self, name: str) -> int | None:
        """Its `percent_bp` or `amount_minor`."""
        return self.percent_bp if name == "percent_bp" else self.amount_minor

    def as_json(self) -> dict[str, int]:
        """As it is stored and shown, without the member that it does not have."""
        told = {
            "from_minor": self.from_minor,
            "percent_bp": self.percent_bp,
            "amount_minor": self.amount_minor,
        }
        return {name: value for name, value in told.items() if value is not None}


def tier_reached(tiers: Sequence[Tier] | None, subtotal_minor: int) -> Tier | None:
    """The highest tier that the subtotal reaches; None below the first. They stand in ascending order."""
    reached = None
    for tier in tiers or ():
        if subtotal_minor >= tier.from_minor:
            reached = tier
    return reached


def tiers_from(told: Iterable[Mapping[str, Any]] | None) -> tuple[Tier, ...] | None:
    """The tiers among these values, as they are stored or came in a body; None for none."""
    return None if told is None else tuple(Tier(**one) for one in told)


def tiers_json(tiers: Sequence[Tier] | None) -> list[dict[str, int]] | None:
    return None if tiers is None else [tier.as_json() for tier in tiers]


def tiers_cell(tiers: Sequence[Tier] | None) -> str | None:
    """`10000:1500;20000:2000`, as a file's column takes it back; None for none."""
    if tiers is None:
        return None
    told = (
        f"{one.from_minor}{BEFORE_GIVEN}{one.percent_bp or one.amount_minor or ''}" for one in tiers
    )
    return BETWEEN_TIERS.join(told)
