"""Change a brand's floor and its routes by forms; a change that somebody else made first is refused."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from pipelines.access.permissions import Permission
from pipelines.currencies import exponent
from pipelines.errors import NotFound, ValidationFailed
from pipelines.jobs.cells import FORBIDDEN_CONTROLS, CellProblem, read_decimal
from pipelines.tenants import brands
from pipelines.tenants.brands import (
    COST_BP_MAX,
    MARGIN_MINOR_MAX,
    PRIORITY_MAX,
    ROUTES_MAX,
    VENDORS,
    Route,
)
from web.console.amounts import amount_of, typed_amount, whole_of
from web.console.brand_words import floor_words, route_lines
from web.console.brands import home_of, place_of
from web.console.changes import Change, Line, agree, as_it_is_now, form_page, shown_again
from web.console.formats import decimal_of
from web.console.frame import go
from web.console.visit import looking
from web.guards import permitted, principal

PRODUCT_CHARACTERS_MAX = 100
VERSION_DIGITS_MAX = 9
FIELDS = ("version", "priority", "min", "max", "country", "cost", "flat")
NEXT_ORDERS = "Orders not sent yet follow it; what was bought stays bought."
_NOT_A_FLOOR = "Give an amount such as 0.50 or -1, or leave it empty for no floor."


def add_pages(console: Blueprint) -> None:
    home = "/brands/<uuid:brand_id>"
    for path, name, shown, taken in (
        ("floor", "brand_floor", floor_asked, floor_taken),
        ("route", "brand_route", route_asked, route_taken),
        ("route/remove", "brand_route_remove", removal_shown, removal_taken),
    ):
        console.add_url_rule(f"{home}/{path}", name, shown, methods=["GET"])
        console.add_url_rule(f"{home}/{path}", f"{name}_now", taken, methods=["POST"])


@permitted(Permission.BRANDS_MANAGE)
def floor_asked(brand_id: UUID) -> Response:
    brand, _routes = _read(brand_id)
    margin = brand.min_margin_minor
    floor = "" if margin is None else _signed(margin, brand.currency)
    typed = {"floor": floor, "version": str(brand.version)}
    return _floor_form(brand, typed, {})


@permitted(Permission.BRANDS_MANAGE)
def floor_taken(brand_id: UUID) -> Response:
    """Show the floor before and after; set it when that was agreed to."""
    return as_it_is_now(partial(_floor, brand_id))


def _floor(brand_id: UUID, *, is_stale: bool) -> Response:
    brand, _routes = _read(brand_id)
    typed = {name: typed_amount(name) for name in ("floor", "version")}
    if is_stale:
        typed["version"] = str(brand.version)
    margin = _margin(typed["floor"], brand.currency)
    if isinstance(margin, str):
        return _floor_form(brand, typed, {"floor": margin})
    change = Change(
        "Change the floor",
        (
            Line(
                "What a card may cost",
                floor_words(brand.min_margin_minor, brand.currency),
                floor_words(margin, brand.currency),
            ),
        ),
        "Recipients who wait because of it go on when their jobs are retried.",
        "Set the floor",
        home_of(brand, "floor"),
        "brand",
        partial(_write, brand_id, typed["version"], {"min_margin_minor": margin}, None),
    )
    answer = shown_again if is_stale else agree
    return answer(place_of(brand), change, typed)


@permitted(Permission.BRANDS_MANAGE)
def route_asked(brand_id: UUID) -> Response:
    brand, routes = _read(brand_id)
    return _route_form(brand, _named(routes), _typed_of(brand, _named(routes)), {})


@permitted(Permission.BRANDS_MANAGE)
def route_taken(brand_id: UUID) -> Response:
    """Show the route before and after; write it when that was agreed to."""
    return as_it_is_now(partial(_way, brand_id))


def _way(brand_id: UUID, *, is_stale: bool) -> Response:
    brand, routes = _read(brand_id)
    before, errors = _named(routes), dict[str, str]()
    typed = {name: typed_amount(name) for name in FIELDS}
    if is_stale:
        typed["version"] = str(brand.version)
    if before is None:
        typed |= {"vendor": typed_amount("vendor"), "product": _typed_product()}
    wanted = _route(brand, before, typed, errors)
    kept = [one for one in routes if _place(one) != _place(wanted)]
    # What was agreed to and made is found there when the form is sent again.
    if before is None and (is_stale or "agreed" not in request.form):
        errors |= _no_room(routes, kept)
    if errors:
        return _route_form(brand, before, typed, errors)
    title = "Add a route" if before is None else "Change a route"
    change = _of_route(brand, title, before, wanted, _act(brand_id, typed, [*kept, wanted]))
    if is_stale:
        return shown_again(place_of(brand), change, typed)
    try:
        return agree(place_of(brand), change, typed)
    except ValidationFailed as refusal:
        field = "country" if (refusal.errors[0].pointer or "").endswith("country") else "product"
        return _route_form(brand, before, typed, {field: refusal.errors[0].detail})


@permitted(Permission.BRANDS_MANAGE)
def removal_shown(brand_id: UUID) -> Response:
    return _removal(brand_id, is_stale=False)


@permitted(Permission.BRANDS_MANAGE)
def removal_taken(brand_id: UUID) -> Response:
    """Take the route away when that was agreed to; one that is gone already needs no more."""
    try:
        return as_it_is_now(partial(_removal, brand_id))
    except NotFound:
        return go(url_for("console.brand", brand_id=brand_id))


def _removal(brand_id: UUID, *, is_stale: bool) -> Response:
    brand, routes = _read(brand_id)
    before = _named(routes)
    if before is None:
        raise NotFound
    sent = "" if is_stale else typed_amount("version")
    typed = {"version": sent or str(brand.version)}
    act = _act(brand_id, typed, [one for one in routes if one != before])
    change = _of_route(brand, "Remove a route", before, None, act)
    answer = shown_again if is_stale else agree
    return answer(place_of(brand), change, typed)


def _of_route(
    brand: Row[Any],
    title: str,
    before: Route | None,
    after: Route | None,
    act: Callable[[Session, str], UUID],
) -> Change:
    now, then = route_lines(before, brand.currency), route_lines(after, brand.currency)
    named = before or after
    about = f"{named.vendor.capitalize()} {named.product}" if named else ""
    changed = [name for name in now if now[name] != then[name]] or list(now)
    return Change(
        f"{title}: {about}",
        tuple(Line(name, now[name], then[name]) for name in changed),
        NEXT_ORDERS,
        title,
        home_of(brand, "route"),
        "brand",
        act,
        is_ending=after is None,
    )


def _act(
    brand_id: UUID, typed: dict[str, str], routes: Sequence[Route]
) -> Callable[[Session, str], UUID]:
    return partial(_write, brand_id, typed["version"], {}, routes)


def _write(
    brand_id: UUID,
    version: str,
    values: dict[str, int | None],
    routes: Sequence[Route] | None,
    session: Session,
    reason: str,
) -> UUID:
    """Raises `VersionConflict` where somebody changed the brand since the form was opened."""
    is_number = version.isascii() and version.isdigit() and len(version) <= VERSION_DIGITS_MAX
    brands.change_brand(
        session,
        brand_id,
        values=values,
        routes=routes,
        version=int(version) if is_number else 0,
        actor_id=principal().actor_id,
        reason=reason,
    )
    return brand_id


def _read(brand_id: UUID) -> tuple[Row[Any], list[Route]]:
    with looking() as session:
        brand, ways = brands.brand(session, brand_id)
    names = [one.name for one in fields(Route)]
    return brand, [Route(**{name: getattr(way, name) for name in names}) for way in ways]


def _no_room(routes: Sequence[Route], kept: Sequence[Route]) -> dict[str, str]:
    """Why a route cannot be added."""
    if len(kept) < len(routes):
        return {"product": "The brand has this route already. Change that one."}
    if len(routes) >= ROUTES_MAX:
        return {"product": f"A brand has at most {ROUTES_MAX} routes. Remove one first."}
    return {}


def _place(route: Route) -> tuple[str, str]:
    return route.vendor, route.product


def _named(routes: Sequence[Route]) -> Route | None:
    """The route that the address names; None where it names none, `NotFound` where it is not there."""
    place = (request.args.get("vendor", ""), request.args.get("product", ""))
    if place == ("", ""):
        return None
    found = [route for route in routes if _place(route) == place]
    if not found:
        raise NotFound
    return found[0]


def _typed_product() -> str:
    return request.form.get("product", "").strip()[: PRODUCT_CHARACTERS_MAX + 1]


def _typed_of(brand: Row[Any], route: Route | None) -> dict[str, str]:
    """The fields filled in with what holds now."""
    version = {"version": str(brand.version)}
    if route is None:
        return version | {"priority": "100"}

    def amount(minor: int | None) -> str:
        return "" if minor is None else decimal_of(minor, brand.currency)

    return version | {
        "priority": str(route.priority),
        "min": amount(route.min_minor),
        "max": amount(route.max_minor),
        "country": route.country or "",
        "cost": "" if route.cost_bp is None else f"{route.cost_bp / 100:g}",
        "flat": amount(route.cost_flat_minor),
    }


def _route(
    brand: Row[Any], before: Route | None, typed: dict[str, str], errors: dict[str, str]
) -> Route:
    """The route as typed; `errors` say what is wrong with it."""
    vendor, product = (
        (before.vendor, before.product) if before else (typed["vendor"], typed["product"])
    )
    if vendor not in VENDORS:
        errors["vendor"] = "Choose who sells it."
    if not product or len(product) > PRODUCT_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(product):
        errors["product"] = "Give the product's number at the vendor, as its catalogue has it."
    priority = whole_of("priority", PRIORITY_MAX, errors)
    least, most, flat = (
        amount_of(name, brand.currency, errors, may_be_empty=True)
        for name in ("min", "max", "flat")
    )
    if least and most and least > most:
        errors["max"] = "Give a highest value that is not below the lowest."
    country = typed["country"].upper()
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        errors["country"] = "Give an ISO 3166-1 code such as US, or leave it empty."
    share = _share(typed["cost"], errors)
    if flat is not None and share is None and "cost" not in errors:
        errors["cost"] = "Give the share of the face value beside the flat part."
    return Route(
        vendor,
        product,
        100 if priority is None else priority,
        least or None,
        most or None,
        country or None,
        share,
        flat,
    )


def _share(text: str, errors: dict[str, str]) -> int | None:
    if not text:
        return None
    share = read_decimal(text, exponent=2)
    if isinstance(share, CellProblem) or not 1 <= share <= COST_BP_MAX:
        errors["cost"] = "Give a share from 0.01 to 1000, such as 94.5, or leave it empty."
        return None
    return share


def _margin(text: str, currency: str) -> int | str | None:
    """The floor in minor units, None for an empty field, or what is wrong."""
    if not text:
        return None
    value = read_decimal(text.removeprefix("-"), exponent=exponent(currency))
    if isinstance(value, CellProblem) or value > MARGIN_MINOR_MAX:
        return _NOT_A_FLOOR
    return -value if text.startswith("-") else value


def _signed(minor: int, currency: str) -> str:
    return ("-" if minor < 0 else "") + decimal_of(abs(minor), currency)


def _route_form(
    brand: Row[Any], route: Route | None, typed: dict[str, str], errors: dict[str, str]
) -> Response:
    named = f"{route.vendor.capitalize()} {route.product}" if route else ""
    title = f"Change a route: {named}" if route else "Add a route"
    facts: dict[str, Any] = {
        "vendors": VENDORS,
        "route": route,
        "product_max": PRODUCT_CHARACTERS_MAX,
    }
    place = place_of(brand)
    return form_page("brand_route.html", place, title, typed, errors, brand=brand, **facts)


def _floor_form(brand: Row[Any], typed: dict[str, str], errors: dict[str, str]) -> Response:
    title, place = "Change the floor", place_of(brand)
    return form_page("brand_floor.html", place, title, typed, errors, brand=brand)
