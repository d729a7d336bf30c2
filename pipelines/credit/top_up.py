"""Credit that is paid for at Stripe: written down, paid, and moved in from outside (EC-077).

A top-up fills the account that it was asked for, from `outside`. What is refunded or disputed of it
is taken back, and what was spent of that is owed (`claw_back.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.ledger import AccountKind, Tier, TransferKind
from models.payments import PaymentPurpose, PaymentState
from models.purchases import TopUp
from pipelines.alerts.payment_kinds import AMOUNT_MISMATCH
from pipelines.alerts.raise_alert import raise_alert
from pipelines.audit.record import record
from pipelines.credit.accounts import PLATFORM_ID, account_id
from pipelines.credit.claw_back import claw_back
from pipelines.credit.follow import follow_movement
from pipelines.credit.read import account
from pipelines.credit.transfer import move
from pipelines.errors import Refusal
from pipelines.payments.begin import Charge, begin_payment
from pipelines.payments.facts import DisputeStanding, standing_of
from pipelines.payments.learn import Learned
from pipelines.payments.read import facts_of
from pipelines.payments.refund import ask_refund, refundable_minor

_TOP_UP = text("SELECT * FROM top_ups WHERE id = :id FOR NO KEY UPDATE")
_MOVED = text("UPDATE top_ups SET transfer_id = :transfer WHERE id = :id")
_DISPUTES = text("""
SELECT amount_minor, status FROM disputes WHERE payment_id = :payment ORDER BY id
""")
# What people took back of it, or reversed, is theirs to give again.
_TRANSFERS = text("""
SELECT t.id, t.amount,
    (SELECT coalesce(sum(claimed), 0) FROM receivables
     WHERE transfer_id = t.id AND dispute_id LIKE :name || ':%') AS claimed,
    CASE WHEN EXISTS (SELECT FROM transfers v WHERE v.reverses_id = t.id) THEN 0
      ELSE t.amount - (SELECT coalesce(sum(claimed), 0) FROM receivables
                       WHERE transfer_id = t.id) END AS room
FROM transfers t
WHERE t.client_ref = :name OR t.client_ref LIKE :name || ':back:%' ORDER BY t.id DESC
""")
_LOST_OR_OPEN = frozenset({DisputeStanding.OPEN, DisputeStanding.LOST})


class NotToppedUp(Refusal):
    """Only credit that a tenant has for itself is paid for."""

    code = "not_topped_up"
    detail = "Name the credit account of the platform, an agency or a client: a campaign is allocated to."


@dataclass(frozen=True, slots=True)
class NewTopUp:
    """So much credit for one account, in its currency; and where its payer comes back to."""

    account_id: UUID
    amount_minor: int
    success_url: str
    cancel_url: str


def begin_top_up(session: Session, new: NewTopUp, *, actor_id: UUID, now: datetime) -> UUID:
    """Write a top-up and its payment down; its id.

    Raises `NotFound`, `NotToppedUp`, and what `check_payable` does.
    """
    target = account(session, new.account_id)
    if target.tier == Tier.CAMPAIGN:
        raise NotToppedUp
    identity = new_id()
    charge = Charge(
        payment_id=identity,
        agency_id=target.agency_id,
        client_id=target.client_id,
        purpose=PaymentPurpose.TOP_UP,
        amount_minor=new.amount_minor,
        currency=target.currency,
        lines=[("Credit", 1, new.amount_minor)],
        reference=identity,
        success_url=new.success_url,
        cancel_url=new.cancel_url,
    )
    begin_payment(session, charge, actor_id=actor_id, now=now)
    session.execute(
        insert(TopUp).values(
            id=identity,
            agency_id=target.agency_id,
            client_id=target.client_id,
            account_id=target.id,
            created_by=actor_id,
        )
    )
    detail = {"amount_minor": new.amount_minor, "currency": target.currency}
    _audit(session, "top_up.begun", target, identity, actor_id, detail)
    return identity


def follow_top_up(session: Session, learned: Learned, now: datetime) -> None:
    """Let credit follow what is known of its payment, which is locked; in the system's scope."""
    if learned.state is PaymentState.MISMATCHED:
        _pay_odd_amount_back(session, learned, now)
    if learned.state not in {PaymentState.SUCCEEDED, PaymentState.REFUNDED}:
        return
    top_up = session.execute(_TOP_UP, {"id": learned.after.id}).one()
    if top_up.transfer_id is None and not facts_of(learned.after).is_good:
        return  # another amount than was asked for, which went back
    if top_up.transfer_id is None:
        _move_in(session, top_up, learned.after.amount_minor, f"top_up:{top_up.id}")
    _take_back_or_give(session, top_up, learned.after, now)


