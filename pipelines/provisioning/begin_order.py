"""Bring an order to its turn at the vendor and mark it sent, committed before the call."""

from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.cards import OrderState
from models.database import Sessions
from pipelines.limits import Limits
from pipelines.providers import guard
from pipelines.providers.turn import Turn
from pipelines.provisioning.order_outcome import order_facts, set_order, write_refusal
from pipelines.provisioning.order_setting import OrderFacts
from pipelines.provisioning.orders import OrderInHand, ask_soon, lock_order, move_order
from pipelines.provisioning.waterfall import MARGIN_BELOW_FLOOR
from pipelines.queue.kinds import PLACE_ORDER
from pipelines.queue.settling import lease_seconds, settle_in_hand
from pipelines.queue.work import Postpone, TaskInHand, finish, postpone


def begin_order(
    sessions: Sessions,
    task: TaskInHand,
    vendors: Collection[str],
    *,
    until: float,
    limits: Limits,
    draw: Callable[[], float],
) -> OrderInHand | None:
    """The order, marked as sent, at the moment of its turn; None if there is nothing to call now.

    `until` (monotonic): marking is tried until then.
    """
    marked: set[UUID] = set()
    turn = Turn()
    mark = partial(_mark, task=task, limits=limits, vendors=vendors, marked=marked, turn=turn)
    order = settle_in_hand(sessions, task, mark, until=until, draw=draw)
    if order is not None:
        turn.wait()
    return order


def _mark(
    session: Session,
    *,
    task: TaskInHand,
    limits: Limits,
    vendors: Collection[str],
    marked: set[UUID],
    turn: Turn,
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
    if order.state is not OrderState.CREATED:
        _not_to_send(session, task, order, now=now, limits=limits)
        return None
    if facts.is_paused:
        raise Postpone(now, "job_paused")
    seconds = lease_seconds(PLACE_ORDER, limits)
    permit = guard.ask(session, order.vendor, now=now, call=task.id, seconds=seconds, turn=turn)
    if not permit.is_granted:  # committed, not raised: a place in the vendor's line is kept
        postpone(session, task, until=permit.at, reason=permit.reason)
        return None
    move_order(session, order, OrderState.SENT, now=now)
    marked.add(order.id)
    return order


def _not_to_send(
    session: Session, task: TaskInHand, order: OrderInHand, *, now: datetime, limits: Limits
) -> None:
    """It was sent before: by a worker that died since, or to its end."""
    if order.state is OrderState.SENT:
        _worker_lost(session, task, order, now=now, limits=limits)
    else:
        finish(session, task)


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
