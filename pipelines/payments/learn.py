"""Learn something of a payment, and let what is paid with it follow: in one transaction, any order.

Locked are the payment, then what hangs on it. The same news twice changes nothing (EC-008).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.payments import Paid, PaymentState, RefundState
from pipelines.alerts.payment_kinds import REFUND_FAILED, SECOND_PAYMENT
from pipelines.alerts.raise_alert import raise_alert
from pipelines.payments.facts import (
    DisputeStanding,
    Facts,
    Refunds,
    is_of_another,
    later_refund,
    learned,
    refunded_minor,
    standing_of,
    state_of,
)
from pipelines.payments.news import News
from pipelines.payments.read import facts_of, payment_row
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_WRITE = text("""
UPDATE payments SET state = :state, session_status = :session_status,
    session_id = coalesce(session_id, :session), session_url = :url,
    payment_intent_id = coalesce(payment_intent_id, :intent), card = coalesce(card, :card),
    payment = :payment,
    paid_minor = :paid, paid_currency = :currency, charge_refunded_minor = :charge_refunded,
    refunded_minor = :refunded, is_accepted = :is_accepted, is_disputed = :is_disputed,
    last_failure_code = coalesce(:failure, last_failure_code),
    paid_at = CASE WHEN :is_paid THEN coalesce(paid_at, CAST(:now AS timestamptz)) END,
    ended_at = CASE WHEN :is_over THEN coalesce(ended_at, CAST(:now AS timestamptz)) END,
    version = version + 1
WHERE id = :id
RETURNING *
""")
_REFUND = text("""
SELECT id, state, refund_id, failure_code FROM refunds
WHERE payment_id = :payment AND (refund_id = :refund OR id = CAST(:ours AS uuid))
""")
_REFUND_IS = text("""
UPDATE refunds SET refund_id = coalesce(refund_id, :refund), state = :state,
    failure_code = coalesce(:failure, failure_code)
WHERE id = :id
""")
_REFUND_IS_NEW = text("""
INSERT INTO refunds (id, agency_id, client_id, payment_id, refund_id, state, amount_minor, reason,
                     failure_code, created_at)
SELECT :id, agency_id, client_id, id, :refund, :state, :amount, 'outside', :failure, :now
FROM payments WHERE id = :payment
""")
_SUMS = text("""
SELECT coalesce(sum(amount_minor) FILTER (WHERE state IN ('pending', 'succeeded')), 0) AS standing,
    coalesce(sum(amount_minor) FILTER (WHERE state = 'failed'), 0) AS failed
FROM refunds WHERE payment_id = :payment
""")
_DISPUTED = text("""
INSERT INTO disputes (id, agency_id, client_id, payment_id, dispute_id, status, amount_minor,
                      reason, as_of, created_at)
SELECT :id, agency_id, client_id, id, :dispute, :status, :amount, :reason, :as_of, :now
FROM payments WHERE id = :payment
ON CONFLICT (dispute_id) DO UPDATE SET status = excluded.status, as_of = excluded.as_of
  WHERE disputes.status <> excluded.status AND (disputes.as_of < excluded.as_of
     OR (disputes.as_of = excluded.as_of AND NOT disputes.status = ANY(:closed)))
""")
_STATUSES = text("SELECT status FROM disputes WHERE payment_id = :payment")
_CLOSED = ["won", "lost", "warning_closed", "prevented"]

#: What is over needs no page any more.
_OVER = frozenset(PaymentState) - {
    PaymentState.OPEN,
    PaymentState.PROCESSING,
    PaymentState.MISMATCHED,
}


@dataclass(frozen=True, slots=True)
class Learned:
    """A payment before and after somebody told something of it."""

    before: Row[Any]
    after: Row[Any]
    news: News

    @property
    def is_news(self) -> bool:
        """Whether any of it was not known."""
        return self.before != self.after

    @property
    def state(self) -> PaymentState:
        return PaymentState(self.after.state)


#: Lets what is paid for follow its payment; called with the payment locked, as often as it changes.
Follow = Callable[[Session, Learned, datetime], None]
Followers = Mapping[str, Follow]


def learn(
    session: Session, payment_id: UUID, news: News, *, followers: Followers, now: datetime
) -> Learned:
    """Take in what was told of a payment; what is paid for follows if that changed anything.

    Raises `NotFound` for a payment that this scope cannot see.
    """
    before = payment_row(session, payment_id, is_locked=True)
    if _is_of_another(before, news):
        _alert_of_another(session, before, news, now)
        return Learned(before, before, news)
    changed = _take_refund(session, before, news, now)
    changed |= _take_dispute(session, payment_id, news, now)
    facts = learned(facts_of(before), news)
    return _settle(session, before, facts, news, followers, now, is_changed=changed)


def accept(session: Session, payment_id: UUID, *, followers: Followers, now: datetime) -> Learned:
    """A person takes another amount than was asked for (EC-049)."""
    before = payment_row(session, payment_id, is_locked=True)
    facts = facts_of(before)
    taken = Facts(
        **{name: getattr(facts, name) for name in Facts.__slots__} | {"is_accepted": True}
    )
    return _settle(session, before, taken, News(), followers, now)


def _is_of_another(payment: Row[Any], news: News) -> bool:
    """Of a page that is not the payment's, or of a second payment: it is no word about this one."""
    return is_of_another(payment.session_id, news.session_id) or is_of_another(
        payment.payment_intent_id, news.payment_intent_id
    )