def _take_back_or_give(
    session: Session, top_up: Row[Any], payment: Row[Any], now: datetime
) -> None:
    """What the payer has back, or their bank, is taken; what came home again is given."""
    name = f"top_up:{top_up.id}"
    moved = session.execute(_TRANSFERS, {"name": name}).all()
    given = sum(int(row.amount) for row in moved)
    claimed = sum(int(row.claimed) for row in moved)
    gone = min(payment.amount_minor, payment.refunded_minor + _disputed(session, payment.id))
    more = payment.amount_minor - gone - (given - claimed)
    if more > 0:
        _move_in(session, top_up, more, f"{name}:back:{given}")
    for row in moved:
        taken = min(-more, int(row.room))
        if taken <= 0:
            continue
        more += taken
        claw_back(
            session,
            transfer_id=row.id,
            dispute_id=f"{name}:{row.id}:{row.claimed}",
            amount=taken,
            reason="refunded or disputed at Stripe",
            actor_id=None,
            now=now,
        )


def _pay_odd_amount_back(session: Session, learned: Learned, now: datetime) -> None:
    """Another amount than was asked for is no credit; it is told of, and goes back (EC-049)."""
    payment = learned.after
    if learned.before.state == PaymentState.MISMATCHED:
        return
    raise_alert(
        session,
        AMOUNT_MISMATCH,
        subject_id=payment.id,
        detail={"expected_minor": payment.amount_minor, "actual_minor": payment.paid_minor},
        now=now,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
    )
    left = refundable_minor(session, payment)
    if left > 0:
        ask_refund(session, payment, left, reason="odd_amount", actor_id=None, now=now)


def _disputed(session: Session, payment_id: UUID) -> int:
    """What banks have of it, or may have soon, in minor units."""
    found = session.execute(_DISPUTES, {"payment": payment_id})
    return sum(int(row.amount_minor) for row in found if standing_of(row.status) in _LOST_OR_OPEN)


def _move_in(session: Session, top_up: Row[Any], amount: int, name: str) -> None:
    target = account(session, top_up.account_id)
    outside = account_id(session, PLATFORM_ID, currency=target.currency, kind=AccountKind.OUTSIDE)
    posted = move(
        session,
        kind=TransferKind.TOP_UP,
        source=outside,
        target=target.id,
        amount=amount,
        client_ref=name,
        actor_id=top_up.created_by,
    )
    if top_up.transfer_id is None:
        session.execute(_MOVED, {"id": top_up.id, "transfer": posted.transfer_id})
    follow_movement(session, (outside, target.id))
    detail = {"amount_minor": amount, "currency": target.currency}
    _audit(session, "credit.topped_up", target, top_up.id, None, detail)


def _audit(
    session: Session,
    action: str,
    target: Row[Any],
    top_up_id: UUID,
    actor_id: UUID | None,
    detail: dict[str, Any],
) -> None:
    record(
        session,
        action,
        object_kind="top_up",
        object_id=top_up_id,
        actor_id=actor_id,
        agency_id=target.agency_id,
        client_id=target.client_id,
        detail={**detail, "account_id": str(target.id)},
    )
