"""End an order's work that cannot go on: free it if it was never sent, else ask a person."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models.cards import OrderState
from pipelines.limits import Limits
from pipelines.provisioning.order_outcome import set_order, write_refusal, write_review
from pipelines.provisioning.orders import ask_soon, move_order
from pipelines.queue.work import TaskInHand

_OVER = {OrderState.SUCCEEDED, OrderState.REFUSED, OrderState.CANCELLED}


def give_up_order(session: Session, task: TaskInHand, now: datetime, *, limits: Limits) -> None:
    """The attempts to place or to recover it are spent, or it kills its workers."""
    setting = set_order(session, UUID(task.args["order_id"]))
    if setting.order.state in _OVER:
        return
    if setting.order.state is OrderState.SENT:
        # Whether the vendor has it is not known yet: asking is recovery's work, not a person's.
        move_order(session, setting.order, OrderState.UNKNOWN, now=now, code="internal_error")
        ask_soon(session, setting.order, now=now, limits=limits)
        return
    if setting.order.state is OrderState.CREATED:
        write_refusal(
            session, setting, OrderState.CANCELLED, code="internal_error", now=now, limits=limits
        )
        return
    write_review(
        session,
        setting,
        code="internal_error",
        detail="An internal error left this order open; a person must look.",
        now=now,
        limits=limits,
    )
