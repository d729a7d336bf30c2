"""Money that confirms nothing is paid back: too late for a slot, a second time, or refused by a person."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.discounts.release import ReleaseReason, release
from pipelines.payments.refund import ask_refund, refundable_minor

_REFUSE = text("""
UPDATE purchases SET refused = :why, is_live = false WHERE id = :purchase AND refused IS NULL
""")


_WAITS = text("""
SELECT 1 FROM discount_usages
WHERE id = :usage AND state = 'reserved' AND purchase_id = :purchase
""")


class RefusedFor(StrEnum):
    LATE = "late"
    PAID_TWICE = "paid_twice"
    REJECTED = "rejected"


def refuse_money(
    session: Session,
    payment: Row[Any],
    why: RefusedFor,
    *,
    now: datetime,
    note: str | None = None,
) -> None:
    """Have all that was paid with this purchase paid back, once; its payment is locked.

    What was asked for before goes back by itself. `note` is a person's words, if a person decided.
    """
    values = {"purchase": payment.id, "why": why.value}
    if not session.execute(_REFUSE, values).rowcount:  # type: ignore[attr-defined]
        return
    left = max(0, refundable_minor(session, payment))
    if left > 0:
        ask_refund(session, payment, left, reason=why.value, note=note, actor_id=None, now=now)
    record(
        session,
        "purchase.refused",
        object_kind="purchase",
        object_id=payment.id,
        actor_id=None,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
        detail={"reason": why.value, "amount_minor": left},
    )


def give_slot_back(
    session: Session,
    purchase: Row[Any],
    reason: ReleaseReason,
    *,
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """The slot that waited for a purchase whose money is not kept is free again."""
    values = {"usage": purchase.usage_id, "purchase": purchase.id}
    if session.execute(_WAITS, values).one_or_none() is not None:
        release(
            session,
            purchase.usage_id,
            reason,
            now=now,
            actor_id=actor_id,
            purchase_id=purchase.id,
        )
