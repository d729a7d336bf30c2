"""Brands: who sells their cards, what is charged for them, and how dear a card may be."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from pipelines.access.permissions import Permission, is_allowed
from pipelines.pricing.read import last_costs, list_prices, priced_routes
from pipelines.tenants import brands
from pipelines.tenants.brands import ROUTES_MAX
from pipelines.tenants.clients import client_names
from web.console.brand_words import floor_gap, floor_words, price_words, route_words
from web.console.changes import Place
from web.console.frame import page
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

BRANDS_SHOWN = 50
PRICES_SHOWN = 200
DONE = {
    "price": "The price is set: what is accepted from now on is charged by it.",
    "ended": "The price has ended: what is accepted from now on is charged without it.",
    "floor": "The floor is set, for orders not sent yet too.",
    "route": "The routes are changed; orders not sent yet follow them.",
}


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/brands", "brands", show_all)
    console.add_url_rule("/brands/<uuid:brand_id>", "brand", show_one)


@permitted(Permission.BRANDS_READ)
def show_all() -> Response:
    """Newest first; `after` is the last of the page before."""
    before = id_in(request.args.get("after"))
    with looking() as session:
        found = brands.list_brands(session, before=before, limit=BRANDS_SHOWN + 1)
    shown = found[:BRANDS_SHOWN]
    return page(
        "brands.html",
        title="Brands and prices",
        section="brands",
        brands=shown,
        further=shown[-1][0].id if len(found) > BRANDS_SHOWN else None,
        is_later=before is not None,
    )


@permitted(Permission.BRANDS_READ)
def show_one(brand_id: UUID) -> Response:
    """A tenant sees everybody's prices and its own, and costs only if it may."""
    caller, with_ended = principal(), request.args.get("state") == "all"
    with looking() as session:
        brand, _ways = brands.brand(session, brand_id)
        routes = priced_routes(session, brand_id)
        last = last_costs(session, brand_id) if caller.sees_costs else {}
        prices = list_prices(
            session, brand_id, with_ended=with_ended, before=None, limit=PRICES_SHOWN + 1
        )
        clients = client_names(session, {one.client_id for one in prices if one.client_id})
    return page(
        "brand.html",
        title=brand.name,
        section="brands",
        crumbs=[("Brands and prices", url_for("console.brands")), (brand.name, None)],
        brand=brand,
        routes=[
            route_words(
                one,
                brand.currency,
                last=last.get((one.vendor, one.product)),
                sees_costs=caller.sees_costs,
            )
            for one in routes
        ],
        routes_max=ROUTES_MAX,
        prices=[price_words(one, brand.currency, clients) for one in prices[:PRICES_SHOWN]],
        has_more=len(prices) > PRICES_SHOWN,
        with_ended=with_ended,
        floor=floor_words(brand.min_margin_minor, brand.currency) if caller.sees_costs else None,
        floor_gap=floor_gap(routes, brand.min_margin_minor) if caller.sees_costs else None,
        sees_costs=caller.sees_costs,
        may_manage=is_allowed(caller, Permission.BRANDS_MANAGE),
        done=DONE.get(request.args.get("done", "")),
    )


def place_of(brand: Row[Any]) -> Place:
    """Where the forms of a brand stand."""
    home = url_for("console.brand", brand_id=brand.id)
    return Place("brands", (("Brands and prices", url_for("console.brands")), (brand.name, home)))


def home_of(brand: Row[Any], done: str) -> str:
    """The brand's page, saying what was `done`."""
    return url_for("console.brand", brand_id=brand.id, done=done)
