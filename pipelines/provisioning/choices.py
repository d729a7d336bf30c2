"""What a person may choose from when beginning a job: campaigns that run, brands they may use."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock

#: A select with more lines is no help; larger tenants use the API.
CHOICES_MAX = 500

# One that has not begun may be chosen: a job can start later.
_CAMPAIGNS = text(f"""
SELECT c.id, c.name, l.name AS client FROM campaigns c JOIN clients l ON l.id = c.client_id
WHERE c.state = 'active' AND l.suspended_at IS NULL
  AND (c.ends_at IS NULL OR c.ends_at > {clock.SQL}) ORDER BY l.name, c.name LIMIT :limit
""")
# A client with no row in client_brands may draw on every brand.
_BRANDS = text("""
SELECT b.id, b.name, b.currency FROM brands b
WHERE EXISTS (
    SELECT FROM clients l
    WHERE NOT EXISTS (SELECT FROM client_brands r WHERE r.client_id = l.id)
       OR EXISTS (SELECT FROM client_brands r WHERE r.client_id = l.id AND r.brand_id = b.id))
ORDER BY b.name, b.currency LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class CampaignChoice:
    id: UUID
    name: str
    client: str


@dataclass(frozen=True, slots=True)
class BrandChoice:
    id: UUID
    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The campaigns and brands of a scope."""

    campaigns: tuple[CampaignChoice, ...]
    brands: tuple[BrandChoice, ...]

    def campaign(self, identity: UUID | None) -> CampaignChoice | None:
        return next((choice for choice in self.campaigns if choice.id == identity), None)

    def brand(self, identity: UUID | None) -> BrandChoice | None:
        return next((choice for choice in self.brands if choice.id == identity), None)


def offer(session: Session) -> Offer:
    """What this scope may choose; whether they fit together is judged when a draft begins."""
    values = {"limit": CHOICES_MAX}
    return Offer(
        tuple(CampaignChoice(*row) for row in session.execute(_CAMPAIGNS, values)),
        tuple(BrandChoice(*row) for row in session.execute(_BRANDS, values)),
    )
