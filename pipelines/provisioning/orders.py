"""Order rows: written before any call, one live order per item, moved by compare-and-set."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.cards import OrderState, ProviderOrder
from pipelines.jobs.chunks import among
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.provisioning.waterfall import Route
from pipelines.queue.defer import defer_many
from pipelines.queue.kinds import PLACE_ORDER


@dataclass(frozen=True, slots=True)
class OrderInHand:
    """An order row as its worker knows it; face value in minor units."""

    id: UUID
    job_id: UUID
    position: int
    brand_id: UUID
    vendor: str
    product: str
    face_value_minor: int
    currency: str
    state: OrderState
    vendor_order_id: str | None
    sends: int
    lookups: int
    sent_at: datetime | None
    created_at: datetime
    #: Its job's.
    priority: int

    @property
    def reference(self) -> str:
        """What the vendor knows the order by: 32 hex characters."""
        return self.id.hex


_MARK_RUNNING = text("""
UPDATE items SET state = 'running'
WHERE job_id = :job AND position = ANY(:positions) AND position BETWEEN :first AND :last
  AND state IN ('pending', 'retrying', 'running')
""")
_LOCK = text("""
SELECT o.*, (SELECT priority FROM jobs j WHERE j.id = o.job_id) AS priority
FROM provider_orders o WHERE o.id = :order FOR NO KEY UPDATE
""")
_TRIED = text("""
SELECT vendor, product FROM provider_orders
WHERE job_id = :job AND position = :position AND round = :round
  AND state IN ('refused', 'cancelled')
""")
_MOVE = text("""
UPDATE provider_orders SET state = :state,
    sent_at = CASE WHEN :state = 'sent' THEN CAST(:now AS timestamptz) ELSE sent_at END,
    sends = sends + CASE WHEN :state = 'sent' THEN 1 WHEN :nothing_ran THEN -1 ELSE 0 END,
    settled_at = CASE WHEN :state IN ('succeeded', 'refused', 'cancelled')
                      THEN CAST(:now AS timestamptz) ELSE settled_at END,
    vendor_order_id = coalesce(:vendor_order_id, vendor_order_id),
    code = :code, vendor_code = coalesce(:vendor_code, vendor_code)
WHERE id = :order AND state = :was RETURNING 1
""")
_LOOKED = text("UPDATE provider_orders SET lookups = lookups + 1 WHERE id = :order")


def create_orders(
    session: Session,
    job: JobInHand,
    wanted: Sequence[tuple[OpenItem, Route]],
    *,
    now: datetime,
) -> None:
    """Write an order and its task for each item, and mark the items running: three statements."""
    if not wanted:
        return
    orders = [
        {
            "id": new_id(),
            "agency_id": job.agency_id,
            "client_id": job.client_id,
            "job_id": job.id,
            "position": item.position,
            "brand_id": item.brand_id,
            "vendor": route.vendor,
            "product": route.product,
            "face_value_minor": item.denomination_minor,
            "currency": job.currency,
            "round": item.round,
        }
        for item, route in wanted
    ]
    session.execute(
        _MARK_RUNNING,
        among([item.position for item, _route in wanted]) | {"job": job.id},
    )
    session.execute(insert(ProviderOrder), orders)
    for vendor in sorted({route.vendor for _item, route in wanted}):
        defer_many(
            session,
            PLACE_ORDER,
            [{"order_id": str(o["id"])} for o in orders if o["vendor"] == vendor],
            now=now,
            tenant_id=job.client_id,
            job_id=job.id,
            lane=vendor,
            # A client's requests of one item go in their own order, beside each large job.
            flow=job.client_id if job.is_single else None,
            priority=job.priority,
        )


def lock_order(session: Session, order_id: UUID) -> OrderInHand:
    """The order, locked for this transaction (after its item, as the lock order wants)."""
    row = session.execute(_LOCK, {"order": order_id}).one()
    return OrderInHand(
        id=row.id,
        job_id=row.job_id,
        position=row.position,
        brand_id=row.brand_id,
        vendor=row.vendor,
        product=row.product,
        face_value_minor=row.face_value_minor,
        currency=row.currency,
        state=OrderState(row.state),
        vendor_order_id=row.vendor_order_id,
        sends=row.sends,
        lookups=row.lookups,
        sent_at=row.sent_at,
        created_at=row.created_at,
        priority=row.priority,
    )


def routes_tried(session: Session, job: JobInHand, item: OpenItem) -> frozenset[tuple[str, str]]:
    """The routes whose order for this item was refused or cancelled in its present round."""
    values = {"job": job.id, "position": item.position, "round": item.round}
    rows = session.execute(_TRIED, values)
    return frozenset((row.vendor, row.product) for row in rows)


def move_order(
    session: Session,
    order: OrderInHand,
    state: OrderState,
    *,
    now: datetime,
    code: str | None = None,
    vendor_code: str | None = None,
    vendor_order_id: str | None = None,
    nothing_ran: bool = False,
) -> None:
    """Move the order from the state in hand; raises LookupError if it is no longer in it.

    `nothing_ran`: the last send is proven not to have reached execution and does not count.
    """
    moved = session.execute(
        _MOVE,
        {
            "order": order.id,
            "state": state.value,
            "was": order.state.value,
            "now": now,
            "code": code,
            "vendor_code": vendor_code,
            "vendor_order_id": vendor_order_id,
            "nothing_ran": nothing_ran,
        },
    ).scalar_one_or_none()
    if moved is None:
        raise LookupError("the order is no longer in the state in hand")


def count_lookup(session: Session, order: OrderInHand) -> None:
    session.execute(_LOOKED, {"order": order.id})
