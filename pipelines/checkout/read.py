"""Purchases as their readers see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.discounts.read import codes_json, codes_of
from pipelines.errors import NotFound

_PURCHASES = f"""
SELECT p.id, p.agency_id, p.client_id, p.usage_id, p.cart_reference, p.quote, p.user_id, p.is_late,
    p.refused, p.review, p.created_at, m.state AS payment_state, m.amount_minor, m.currency, m.session_id,
    m.session_url, m.session_expires_at, m.payment_intent_id, m.paid_minor, m.paid_currency,
    m.refunded_minor, m.is_disputed, m.last_failure_code, m.ended_at, m.version,
    u.state AS usage_state, u.code_id, u.is_overflow OR EXISTS (
      SELECT FROM discount_usages s WHERE s.stacked_on = u.id AND s.is_overflow) AS is_overflow,
    u.purchase_id IS NOT DISTINCT FROM p.id AS is_its_slot, {codes_of("p.usage_id")} AS codes
FROM purchases p JOIN payments m ON m.id = p.id LEFT JOIN discount_usages u ON u.id = p.usage_id
"""
#: What a purchase is called, beside its payment's state.
STATES = ("pending", "processing", "confirmed", "paid", "refunded", "failed", "expired")
_STATE = """
CASE m.state WHEN 'open' THEN 'pending' WHEN 'mismatched' THEN 'paid'
  WHEN 'succeeded' THEN CASE WHEN p.refused IS NULL AND p.review IS NULL
    THEN 'confirmed' ELSE 'paid' END
  ELSE m.state END
"""
_ONE = text(_PURCHASES + "WHERE p.id = :purchase")
_LIST = text(
    _PURCHASES
    + f"""
WHERE (CAST(:before AS uuid) IS NULL OR p.id < :before)
  AND (CAST(:client AS uuid) IS NULL OR p.client_id = :client)
  AND (CAST(:discounts AS uuid[]) IS NULL OR u.code_id = ANY (CAST(:discounts AS uuid[])) OR EXISTS (
    SELECT FROM discount_usages s WHERE s.stacked_on = u.id AND s.code_id = ANY (CAST(:discounts AS uuid[]))))
  AND (CAST(:state AS text) IS NULL OR {_STATE} = :state)
  AND (NOT :is_disputed OR m.is_disputed)
ORDER BY p.id DESC LIMIT :limit
"""
)


@dataclass(frozen=True, slots=True)
class WantedPurchases:
    """Which purchases of a list; None asks for any."""

    client_id: UUID | None = None
    #: Any of these codes: clients may have one of the same text.
    discount_ids: Sequence[UUID] | None = None
    state: str | None = None
    is_disputed: bool = False


def read_purchase(session: Session, purchase_id: UUID) -> Row[Any]:
    """One purchase; `NotFound` if this scope cannot see it."""
    row = session.execute(_ONE, {"purchase": purchase_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def list_purchases(
    session: Session, wanted: WantedPurchases, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """Purchases this scope can see, newest first; `before` is the last id of the page before."""
    values = {
        "before": before,
        "client": wanted.client_id,
        "discounts": None if wanted.discount_ids is None else list(wanted.discount_ids),
        "state": wanted.state,
        "is_disputed": wanted.is_disputed,
        "limit": limit,
    }
    return list(session.execute(_LIST, values))


def state_of_purchase(row: Row[Any]) -> str:
    """What its readers call the state: `paid` is money that confirms nothing yet."""
    match row.payment_state:
        case "open":
            return "pending"
        case "succeeded":
            return "confirmed" if row.refused is None and row.review is None else "paid"
        case "mismatched":
            return "paid"
        case other:
            return str(other)


def purchase_json(row: Row[Any]) -> dict[str, Any]:
    """A purchase; amounts in minor units."""
    return {
        "id": row.id,
        "client_id": row.client_id,
        "state": state_of_purchase(row),
        "reservation_id": row.usage_id,
        "discount_id": row.code_id,
        "codes": codes_json(row.codes),
        "cart_id": row.cart_reference,
        "user_id": row.user_id,
        "quote": row.quote,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "paid_minor": row.paid_minor,
        "paid_currency": row.paid_currency,
        "refunded_minor": row.refunded_minor,
        "is_disputed": row.is_disputed,
        "is_late": row.is_late,
        "is_overflow": bool(row.is_overflow and row.is_its_slot),
        "review": "amount_mismatch" if row.payment_state == "mismatched" else row.review,
        "refused": row.refused,
        "last_failure_code": row.last_failure_code,
        "session_id": row.session_id,
        "checkout_url": row.session_url,
        "expires_at": row.session_expires_at if row.payment_state == "open" else None,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }
