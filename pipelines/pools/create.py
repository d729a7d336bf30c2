"""Create a card pool for a brand and denomination."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.base import new_id
from models.cards import CardPool, PoolKind
from models.scope import ScopeRole, current
from models.tenants import Brand, Client
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.pools.refusals import BrandUnavailable, CurrencyMismatch, PoolExists
from pipelines.pools.without_pool import adopt_cards

# A client without any row in client_brands may draw on every brand.
_IS_BARRED = text("""
SELECT EXISTS (SELECT FROM client_brands WHERE client_id = :client)
   AND NOT EXISTS (SELECT FROM client_brands WHERE client_id = :client AND brand_id = :brand)
""")


@dataclass(frozen=True, slots=True)
class NewPool:
    """What a pool is; money in minor units. Without a client it is the platform's."""

    brand_id: UUID
    denomination_minor: int
    currency: str
    kind: PoolKind
    cost_per_card_minor: int | None = None
    low_watermark: int = 0
    client_id: UUID | None = None


def create_pool(session: Session, pool: NewPool, *, actor_id: UUID) -> UUID:
    """Make it; the platform's new buffer takes in the cards that waited for one.

    Raises `NotFound` (brand or client), `CurrencyMismatch`, `BrandUnavailable`, `PoolExists`.
    """
    currency = session.execute(
        select(Brand.currency).where(Brand.id == pool.brand_id)
    ).scalar_one_or_none()
    if currency is None:
        raise NotFound
    if currency != pool.currency:
        raise CurrencyMismatch(f"The brand sells in {currency}.")
    agency_id = None if pool.client_id is None else _agency_of(session, pool)
    identity = new_id()
    try:
        with session.begin_nested():
            session.execute(
                insert(CardPool).values(
                    id=identity,
                    agency_id=agency_id,
                    client_id=pool.client_id,
                    brand_id=pool.brand_id,
                    denomination_minor=pool.denomination_minor,
                    currency=pool.currency,
                    kind=pool.kind.value,
                    cost_per_card_minor=pool.cost_per_card_minor,
                    low_watermark=pool.low_watermark,
                )
            )
    except IntegrityError as error:
        if "uq_card_pools_identity" not in str(error.orig):
            raise
        raise PoolExists from None
    record(
        session,
        "pool.created",
        object_kind="card_pool",
        object_id=identity,
        actor_id=actor_id,
        agency_id=agency_id,
        client_id=pool.client_id,
    )
    # What lies in no pool is the platform's: a tenant's role neither sees nor moves it.
    if pool.kind is PoolKind.BUFFER and current().role is ScopeRole.PLATFORM:
        adopt_cards(session, identity, actor_id=actor_id)
    return identity


def _agency_of(session: Session, pool: NewPool) -> UUID:
    """The agency of the client whose pool it is, which may draw on the brand."""
    agency_id: UUID | None = session.execute(
        select(Client.agency_id).where(Client.id == pool.client_id)
    ).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    values = {"client": pool.client_id, "brand": pool.brand_id}
    if session.execute(_IS_BARRED, values).scalar_one():
        raise BrandUnavailable
    return agency_id
