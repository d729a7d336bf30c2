"""The order of sources, decided on plain values: csv pool, buffer pool, vendor, or a refusal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.cards import Source
from models.jobs import ItemState
from pipelines.pricing.rules import cost_max, expected_cost, is_too_dear

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
    #: Its vendor does not take our keys at present: any other way is better.
    is_blocked: bool = False
    #: What a card is known to cost there, in the brand's currency: a share of its face value in
    #: basis points and a flat part. None: nobody knows.
    cost_bp: int | None = None
    cost_flat_minor: int | None = None
    #: What the vendor's catalogue says it sells: certain amounts, a range, or nothing is known.
    listed_minor: frozenset[int] = frozenset()
    least_minor: int | None = None
    most_minor: int | None = None

    def sells(self, denomination_minor: int) -> bool:
        """Within the route's own bounds, and in the catalogue as far as that says."""
        if not _is_between(denomination_minor, self.min_minor, self.max_minor):
            return False
        if denomination_minor in self.listed_minor:
            return True
        has_range = self.least_minor is not None or self.most_minor is not None
        if self.listed_minor and not has_range:
            return False
        return _is_between(denomination_minor, self.least_minor, self.most_minor)

    def cost(self, denomination_minor: int) -> int | None:
        """What a card of this denomination is expected to cost, if that is known."""
        return expected_cost(denomination_minor, self.cost_bp, self.cost_flat_minor)


def _is_between(amount: int, least: int | None, most: int | None) -> bool:
    return (least is None or least <= amount) and (most is None or amount <= most)


@dataclass(frozen=True, slots=True)
class Ways:
    """A brand's routes to vendors in use, and the margin it must earn at least."""

    routes: tuple[Route, ...] = ()
    min_margin_minor: int | None = None

    def cost_max(self, charge_minor: int) -> int | None:
        return cost_max(charge_minor, self.min_margin_minor)


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
    routes: Sequence[Route],
    denomination_minor: int,
    *,
    tried: frozenset[tuple[str, str]],
    cost_max: int | None,
) -> Route | None:
    """The first route that sells the denomination for no more than it may cost, not tried yet.

    By priority, then by what it costs, an unknown cost last. One whose vendor is blocked comes
    after all others: an order there would only wait.
    """
    fitting = [
        route
        for route in routes
        if route.sells(denomination_minor)
        and (route.vendor, route.product) not in tried
        and not is_too_dear(route.cost(denomination_minor), cost_max)
    ]
    return min(fitting, key=lambda route: _order(route, denomination_minor), default=None)


def _order(route: Route, denomination_minor: int) -> tuple[bool, int, bool, int, str, str]:
    cost = route.cost(denomination_minor)
    return (
        route.is_blocked,
        route.priority,
        cost is None,
        cost or 0,
        route.vendor,
        route.product,
    )


MARGIN_BELOW_FLOOR = (
    ItemState.NEEDS_REVIEW,
    "margin_below_floor",
    "Every card that could be had costs too much for what is charged; nothing was bought.",
)


def refusal_without_route(
    routes: Sequence[Route],
    denomination_minor: int,
    *,
    tried: frozenset[tuple[str, str]],
    last_code: str | None,
    has_dearer_cards: bool = False,
) -> tuple[ItemState, str, str]:
    """The verdict of an item for which `next_route` gave none: state, code and sentence.

    `has_dearer_cards`: a pool holds such cards, which cost too much.
    """
    dearer = next_route(routes, denomination_minor, tried=tried, cost_max=None)
    if has_dearer_cards or dearer is not None:
        return MARGIN_BELOW_FLOOR
    if last_code is not None:
        return ItemState.FAILED, last_code, "The vendor refused the order; nothing was bought."
    if routes and not any(route.sells(denomination_minor) for route in routes):
        sentence = "No pool holds and no vendor sells this denomination."
        return ItemState.FAILED, "denomination_unavailable", sentence
    sentence = "The pools are empty and no vendor sells this card."
    return ItemState.FAILED, "no_inventory", sentence
