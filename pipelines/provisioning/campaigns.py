"""The campaign, client and brands a request draws on, checked once at accept."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.tenants import CampaignState
from pipelines.errors import NotFound
from pipelines.provisioning.refusals import BrandNotAllowed, CampaignNotActive, ClientSuspended

_CAMPAIGN = text("""
SELECT c.id, c.agency_id, c.client_id, c.state, c.version, l.suspended_at
FROM campaigns c JOIN clients l ON l.id = c.client_id WHERE c.id = :campaign
""")
_OWNER = text("SELECT client_id FROM campaigns WHERE id = :campaign")
# A client with no row in client_brands may draw on every brand.
_BRANDS = text("""
SELECT b.id, b.name, b.currency FROM brands b
WHERE NOT EXISTS (SELECT FROM client_brands c WHERE c.client_id = :client)
   OR EXISTS (SELECT FROM client_brands c WHERE c.client_id = :client AND c.brand_id = b.id)
""")


@dataclass(frozen=True, slots=True)
class CampaignInUse:
    """An active campaign of a client in good standing."""

    id: UUID
    agency_id: UUID
    client_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class BrandInUse:
    id: UUID
    name: str
    currency: str


def client_of_campaign(session: Session, campaign_id: UUID) -> UUID:
    """The client whose scope the request's work runs in; `NotFound` outside the caller's scope."""
    client_id = session.execute(_OWNER, {"campaign": campaign_id}).scalar_one_or_none()
    if client_id is None:
        raise NotFound
    return UUID(str(client_id))


def campaign_in_use(session: Session, campaign_id: UUID) -> CampaignInUse:
    """The campaign, or `NotFound`, `CampaignNotActive`, `ClientSuspended`."""
    row = session.execute(_CAMPAIGN, {"campaign": campaign_id}).one_or_none()
    if row is None:
        raise NotFound
    if row.suspended_at is not None:
        raise ClientSuspended
    if row.state != CampaignState.ACTIVE:
        raise CampaignNotActive
    return CampaignInUse(row.id, row.agency_id, row.client_id, row.version)


def brands_of_client(session: Session, client_id: UUID) -> dict[UUID, BrandInUse]:
    """Every brand the client may draw on."""
    rows = session.execute(_BRANDS, {"client": client_id})
    return {row.id: BrandInUse(row.id, row.name, row.currency) for row in rows}


def brand_in_use(brands: dict[UUID, BrandInUse], brand_id: UUID) -> BrandInUse:
    if brand_id not in brands:
        raise BrandNotAllowed
    return brands[brand_id]
