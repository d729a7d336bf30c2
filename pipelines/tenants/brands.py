"""Brands and the routes by which vendors sell them: the platform's own."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.tenants import Brand, BrandRoute
from pipelines.audit.record import Detail, Fact, record
from pipelines.currencies import is_accepted
from pipelines.errors import FieldError, ValidationFailed
from pipelines.tenants.accounts import open_for_currency
from pipelines.tenants.versions import change, one_of, page_of, under_unique_name

_BRANDS = select(
    Brand.id,
    Brand.name,
    Brand.currency,
    Brand.country,
    Brand.min_margin_minor,
    Brand.version,
    Brand.created_at,
)
_ROUTES = select(
    BrandRoute.brand_id,
    BrandRoute.vendor,
    BrandRoute.product,
    BrandRoute.priority,
    BrandRoute.min_minor,
    BrandRoute.max_minor,
    BrandRoute.country,
    BrandRoute.cost_bp,
    BrandRoute.cost_flat_minor,
).order_by(BrandRoute.priority, BrandRoute.vendor, BrandRoute.product)
_PRODUCTS = text("""
SELECT p.vendor, p.product, p.currency, p.countries
FROM unnest(CAST(:vendors AS text[]), CAST(:products AS text[])) AS w (vendor, product)
JOIN vendor_products p ON p.vendor = w.vendor AND p.product = w.product
""")

#: Who sells cards, and the bounds of what a person may set.
VENDORS = ("reloadly", "tango", "tremendous", "giftbit")
ROUTES_MAX = 20
PRIORITY_MAX = 10_000
#: Ten times the face value.
COST_BP_MAX = 100_000
MARGIN_MINOR_MAX = 10**11

UNKNOWN_CURRENCY = FieldError(
    "unknown_currency", "Give an ISO 4217 currency such as USD.", pointer="/currency"
)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to buy the brand's cards; money in minor units of the brand's currency.

    What a card costs: `cost_bp` basis points of its face value and a flat part; None: not known.
    """

    vendor: str
    product: str
    priority: int = 100
    min_minor: int | None = None
    max_minor: int | None = None
    country: str | None = None
    cost_bp: int | None = None
    cost_flat_minor: int | None = None


def create_brand(
    session: Session,
    *,
    name: str,
    currency: str,
    country: str | None = None,
    min_margin_minor: int | None = 0,
    routes: Iterable[Route],
    actor_id: UUID,
) -> UUID:
    """Make a brand, its routes, and the accounts its currency needs; raises `NameTaken`.

    Raises `ValidationFailed` for a currency whose minor units nobody knows, and for a route whose
    cards are used in another country.
    """
    if not is_accepted(currency):
        raise ValidationFailed(errors=(UNKNOWN_CURRENCY,))
    listed = list(routes)
    _refuse_misfits(session, currency, country, listed)
    identity = new_id()
    values = {
        "name": name,
        "currency": currency,
        "country": country,
        "min_margin_minor": min_margin_minor,
    }
    statement = insert(Brand).values(id=identity, **values)
    under_unique_name(session, lambda: session.execute(statement))
    _write_routes(session, identity, listed)
    open_for_currency(session, currency)
    _audit(session, "brand.created", identity, actor_id, values)
    return identity


def change_brand(
    session: Session,
    identity: UUID,
    *,
    values: Mapping[str, str | int | None],
    routes: Iterable[Route] | None,
    version: int | None,
    actor_id: UUID,
    reason: str | None = None,
) -> None:
    """Set `name`, `country` or `min_margin_minor`, or replace its routes.

    Raises `NotFound`, `VersionConflict`, `NameTaken`, and `ValidationFailed` for a route whose
    cards are used in another country than the brand's. A route that was there before and stays as
    it was is asked only when the country moves: what came to misfit is mended one by one.
    """
    told: dict[str, Fact | list[Fact]] = dict(
        change(session, Brand, identity, values, version=version)
    )
    before = [_as_route(row) for row in _routes_of(session, [identity]).get(identity, [])]
    written = None if routes is None else list(routes)
    kept = () if "country" in told else before
    brand_is = select(Brand.currency, Brand.country).where(Brand.id == identity)
    currency, country = session.execute(brand_is).one()
    _refuse_misfits(session, currency, country, before if written is None else written, kept=kept)
    if written is not None:
        session.execute(delete(BrandRoute).where(BrandRoute.brand_id == identity))
        _write_routes(session, identity, written)
        told["routes"] = [_all_words(before), _all_words(written)]
    if reason:
        told["reason"] = reason
    _audit(session, "brand.changed", identity, actor_id, told)


