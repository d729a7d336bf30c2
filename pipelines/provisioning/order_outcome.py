"""Write down what a vendor answered about an order, whoever asked: purchase or recovery.

One life for every order; what follows for what it is for says its setting.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.cards import OrderState, Source
from models.jobs import ItemState
from pipelines.audit.record import record
from pipelines.jobs.verdicts import Verdict
from pipelines.limits import Limits
from pipelines.pools.card_rows import canonical_code
from pipelines.providers.ports import Succeeded
from pipelines.provisioning import order_of_item, order_of_pool
from pipelines.provisioning.effects import CardInHand
from pipelines.provisioning.margin import tell_of_cost
from pipelines.provisioning.order_setting import (
    DUPLICATE_CARD,
    EXPIRES_SOON,
    VALUE_MISMATCH,
    OrderFacts,
    OrderSetting,
)
from pipelines.provisioning.orders import OrderInHand, mark_for_review, move_order
from pipelines.sealing import Keyring, Purpose, masked
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_PLACE = text("SELECT job_id, position, pool_id FROM provider_orders WHERE id = :order")


def order_facts(session: Session, order_id: UUID) -> OrderFacts:
    """The order's vendor, and whether what it is for stops it."""
    place = session.execute(_PLACE, {"order": order_id}).one()
    if place.pool_id:
        return order_of_pool.facts(session, order_id)
    return order_of_item.facts(session, order_id)


def set_order(session: Session, order_id: UUID) -> OrderSetting:
    """Lock the order and what it is for, in the house's lock order."""
    place = session.execute(_PLACE, {"order": order_id}).one()
    if place.pool_id:
        return order_of_pool.setting(session, order_id)
    return order_of_item.setting(session, order_id, place.job_id, place.position)


def write_success(
    session: Session,
    setting: OrderSetting,
    bought: Succeeded,
    *,
    keyring: Keyring,
    now: datetime,
    limits: Limits,
) -> None:
    """The card is in hand: seal it, and let what it is for receive it.

    A card of another value or currency is quarantined, and a person must look (EC-066); so is one
    that fills a pool and expires too soon to be given (EC-068). A link that the vendor made anew,
    because the first was lost, is audited.
    """
    order = setting.order
    wrong = _wrong_with(setting, bought, now)
    card = _keep(session, setting, bought, keyring=keyring, is_right=wrong is None)
    review = DUPLICATE_CARD if card is None else wrong
    move_order(
        session,
        order,
        OrderState.SUCCEEDED,
        now=now,
        vendor_order_id=bought.vendor_order_id,
        code=review.code if review else None,
    )
    tell_of_cost(session, order, bought.cost_minor, bought.cost_currency, now=now)
    if bought.made_anew:
        _audit_new_link(session, order)
    if card is None or review is not None:
        why = review or DUPLICATE_CARD
        mark_for_review(session, order, code=why.code, now=now)
        setting.need_person(session, why, now=now, limits=limits)
    else:
        setting.receive(session, card, now=now, limits=limits)


def _wrong_with(setting: OrderSetting, bought: Succeeded, now: datetime) -> Verdict | None:
    order = setting.order
    if (bought.face_value_minor, bought.currency) != (order.face_value_minor, order.currency):
        return VALUE_MISMATCH
    return None if setting.takes(bought.card.expires_on, now=now) else EXPIRES_SOON


def _audit_new_link(session: Session, order: OrderInHand) -> None:
    """The vendor made a link anew: somebody who had the first one may still hold it."""
    record(
        session,
        "order.link_made_anew",
        object_kind="provider_order",
        object_id=order.id,
        actor_id=None,
        agency_id=order.agency_id,
        client_id=order.client_id,
        job_id=order.job_id,
        detail={"vendor": order.vendor},
    )


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
    """Nothing was bought: what the order is for goes on without it, or ends.

    `state` is `refused` (the vendor said no) or `cancelled` (it was never asked, or proved not to
    know the order).
    """
    move_order(session, setting.order, state, now=now, code=code, vendor_code=vendor_code)
    setting.go_on(session, code=code, stop=stop or setting.stop, now=now, limits=limits)


def write_review(
    session: Session,
    setting: OrderSetting,
    *,
    code: str,
    detail: str,
    now: datetime,
    limits: Limits,
) -> None:
    """Recovery cannot tell: the order stays unknown, nothing is bought instead, a person must look."""
    mark_for_review(session, setting.order, code=code, now=now)
    why = Verdict(ItemState.NEEDS_REVIEW, code, detail)
    setting.need_person(session, why, now=now, limits=limits)
    log.warning("order.needs_review", order_id=str(setting.order.id), code=code)


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
    }
    if setting.keep(session, values, is_right=is_right):
        return CardInHand(card_id, Source.API, bought.cost_minor, bought.cost_currency, last4)
    # It was paid for, so it is kept, aside and under an index of its own, for a person to judge.
    aside = keyring.blind_index(f"duplicate:{order.id}", scope=order.brand_id.bytes)
    setting.keep(session, values | {"index": aside}, is_right=False)
    return None
