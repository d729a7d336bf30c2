"""Find out what became of an order: the vendor's documented recovery, never a second guess."""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.cards import OrderState
from models.database import Sessions, transaction
from pipelines.limits import Limits
from pipelines.providers import guard
from pipelines.providers.ports import (
    Absent,
    Accepted,
    Conflicting,
    LookUp,
    OrderRequest,
    Provider,
    Refused,
    Succeeded,
    Unknown,
)
from pipelines.provisioning.order_outcome import (
    OrderSetting,
    set_order,
    write_refusal,
    write_review,
    write_success,
)
from pipelines.provisioning.orders import OrderInHand, count_lookup, lock_order, move_order
from pipelines.queue.defer import defer
from pipelines.queue.kinds import PLACE_ORDER, RECOVER_ORDER
from pipelines.queue.settling import settle_by, settle_in_hand
from pipelines.queue.work import Postpone, TaskInHand, fence, finish, postpone
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: A vendor whose account is not set up here is asked again when it may have been.
NOT_CONFIGURED_SECONDS = 60.0
#: An absent order is sent again with the same reference this many times in all.
SENDS_MAX = 2


def recover_order(
    sessions: Sessions,
    task: TaskInHand,
    *,
    providers: Mapping[str, Provider],
    keyring: Keyring,
    limits: Limits,
    draw: Callable[[], float],
) -> None:
    """The work of RECOVER_ORDER: ask by our reference (unknown) or by the vendor's (accepted).

    While it asks, the hold stays and no other source is tried. Comes back by itself until the
    order is settled or recovery gives up and a person must look.
    """
    begun = time.monotonic()
    with transaction(sessions) as session:
        order = _begin(session, task, providers)
    if order is None:
        return
    answer = _ask(providers[order.vendor], order)

    def write(session: Session) -> None:
        now = clock.now(session)
        setting = set_order(session, order.id)
        count_lookup(session, order)
        if setting.order.state is not order.state:
            finish(session, task)
            return
        _write(session, task, setting, answer, keyring=keyring, limits=limits, now=now, draw=draw)
        _note(session, order.vendor, answer, now=now)

    until = settle_by(begun, RECOVER_ORDER, limits)
    settle_in_hand(sessions, task, write, until=until, draw=draw)
    log.info("order.recovered", order_id=str(order.id), answer=type(answer).__name__)


def _note(session: Session, vendor: str, answer: LookUp, *, now: datetime) -> None:
    """Tell the vendor's guard whether it answered; its row is everybody's, so it comes last."""
    if isinstance(answer, Unknown):
        guard.note_failure(session, vendor, now=now)
    else:
        guard.note_success(session, vendor)


def _begin(session: Session, task: TaskInHand, vendors: Collection[str]) -> OrderInHand | None:
    fence(session, task)
    now = clock.now(session)
    order = lock_order(session, UUID(task.args["order_id"]))
    if order.state not in {OrderState.UNKNOWN, OrderState.ACCEPTED}:
        finish(session, task)
        return None
    if order.vendor not in vendors:
        raise Postpone(now + timedelta(seconds=NOT_CONFIGURED_SECONDS), "vendor_not_configured")
    permit = guard.ask(session, order.vendor, now=now)
    if not permit.is_granted:
        raise Postpone(permit.ask_again_at, permit.reason)
    return order


def _ask(provider: Provider, order: OrderInHand) -> LookUp:
    request = OrderRequest(
        reference=order.reference,
        product=order.product,
        face_value_minor=order.face_value_minor,
        currency=order.currency,
        sent_at=order.sent_at,
    )
    if order.state is OrderState.ACCEPTED and order.vendor_order_id is not None:
        return provider.poll(request, order.vendor_order_id)
    return provider.look_up(request)


def _write(
    session: Session,
    task: TaskInHand,
    setting: OrderSetting,
    answer: LookUp,
    *,
    keyring: Keyring,
    limits: Limits,
    now: datetime,
    draw: Callable[[], float],
) -> None:
    match answer:
        case Succeeded():
            write_success(session, setting, answer, keyring=keyring, now=now, limits=limits)
        case Refused() if _may_be_about_an_earlier_send(setting.order, now, limits):
            _wait(session, task, setting, now=now, limits=limits, draw=draw)
            return
        case Refused(code=code, vendor_code=vendor_code):
            write_refusal(
                session,
                setting,
                OrderState.REFUSED,
                code=code,
                vendor_code=vendor_code,
                now=now,
                limits=limits,
            )
        case Conflicting():
            write_review(
                session,
                setting,
                code="provider_conflict",
                detail="The vendor shows several orders under one reference.",
                now=now,
                limits=limits,
            )
        case Absent() if _is_surely_absent(setting.order, now, limits):
            _send_again_or_cancel(session, setting, now=now, limits=limits)
        case Accepted(vendor_order_id=vendor_order_id):
            _note_accepted(session, setting, vendor_order_id, now)
            _wait(session, task, setting, now=now, limits=limits, draw=draw)
            return
        case _:
            _wait(session, task, setting, now=now, limits=limits, draw=draw)
            return
    finish(session, task)


def _is_surely_absent(order: OrderInHand, now: datetime, limits: Limits) -> bool:
    """An order not listed this long after it was sent cannot be on its way any more."""
    sent_at = order.sent_at or order.created_at
    return (now - sent_at).total_seconds() >= limits.order_absent_after_seconds


def _may_be_about_an_earlier_send(order: OrderInHand, now: datetime, limits: Limits) -> bool:
    """A refusal listed while a second send is on its way proves nothing about that send."""
    is_resent = order.sends > 1 and order.state is OrderState.UNKNOWN
    return is_resent and not _is_surely_absent(order, now, limits)


def _send_again_or_cancel(
    session: Session, setting: OrderSetting, *, now: datetime, limits: Limits
) -> None:
    order = setting.order
    if order.sends >= SENDS_MAX:
        write_refusal(
            session, setting, OrderState.CANCELLED, code="never_placed", now=now, limits=limits
        )
        return
    move_order(session, order, OrderState.CREATED, now=now, code="absent")
    defer(
        session,
        PLACE_ORDER,
        args={"order_id": str(order.id)},
        now=now,
        tenant_id=setting.job.client_id,
        job_id=setting.job.id,
        lane=order.vendor,
        priority=order.priority,
    )


def _note_accepted(
    session: Session, setting: OrderSetting, vendor_order_id: str, now: datetime
) -> None:
    if setting.order.state is OrderState.UNKNOWN:
        move_order(
            session, setting.order, OrderState.ACCEPTED, now=now, vendor_order_id=vendor_order_id
        )


def _wait(
    session: Session,
    task: TaskInHand,
    setting: OrderSetting,
    *,
    now: datetime,
    limits: Limits,
    draw: Callable[[], float],
) -> None:
    """Ask again later, or give up after a day: the item then waits for a person (EC-059)."""
    order = setting.order
    sent_at = order.sent_at or order.created_at
    if (now - sent_at).total_seconds() >= limits.recovery_gives_up_seconds:
        write_review(
            session,
            setting,
            code="provider_outcome_unknown"
            if order.state is OrderState.UNKNOWN
            else "code_not_delivered",
            detail="The vendor has not said what became of this order.",
            now=now,
            limits=limits,
        )
        finish(session, task)
        return
    full = min(limits.recovery_first_seconds * 2**order.lookups, limits.recovery_max_seconds)
    until = now + timedelta(seconds=full * (0.5 + draw() / 2))
    postpone(session, task, until=until, reason="awaiting_vendor")
