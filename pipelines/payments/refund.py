"""Pay back: written down before Stripe is asked, under a key of its own, so that it happens once."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, transaction
from models.payments import Refund, RefundState
from pipelines.payments.amounts import Unpayable, to_stripe
from pipelines.payments.learn import Followers, Learned, alert_of_failed_refund, learn
from pipelines.payments.news import News, news_of_refund
from pipelines.payments.read import payment_row
from pipelines.payments.refusals import InvalidPrecision, NothingToRefund
from pipelines.providers.stripe_answers import (
    Answer,
    Away,
    FailureKept,
    Refused,
    Told,
    ToldMany,
)
from pipelines.providers.stripe_door import StripeDoor
from pipelines.queue.defer import defer
from pipelines.queue.kinds import SEND_REFUND
from pipelines.queue.work import TaskInHand, fence, finish, postpone
from pipelines.telemetry import get_logger, scrub_text

log = get_logger(__name__)

#: While Stripe cannot be asked, or has not told us yet what was paid.
LOOK_AGAIN = timedelta(minutes=1)
#: Stripe forgets a key after a day: from then on its list says whether a refund was made.
KEY_LASTS = timedelta(hours=23)

_ASKED = text("""
SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = :payment AND state = 'asked'
""")
_REFUND = text("SELECT * FROM refunds WHERE id = :refund")
_FAILED = text("""
UPDATE refunds SET state = 'failed', failure_code = :code WHERE id = :refund AND state = 'asked'
""")
_NEXT_KEY = text("""
UPDATE refunds SET send_key = :key + 1 WHERE id = :refund AND send_key = :key
""")


def refundable_minor(session: Session, payment: Row[Any]) -> int:
    """How much of a payment can still be asked for: what Stripe has yet to answer is gone already.

    Below zero while Stripe has told of money that went back, and not yet by which refund. Of a payment
    that is locked it stays so.
    """
    asked = int(session.execute(_ASKED, {"payment": payment.id}).scalar_one())
    return int(payment.paid_minor or 0) - int(payment.refunded_minor) - asked


def ask_refund(
    session: Session,
    payment: Row[Any],
    amount_minor: int,
    *,
    reason: str,
    actor_id: UUID | None,
    now: datetime,
    note: str | None = None,
    units: Mapping[int, int] | None = None,
) -> UUID:
    """Have so much of a payment, which is locked, paid back; the refund's id.

    `reason` is our own name of why, `note` a person's words, kept as the audit log keeps them. `units`
    of the lines of a purchase are what it pays for, by their places.

    Raises `NothingToRefund` for more than is left of it, what is asked for already included, and
    `InvalidPrecision`.
    """
    left = refundable_minor(session, payment)
    if not 0 < amount_minor <= left:
        raise NothingToRefund(left)
    currency = payment.paid_currency or payment.currency
    try:
        to_stripe(amount_minor, currency)
    except Unpayable:
        raise InvalidPrecision(amount_minor, currency) from None
    identity = new_id()
    session.execute(
        insert(Refund).values(
            id=identity,
            agency_id=payment.agency_id,
            client_id=payment.client_id,
            payment_id=payment.id,
            amount_minor=amount_minor,
            reason=reason,
            note=None if note is None else scrub_text(note),
            units={str(place): many for place, many in units.items()} if units else None,
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
        now = clock.now(session)
    answer: Answer | None = None
    if door is not None and _is_to_be_sent(refund) and payment.payment_intent_id is not None:
        is_old = refund.created_at < now - KEY_LASTS
        answer = _made_already(door, payment, refund) if is_old else None
        answer = answer or _sent(door, payment, refund)
        if isinstance(answer, FailureKept):
            answer = _made_already(door, payment, refund) or answer
    with transaction(sessions) as session:
        fence(session, task)
        _write(session, task, payment, refund, answer, followers=followers, draw=draw)


def _is_to_be_sent(refund: Row[Any]) -> bool:
    """An event may have told of it before its own answer came."""
    return refund.state == RefundState.ASKED and refund.refund_id is None


def _sent(door: StripeDoor, payment: Row[Any], refund: Row[Any]) -> Answer:
    amount = to_stripe(refund.amount_minor, payment.paid_currency or payment.currency)
    names = {"refund_id": str(refund.id), "payment_id": str(payment.id)}
    key = f"refund:{refund.id}:{refund.send_key}"
    return door.refund(payment.payment_intent_id, amount, names, key=key)


def _made_already(door: StripeDoor, payment: Row[Any], refund: Row[Any]) -> Answer | None:
    """The refund if Stripe has it; None if it surely has not; what it answers if it cannot say."""
    page = door.refunds(payment.payment_intent_id)
    if not isinstance(page, ToldMany):
        return page
    for thing in page.things:
        if (thing.get("metadata") or {}).get("refund_id") == str(refund.id):
            return Told(thing)
    return Away("too_many_refunds") if page.has_more else None


def _write(
    session: Session,
    task: TaskInHand,
    payment: Row[Any],
    refund: Row[Any],
    answer: Answer | None,
    *,
    followers: Followers,
    draw: Callable[[], float],
) -> None:
    now = clock.now(session)
    match answer:
        case Told(thing=thing):
            news = news_of_refund(thing)
            learn(session, payment.id, news, followers=followers, now=now)
        case Refused(code=code):
            _failed(session, refund, code, followers=followers, now=now)
        case _ if _is_to_be_sent(refund):
            if isinstance(answer, FailureKept):
                # It made none, and answers this key no other way for a day.
                session.execute(_NEXT_KEY, {"refund": refund.id, "key": refund.send_key})
            until = now + LOOK_AGAIN * (0.5 + draw() / 2)
            postpone(session, task, until=until, reason="payment_provider")
            return
    finish(session, task)


def _failed(
    session: Session, refund: Row[Any], code: str, *, followers: Followers, now: datetime
) -> None:
    """Stripe will not pay it back: a person has to. What an event told meanwhile stands.

    What is paid for follows, because it was to go back.
    """
    payment = payment_row(session, refund.payment_id, is_locked=True)
    values = {"refund": refund.id, "code": code}
    if not session.execute(_FAILED, values).rowcount:  # type: ignore[attr-defined]
        return
    detail = {"refund_id": str(refund.id), "reason": code}
    alert_of_failed_refund(session, payment, detail, now)
    log.error("refund.refused", refund_id=str(refund.id), code=code)
    followers[payment.purpose](session, Learned(payment, payment, News()), now)
