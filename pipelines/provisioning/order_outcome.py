"""Write down what a vendor answered about an order, whoever asked: purchase or recovery."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.cards import OrderState, Source
from models.jobs import ItemState, JobState
from pipelines.jobs.chunks import lock_chunk, rest_chunk
from pipelines.limits import Limits
from pipelines.pools.card_rows import canonical_code
from pipelines.providers.ports import Succeeded
from pipelines.provisioning.effects import (
    CardInHand,
    JobInHand,
    OpenItem,
    Verdict,
    end_items,
    job_in_hand,
    open_item,
    provision,
    settle_credit,
)
from pipelines.provisioning.orders import (
    OrderInHand,
    create_orders,
    lock_order,
    move_order,
    routes_tried,
)
from pipelines.provisioning.sources import routes_of_item
from pipelines.provisioning.stops import stop_verdict
from pipelines.provisioning.waterfall import next_route, refusal_without_route
from pipelines.sealing import Keyring, Purpose, masked
from pipelines.telemetry import get_logger

log = get_logger(__name__)

VALUE_MISMATCH = Verdict(
    ItemState.NEEDS_REVIEW,
    "value_mismatch",
    "The vendor sold a card of another value; it is set aside until a person has looked.",
)
DUPLICATE_CARD = Verdict(
    ItemState.NEEDS_REVIEW,
    "duplicate_card",
    "The vendor delivered a card that is already known; a person must look.",
)


@dataclass(frozen=True, slots=True)
class OrderSetting:
    """An order with its item and job, everything locked in the house's lock order."""

    order: OrderInHand
    item: OpenItem
    item_state: ItemState
    job: JobInHand
    job_state: JobState
    chunk: int


_PLACE = text("SELECT job_id, position FROM provider_orders WHERE id = :order")
_FACTS = text("""
SELECT j.state, o.vendor, l.suspended_at IS NOT NULL AS suspended, c.state = 'closed' AS closed
FROM provider_orders o JOIN jobs j ON j.id = o.job_id
JOIN campaigns c ON c.id = j.campaign_id JOIN clients l ON l.id = j.client_id
WHERE o.id = :order
""")
_CHUNK = text("SELECT chunk_number FROM items WHERE job_id = :job AND position = :position")
_ITEM = text("""
SELECT position, state, brand_id, denomination_minor, charge_minor, person_key, round FROM items
WHERE job_id = :job AND position = :position FOR NO KEY UPDATE
""")
_KEEP = text("""
SELECT keep_vendor_card(:id, :order, :state, :number, :pin, :url, :index, :last4,
    CAST(:expires_on AS date), :denomination, :currency, :cost, :cost_currency, :brand, :client)
""")


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What decides whether an order may be sent, read without locking anything."""

    vendor: str
    is_paused: bool
    stop: Verdict | None


def order_facts(session: Session, order_id: UUID) -> OrderFacts:
    """The order's vendor, and whether its job, client or campaign stops it."""
    row = session.execute(_FACTS, {"order": order_id}).one()
    stop = stop_verdict(JobState(row.state), is_suspended=row.suspended, is_closed=row.closed)
    return OrderFacts(row.vendor, row.state == JobState.PAUSED, stop)


def has_other_route(session: Session, setting: OrderSetting) -> bool:
    """Whether the item could be bought another way than by this order."""
    order, item = setting.order, setting.item
    tried = routes_tried(session, setting.job, item) | {(order.vendor, order.product)}
    routes = routes_of_item(session, item)
    return next_route(routes, item.denomination_minor, tried=tried) is not None


def set_order(session: Session, order_id: UUID) -> OrderSetting:
    """Lock chunk, item and order (in this order) and read their job."""
    place = session.execute(_PLACE, {"order": order_id}).one()
    where = {"job": place.job_id, "position": place.position}
    job, job_state = job_in_hand(session, place.job_id)
    chunk = session.execute(_CHUNK, where).scalar_one()
    lock_chunk(session, place.job_id, chunk)
    row = session.execute(_ITEM, where).one()
    order = lock_order(session, order_id)
    return OrderSetting(
        order, open_item(row), ItemState(row.state), job, JobState(job_state), chunk
    )


def write_success(
    session: Session,
    setting: OrderSetting,
    bought: Succeeded,
    *,
    keyring: Keyring,
    now: datetime,
    limits: Limits,
) -> None:
    """The card is in hand: seal it, give it to its item, capture the charge.

    A card of another value or currency is quarantined and its item waits for a person (EC-066);
    its credit stays held.
    """
    order, item, job = setting.order, setting.item, setting.job
    is_right = (
        bought.face_value_minor == order.face_value_minor and bought.currency == order.currency
    )
    card = _keep(session, setting, bought, keyring=keyring, is_right=is_right)
    review = DUPLICATE_CARD if card is None else None if is_right else VALUE_MISMATCH
    move_order(
        session,
        order,
        OrderState.SUCCEEDED,
        now=now,
        vendor_order_id=bought.vendor_order_id,
        code=review.code if review else None,
    )
    served: list[OpenItem] = []
    transfer_id = new_id()
    if card is None or review is not None:
        end_items(session, job, [item], review or DUPLICATE_CARD)
    else:
        provision(session, job, [(item, card)], transfer_id=transfer_id)
        served = [item]
    rest_order_chunk(session, setting, now, limits)
    settle_credit(session, job, served=served, refused=[], transfer_id=transfer_id, now=now)


