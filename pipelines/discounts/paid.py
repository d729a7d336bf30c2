"""A cart that was paid lately is not sold once more, whatever codes it has (EC-003, EC-018)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.payments import PaymentState
from pipelines.discounts.refusals import CartPaid, PaymentUnderWay

#: Longer than any page is open, and shorter than it takes to want the same once more: a shop may give a
#: cart's id, and what is in it, to its customer's next purchase.
PAID_LATELY = timedelta(days=1)

_PAID = text("""
SELECT p.id, m.state FROM purchases p JOIN payments m ON m.id = p.id
WHERE p.client_id = :client AND p.cart_reference = :cart AND p.cart_digest = :digest
  AND p.customer_keys && CAST(:keys AS bytea[]) AND p.refused IS NULL
  AND (m.state IN ('processing', 'mismatched') OR (m.state = 'succeeded' AND m.paid_at > :since))
ORDER BY p.id DESC LIMIT 1
""")


def refuse_paid(
    session: Session,
    client_id: UUID,
    reference: str,
    digest: str,
    keys: Sequence[bytes],
    *,
    now: datetime,
) -> None:
    """Raise `CartPaid` for a cart that this customer paid within a day, and `PaymentUnderWay` while it is paid.

    It is the same cart if its id is, and what is in it; what went back whole is not paid.
    """
    values = {"client": client_id, "cart": reference, "digest": digest, "keys": list(keys)}
    paid = session.execute(_PAID, values | {"since": now - PAID_LATELY}).one_or_none()
    if paid is not None:
        refuse_by(paid.id, PaymentState(paid.state))


def refuse_by(purchase_id: UUID, state: PaymentState) -> None:
    """Raise what a cart is refused for whose purchase stands so; nothing where nobody pays it any more."""
    if state in {PaymentState.EXPIRED, PaymentState.FAILED, PaymentState.REFUNDED}:
        return
    if state is PaymentState.SUCCEEDED:
        raise CartPaid(purchase_id)
    raise PaymentUnderWay
