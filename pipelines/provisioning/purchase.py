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
from pipelines.provisioning.effects import Verdict
from pipelines.provisioning.order_outcome import (
    OrderSetting,
    has_other_route,
    order_facts,
    rest_order_chunk,
    set_order,
    write_refusal,
    write_success,
)
from pipelines.provisioning.orders import OrderInHand, lock_order, move_order
from pipelines.queue.backoff import backoff
from pipelines.queue.defer import defer
from pipelines.queue.kinds import PLACE_ORDER, RECOVER_ORDER
from pipelines.queue.settling import settle_by, settle_in_hand
from pipelines.queue.work import Postpone, TaskInHand, finish, postpone, try_again
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Wrong credentials are mended by a person; asking again sooner would only lock the account.
AUTH_RETRY_SECONDS = 60.0
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
    """The work of PLACE_ORDER. Raises `Postpone` when the vendor may not be called now."""
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
        _note(session, order.vendor, outcome, now=now)

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
    if facts.stop is not None or facts.vendor not in vendors:
        _end_unsent(session, task, order_id, facts.stop, now=now, limits=limits)
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
    permit = guard.ask(session, order.vendor, now=now)
    if not permit.is_granted:
        raise Postpone(permit.ask_again_at, permit.reason)
    move_order(session, order, OrderState.SENT, now=now)
    marked.add(order.id)
    return order


def _end_unsent(
    session: Session,
    task: TaskInHand,
    order_id: UUID,
    stop: Verdict | None,
    *,
    now: datetime,
    limits: Limits,
) -> None:
    """The job stops, or the vendor's account is not set up: what was not sent ends here.

    An order that is on its way is driven home all the same.
    """
    setting = set_order(session, order_id)
    if setting.order.state is OrderState.SENT:
        _worker_lost(session, task, setting.order, now=now, limits=limits)
        return
    if setting.order.state is OrderState.CREATED:
        code = stop.code if stop else "vendor_not_configured"
        write_refusal(
            session, setting, OrderState.CANCELLED, code=code, stop=stop, now=now, limits=limits
        )
    finish(session, task)


def _worker_lost(
    session: Session, task: TaskInHand, order: OrderInHand, *, now: datetime, limits: Limits
) -> None:
    """An earlier worker died after marking it sent: whether the vendor got it is unknown."""
    move_order(session, order, OrderState.UNKNOWN, now=now, code="worker_lost")
    recover_later(session, task, order, now=now, seconds=limits.recovery_first_seconds)
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
    order = setting.order
    match outcome:
        case Succeeded():
            write_success(session, setting, outcome, keyring=keyring, now=now, limits=limits)
        case Accepted(vendor_order_id=vendor_order_id):
            move_order(
                session, order, OrderState.ACCEPTED, now=now, vendor_order_id=vendor_order_id
            )
            recover_later(session, task, order, now=now, seconds=limits.recovery_first_seconds)
            rest_order_chunk(session, setting, now, limits)
        case Unknown(reason=reason):
            move_order(session, order, OrderState.UNKNOWN, now=now, code=reason)
            recover_later(session, task, order, now=now, seconds=limits.recovery_first_seconds)
            rest_order_chunk(session, setting, now, limits)
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
        case AuthFailed() if has_other_route(session, setting):
            state = OrderState.CANCELLED
            write_refusal(session, setting, state, code="vendor_auth", now=now, limits=limits)
        case AuthFailed():
            seconds = AUTH_RETRY_SECONDS
            _back_to_created(session, task, setting, "vendor_auth", now=now, seconds=seconds)
            return
        case NotSent():
            _not_sent(session, task, setting, limits=limits, now=now, draw=draw)
            return
    finish(session, task)


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


def _note(session: Session, vendor: str, outcome: Outcome, *, now: datetime) -> None:
    """Tell the vendor's guard how the call went; last, since its row is everybody's."""
    match outcome:
        case Throttled(retry_after_seconds=seconds):
            guard.note_throttled(session, vendor, until=now + timedelta(seconds=seconds))
            guard.note_success(session, vendor)  # slower is an answer, not a failure
        case Unknown(reason="reference_used"):
            guard.note_success(session, vendor)
        case Unknown() | NotSent() | AuthFailed():
            guard.note_failure(session, vendor, now=now)
        case _:
            guard.note_success(session, vendor)


def recover_later(
    session: Session, task: TaskInHand, order: OrderInHand, *, now: datetime, seconds: float
) -> None:
    """Have the order's true state found out, in the vendor's lane."""
    defer(
        session,
        RECOVER_ORDER,
        args={"order_id": str(order.id)},
        now=now,
        tenant_id=task.tenant_id,
        job_id=order.job_id,
        lane=order.vendor,
        run_after=now + timedelta(seconds=seconds),
        priority=order.priority,
        dedupe_key=str(order.id),
    )
