"""A small demo tenant for tests: one agency, client, campaign, brand and funded accounts."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import insert, text

from models.base import new_id
from models.cards import PoolKind
from models.database import scoped_transaction
from models.ledger import Tier
from models.scope import PLATFORM, SYSTEM
from models.tenants import Agency, Brand, BrandRoute, Campaign, Client
from models.vendors import VendorAccount
from pipelines.credit.accounts import PLATFORM_ID, Owner, open_accounts
from pipelines.credit.allocate import allocate, top_up_platform
from pipelines.pools.create import NewPool, create_pool
from pipelines.wiring import House
from tests.seed_once import copied_or_made

ACTOR = UUID(int=42)


@dataclass(frozen=True, slots=True)
class Seeded:
    """Ids of the tenant; amounts are USD minor units."""

    agency_id: UUID
    client_id: UUID
    campaign_id: UUID
    brand_id: UUID
    platform_account: UUID
    agency_account: UUID
    client_account: UUID
    csv_pool: UUID
    buffer_pool: UUID


def seed(
    house: House,
    *,
    credit_minor: int = 10_000_000,
    denomination_minor: int = 2500,
    vendor: bool = True,
    rate_per_minute: int = 60_000,
    route: tuple[str, str] = ("reloadly", "120"),
) -> Seeded:
    """Make the tenant with `credit_minor` allocated down to its client; `route`: vendor, product."""
    kind = (credit_minor, denomination_minor, vendor, rate_per_minute, route)
    return copied_or_made(house.settings.database_url, kind, lambda: _made(house, *kind))


def _made(
    house: House,
    credit_minor: int,
    denomination_minor: int,
    vendor: bool,
    rate_per_minute: int,
    route: tuple[str, str],
) -> Seeded:
    agency_id, client_id, campaign_id, brand_id = (new_id() for _ in range(4))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(
            insert(Agency).values(id=agency_id, agency_id=agency_id, name=f"Agency {agency_id}")
        )
        session.execute(
            insert(Client).values(
                id=client_id, agency_id=agency_id, client_id=client_id, name="Client"
            )
        )
        session.execute(
            insert(Campaign).values(
                id=campaign_id, agency_id=agency_id, client_id=client_id, name="Campaign"
            )
        )
        session.execute(insert(Brand).values(id=brand_id, name=f"Brand {brand_id}", currency="USD"))
        platform = open_accounts(
            session, Owner(Tier.PLATFORM, PLATFORM_ID), currency="USD", parent_id=None
        )
        agency = open_accounts(
            session,
            Owner(Tier.AGENCY, agency_id, agency_id),
            currency="USD",
            parent_id=platform,
        )
        client = open_accounts(
            session,
            Owner(Tier.CLIENT, client_id, agency_id, client_id),
            currency="USD",
            parent_id=agency,
        )
        if vendor:
            session.execute(
                insert(BrandRoute).values(
                    id=new_id(), brand_id=brand_id, vendor=route[0], product=route[1]
                )
            )
        if credit_minor:
            top_up_platform(
                session,
                currency="USD",
                amount=credit_minor,
                client_ref=f"seed:{new_id()}",
                actor_id=None,
            )
            for parent, child in ((platform, agency), (agency, client)):
                allocate(
                    session,
                    parent_id=parent,
                    child_id=child,
                    amount=credit_minor,
                    notes="seed",
                    client_ref=f"seed:{new_id()}",
                    actor_id=ACTOR,
                )
        pools = [
            create_pool(
                session,
                NewPool(brand_id, denomination_minor, "USD", kind, cost_per_card_minor=2300),
                actor_id=ACTOR,
            )
            for kind in (PoolKind.CSV, PoolKind.BUFFER)
        ]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        # That credit only passed through the agency is no shortage, and nobody's task.
        session.execute(text("UPDATE accounts SET full_minor = 0 WHERE id = :id"), {"id": agency})
        session.execute(text("DELETE FROM tasks WHERE kind = 'follow_credit'"))
        if vendor:
            session.execute(
                insert(VendorAccount).values(
                    vendor=route[0],
                    rate_per_minute=rate_per_minute,
                    burst=1000,
                    micro_tokens=1_000_000_000,
                )
            )
    return Seeded(
        agency_id, client_id, campaign_id, brand_id, platform, agency, client, pools[0], pools[1]
    )
