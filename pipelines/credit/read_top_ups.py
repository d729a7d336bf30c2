"""Top-ups as their readers see them."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.errors import NotFound

_TOP_UPS = """
SELECT t.id, t.account_id, t.transfer_id, t.created_by, t.created_at, m.state, m.amount_minor,
    m.currency, m.refunded_minor, m.is_disputed, m.session_id, m.session_url, m.session_expires_at
FROM top_ups t JOIN payments m ON m.id = t.id
"""
_ONE = text(_TOP_UPS + "WHERE t.id = :id")
_LIST = text(
    _TOP_UPS
    + "WHERE (CAST(:before AS uuid) IS NULL OR t.id < :before) ORDER BY t.id DESC LIMIT :limit"
)
_OF_ACCOUNT = text(_TOP_UPS + "WHERE t.account_id = :account ORDER BY t.id DESC LIMIT :limit")
_PAID_ON = text(_TOP_UPS + "WHERE t.account_id = :account AND m.session_id = :page")
_LAST_BEGUN = text(
    _TOP_UPS + "WHERE t.account_id = :account AND t.created_by = :actor ORDER BY t.id DESC LIMIT 1"
)


def read_top_up(session: Session, top_up_id: UUID) -> Row[Any]:
    """One top-up; `NotFound` if this scope cannot see it."""
    row = session.execute(_ONE, {"id": top_up_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def list_top_ups(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    """Top-ups this scope can see, newest first."""
    return list(session.execute(_LIST, {"before": before, "limit": limit}))


def top_ups_of(session: Session, account_id: UUID, *, limit: int) -> list[Row[Any]]:
    """Top-ups of one account, newest first."""
    return list(session.execute(_OF_ACCOUNT, {"account": account_id, "limit": limit}))


def top_up_paid_on(session: Session, account_id: UUID, page_id: str) -> Row[Any] | None:
    """The account's top-up whose page at Stripe has this id."""
    return session.execute(_PAID_ON, {"account": account_id, "page": page_id}).one_or_none()


def last_top_up(session: Session, account_id: UUID, actor_id: UUID) -> Row[Any] | None:
    """What this person began last for the account."""
    return session.execute(_LAST_BEGUN, {"account": account_id, "actor": actor_id}).one_or_none()


def top_up_json(row: Row[Any]) -> dict[str, Any]:
    """A top-up; amounts in minor units."""
    return {
        "id": row.id,
        "account_id": row.account_id,
        "state": row.state,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "refunded_minor": row.refunded_minor,
        "is_disputed": row.is_disputed,
        "transfer_id": row.transfer_id,
        "session_id": row.session_id,
        "checkout_url": row.session_url,
        "expires_at": row.session_expires_at if row.session_url else None,
        "created_by": row.created_by,
        "created_at": row.created_at,
    }
