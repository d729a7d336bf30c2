"""Place one order at a vendor: note it as sent, commit, call, write down the answer, fenced."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from models import clock
from models.cards import OrderState
from models.database import Sessions
from pipelines.limits import Limits
from pipelines.providers.breaker import KEYS_FIRST_SECONDS
from pipelines.providers.guard import PROVIDER_AUTH
from pipelines.providers.ports import (
    Accepted,
    AuthFailed,
    NotSent,
    OrderRequest,
    Outcome,
    Provider,
    Refused,
    Succeeded,
    Throttled,
    Unknown,
)
from pipelines.provisioning.begin_order import begin_order
from pipelines.provisioning.order_outcome import (
    set_order,
    write_refusal,
    write_success,
)
from pipelines.provisioning.order_setting import OrderSetting
from pipelines.provisioning.orders import ask_soon, move_order
from pipelines.queue.backoff import backoff
from pipelines.queue.kinds import PLACE_ORDER
from pipelines.queue.settling import settle_by, settle_in_hand
from pipelines.queue.work import TaskInHand, finish, postpone, try_again
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger
from pipelines.vendors.heard import heard

log = get_logger(__name__)

#: Of the time until an order must have been sent, what marking it as sent may take.
_BEGIN_SHARE = 0.5


def place_order(
    sessions: Sessions,
    task: TaskInHand,
    *,
    providers: Mapping[str, Provider],
    keyring: Keyring,
    limits: Limits,
    draw: Callable[[], float],
) -> None:
    """The work of PLACE_ORDER and PLACE_POOL_ORDER.

    Raises `Postpone` while its job is paused; a vendor that may not be called now is come back to.
    """
    begun = time.monotonic()
    send_by = begun + limits.order_send_seconds
    begin_by = begun + limits.order_send_seconds * _BEGIN_SHARE
    order = begin_order(sessions, task, providers, until=begin_by, limits=limits, draw=draw)
    if order is None:
        return
    request = OrderRequest(
        reference=order.reference,
        product=order.product,
        face_value_minor=order.face_value_minor,
        currency=order.currency,
        send_by=send_by,
    )
    outcome = providers[order.vendor].place_order(request)

    def write(session: Session) -> None:
        now = clock.now(session)
        setting = set_order(session, order.id)
        _write(session, task, setting, outcome, keyring=keyring, limits=limits, now=now, draw=draw)
        heard(session, order.vendor, outcome, call=task.id, now=now)

    until = settle_by(begun, PLACE_ORDER, limits)
    settle_in_hand(sessions, task, write, until=until, draw=draw)
    log.info("order.answered", order_id=str(order.id), outcome=type(outcome).__name__)


def _write(
    session: Session,
    task: TaskInHand,
    setting: OrderSetting,
    outcome: Outcome,
    *,
    keyring: Keyring,
    limits: Limits,
    now: datetime,
    draw: Callable[[], float],
) -> None:
    match outcome:
        case Succeeded():
            write_success(session, setting, outcome, keyring=keyring, now=now, limits=limits)
        case Accepted() | Unknown():
            _ask_later(session, setting, outcome, now=now, limits=limits)
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
        case Throttled(retry_after_seconds=seconds):
            _back_to_created(session, task, setting, "vendor_throttled", now=now, seconds=seconds)
            return
        case AuthFailed() if setting.has_other_route(session):
            state = OrderState.CANCELLED
            write_refusal(session, setting, state, code="vendor_auth", now=now, limits=limits)
        case AuthFailed():
            seconds = KEYS_FIRST_SECONDS
            _back_to_created(session, task, setting, PROVIDER_AUTH, now=now, seconds=seconds)
            return
        case NotSent():
            _not_sent(session, task, setting, limits=limits, now=now, draw=draw)
            return
    finish(session, task)


def _ask_later(
    session: Session,
    setting: OrderSetting,
    outcome: Accepted | Unknown,
    *,
    now: datetime,
    limits: Limits,
) -> None:
    """The vendor owes the card, or may: the item waits and nothing else is tried."""
    order = setting.order
    match outcome:
        case Accepted(vendor_order_id=its_id, waits_for=code):
            state = OrderState.ACCEPTED
            move_order(session, order, state, now=now, code=code, vendor_order_id=its_id)
        case Unknown(reason=code):
            move_order(session, order, OrderState.UNKNOWN, now=now, code=code)
    ask_soon(session, order, now=now, limits=limits)
    setting.rest(session, now=now, limits=limits)


def _back_to_created(
    session: Session,
    task: TaskInHand,
    setting: OrderSetting,
    reason: str,
    *,
    now: datetime,
    seconds: float,
) -> None:
    """Proof that nothing ran: the same order will be sent again, and no attempt is spent."""
    order = setting.order
    move_order(session, order, OrderState.CREATED, now=now, code=reason, nothing_ran=True)
    postpone(session, task, until=now + timedelta(seconds=seconds), reason=reason)


def _not_sent(
    session: Session,
    task: TaskInHand,
    setting: OrderSetting,
    *,
    limits: Limits,
    now: datetime,
    draw: Callable[[], float],
) -> None:
    """The vendor cannot be reached: try again with backoff, and after that go another way."""
    if task.attempts + 1 >= limits.attempts_max:
        write_refusal(
            session,
            setting,
            OrderState.CANCELLED,
            code="vendor_unreachable",
            now=now,
            limits=limits,
        )
        finish(session, task)
        return
    order, code = setting.order, "vendor_unreachable"
    move_order(session, order, OrderState.CREATED, now=now, code=code, nothing_ran=True)
    wait = backoff(task.attempts + 1, limits=limits, draw=draw)
    try_again(session, task, at=now + wait, error="NotSent")
