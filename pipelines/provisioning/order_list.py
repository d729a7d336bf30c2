"""Vendor orders as the people who watch them see them."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from models.cards import ProviderOrder
from pipelines.errors import NotFound

_ORDERS = select(
    ProviderOrder.id,
    ProviderOrder.client_id,
    ProviderOrder.job_id,
    ProviderOrder.position,
    ProviderOrder.pool_id,
    ProviderOrder.brand_id,
    ProviderOrder.vendor,
    ProviderOrder.product,
    ProviderOrder.face_value_minor,
    ProviderOrder.currency,
    ProviderOrder.state,
    ProviderOrder.vendor_order_id,
    ProviderOrder.code,
    ProviderOrder.vendor_code,
    ProviderOrder.sends,
    ProviderOrder.lookups,
    ProviderOrder.sent_at,
    ProviderOrder.review_since,
    ProviderOrder.settled_at,
    ProviderOrder.created_at,
)


def list_orders(
    session: Session,
    *,
    state: str | None,
    before: UUID | None,
    limit: int,
    vendor: str | None = None,
) -> list[Row[Any]]:
    """Orders this scope can see, newest first."""
    query = _ORDERS
    if state is not None:
        query = query.where(ProviderOrder.state == state)
    if vendor is not None:
        query = query.where(ProviderOrder.vendor == vendor)
    if before is not None:
        query = query.where(ProviderOrder.id < before)
    return list(session.execute(query.order_by(ProviderOrder.id.desc()).limit(limit)))


def order_named(session: Session, order_id: UUID) -> Row[Any]:
    """One order, or `NotFound` if this scope cannot see it."""
    statement = _ORDERS.where(ProviderOrder.id == order_id)
    row: Any = session.execute(statement).one_or_none()
    if row is None:
        raise NotFound
    found: Row[Any] = row
    return found
