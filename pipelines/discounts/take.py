"""Take one slot of a code and write its use down: for a cart without a code, or beside those it has."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.discounts import CodeState
from pipelines.audit.record import record
from pipelines.discounts.cart import Cart
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.refusals import CodeInactive, SlotExhausted
from pipelines.discounts.stacking import Stack

_TAKE_SLOT = text("""
UPDATE discount_codes SET used = used + 1
WHERE id = :code AND state = 'active' AND rules_version = :rules
  AND max_uses_per_customer IS NOT DISTINCT FROM :per_customer
  AND used < coalesce(max_uses, used + 1)
""")
_STANDS = text("""
SELECT state, rules_version, max_uses_per_customer FROM discount_codes WHERE id = :code
""")
_WRITE = text("""
INSERT INTO discount_usages (id, agency_id, client_id, code_id, rules_version, stacked_on,
    cart_reference, cart_digest, quote, currency, subtotal_minor, discount_minor, total_minor,
    user_id, customer_keys, expires_at, created_by)
VALUES (:id, :agency, :client, :code, :rules, :stacked_on, :cart, :digest, :quote, :currency,
    :subtotal, :discount, :total, :user, CAST(:keys AS bytea[]), :expires_at, :by)
ON CONFLICT (client_id, cart_reference) WHERE state = 'reserved' AND stacked_on IS NULL DO NOTHING
""")


class Again(Exception):
    """Somebody was quicker; what is so now decides."""


@dataclass(frozen=True, slots=True)
class Slot:
    """For which cart and customer a slot is, until when, and beside which reservation."""

    cart: Cart
    customer: KnownCustomer
    expires_at: datetime
    stacked_on: UUID | None = None


def take_slot(session: Session, code: Row[Any]) -> None:
    """Count a slot of the code as it was read; raises `CodeInactive`, `SlotExhausted` and `Again`."""
    values = {
        "code": code.id,
        "rules": code.rules_version,
        "per_customer": code.max_uses_per_customer,
    }
    if session.execute(_TAKE_SLOT, values).rowcount:  # type: ignore[attr-defined]
        return
    stands = session.execute(_STANDS, {"code": code.id}).one()
    if stands.state != CodeState.ACTIVE:
        raise CodeInactive
    read = (code.rules_version, code.max_uses_per_customer)
    if (stands.rules_version, stands.max_uses_per_customer) != read:
        raise Again
    raise SlotExhausted


def write_usage(
    session: Session, code: Row[Any], slot: Slot, priced: Stack, *, actor_id: UUID | None
) -> UUID:
    """The use of a slot that was taken; raises `Again` where the cart has a reservation by now."""
    quote, made = priced.quote, new_id()
    values = {
        "id": made,
        "agency": code.agency_id,
        "client": code.client_id,
        "code": code.id,
        "rules": code.rules_version,
        "stacked_on": slot.stacked_on,
        "cart": slot.cart.reference,
        "digest": slot.cart.digest,
        "quote": Jsonb(quote.as_json()),
        "currency": quote.currency,
        "subtotal": quote.subtotal_minor,
        "discount": priced.discounts[code.code],
        "total": quote.total_minor,
        "user": slot.customer.user_id,
        "keys": list(slot.customer.keys),
        "expires_at": slot.expires_at,
        "by": actor_id,
    }
    if not session.execute(_WRITE, values).rowcount:  # type: ignore[attr-defined]
        raise Again
    _tell(session, code, made, slot, priced, actor_id)
    return made


def _tell(
    session: Session,
    code: Row[Any],
    usage_id: UUID,
    slot: Slot,
    priced: Stack,
    actor_id: UUID | None,
) -> None:
    action = "reservation.made" if slot.stacked_on is None else "reservation.code_added"
    record(
        session,
        action,
        object_kind="reservation",
        object_id=slot.stacked_on or usage_id,
        actor_id=actor_id,
        agency_id=code.agency_id,
        client_id=code.client_id,
        detail={"discount_id": str(code.id), "discount_minor": priced.discounts[code.code]},
    )
