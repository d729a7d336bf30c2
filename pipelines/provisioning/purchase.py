"""Place one order at a vendor: note it as sent, commit, call, write down the answer, fenced."""

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.cards import OrderState
from models.database import Sessions
from pipelines.limits import Limits
from pipelines.providers import guard
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
from pipelines.provisioning.order_outcome import (
    order_facts,
    set_order,
    write_refusal,
    write_success,
)
from pipelines.provisioning.order_setting import OrderFacts, OrderSetting
from pipelines.provisioning.orders import OrderInHand, lock_order, move_order, recover_later
from pipelines.provisioning.waterfall import MARGIN_BELOW_FLOOR
from pipelines.queue.backoff import backoff
from pipelines.queue.kinds import PLACE_ORDER
from pipelines.queue.settling import lease_seconds, settle_by, settle_in_hand
from pipelines.queue.work import Postpone, TaskInHand, finish, postpone, try_again
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
    marked: set[UUID] = set()

    def mark(session: Session) -> OrderInHand | None:
        return _begin(session, task, limits, providers, marked)

    begin_by = begun + limits.order_send_seconds * _BEGIN_SHARE
    order = settle_in_hand(sessions, task, mark, until=begin_by, draw=draw)
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


def _begin(
    session: Session,
    task: TaskInHand,
    limits: Limits,
    vendors: Collection[str],
    marked: set[UUID],
) -> OrderInHand | None:
    """Mark the order sent, committed before the call; None when there is nothing to call.

    `marked`: an order that an earlier try marked here, under this same token, is still uncalled,
    though nobody heard of that try's commit.
    """
    now = clock.now(session)
    order_id = UUID(task.args["order_id"])
    facts = order_facts(session, order_id)
    if facts.stop is not None or facts.is_disabled or facts.vendor not in vendors:
        _end_unsent(session, task, order_id, facts, now=now, limits=limits)
        return None
    if _goes_elsewhere(session, task, order_id, facts, now=now, limits=limits):
        return None
    # Only the order itself is locked: orders of one chunk are sent side by side.
    order = lock_order(session, order_id)
    if order.state is OrderState.SENT and order.id in marked:
        return order
    if order.state is OrderState.SENT:
        _worker_lost(session, task, order, now=now, limits=limits)
        return None
    if order.state is not OrderState.CREATED:
        finish(session, task)
        return None
    if facts.is_paused:
        raise Postpone(now, "job_paused")
    permit = guard.ask(
        session, order.vendor, now=now, call=task.id, seconds=lease_seconds(PLACE_ORDER, limits)
    )
    if permit.is_granted:
        move_order(session, order, OrderState.SENT, now=now)
        marked.add(order.id)
    else:  # committed, not raised: a place in the vendor's line is kept
        postpone(session, task, until=permit.ask_again_at, reason=permit.reason)
    return order if permit.is_granted else None


def _end_unsent(
    session: Session,
    task: TaskInHand,
    order_id: UUID,
    facts: OrderFacts,
    *,
    now: datetime,
    limits: Limits,
) -> None:
    """What it is for stops, or the vendor's account is not in use here: what was not sent ends.

    An order that is on its way is driven home all the same.
    """
    setting = set_order(session, order_id)
    if setting.order.state is OrderState.SENT:
        _worker_lost(session, task, setting.order, now=now, limits=limits)
        return
    if setting.order.state is OrderState.CREATED:
        code = "vendor_disabled" if facts.is_disabled else "vendor_not_configured"
        write_refusal(
            session,
            setting,
            OrderState.CANCELLED,
            code=facts.stop.code if facts.stop else code,
            stop=facts.stop,
            now=now,
            limits=limits,
        )
    finish(session, task)


def _goes_elsewhere(
    session: Session,
    task: TaskInHand,
    order_id: UUID,
    facts: OrderFacts,
    *,
    now: datetime,
    limits: Limits,
) -> bool:
    """What was not sent takes the next route, if the vendor refuses our keys and there is one.

    It does so anyhow where its route costs too much by now (EC-081).
    """
    if not (facts.is_too_dear or facts.refuses_keys):
        return False
    setting = set_order(session, order_id)
    if setting.order.state is not OrderState.CREATED:
        return False
    if not (facts.is_too_dear or setting.has_other_route(session)):
        return False
    code = MARGIN_BELOW_FLOOR[1] if facts.is_too_dear else "vendor_auth"
    write_refusal(session, setting, OrderState.CANCELLED, code=code, now=now, limits=limits)
    finish(session, task)
    return True


def _worker_lost(
    session: Session, task: TaskInHand, order: OrderInHand, *, now: datetime, limits: Limits
) -> None:
    """An earlier worker died after marking it sent: whether the vendor got it is unknown."""
    move_order(session, order, OrderState.UNKNOWN, now=now, code="worker_lost")
    ask_soon(session, order, now=now, limits=limits)
    finish(session, task)


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


def ask_soon(session: Session, order: OrderInHand, *, now: datetime, limits: Limits) -> None:
    """The vendor has had a moment when recovery first asks what became of the order."""
    first = timedelta(seconds=limits.recovery_first_seconds)
    recover_later(session, order, now=now, run_after=now + first)
