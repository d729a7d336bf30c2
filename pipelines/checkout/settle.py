"""What a person decides of a purchase: to take what was paid, or to pay it back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from models.payments import PaymentState
from pipelines.alerts.payment_kinds import AMOUNT_MISMATCH
from pipelines.alerts.raise_alert import settle_alert
from pipelines.audit.record import record
from pipelines.checkout.read import read_purchase, state_of_purchase
from pipelines.checkout.refuse import RefusedFor, give_slot_back, refuse_money
from pipelines.checkout.returned import paid_for, units_back
from pipelines.discounts.release import ReleaseReason
from pipelines.payments.learn import Followers, accept
from pipelines.payments.read import payment_row
from pipelines.payments.refund import ask_refund, refundable_minor
from pipelines.payments.refusals import NothingToRefund, PaymentEnded
from pipelines.referrals.follow import follow_reward


def accept_purchase(
    session: Session,
    purchase_id: UUID,
    *,
    reason: str,
    followers: Followers,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Take another amount than was asked for; raises `NotFound`, and `PaymentEnded` for any other."""
    payment = payment_row(session, purchase_id, is_locked=True)
    purchase = read_purchase(session, purchase_id)
    if payment.state != PaymentState.MISMATCHED or purchase.refused is not None:
        raise PaymentEnded(purchase_id, state_of_purchase(purchase))
    accept(session, purchase_id, followers=followers, now=now)
    record(
        session,
        "purchase.accepted",
        object_kind="purchase",
        object_id=purchase_id,
        actor_id=actor_id,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
        detail={"reason": reason, "amount_minor": [payment.amount_minor, payment.paid_minor]},
    )


def refund_purchase(
    session: Session,
    purchase_id: UUID,
    *,
    amount_minor: int | None,
    reason: str,
    actor_id: UUID,
    now: datetime,
    returned: Sequence[tuple[int, int]] = (),
) -> UUID:
    """Pay so much of a purchase back, what was paid for the units `returned`, or all that is left.

    `returned`: places of lines, how many of each. All of a payment that waits for a person goes back.
    Its id. Raises `NotFound`, `NothingToRefund`, and `ValidationFailed` for units not there to return.
    """
    payment = payment_row(session, purchase_id, is_locked=True)
    purchase = read_purchase(session, purchase_id)
    if returned:
        amount_minor = paid_for(purchase.quote, returned, units_back(session, purchase_id))
    left = refundable_minor(session, payment)
    amount = left if amount_minor is None else amount_minor
    if payment.state == PaymentState.MISMATCHED and purchase.refused is None:
        if amount != left or left <= 0:
            raise NothingToRefund(left)
        refuse_money(session, payment, RefusedFor.REJECTED, now=now, note=reason)
        give_slot_back(session, purchase, ReleaseReason.MANAGER, now=now, actor_id=actor_id)
        settle_mismatch(session, payment, now)
    else:
        ask_refund(
            session,
            payment,
            amount,
            reason="person",
            note=reason,
            units=dict(returned),
            actor_id=actor_id,
            now=now,
        )
        follow_reward(session, purchase_id, now=now)
    record(
        session,
        "purchase.refund_asked",
        object_kind="purchase",
        object_id=purchase_id,
        actor_id=actor_id,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
        detail={"reason": reason, "amount_minor": amount, "currency": payment.currency},
    )
    return purchase_id


def settle_mismatch(session: Session, payment: Row[Any], now: datetime) -> None:
    """Somebody has decided about an odd amount."""
    settle_alert(
        session,
        AMOUNT_MISMATCH,
        subject_id=payment.id,
        now=now,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
    )