def _alert_of_another(session: Session, payment: Row[Any], news: News, now: datetime) -> None:
    if news.payment != Paid.PAID:
        return
    raise_alert(
        session,
        SECOND_PAYMENT,
        subject_id=payment.id,
        detail={"session": news.session_id, "payment_intent": news.payment_intent_id},
        now=now,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
    )


def _settle(
    session: Session,
    before: Row[Any],
    facts: Facts,
    news: News,
    followers: Followers,
    now: datetime,
    *,
    is_changed: bool = False,
) -> Learned:
    sums = session.execute(_SUMS, {"payment": before.id}).one()
    refunded = refunded_minor(facts, Refunds(int(sums.standing), int(sums.failed)))
    state = state_of(facts, refunded_minor=refunded)
    is_disputed = _is_disputed(session, before.id)
    url = before.session_url or news.session_url
    values = {
        "id": before.id,
        "now": now,
        "state": state.value,
        "session_status": facts.session_status,
        "session": news.session_id,
        "url": url if state is PaymentState.OPEN else None,
        "intent": news.payment_intent_id,
        "card": news.card,
        "payment": facts.payment,
        "paid": facts.paid_minor,
        "currency": facts.paid_currency,
        "charge_refunded": facts.charge_refunded_minor,
        "refunded": refunded,
        "is_accepted": facts.is_accepted,
        "is_disputed": is_disputed,
        "failure": news.failure_code if news.refund_id is None else None,
        "is_over": state in _OVER,
        "is_paid": facts.is_paid,
    }
    if not is_changed and not _says_more(before, values):
        return Learned(before, before, news)
    after = session.execute(_WRITE, values).one()
    found = Learned(before, after, news)
    log.info("payment.learned", payment_id=str(before.id), was=before.state, state=state.value)
    followers[before.purpose](session, found, now)
    return found


def _says_more(before: Row[Any], values: Mapping[str, Any]) -> bool:
    """Whether writing this would change the row."""
    same = {
        "state": before.state,
        "session_status": before.session_status,
        "url": before.session_url,
        "payment": before.payment,
        "paid": before.paid_minor,
        "currency": before.paid_currency,
        "charge_refunded": before.charge_refunded_minor,
        "refunded": before.refunded_minor,
        "is_accepted": before.is_accepted,
        "is_disputed": before.is_disputed,
    }
    if any(values[name] != known for name, known in same.items()):
        return True
    if values["failure"] not in {None, before.last_failure_code}:
        return True
    if before.card is None and values["card"] is not None:
        return True
    is_named = before.session_id is None and values["session"] is not None
    return is_named or (before.payment_intent_id is None and values["intent"] is not None)


def _take_refund(session: Session, payment: Row[Any], news: News, now: datetime) -> bool:
    """Whether something new was told of a refund; one that failed waits for a person."""
    if news.refund_id is None or news.refund_state is None or not news.refund_minor:
        return False
    values = {"payment": payment.id, "refund": news.refund_id, "ours": news.our_refund_id}
    known = session.execute(_REFUND, values).one_or_none()
    told = values | {"state": news.refund_state, "failure": news.failure_code}
    if known is None:
        more = {"id": new_id(), "amount": news.refund_minor, "now": now}
        session.execute(_REFUND_IS_NEW, told | more)
        _alert_of_failure(session, payment, news, now)
        return True
    state = later_refund(known.state, news.refund_state)
    if state == known.state and known.refund_id is not None:
        return False
    failure = news.failure_code if state == RefundState.FAILED else None
    session.execute(_REFUND_IS, told | {"id": known.id, "state": state, "failure": failure})
    if state != known.state:
        _alert_of_failure(session, payment, news, now)
    return True


def _alert_of_failure(session: Session, payment: Row[Any], news: News, now: datetime) -> None:
    if news.refund_state == RefundState.FAILED:
        detail = {"refund_id": news.refund_id, "reason": news.failure_code}
        alert_of_failed_refund(session, payment, detail, now)


def alert_of_failed_refund(
    session: Session, payment: Row[Any], detail: Mapping[str, str | int | None], now: datetime
) -> None:
    """Money that was to go back did not: somebody has to pay it back in another way."""
    raise_alert(
        session,
        REFUND_FAILED,
        subject_id=payment.id,
        detail=detail,
        now=now,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
    )


def _take_dispute(session: Session, payment_id: UUID, news: News, now: datetime) -> bool:
    """Whether something new was told of a dispute."""
    if news.dispute_id is None or news.dispute_status is None or news.at is None:
        return False
    values = {
        "id": new_id(),
        "payment": payment_id,
        "dispute": news.dispute_id,
        "status": news.dispute_status,
        "amount": news.dispute_minor or 0,
        "reason": news.dispute_reason or "",
        "as_of": datetime.fromisoformat(news.at),
        "now": now,
        "closed": _CLOSED,
    }
    return bool(session.execute(_DISPUTED, values).rowcount)  # type: ignore[attr-defined]


def _is_disputed(session: Session, payment_id: UUID) -> bool:
    """Whether a bank has the money, or may have it soon."""
    statuses = session.execute(_STATUSES, {"payment": payment_id}).scalars()
    standing = {standing_of(status) for status in statuses}
    return not standing.isdisjoint({DisputeStanding.OPEN, DisputeStanding.LOST})