def write_refusal(
    session: Session,
    setting: OrderSetting,
    state: OrderState,
    *,
    code: str,
    vendor_code: str | None = None,
    stop: Verdict | None = None,
    now: datetime,
    limits: Limits,
) -> None:
    """Nothing was bought: try the next route, or end the item and give its credit back.

    `state` is `refused` (the vendor said no) or `cancelled` (it was never asked, or proved not to
    know the order).
    """
    order, item, job = setting.order, setting.item, setting.job
    move_order(session, order, state, now=now, code=code, vendor_code=vendor_code)
    stop = stop or stop_verdict(setting.job_state, is_suspended=False, is_closed=False)
    if stop is not None:
        _end(session, setting, stop, now, limits)
        return
    routes = routes_of_item(session, item)
    tried = routes_tried(session, job, item)
    route = next_route(routes, item.denomination_minor, tried=tried)
    if route is not None:
        create_orders(session, job, [(item, route)], now=now)
        return
    failed_with, detail = refusal_without_route(routes, item.denomination_minor, last_code=code)
    _end(session, setting, Verdict(ItemState.FAILED, failed_with, detail), now, limits)


def write_review(
    session: Session,
    setting: OrderSetting,
    *,
    code: str,
    detail: str,
    now: datetime,
    limits: Limits,
) -> None:
    """Recovery cannot tell: the order stays unknown, the hold stays, a person must look."""
    verdict = Verdict(ItemState.NEEDS_REVIEW, code, detail)
    end_items(session, setting.job, [setting.item], verdict)
    rest_order_chunk(session, setting, now, limits)
    log.warning("order.needs_review", order_id=str(setting.order.id), code=code)


def _end(
    session: Session, setting: OrderSetting, verdict: Verdict, now: datetime, limits: Limits
) -> None:
    end_items(session, setting.job, [setting.item], verdict)
    rest_order_chunk(session, setting, now, limits)
    settle_credit(
        session, setting.job, served=[], refused=[setting.item], transfer_id=new_id(), now=now
    )


def rest_order_chunk(
    session: Session, setting: OrderSetting, now: datetime, limits: Limits
) -> None:
    """The chunk's state after its order moved; it may give its slot to the next one now."""
    rest_chunk(
        session,
        job_id=setting.job.id,
        number=setting.chunk,
        tenant_id=setting.job.client_id,
        now=now,
        open_orders_max=limits.open_orders_per_job_max,
    )


def _keep(
    session: Session,
    setting: OrderSetting,
    bought: Succeeded,
    *,
    keyring: Keyring,
    is_right: bool,
) -> CardInHand | None:
    """Seal the card's parts on arrival; None if the card is already known to the platform."""
    order, card, card_id = setting.order, bought.card, new_id()

    def sealed(value: str | None, purpose: Purpose, column: str) -> bytes | None:
        if value is None:
            return None
        return keyring.seal(purpose, value, table="cards", row_id=card_id, column=column)

    last4 = masked(card.card_number)[-4:]
    canonical = canonical_code(card.card_number)
    number = canonical if isinstance(canonical, str) else card.card_number
    values = {
        "id": card_id,
        "order": order.id,
        "state": "issued" if is_right else "quarantined",
        "number": sealed(card.card_number, Purpose.CODES, "sealed_number"),
        "pin": sealed(card.pin, Purpose.PINS, "sealed_pin"),
        "url": sealed(card.url, Purpose.CODES, "sealed_url"),
        "index": keyring.blind_index(number, scope=order.brand_id.bytes),
        "last4": last4,
        "expires_on": card.expires_on.isoformat() if card.expires_on else None,
        "denomination": bought.face_value_minor,
        "currency": bought.currency,
        "cost": bought.cost_minor,
        "cost_currency": bought.cost_currency,
        "brand": order.brand_id,
        "client": setting.job.client_id,
    }
    if session.execute(_KEEP, values).scalar_one():
        return CardInHand(card_id, Source.API, bought.cost_minor, bought.cost_currency, last4)
    # It was paid for, so it is kept, aside and under an index of its own, for a person to judge.
    aside = keyring.blind_index(f"duplicate:{order.id}", scope=order.brand_id.bytes)
    session.execute(_KEEP, values | {"state": "quarantined", "index": aside})
    return None
