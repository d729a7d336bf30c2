"""A person decides what became of an order that nobody else can tell about."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.cards import OrderState
from models.jobs import ItemState
from pipelines.alerts.kinds import ORDER_IN_REVIEW, REFILL_ORDER_UNCLEAR, VALUE_MISMATCH
from pipelines.alerts.raise_alert import settle_alert
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.moves import refuse_beside_undo
from pipelines.jobs.verdicts import CANCELLED, Verdict
from pipelines.limits import Limits
from pipelines.provisioning.order_outcome import set_order, write_refusal
from pipelines.provisioning.order_setting import OrderSetting
from pipelines.provisioning.orders import (
    OPEN_STATES,
    VOUCHED,
    OrderInHand,
    mark_reviewed,
    move_order,
    recover_later,
)

#: Before this a vendor may still be at work on an order, and recovery has hardly asked.
RESOLVED_AFTER = timedelta(minutes=15)


class Outcome(StrEnum):
    """What the person found out."""

    #: The vendor never took the order: the next route is tried, or the credit goes back; a pool's
    #: slot is bought anew.
    NEVER_PLACED = "never_placed"
    #: The vendor has it: recovery goes on asking for its card.
    PLACED = "placed"
    #: The wrong card that was bought is nobody's: the item ends without a card, uncharged.
    WRITTEN_OFF = "written_off"


class OrderNotOpen(Refusal):
    """The order's state leaves nothing to decide in this way; `state` and `outcomes` tell."""

    code = "order_not_open"
    kind = Kind.CONFLICT


class OrderTooYoung(Refusal):
    """The order was sent a moment ago: recovery is asking the vendor."""

    code = "order_too_young"
    kind = Kind.CONFLICT
    detail = "The order was sent less than 15 minutes ago and is being asked after. Wait for that."


_PLACE = text("SELECT job_id, code FROM provider_orders WHERE id = :order")
_LOCK_JOB = text("""
SELECT EXISTS (SELECT FROM jobs u WHERE u.undoes_id = j.id) AS is_undone
FROM jobs j WHERE id = :job FOR NO KEY UPDATE
""")
# A round that has ended goes on for this item, and is settled anew: its hold is still open.
_REOPEN_JOB = text("""
UPDATE jobs SET state = CASE state WHEN 'cancelled' THEN 'cancelling' ELSE 'running' END,
    finished_at = NULL, version = version + 1
WHERE id = :job AND state IN ('succeeded', 'partially_succeeded', 'failed', 'cancelled')
""")
_REOPEN_ITEM = text("""
UPDATE items SET state = 'running', code = NULL, detail = NULL
WHERE job_id = :job AND position = :position AND state = 'needs_review'
""")


def resolve_order(
    session: Session,
    order_id: UUID,
    outcome: Outcome,
    *,
    reason: str,
    vendor_order_id: str | None = None,
    actor_id: UUID,
    now: datetime,
    limits: Limits,
) -> None:
    """Write the person's word down and let what the order is for go on.

    Raises `NotFound`, `OrderNotOpen`, `OrderTooYoung`, `UndoInProgress`; nothing is changed then.
    """
    order = session.execute(_PLACE, {"order": order_id}).one_or_none()
    if order is None:
        raise NotFound
    is_undone = order.job_id is not None and _lock_job(session, order.job_id)
    setting = set_order(session, order_id)
    _refuse(setting, outcome, now)
    _audit(session, setting.order, outcome, reason=reason, actor_id=actor_id)
    setting = _reopened(session, setting.order)
    match outcome:
        case Outcome.NEVER_PLACED:
            stop = CANCELLED if is_undone else None
            write_refusal(
                session,
                setting,
                OrderState.CANCELLED,
                code="never_placed",
                stop=stop,
                now=now,
                limits=limits,
            )
        case Outcome.PLACED:
            _ask_again(session, setting.order, vendor_order_id, now)
            setting.rest(session, now=now, limits=limits)
        case Outcome.WRITTEN_OFF:
            verdict = Verdict(ItemState.CANCELLED, order.code, _OFF)
            setting.go_on(session, code=order.code, stop=verdict, now=now, limits=limits)
    for kind in (ORDER_IN_REVIEW, VALUE_MISMATCH, REFILL_ORDER_UNCLEAR):
        settle_alert(session, kind, subject_id=order_id, now=now)


_OFF = "The supplier sold another card; a person wrote it off. Nothing was charged."


def _lock_job(session: Session, job_id: UUID) -> bool:
    """Lock the job before all that is its; whether it was undone."""
    is_undone: bool = session.execute(_LOCK_JOB, {"job": job_id}).scalar_one()
    refuse_beside_undo(session, job_id)
    return is_undone


def _refuse(setting: OrderSetting, outcome: Outcome, now: datetime) -> None:
    order, in_review = setting.order, setting.is_in_review
    if order.state in OPEN_STATES:
        possible = [Outcome.NEVER_PLACED, Outcome.PLACED]
    elif order.state is OrderState.SUCCEEDED and in_review:
        possible = [Outcome.WRITTEN_OFF]
    else:
        possible = []
    if outcome not in possible:
        ways = f"possible: {', '.join(possible)}" if possible else "nothing is left to decide"
        raise OrderNotOpen(
            f"The order is {order.state}; {ways}. Nothing was changed.",
            extra={"state": order.state.value, "outcomes": [way.value for way in possible]},
        )
    if not in_review and now - (order.sent_at or order.created_at) < RESOLVED_AFTER:
        raise OrderTooYoung


def _reopened(session: Session, order: OrderInHand) -> OrderSetting:
    """The setting once nobody need look any more: its item is open again, and its job if ended."""
    mark_reviewed(session, order)
    if order.job_id is not None:
        values = {"job": order.job_id, "position": order.position}
        session.execute(_REOPEN_JOB, values)
        session.execute(_REOPEN_ITEM, values)
    return set_order(session, order.id)


def _ask_again(
    session: Session, order: OrderInHand, vendor_order_id: str | None, now: datetime
) -> None:
    """Recovery looks by the vendor's own number if the person has it, else by our reference.

    A number given now takes the place of any earlier one, which may have been mistyped.
    """
    state = OrderState.ACCEPTED if vendor_order_id is not None else order.state
    move_order(session, order, state, now=now, code=VOUCHED, vendor_order_id=vendor_order_id)
    recover_later(session, order, now=now, run_after=now)


def _audit(
    session: Session, order: OrderInHand, outcome: Outcome, *, reason: str, actor_id: UUID
) -> None:
    record(
        session,
        "provider_order.resolved",
        object_kind="provider_order",
        object_id=order.id,
        actor_id=actor_id,
        agency_id=order.agency_id,
        client_id=order.client_id,
        job_id=order.job_id,
        detail={
            "vendor": order.vendor,
            "was": order.state.value,
            "outcome": outcome.value,
            "reason": reason,
        },
    )
