"""The order of sources, decided on plain values: csv pool, buffer pool, vendor, or a refusal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.cards import Source

#: Pools in the order in which they are drawn: cheapest and instant first (S4-065, EC-058).
POOL_ORDER = (Source.CSV, Source.BUFFER)

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Route:
    """One way to buy a card at a vendor; bounds in minor units, inclusive."""

    vendor: str
    product: str
    priority: int
    min_minor: int | None = None
    max_minor: int | None = None

    def sells(self, denomination_minor: int) -> bool:
        return (self.min_minor or 0) <= denomination_minor and (
            self.max_minor is None or denomination_minor <= self.max_minor
        )


@dataclass(frozen=True, slots=True)
class Served(Generic[T, C]):
    """Which item gets which claimed card, and which items go on to the next source."""

    pairs: tuple[tuple[T, C], ...]
    rest: tuple[T, ...]


def serve(items: Sequence[T], cards: Sequence[C]) -> Served[T, C]:
    """Give claimed cards to items in their order; never more cards than items."""
    if len(cards) > len(items):
        raise ValueError("more cards were claimed than items want")
    return Served(tuple(zip(items, cards, strict=False)), tuple(items[len(cards) :]))


def next_route(
    routes: Sequence[Route], denomination_minor: int, *, tried: frozenset[tuple[str, str]]
) -> Route | None:
    """The first route that sells the denomination and was not tried for this item yet."""
    for route in sorted(routes, key=lambda r: (r.priority, r.vendor, r.product)):
        if route.sells(denomination_minor) and (route.vendor, route.product) not in tried:
            return route
    return None


def refusal_without_route(
    routes: Sequence[Route], denomination_minor: int, *, last_code: str | None
) -> tuple[str, str]:
    """The verdict of an item that no source can serve: code and sentence."""
    if last_code is not None:
        return last_code, "The vendor refused the order; nothing was bought."
    if routes and not any(route.sells(denomination_minor) for route in routes):
        return "denomination_unavailable", "No pool holds and no vendor sells this denomination."
    return "no_inventory", "The pools are empty and no vendor sells this card."
