"""Tell the platform of cards that would earn too little, and that cost more than was expected."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.alerts.kinds import COST_ABOVE_EXPECTED, MARGIN_BELOW_FLOOR, ROUTE_SELLS_AT_LOSS
from pipelines.alerts.raise_alert import raise_alert
from pipelines.pricing.rules import cost_max, is_too_dear
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.provisioning.orders import OrderInHand

_SOLD = text("""
SELECT i.charge_minor, b.min_margin_minor FROM items i JOIN brands b ON b.id = i.brand_id
WHERE i.job_id = :job AND i.position = :position
""")


def tell_of_margin(
    session: Session, job: JobInHand, items: Sequence[OpenItem], *, now: datetime
) -> None:
    """Items wait for a person, because every card they could get costs too much (EC-081)."""
    for brand_id, count in Counter(item.brand_id for item in items).items():
        detail: dict[str, str | int | None] = {"job_id": str(job.id), "items": count}
        raise_alert(session, MARGIN_BELOW_FLOOR, subject_id=brand_id, detail=detail, now=now)


def tell_of_cost(
    session: Session,
    order: OrderInHand,
    cost_minor: int | None,
    cost_currency: str | None,
    *,
    now: datetime,
) -> None:
    """The vendor took more than its route says: the card is paid for, what comes next need not be.

    Where the route says nothing, more than the item's charge and the brand's floor allow is told.
    """
    expected = order.expected_cost_minor
    if cost_minor is None or cost_currency != order.currency:
        return
    if expected is None:
        _tell_of_loss(session, order, cost_minor, now=now)
    elif cost_minor > expected:
        detail: dict[str, str | int | None] = {
            "vendor": order.vendor,
            "product": order.product,
            "order_id": str(order.id),
            "expected_minor": expected,
            "cost_minor": cost_minor,
            "currency": order.currency,
        }
        raise_alert(session, COST_ABOVE_EXPECTED, subject_id=order.brand_id, detail=detail, now=now)


def route_subject(brand_id: UUID, vendor: str, product: str) -> UUID:
    """What alerts know a route by: its row gets another id whenever the brand's routes change."""
    return uuid5(brand_id, f"{vendor} {product}")


def _tell_of_loss(session: Session, order: OrderInHand, cost_minor: int, *, now: datetime) -> None:
    """A pool's card has no charge yet: filling tells of its own that come dear."""
    if order.pool_id is not None:
        return
    item = {"job": order.job_id, "position": order.position}
    sold = session.execute(_SOLD, item).one()
    if not is_too_dear(cost_minor, cost_max(sold.charge_minor, sold.min_margin_minor)):
        return
    detail: dict[str, str | int | None] = {
        "brand_id": str(order.brand_id),
        "vendor": order.vendor,
        "product": order.product,
        "client_id": str(order.client_id),
        "face_value_minor": order.face_value_minor,
        "charge_minor": sold.charge_minor,
        "cost_minor": cost_minor,
        "currency": order.currency,
    }
    subject = route_subject(order.brand_id, order.vendor, order.product)
    raise_alert(session, ROUTE_SELLS_AT_LOSS, subject_id=subject, detail=detail, now=now)