def _as_route(row: Row[Any]) -> Route:
    return Route(**{field.name: getattr(row, field.name) for field in fields(Route)})


def _refuse_misfits(
    session: Session,
    currency: str,
    country: str | None,
    routes: Sequence[Route],
    *,
    kept: Collection[Route] = (),
) -> None:
    """A route sells the brand's cards: in its currency, used where they are used.

    Those `kept` as they were are not asked again.
    """
    values = {
        "vendors": [route.vendor for route in routes],
        "products": [route.product for route in routes],
    }
    known = {(row.vendor, row.product): row for row in session.execute(_PRODUCTS, values)}
    errors = []
    for place, route in enumerate(routes):
        if route in kept:
            continue
        product = known.get((route.vendor, route.product))
        sold_in = {route.country} if route.country else set(product.countries if product else ())
        if product and product.currency != currency:
            said = f"The brand's cards are in {currency}; this product's in {product.currency}."
            errors.append(_misfit(said, f"/routes/{place}/product"))
        elif country and sold_in and country not in sold_in:
            where = ", ".join(sorted(sold_in))
            said = f"The brand's cards are used in {country}; this product's in {where}."
            errors.append(_misfit(said, f"/routes/{place}/country"))
    if errors:
        raise ValidationFailed(errors=tuple(errors))


def _misfit(said: str, pointer: str) -> FieldError:
    return FieldError("route_does_not_fit", said, pointer=pointer)


def list_brands(
    session: Session, *, before: UUID | None, limit: int
) -> list[tuple[Row[Any], list[Row[Any]]]]:
    """Brands, newest first, each with its routes."""
    brands = page_of(session, _BRANDS, Brand, before=before, limit=limit)
    by_brand = _routes_of(session, [row.id for row in brands])
    return [(row, by_brand.get(row.id, [])) for row in brands]


def brand(session: Session, identity: UUID) -> tuple[Row[Any], list[Row[Any]]]:
    """A brand with its routes, or `NotFound`."""
    row = one_of(session, _BRANDS, Brand, identity)
    return row, _routes_of(session, [identity]).get(identity, [])


def _routes_of(session: Session, brand_ids: list[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    found: dict[UUID, list[Row[Any]]] = {}
    rows: Any = session.execute(_ROUTES.where(BrandRoute.brand_id.in_(brand_ids)))
    for row in rows:
        found.setdefault(row.brand_id, []).append(row)
    return found


def _all_words(routes: Iterable[Route]) -> str:
    return "; ".join(_route_words(route) for route in routes)


def _route_words(route: Route) -> str:
    known = route.cost_bp is not None
    cost = f" cost {route.cost_bp} bp + {route.cost_flat_minor or 0}" if known else ""
    where = f" {route.country}" if route.country else ""
    least = f" from {route.min_minor}" if route.min_minor is not None else ""
    most = f" to {route.max_minor}" if route.max_minor is not None else ""
    return f"{route.vendor} {route.product} {route.priority}{where}{least}{most}{cost}"


def _audit(session: Session, action: str, identity: UUID, actor_id: UUID, detail: Detail) -> None:
    record(
        session,
        action,
        object_kind="brand",
        object_id=identity,
        actor_id=actor_id,
        detail=detail,
    )


def _write_routes(session: Session, brand_id: UUID, routes: Iterable[Route]) -> None:
    rows = [
        {
            "id": new_id(),
            "brand_id": brand_id,
            "vendor": route.vendor,
            "product": route.product,
            "priority": route.priority,
            "min_minor": route.min_minor,
            "max_minor": route.max_minor,
            "country": route.country,
            "cost_bp": route.cost_bp,
            "cost_flat_minor": route.cost_flat_minor,
        }
        for route in routes
    ]
    if rows:
        session.execute(insert(BrandRoute), rows)
