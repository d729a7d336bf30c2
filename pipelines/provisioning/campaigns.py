"""The campaign, client and brands a request draws on, checked once at accept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.tenants import CampaignState
from pipelines.credit.hold import PAYS, Payer
from pipelines.credit.refusals import NoCreditAccount
from pipelines.errors import NotFound
from pipelines.jobs.refusals import ClientSuspended
from pipelines.pricing.read import PRICES_FOR, rules_in
from pipelines.pricing.rules import PriceRule
from pipelines.provisioning.conditions import UNCONDITIONAL, Conditions, check_window
from pipelines.provisioning.refusals import BrandNotAllowed, CampaignNotActive

# Shared, so that whoever sets a limit has waited for this request, or is seen by it.
_CAMPAIGN = text("""
SELECT c.id, c.agency_id, c.client_id, c.state, c.version, l.suspended_at, c.starts_at, c.ends_at,
    c.max_rewards, c.max_rewards_per_recipient
FROM campaigns c JOIN clients l ON l.id = c.client_id WHERE c.id = :campaign
FOR KEY SHARE OF c
""")
_HOLDER = text("SELECT client_id FROM provisions WHERE id = :provision")
_OWNER = text("SELECT client_id FROM campaigns WHERE id = :campaign")
# A client with no row in client_brands may draw on every brand.
_MAY_DRAW = """(NOT EXISTS (SELECT FROM client_brands o WHERE o.client_id = {client})
   OR EXISTS (SELECT FROM client_brands o WHERE o.client_id = {client} AND o.brand_id = b.id))"""
_BRANDS = text(f"""
SELECT b.id, b.name, b.currency FROM brands b WHERE {_MAY_DRAW.format(client=":client")}
""")
# What a request of one item asks about, in one look: storefronts wait for it.
_ASKED = text(f"""
SELECT c.id, c.agency_id, c.client_id, c.state, c.version, l.suspended_at, c.starts_at, c.ends_at,
       c.max_rewards, c.max_rewards_per_recipient, b.id AS brand_id, b.name, b.currency,
       a.id AS account_id, a.balance, a.held, a.unlimited,
       {PRICES_FOR.format(brand="b.id", client="c.client_id")} AS prices
FROM campaigns c JOIN clients l ON l.id = c.client_id
LEFT JOIN brands b ON b.id = :brand AND {_MAY_DRAW.format(client="c.client_id")}
LEFT JOIN accounts a ON {PAYS} AND a.currency = b.currency
WHERE c.id = :campaign FOR KEY SHARE OF c
""")


@dataclass(frozen=True, slots=True)
class CampaignInUse:
    """An active campaign of a client in good standing."""

    id: UUID
    agency_id: UUID
    client_id: UUID
    version: int
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True)
class BrandInUse:
    id: UUID
    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request of one item is for, who pays, and what it is charged by."""

    campaign: CampaignInUse
    brand: BrandInUse
    payer: Payer
    prices: tuple[PriceRule, ...]


def client_of_campaign(session: Session, campaign_id: UUID) -> UUID:
    """The client whose scope the request's work runs in; `NotFound` outside the caller's scope."""
    client_id = session.execute(_OWNER, {"campaign": campaign_id}).scalar_one_or_none()
    if client_id is None:
        raise NotFound
    return UUID(str(client_id))


def client_of_provision(session: Session, provision_id: UUID) -> UUID:
    """The client whose card it is; `NotFound` outside the caller's scope."""
    client_id = session.execute(_HOLDER, {"provision": provision_id}).scalar_one_or_none()
    if client_id is None:
        raise NotFound
    return UUID(str(client_id))


def campaign_in_use(
    session: Session, campaign_id: UUID, *, begins_at: datetime | None = None
) -> CampaignInUse:
    """The campaign, or `NotFound`, `CampaignNotActive`, `ClientSuspended`.

    `begins_at`: when it is to give something; `CampaignNotStarted`, `CampaignEnded` besides.
    """
    found = _checked(session.execute(_CAMPAIGN, {"campaign": campaign_id}).one_or_none())
    if begins_at is not None:
        check_window(found.conditions, begins_at)
    return found


def asked_for(session: Session, campaign_id: UUID, brand_id: UUID) -> Asked:
    """The campaign, its brand, who pays, and the prices; `BrandNotAllowed`, `NoCreditAccount` besides."""
    values = {"campaign": campaign_id, "brand": brand_id}
    row = session.execute(_ASKED, values).one_or_none()
    campaign = _checked(row)
    assert row is not None
    if row.brand_id is None:
        raise BrandNotAllowed
    if row.account_id is None:
        raise NoCreditAccount
    return Asked(
        campaign,
        BrandInUse(row.brand_id, row.name, row.currency),
        Payer(row.account_id, row.currency, row.balance, row.held, row.unlimited),
        rules_in(row.prices),
    )


def _checked(row: Row[Any] | None) -> CampaignInUse:
    if row is None:
        raise NotFound
    if row.suspended_at is not None:
        raise ClientSuspended
    if row.state != CampaignState.ACTIVE:
        raise CampaignNotActive
    return CampaignInUse(
        row.id,
        row.agency_id,
        row.client_id,
        row.version,
        Conditions(row.starts_at, row.ends_at, row.max_rewards, row.max_rewards_per_recipient),
    )


def brands_of_client(session: Session, client_id: UUID) -> dict[UUID, BrandInUse]:
    """Every brand the client may draw on."""
    rows = session.execute(_BRANDS, {"client": client_id})
    return {row.id: BrandInUse(row.id, row.name, row.currency) for row in rows}


def brand_in_use(brands: dict[UUID, BrandInUse], brand_id: UUID) -> BrandInUse:
    if brand_id not in brands:
        raise BrandNotAllowed
    return brands[brand_id]
