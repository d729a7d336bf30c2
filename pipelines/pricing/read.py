"""The prices of today, as a scope sees them: a client those of everybody and its own."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.errors import NotFound
from pipelines.pricing.rules import PriceRule

#: How far back the last card of a route is looked for.
ORDERS_LOOKED_AT = 5_000
#: Today's prices of a row's brand that may hold for its client, as `rules_in` reads them: one look,
#: beside whatever else is asked. To be formatted with `brand` and `client`, two expressions.
PRICES_FOR = """(SELECT jsonb_agg(jsonb_build_array(
    p.denomination_minor, p.charge_minor, p.charge_bp, p.client_id))
  FROM prices p WHERE p.brand_id = {brand} AND p.ended_at IS NULL
    AND (p.client_id IS NULL OR p.client_id = {client}))"""
_CURRENT = text("""
SELECT brand_id, denomination_minor, charge_minor, charge_bp, client_id FROM prices
WHERE ended_at IS NULL AND brand_id = ANY(:brands)
""")
_LIST = text("""
SELECT p.id, p.brand_id, p.client_id, p.denomination_minor, p.charge_minor, p.charge_bp,
    p.created_at, p.ended_at
FROM prices p
WHERE p.brand_id = :brand AND (:with_ended OR p.ended_at IS NULL)
  AND (CAST(:before AS uuid) IS NULL OR p.id < :before)
ORDER BY p.id DESC LIMIT :limit
""")
_ONE = text("""
SELECT id, brand_id, client_id, denomination_minor, charge_minor, charge_bp, created_at, ended_at
FROM prices WHERE id = :price AND brand_id = :brand
""")
_IN_PLACE = text("""
SELECT id, brand_id, client_id, denomination_minor, charge_minor, charge_bp, created_at, ended_at
FROM prices
WHERE brand_id = :brand AND client_id IS NOT DISTINCT FROM CAST(:client AS uuid)
  AND denomination_minor IS NOT DISTINCT FROM CAST(:denomination AS bigint) AND ended_at IS NULL
""")
# What a route costs: what a person said, else the catalogue; `set_bp` tells which.
_ROUTES = text("""
SELECT r.vendor, r.product, r.priority, r.min_minor, r.max_minor, r.country,
    r.cost_bp AS set_bp, r.cost_flat_minor AS set_flat_minor, c.cost_bp, c.cost_flat_minor, c.fits,
    p.name, coalesce(p.countries, '{}') AS countries, p.vanished_at
FROM brand_routes r JOIN route_costs c ON c.route_id = r.id
LEFT JOIN vendor_products p ON p.vendor = r.vendor AND p.product = r.product
WHERE r.brand_id = :brand ORDER BY r.priority, r.vendor, r.product
""")
# Among the newest orders of all brands, so that a route that sold nothing is not looked for without end.
_LAST_COSTS = text("""
SELECT DISTINCT ON (o.vendor, o.product) o.vendor, o.product, o.face_value_minor, c.cost_minor,
    c.cost_currency
FROM (SELECT id, brand_id, vendor, product, state, face_value_minor FROM provider_orders
      ORDER BY id DESC LIMIT :looked_at) o
JOIN cards c ON c.provider_order_id = o.id
WHERE o.brand_id = :brand AND o.state = 'succeeded' AND c.cost_minor IS NOT NULL
ORDER BY o.vendor, o.product, o.id DESC
""")
_BRAND = text("SELECT FROM brands WHERE id = :brand")


def price_rules(session: Session, brand_ids: Iterable[UUID]) -> dict[UUID, list[PriceRule]]:
    """By brand, where there are any."""
    found: dict[UUID, list[PriceRule]] = {}
    for row in session.execute(_CURRENT, {"brands": sorted(set(brand_ids))}):
        rule = PriceRule(row.denomination_minor, row.charge_minor, row.charge_bp, row.client_id)
        found.setdefault(row.brand_id, []).append(rule)
    return found


def rules_in(found: list[list[Any]] | None) -> tuple[PriceRule, ...]:
    """The rules in a column of `PRICES_FOR`."""
    return tuple(
        PriceRule(denomination, charge, share_bp, UUID(client) if client else None)
        for denomination, charge, share_bp, client in found or ()
    )


def list_prices(
    session: Session, brand_id: UUID, *, with_ended: bool, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """A brand's prices, the newest first; raises `NotFound` for no brand."""
    if session.execute(_BRAND, {"brand": brand_id}).one_or_none() is None:
        raise NotFound
    values = {"brand": brand_id, "with_ended": with_ended, "before": before, "limit": limit}
    return list(session.execute(_LIST, values))


def priced_routes(session: Session, brand_id: UUID) -> list[Row[Any]]:
    """A brand's routes by priority, each with its product and what a card costs, if known.

    For those who see costs; whoever does not is shown the rest of it.
    """
    return list(session.execute(_ROUTES, {"brand": brand_id}))


def last_costs(session: Session, brand_id: UUID) -> dict[tuple[str, str], Row[Any]]:
    """By vendor and product, what the last card cost that a brand's routes bought lately.

    For those who see costs. Each: face_value_minor, cost_minor, cost_currency.
    """
    values = {"brand": brand_id, "looked_at": ORDERS_LOOKED_AT}
    return {(row.vendor, row.product): row for row in session.execute(_LAST_COSTS, values)}


def price_row(session: Session, brand_id: UUID, price_id: UUID) -> Row[Any]:
    """One price as `list_prices` shows it; raises `NotFound`."""
    row = session.execute(_ONE, {"price": price_id, "brand": brand_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def price_in_place(
    session: Session, brand_id: UUID, client_id: UUID | None, denomination_minor: int | None
) -> Row[Any] | None:
    """The price of today for exactly that client and value, which another would replace."""
    values = {"brand": brand_id, "client": client_id, "denomination": denomination_minor}
    return session.execute(_IN_PLACE, values).one_or_none()
