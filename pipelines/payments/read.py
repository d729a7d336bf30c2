"""Payments as rows: found, locked, and seen."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.errors import NotFound
from pipelines.payments.facts import Facts
from pipelines.payments.news import News

_ONE = text("SELECT * FROM payments WHERE id = :payment")
_LOCKED = text("SELECT * FROM payments WHERE id = :payment FOR NO KEY UPDATE")
_NAMED = text("""
SELECT id FROM payments
WHERE id = CAST(:payment AS uuid) OR session_id = :session OR payment_intent_id = :intent
ORDER BY id = CAST(:payment AS uuid) DESC NULLS LAST, session_id = :session DESC NULLS LAST
LIMIT 1
""")
_REFUNDS = text("""
SELECT id, refund_id, state, amount_minor, units, reason, note, failure_code, created_by, created_at
FROM refunds WHERE payment_id = :payment ORDER BY id
""")
_DISPUTES = text("""
SELECT dispute_id, status, amount_minor, reason, as_of, created_at
FROM disputes WHERE payment_id = :payment ORDER BY id
""")


def payment_row(session: Session, payment_id: UUID, *, is_locked: bool = False) -> Row[Any]:
    """One payment; `NotFound` if this scope cannot see it."""
    statement = _LOCKED if is_locked else _ONE
    row = session.execute(statement, {"payment": payment_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def payment_named(session: Session, news: News) -> UUID | None:
    """The payment that news is of, by whatever names it."""
    values = {
        "payment": news.payment_id,
        "session": news.session_id,
        "intent": news.payment_intent_id,
    }
    if not any(values.values()):
        return None
    found: UUID | None = session.execute(_NAMED, values).scalar_one_or_none()
    return found


def facts_of(row: Row[Any]) -> Facts:
    """What a row knows of its payment."""
    return Facts(
        amount_minor=row.amount_minor,
        currency=row.currency,
        session_status=row.session_status,
        payment=row.payment,
        paid_minor=row.paid_minor,
        paid_currency=row.paid_currency,
        charge_refunded_minor=row.charge_refunded_minor,
        is_accepted=row.is_accepted,
    )


def refunds_of(session: Session, payment_id: UUID) -> list[Row[Any]]:
    """What was paid back, or is to be, oldest first."""
    return list(session.execute(_REFUNDS, {"payment": payment_id}))


def disputes_of(session: Session, payment_id: UUID) -> list[Row[Any]]:
    """Who asked the payment back, oldest first."""
    return list(session.execute(_DISPUTES, {"payment": payment_id}))
