"""What a card is charged at and what it may cost at most, on plain values."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

#: A share of 10,000 basis points is the face value itself.
WHOLE_BP = 10_000
#: The most that may be charged: ten times the face value.
CHARGE_BP_MAX = 100_000


@dataclass(frozen=True, slots=True)
class PriceRule:
    """One price of a brand: an amount in minor units, or a share of the face value."""

    denomination_minor: int | None
    charge_minor: int | None
    charge_bp: int | None
    #: Whose own it is; none: everybody's.
    client_id: UUID | None = None

    def applies(self, denomination_minor: int, client_id: UUID | None) -> bool:
        is_for_it = self.denomination_minor in (None, denomination_minor)
        return is_for_it and self.client_id in (None, client_id)

    @property
    def rank(self) -> tuple[bool, bool]:
        """A client's own price goes first, then one for exactly this denomination."""
        return (self.client_id is not None, self.denomination_minor is not None)

    def charge(self, denomination_minor: int) -> int:
        """In minor units, half a unit rounded up; never nothing."""
        if self.charge_minor is not None:
            return self.charge_minor
        share = denomination_minor * (self.charge_bp or WHOLE_BP)
        return max(1, (share + WHOLE_BP // 2) // WHOLE_BP)


def charge_of(rules: Iterable[PriceRule], denomination_minor: int, client_id: UUID | None) -> int:
    """What a client is charged for a card: its face value unless the most exact rule says otherwise."""
    fitting = [rule for rule in rules if rule.applies(denomination_minor, client_id)]
    if not fitting:
        return denomination_minor
    return max(fitting, key=lambda rule: rule.rank).charge(denomination_minor)


def cost_max(charge_minor: int, min_margin_minor: int | None) -> int | None:
    """The most that a card charged at this may cost (EC-081); None where there is no floor."""
    return None if min_margin_minor is None else charge_minor - min_margin_minor


def expected_cost(amount_minor: int, share_bp: int | None, flat_minor: int | None) -> int | None:
    """A share of the face value and a flat part, parts of a unit counted as one; None: unknown."""
    if share_bp is None:
        return None
    return -(-amount_minor * share_bp // WHOLE_BP) + (flat_minor or 0)


def is_too_dear(cost_minor: int | None, at_most: int | None) -> bool:
    """Whether a card would earn too little; what nobody knows stops nothing (EC-078)."""
    return cost_minor is not None and at_most is not None and cost_minor > at_most
