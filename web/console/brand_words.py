"""Prices, floors and routes of a brand, in words: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from pipelines.tenants.brands import Route
from web.console.formats import moment, money
from web.console.job_words import StateWords
from web.console.product_words import cost_words

EVERYBODY = "Everybody who has none of their own"
ALL_VALUES = "All values"
NOT_SEEN = "A client"
_SELLS = StateWords("Sells", "check", "good")
_GONE = StateWords("Not listed any more", "cross", "bad")
_MISFIT = StateWords("Does not fit", "alert", "bad")


@dataclass(frozen=True, slots=True)
class PriceWords:
    """One price as the page says it."""

    id: UUID
    whose: str
    which: str
    charge: str
    since: str
    ended: str | None


@dataclass(frozen=True, slots=True)
class RouteWords:
    """One route as the page says it; `cost` is None for who sees no costs."""

    vendor: str
    product: str
    name: str | None
    priority: int
    state: StateWords
    values: str
    countries: str
    cost: str | None
    about_cost: str | None


def price_words(row: Row[Any], currency: str, clients: Mapping[UUID, str]) -> PriceWords:
    return PriceWords(
        row.id,
        whose_words(row.client_id, clients),
        value_words(row.denomination_minor, currency),
        charge_words(row.charge_minor, row.charge_bp, currency),
        moment(row.created_at),
        moment(row.ended_at) if row.ended_at else None,
    )


def whose_words(client_id: UUID | None, clients: Mapping[UUID, str]) -> str:
    return EVERYBODY if client_id is None else clients.get(client_id, NOT_SEEN)


def value_words(denomination_minor: int | None, currency: str) -> str:
    return (
        ALL_VALUES
        if denomination_minor is None
        else f"Cards of {money(denomination_minor, currency)}"
    )


def charge_words(charge_minor: int | None, charge_bp: int | None, currency: str) -> str:
    """`$24.00`, or `103 % of the value`; with neither, what is charged without a price."""
    if charge_minor is not None:
        return money(charge_minor, currency)
    return "The face value" if charge_bp is None else f"{charge_bp / 100:g} % of the value"


def floor_words(margin_minor: int | None, currency: str) -> str:
    if margin_minor is None:
        return "No floor: a card may cost more than is charged for it"
    if margin_minor == 0:
        return "A card costs at most what is charged for it"
    if margin_minor > 0:
        return f"A card costs at least {money(margin_minor, currency)} less than is charged for it"
    return f"A card costs at most {money(-margin_minor, currency)} more than is charged for it"


def floor_gap(routes: Sequence[Row[Any]], margin_minor: int | None) -> str | None:
    """Where the floor does not hold, because nobody knows a cost before the card is bought."""
    unknown = [f"{one.vendor.capitalize()} {one.product}" for one in routes if one.cost_bp is None]
    if margin_minor is None or not unknown:
        return None
    return (
        f"It does not hold at {', '.join(unknown)}: nobody has said what a card costs there, so that "
        "it is known only once it is bought. Say the route’s cost."
    )


def route_words(
    row: Row[Any], currency: str, *, last: Row[Any] | None, sees_costs: bool
) -> RouteWords:
    """`last` is the last card that was bought there, if its cost is known."""
    where = [row.country] if row.country else sorted(row.countries)
    return RouteWords(
        row.vendor,
        row.product,
        row.name,
        row.priority,
        _GONE if row.vanished_at else _SELLS if row.fits else _MISFIT,
        range_words(row.min_minor, row.max_minor, currency),
        ", ".join(where) or "Not told",
        cost_words(row.cost_bp, row.cost_flat_minor, currency) if sees_costs else None,
        _about_cost(row, currency, last) if sees_costs else None,
    )


def _about_cost(row: Row[Any], currency: str, last: Row[Any] | None) -> str:
    if row.cost_bp is not None:
        return "said by a person" if row.set_bp is not None else "by its catalogue"
    if last is None:
        return "no card was bought there lately"
    face, cost = money(last.face_value_minor, currency), money(last.cost_minor, last.cost_currency)
    return f"the last card of {face} cost {cost}"


def range_words(least: int | None, most: int | None, currency: str) -> str:
    if least is None and most is None:
        return "All that it sells"
    if least is None or most is None:
        bound = "up to" if least is None else "from"
        return f"{bound} {money(int(most if least is None else least), currency)}"  # type: ignore[arg-type]
    return f"{money(least, currency)} to {money(most, currency)}"


def route_lines(route: Route | None, currency: str) -> dict[str, str]:
    """What a route says, line by line, to stand beside what it said before; `–` for none."""
    if route is None:
        return dict.fromkeys(("Priority", "Values", "Country", "Cost"), "–")
    return {
        "Priority": str(route.priority),
        "Values": range_words(route.min_minor, route.max_minor, currency),
        "Country": route.country or "As its catalogue says",
        "Cost": "As its catalogue says"
        if route.cost_bp is None
        else cost_words(route.cost_bp, route.cost_flat_minor, currency),
    }
