"""Order rows: written before any call, one live order per item, moved by compare-and-set."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.cards import OrderState, ProviderOrder
from pipelines.jobs.chunks import among
from pipelines.limits import Limits
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.provisioning.waterfall import Route
from pipelines.queue.defer import defer, defer_many
from pipelines.queue.kinds import (
    PLACE_ORDER,
    PLACE_POOL_ORDER,
    RECOVER_ORDER,
    RECOVER_POOL_ORDER,
    TaskKind,
)
from pipelines.queue.ring import BEHIND_ALL

#: States in which only the vendor, or a person, can say what became of an order.
OPEN_STATES = frozenset({OrderState.UNKNOWN, OrderState.ACCEPTED})
#: The code of an open order of which a person said that the vendor has it.
VOUCHED = "vouched"


@dataclass(frozen=True, slots=True)
class OrderInHand:
    """An order row as its worker knows it; face value in minor units.

    It is for an item (`job_id`, `position`, `agency_id`, `client_id`) or for a pool (`pool_id`), never both.
    """

    id: UUID
    agency_id: UUID | None
    client_id: UUID | None
    job_id: UUID | None
    position: int | None
    pool_id: UUID | None
    brand_id: UUID
    vendor: str
    product: str
    face_value_minor: int
    currency: str
    #: What it was expected to cost when it was written, if that was known.
    expected_cost_minor: int | None
    state: OrderState
    vendor_order_id: str | None
    code: str | None
    sends: int
    lookups: int
    sent_at: datetime | None
    #: Since when a person must look.
    review_since: datetime | None
    created_at: datetime
    #: Its job's; what is bought ahead comes after all jobs.
    priority: int

    @property
    def reference(self) -> str:
        """What the vendor knows the order by: 32 hex characters."""
        return self.id.hex


@dataclass(frozen=True, slots=True)
class PoolInHand:
    """A pool to be filled; denomination in minor units."""

    id: UUID
    brand_id: UUID
    denomination_minor: int
    currency: str


_MARK_RUNNING = text("""
UPDATE items SET state = 'running'
WHERE job_id = :job AND position = ANY(:positions) AND position BETWEEN :first AND :last
  AND state IN ('pending', 'retrying', 'running')
""")
_LOCK = text("""
SELECT o.*, coalesce((SELECT priority FROM jobs j WHERE j.id = o.job_id), :ahead) AS priority
FROM provider_orders o WHERE o.id = :order FOR NO KEY UPDATE
""")
_TRIED = text("""
SELECT vendor, product FROM provider_orders
WHERE job_id = :job AND position = :position AND round = :round
  AND state IN ('refused', 'cancelled') AND code IS DISTINCT FROM 'margin_below_floor'
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
_RESEND = text("""
UPDATE provider_orders SET sends = sends + 1, sent_at = :now WHERE id = :order AND state = :was
RETURNING 1
""")
_TAKE_BACK = text("UPDATE provider_orders SET sends = :sends, sent_at = :sent_at WHERE id = :order")
_LOOKED = text("UPDATE provider_orders SET lookups = lookups + 1 WHERE id = :order")
_REVIEW = text("""
UPDATE provider_orders SET review_since = coalesce(review_since, :now),
    code = CASE WHEN code = 'vouched' THEN code ELSE :code END
WHERE id = :order
""")
_REVIEWED = text("UPDATE provider_orders SET review_since = NULL WHERE id = :order")


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
            "expected_cost_minor": route.cost(item.denomination_minor),
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


def create_pool_orders(
    session: Session,
    pool: PoolInHand,
    route: Route,
    count: int,
    *,
    expected_cost_minor: int | None = None,
    now: datetime,
) -> None:
    """Write orders, and their tasks, that fill the pool by one card each; the platform's."""
    orders = [
        {
            "id": new_id(),
            "pool_id": pool.id,
            "brand_id": pool.brand_id,
            "vendor": route.vendor,
            "product": route.product,
            "face_value_minor": pool.denomination_minor,
            "currency": pool.currency,
            "expected_cost_minor": expected_cost_minor,
            "created_at": now,
        }
        for _ in range(count)
    ]
    session.execute(insert(ProviderOrder), orders)
    defer_many(
        session,
        PLACE_POOL_ORDER,
        [{"order_id": str(order["id"])} for order in orders],
        now=now,
        tenant_id=None,
        job_id=None,
        lane=route.vendor,
        priority=BEHIND_ALL,
    )


