"""Pay back: written down before Stripe is asked, under a key of its own, so that it happens once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, transaction
from models.payments import Refund
from pipelines.payments.amounts import to_stripe
from pipelines.payments.learn import Followers, alert_of_failed_refund, learn
from pipelines.payments.news import news_of_refund
from pipelines.payments.read import payment_row
from pipelines.payments.refusals import NothingToRefund
from pipelines.providers.stripe_answers import Refused, Told
from pipelines.providers.stripe_door import StripeDoor
from pipelines.queue.defer import defer
from pipelines.queue.kinds import SEND_REFUND
from pipelines.queue.work import TaskInHand, fence, finish, postpone
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: While Stripe cannot be asked, or has not told us yet what was paid.
LOOK_AGAIN = timedelta(minutes=1)

_ASKED = text("""
SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = :payment AND state = 'asked'
""")
_REFUND = text("SELECT * FROM refunds WHERE id = :refund")
_FAILED = text("UPDATE refunds SET state = 'failed', failure_code = :code WHERE id = :refund")


def ask_refund(
    session: Session,
    payment: Row[Any],
    amount_minor: int,
    *,
    reason: str,
    actor_id: UUID | None,
    now: datetime,
) -> UUID:
    """Have so much of a payment, which is locked, paid back; the refund's id.

    Raises `NothingToRefund` for more than is left of it, what is asked for already included.
    """
    asked = int(session.execute(_ASKED, {"payment": payment.id}).scalar_one())
    left = (payment.paid_minor or 0) - payment.refunded_minor - asked
    if not 0 < amount_minor <= left:
        raise NothingToRefund(left)
    identity = new_id()
    session.execute(
        insert(Refund).values(
            id=identity,
            agency_id=payment.agency_id,
            client_id=payment.client_id,
            payment_id=payment.id,
            amount_minor=amount_minor,
            reason=reason,
            created_by=actor_id,
            created_at=now,
        )
    )
    defer(session, SEND_REFUND, args={"refund_id": str(identity)}, now=now)
    return identity


def send_refund(
    sessions: Sessions,
    task: TaskInHand,
    *,
    door: StripeDoor | None,
    followers: Followers,
    draw: Callable[[], float],
) -> None:
    """The work of SEND_REFUND: as long as Stripe gives no answer it is asked again, under one key."""
    with transaction(sessions) as session:
        refund = session.execute(_REFUND, {"refund": UUID(task.args["refund_id"])}).one()
        payment = payment_row(session, refund.payment_id)
    answer = None
    if door is not None and payment.payment_intent_id is not None:
        amount = to_stripe(refund.amount_minor, payment.paid_currency or payment.currency)
        names = {"refund_id": str(refund.id), "payment_id": str(payment.id)}
        answer = door.refund(payment.payment_intent_id, amount, names, key=f"refund:{refund.id}")
    with transaction(sessions) as session:
        fence(session, task)
        now = clock.now(session)
        match answer:
            case Told(thing=thing):
                news = news_of_refund(thing)
                learn(session, payment.id, news, followers=followers, now=now)
            case Refused(code=code):
                _failed(session, payment, refund, code, now)
            case _:
                until = now + LOOK_AGAIN * (0.5 + draw() / 2)
                postpone(session, task, until=until, reason="payment_provider")
                return
        finish(session, task)


def _failed(
    session: Session, payment: Row[Any], refund: Row[Any], code: str, now: datetime
) -> None:
    """Stripe will not pay it back: a person has to."""
    session.execute(_FAILED, {"refund": refund.id, "code": code})
    detail = {"refund_id": str(refund.id), "reason": code}
    alert_of_failed_refund(session, payment, detail, now)
    log.error("refund.refused", refund_id=str(refund.id), code=code)
