"""Purchases as their readers see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.discounts.read import codes_json, codes_of
from pipelines.errors import NotFound

# The codes that it was priced with; one from before they were written down has those of its reservation.
_CODES = f"""CASE WHEN p.quote->'codes' IS NULL THEN {codes_of("p.usage_id")} ELSE (
    SELECT jsonb_agg(q.code || jsonb_build_object('is_overflow', coalesce(s.is_overflow, false),
        'restored', s.restored, 'restore_on_refund', d.restore_on_refund) ORDER BY q.place)
    FROM jsonb_array_elements(p.quote->'codes') WITH ORDINALITY AS q (code, place)
    JOIN discount_codes d ON d.id = CAST(q.code->>'code_id' AS uuid)
    LEFT JOIN discount_usages s ON s.code_id = d.id
      AND (s.id = p.usage_id OR s.stacked_on = p.usage_id)) END"""
_PURCHASES = f"""
SELECT p.id, p.agency_id, p.client_id, p.usage_id, p.cart_reference,
    p.quote - ARRAY['code_id', 'codes'] AS quote, p.user_id, p.is_late, p.refused, p.review,
    p.created_at, m.state AS payment_state, m.amount_minor, m.currency, m.session_id,
    m.session_url, m.payment_intent_id, m.paid_minor, m.paid_currency,
    m.refunded_minor, m.is_disputed, m.last_failure_code, m.ended_at, m.version,
    u.state AS usage_state, coalesce(CAST(p.quote->>'code_id' AS uuid), u.code_id) AS code_id,
    u.is_overflow OR EXISTS (
      SELECT FROM discount_usages s WHERE s.stacked_on = u.id AND s.is_overflow) AS is_overflow,
    least(m.session_expires_at,
      CASE WHEN u.purchase_id = p.id THEN u.expires_at END) AS expires_at,
    u.purchase_id IS NOT DISTINCT FROM p.id AS is_its_slot, {_CODES} AS codes
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
  AND (CAST(:discounts AS uuid[]) IS NULL OR p.usage_id IN (
    SELECT coalesce(stacked_on, id) FROM discount_usages
    WHERE code_id = ANY (CAST(:discounts AS uuid[]))))
  AND (CAST(:discounts AS uuid[]) IS NULL OR p.quote->'codes' IS NULL OR EXISTS (
    SELECT FROM unnest(CAST(:discounts AS uuid[])) AS d (id)
    WHERE p.quote->'codes' @> jsonb_build_array(jsonb_build_object('code_id', d.id))))
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
        "expires_at": row.expires_at if row.payment_state == "open" else None,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }
