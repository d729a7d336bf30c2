"""Vendor orders as the people who watch them see them."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from models.cards import ProviderOrder

_ORDERS = select(
    ProviderOrder.id,
    ProviderOrder.client_id,
    ProviderOrder.job_id,
    ProviderOrder.position,
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
    ProviderOrder.settled_at,
    ProviderOrder.created_at,
)


def list_orders(
    session: Session, *, state: str | None, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """Orders this scope can see, newest first."""
    query = _ORDERS
    if state is not None:
        query = query.where(ProviderOrder.state == state)
    if before is not None:
        query = query.where(ProviderOrder.id < before)
    return list(session.execute(query.order_by(ProviderOrder.id.desc()).limit(limit)))
