"""Set and end a price: a rule is never edited, so that each charge stays explained (EC-078)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from pipelines.audit.record import Fact, record
from pipelines.errors import Kind, NotFound, Refusal

_BRAND = text("SELECT id FROM brands WHERE id = :brand FOR NO KEY UPDATE")
_CLIENT = text("SELECT agency_id FROM clients WHERE id = :client")
_END = text("""
UPDATE prices SET ended_at = :now
WHERE brand_id = :brand AND client_id IS NOT DISTINCT FROM CAST(:client AS uuid)
  AND denomination_minor IS NOT DISTINCT FROM CAST(:denomination AS bigint) AND ended_at IS NULL
RETURNING id, charge_minor, charge_bp
""")
_SET = text("""
INSERT INTO prices (id, agency_id, client_id, brand_id, denomination_minor, charge_minor,
    charge_bp, created_by, created_at)
VALUES (:id, :agency, :client, :brand, :denomination, :charge_minor, :charge_bp, :actor, :now)
""")
_END_ONE = text("""
UPDATE prices SET ended_at = :now WHERE id = :price AND brand_id = :brand AND ended_at IS NULL
RETURNING id, agency_id, client_id, denomination_minor, charge_minor, charge_bp
""")


class PriceMoved(Refusal):
    """The price that would end is not the one that whoever sets another was shown."""

    code = "price_moved"
    kind = Kind.CONFLICT
    detail = (
        "Somebody set or ended the price of this place meanwhile. Look at what is now, and "
        "confirm again."
    )


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """The price that a person saw in the place of the one to set; None if there was none."""

    price_id: UUID | None


def set_price(
    session: Session,
    *,
    brand_id: UUID,
    client_id: UUID | None,
    denomination_minor: int | None,
    charge_minor: int | None,
    charge_bp: int | None,
    reason: str,
    actor_id: UUID,
    now: datetime,
    shown: ShownPrice | None = None,
) -> UUID:
    """What is accepted from now on is charged by it; the price it takes the place of ends.

    Exactly one of `charge_minor` (with a denomination) and `charge_bp` is given. With `shown`, no
    other price is replaced. Raises `NotFound` and `PriceMoved`.
    """
    if session.execute(_BRAND, {"brand": brand_id}).one_or_none() is None:
        raise NotFound
    agency_id = None if client_id is None else _agency_of(session, client_id)
    values = {"brand": brand_id, "client": client_id, "denomination": denomination_minor}
    before = session.execute(_END, values | {"now": now}).one_or_none()
    if shown is not None and shown.price_id != (before.id if before else None):
        raise PriceMoved
    identity = new_id()
    rule = {"charge_minor": charge_minor, "charge_bp": charge_bp}
    session.execute(
        _SET,
        values | rule | {"id": identity, "agency": agency_id, "actor": actor_id, "now": now},
    )
    was = {name: getattr(before, name) if before else None for name in rule}
    _audit(
        session,
        "price.set",
        identity,
        (agency_id, client_id),
        actor_id,
        {
            "brand_id": str(brand_id),
            "denomination_minor": denomination_minor,
            "reason": reason,
            **{name: [was[name], rule[name]] for name in rule if was[name] != rule[name]},
        },
    )
    return identity


def end_price(
    session: Session,
    brand_id: UUID,
    price_id: UUID,
    *,
    reason: str,
    actor_id: UUID,
    now: datetime,
) -> None:
    """What is accepted from now on is charged as if it had not been; raises `NotFound`."""
    values = {"price": price_id, "brand": brand_id, "now": now}
    row: Row[Any] | None = session.execute(_END_ONE, values).one_or_none()
    if row is None:
        raise NotFound
    _audit(
        session,
        "price.ended",
        price_id,
        (row.agency_id, row.client_id),
        actor_id,
        {
            "brand_id": str(brand_id),
            "denomination_minor": row.denomination_minor,
            "charge_minor": row.charge_minor,
            "charge_bp": row.charge_bp,
            "reason": reason,
        },
    )


def _agency_of(session: Session, client_id: UUID) -> UUID:
    agency_id: UUID | None = session.execute(_CLIENT, {"client": client_id}).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    return agency_id


def _audit(
    session: Session,
    action: str,
    price_id: UUID,
    tenant: tuple[UUID | None, UUID | None],
    actor_id: UUID,
    detail: Mapping[str, Fact | list[Fact]],
) -> None:
    agency_id, client_id = tenant
    record(
        session,
        action,
        object_kind="price",
        object_id=price_id,
        actor_id=actor_id,
        agency_id=agency_id,
        client_id=client_id,
        detail=dict(detail),
    )