def lock_order(session: Session, order_id: UUID) -> OrderInHand:
    """The order, locked for this transaction (after its item, as the lock order wants)."""
    values = {"order": order_id, "ahead": BEHIND_ALL}
    row = session.execute(_LOCK, values).one()
    return OrderInHand(
        id=row.id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        job_id=row.job_id,
        position=row.position,
        pool_id=row.pool_id,
        brand_id=row.brand_id,
        vendor=row.vendor,
        product=row.product,
        face_value_minor=row.face_value_minor,
        currency=row.currency,
        expected_cost_minor=row.expected_cost_minor,
        state=OrderState(row.state),
        vendor_order_id=row.vendor_order_id,
        code=row.code,
        sends=row.sends,
        lookups=row.lookups,
        sent_at=row.sent_at,
        review_since=row.review_since,
        created_at=row.created_at,
        priority=row.priority,
    )


def place_later(session: Session, order: OrderInHand, *, now: datetime) -> None:
    """Have the order sent, in its vendor's lane."""
    _defer_for(session, PLACE_ORDER if order.job_id else PLACE_POOL_ORDER, order, now=now)


def recover_later(
    session: Session, order: OrderInHand, *, now: datetime, run_after: datetime
) -> None:
    """Have the order's true state found out, in its vendor's lane."""
    kind = RECOVER_ORDER if order.job_id else RECOVER_POOL_ORDER
    _defer_for(session, kind, order, now=now, run_after=run_after, dedupe_key=str(order.id))


def ask_soon(session: Session, order: OrderInHand, *, now: datetime, limits: Limits) -> None:
    """The vendor has had a moment when recovery first asks what became of the order."""
    first = timedelta(seconds=limits.recovery_first_seconds)
    recover_later(session, order, now=now, run_after=now + first)


def _defer_for(
    session: Session,
    kind: TaskKind,
    order: OrderInHand,
    *,
    now: datetime,
    run_after: datetime | None = None,
    dedupe_key: str | None = None,
) -> None:
    defer(
        session,
        kind,
        args={"order_id": str(order.id)},
        now=now,
        tenant_id=order.client_id,
        job_id=order.job_id,
        lane=order.vendor,
        run_after=run_after,
        priority=order.priority,
        dedupe_key=dedupe_key,
    )


def routes_tried(session: Session, job: JobInHand, item: OpenItem) -> frozenset[tuple[str, str]]:
    """The routes whose order for this item was refused or cancelled in its present round.

    One that was called off for its cost alone may be tried again when it costs less.
    """
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


def mark_for_review(session: Session, order: OrderInHand, *, code: str, now: datetime) -> None:
    """The order stays as it is, nobody asks after it any more, and a person must look."""
    session.execute(_REVIEW, {"order": order.id, "code": code, "now": now})


def mark_reviewed(session: Session, order: OrderInHand) -> None:
    """A person has looked: what was decided goes on."""
    session.execute(_REVIEWED, {"order": order.id})


def count_lookup(session: Session, order: OrderInHand) -> None:
    session.execute(_LOOKED, {"order": order.id})


def mark_resent(session: Session, order: OrderInHand, *, now: datetime) -> None:
    """Note, before the call, that an unclear order is sent again; what it is stays unclear.

    Raises LookupError if the order is no longer in the state in hand.
    """
    values = {"order": order.id, "now": now, "was": order.state.value}
    if session.execute(_RESEND, values).scalar_one_or_none() is None:
        raise LookupError("the order is no longer in the state in hand")


def take_back_resend(session: Session, before: OrderInHand) -> None:
    """A repeat is proven not to have run: sends and their time are what they were before it."""
    values = {"order": before.id, "sends": before.sends, "sent_at": before.sent_at}
    session.execute(_TAKE_BACK, values)
