"""Brands and the routes by which vendors sell them: the platform's own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.orm import Session

from models.base import new_id
from models.tenants import Brand, BrandRoute
from pipelines.audit.record import Detail, Fact, record
from pipelines.currencies import is_accepted
from pipelines.errors import FieldError, ValidationFailed
from pipelines.tenants.accounts import open_for_currency
from pipelines.tenants.versions import change, one_of, page_of, under_unique_name

_BRANDS = select(Brand.id, Brand.name, Brand.currency, Brand.version, Brand.created_at)
_ROUTES = select(
    BrandRoute.brand_id,
    BrandRoute.vendor,
    BrandRoute.product,
    BrandRoute.priority,
    BrandRoute.min_minor,
    BrandRoute.max_minor,
).order_by(BrandRoute.priority, BrandRoute.vendor, BrandRoute.product)


UNKNOWN_CURRENCY = FieldError(
    "unknown_currency", "Give an ISO 4217 currency such as USD.", pointer="/currency"
)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to buy the brand's cards; bounds in minor units."""

    vendor: str
    product: str
    priority: int = 100
    min_minor: int | None = None
    max_minor: int | None = None


def create_brand(
    session: Session, *, name: str, currency: str, routes: Iterable[Route], actor_id: UUID
) -> UUID:
    """Make a brand, its routes, and the accounts its currency needs; raises `NameTaken`.

    Raises `ValidationFailed` for a currency whose minor units nobody knows.
    """
    if not is_accepted(currency):
        raise ValidationFailed(errors=(UNKNOWN_CURRENCY,))
    identity = new_id()
    statement = insert(Brand).values(id=identity, name=name, currency=currency)
    under_unique_name(session, lambda: session.execute(statement))
    _write_routes(session, identity, routes)
    open_for_currency(session, currency)
    _audit(session, "brand.created", identity, actor_id, {"name": name, "currency": currency})
    return identity


def change_brand(
    session: Session,
    identity: UUID,
    *,
    name: str | None,
    routes: Iterable[Route] | None,
    version: int | None,
    actor_id: UUID,
) -> None:
    """Rename it or replace its routes; raises `NotFound`, `VersionConflict`, `NameTaken`."""
    values = {} if name is None else {"name": name}
    told: dict[str, list[Fact]] = change(session, Brand, identity, values, version=version)
    if routes is not None:
        before = [_route_words(row) for row in _routes_of(session, [identity]).get(identity, [])]
        session.execute(delete(BrandRoute).where(BrandRoute.brand_id == identity))
        written = list(routes)
        _write_routes(session, identity, written)
        told["routes"] = ["; ".join(before), "; ".join(_route_words(one) for one in written)]
    _audit(session, "brand.changed", identity, actor_id, told)


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


def _route_words(route: Route | Row[Any]) -> str:
    return f"{route.vendor} {route.product} {route.priority}"


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
        }
        for route in routes
    ]
    if rows:
        session.execute(insert(BrandRoute), rows)
