"""Find out what became of an order: the vendor's documented recovery, never a second guess."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.cards import OrderState
from models.database import Sessions, transaction
from pipelines.limits import Limits
from pipelines.providers import guard
from pipelines.providers.guard import Purpose
from pipelines.providers.ports import (
    Absent,
    Accepted,
    Conflicting,
    LookUp,
    Provider,
    Refused,
    Succeeded,
)
from pipelines.providers.turn import Turn
from pipelines.provisioning.ask_vendor import ask_vendor, never_ran
from pipelines.provisioning.order_outcome import (
    order_facts,
    set_order,
    write_refusal,
    write_review,
    write_success,
)
from pipelines.provisioning.order_setting import OrderSetting
from pipelines.provisioning.orders import (
    OPEN_STATES,
    VOUCHED,
    OrderInHand,
    count_lookup,
    lock_order,
    mark_resent,
    move_order,
    place_later,
    take_back_resend,
)
from pipelines.provisioning.questions import Question, next_question
from pipelines.queue.kinds import RECOVER_ORDER
from pipelines.queue.settling import lease_seconds, settle_by, settle_in_hand
from pipelines.queue.work import Postpone, TaskInHand, fence, finish, postpone
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger
from pipelines.vendors.heard import heard

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
    """The work of RECOVER_ORDER and RECOVER_POOL_ORDER: ask in the way `next_question` says.

    While it asks, the hold stays and no other source is tried. Comes back by itself until the
    order is settled or recovery gives up and a person must look.
    """
    begun = time.monotonic()
    turn = Turn()
    with transaction(sessions) as session:
        found = _begin(session, task, providers, limits, turn)
    if found is None:
        return
    turn.wait()
    order, question = found
    send_by = begun + limits.order_send_seconds
    answer = ask_vendor(providers[order.vendor], order, question, send_by=send_by)

    def write(session: Session) -> None:
        now = clock.now(session)
        setting = set_order(session, order.id)
        count_lookup(session, order)
        if question is Question.RESEND and never_ran(answer):
            take_back_resend(session, order)
            setting = set_order(session, order.id)
        if _is_as_asked(setting.order, order):
            _write(
                session, task, setting, answer, keyring=keyring, limits=limits, now=now, draw=draw
            )
        else:
            _decided_meanwhile(session, task, setting, answer, now)
        heard(session, order.vendor, answer, call=task.id, now=now, purpose=Purpose.QUESTION)

    until = settle_by(begun, RECOVER_ORDER, limits)
    settle_in_hand(sessions, task, write, until=until, draw=draw)
    log.info(
        "order.recovered",
        order_id=str(order.id),
        question=question.value,
        answer=type(answer).__name__,
    )


def _begin(
    session: Session,
    task: TaskInHand,
    providers: Mapping[str, Provider],
    limits: Limits,
    turn: Turn,
) -> tuple[OrderInHand, Question] | None:
    """The order and how it is asked after; a repeated send is noted here, before the call."""
    fence(session, task)
    now = clock.now(session)
    facts = order_facts(session, UUID(task.args["order_id"]))
    order = lock_order(session, UUID(task.args["order_id"]))
    if order.state not in OPEN_STATES:
        finish(session, task)
        return None
    if order.vendor not in providers:
        raise Postpone(now + timedelta(seconds=NOT_CONFIGURED_SECONDS), "vendor_not_configured")
    permit = guard.ask(
        session,
        order.vendor,
        now=now,
        call=task.id,
        seconds=lease_seconds(RECOVER_ORDER, limits),
        purpose=Purpose.QUESTION,
        turn=turn,
    )
    if not permit.is_granted:
        # Committed, not raised: a place in the vendor's line is kept.
        postpone(session, task, until=permit.at, reason=permit.reason)
        return None
    is_safe = providers[order.vendor].resend_is_safe
    may_buy = facts.stop is None and not facts.is_paused and not facts.is_disabled
    question = next_question(order, resend_is_safe=is_safe, may_buy=may_buy)
    if question is Question.RESEND:
        mark_resent(session, order, now=now)
    return order, question


def _is_as_asked(found: OrderInHand, asked: OrderInHand) -> bool:
    return (found.state, found.vendor_order_id) == (asked.state, asked.vendor_order_id)


def _decided_meanwhile(
    session: Session, task: TaskInHand, setting: OrderSetting, answer: LookUp, now: datetime
) -> None:
    """A person spoke while the vendor was asked: an open order is asked after anew, as it is now.

    One that was called off has its money back; that the vendor has it is for a person to hear.
    """
    state = setting.order.state
    if state in OPEN_STATES:
        postpone(session, task, until=now, reason="awaiting_vendor")
        return
    if state is OrderState.CANCELLED and isinstance(answer, Succeeded | Accepted | Conflicting):
        setting.tell(session, "bought_after_all", now=now)
        log.error("order.bought_after_all", order_id=str(setting.order.id))
    finish(session, task)


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
            _wait(session, task, setting, answer, now=now, limits=limits, draw=draw)
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
        case Absent() if _is_surely_absent(setting.order, now, limits) and _is_known(setting.order):
            _review_absent(session, setting, now=now, limits=limits)
        case Absent() if _is_surely_absent(setting.order, now, limits):
            _send_again_or_cancel(session, setting, now=now, limits=limits)
        case Accepted():
            _note_accepted(session, setting, answer, now)
            _wait(session, task, setting, answer, now=now, limits=limits, draw=draw)
            return
        case _:
            _wait(session, task, setting, answer, now=now, limits=limits, draw=draw)
            return
    finish(session, task)


def _is_surely_absent(order: OrderInHand, now: datetime, limits: Limits) -> bool:
    """An order not listed this long after it was sent cannot be on its way any more."""
    sent_at = order.sent_at or order.created_at
    return (now - sent_at).total_seconds() >= limits.order_absent_after_seconds


def _is_known(order: OrderInHand) -> bool:
    """The vendor itself or a person said that the vendor has it."""
    return order.state is OrderState.ACCEPTED or order.code == VOUCHED


def _review_absent(
    session: Session, setting: OrderSetting, *, now: datetime, limits: Limits
) -> None:
    """Two words against each other: nothing else is bought until a person has looked."""
    write_review(
        session,
        setting,
        code="provider_outcome_unknown",
        detail="The vendor does not list an order that it is said to have.",
        now=now,
        limits=limits,
    )


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
    place_later(session, order, now=now)


def _note_accepted(
    session: Session, setting: OrderSetting, answer: Accepted, now: datetime
) -> None:
    order = setting.order
    if order.state is OrderState.UNKNOWN or order.vendor_order_id != answer.vendor_order_id:
        move_order(
            session,
            order,
            OrderState.ACCEPTED,
            now=now,
            code=answer.waits_for,
            vendor_order_id=answer.vendor_order_id,
        )


def _wait(
    session: Session,
    task: TaskInHand,
    setting: OrderSetting,
    answer: LookUp,
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
    # Tango wants two seconds between two calls with one reference.
    asked = guard.asks_slower(answer) or 0.0
    wait = max(limits.recovery_first_seconds, full * (0.5 + draw() / 2), asked)
    until = now + timedelta(seconds=wait)
    postpone(session, task, until=until, reason="awaiting_vendor")
