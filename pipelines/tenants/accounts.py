"""Open the credit accounts that a new tenant or a new currency calls for, set-wise."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.ledger import Tier
from pipelines.credit.accounts import PLATFORM_ID, Owner, open_accounts

# A tenant has a credit account and its spent twin in every currency that its parent has one in.
_OF_AGENCIES = text("""
INSERT INTO accounts (id, kind, tier, owner_id, agency_id, parent_id, currency)
SELECT uuidv7(), k.kind, 'agency', a.id, a.id, CASE k.kind WHEN 'credit' THEN p.id END, p.currency
FROM agencies a
JOIN accounts p ON p.owner_id = :platform AND p.kind = 'credit'
CROSS JOIN (VALUES ('credit'), ('spent')) AS k (kind)
WHERE CAST(:agency AS uuid) IS NULL OR a.id = :agency
ON CONFLICT DO NOTHING
""")
_OF_CLIENTS = text("""
INSERT INTO accounts (id, kind, tier, owner_id, agency_id, client_id, parent_id, currency)
SELECT uuidv7(), k.kind, 'client', c.id, c.agency_id, c.id,
       CASE k.kind WHEN 'credit' THEN p.id END, p.currency
FROM clients c
JOIN accounts p ON p.owner_id = c.agency_id AND p.kind = 'credit'
CROSS JOIN (VALUES ('credit'), ('spent')) AS k (kind)
WHERE CAST(:client AS uuid) IS NULL OR c.id = :client
ON CONFLICT DO NOTHING
""")
_OF_CAMPAIGN = text("""
INSERT INTO accounts (id, kind, tier, owner_id, agency_id, client_id, parent_id, currency)
SELECT uuidv7(), k.kind, 'campaign', c.id, c.agency_id, c.client_id,
       CASE k.kind WHEN 'credit' THEN p.id END, p.currency
FROM campaigns c
JOIN accounts p ON p.owner_id = c.client_id AND p.kind = 'credit'
CROSS JOIN (VALUES ('credit'), ('spent')) AS k (kind)
WHERE c.id = :campaign
ON CONFLICT DO NOTHING
""")


def open_for_agency(session: Session, agency_id: UUID) -> None:
    session.execute(_OF_AGENCIES, {"platform": PLATFORM_ID, "agency": agency_id})


def open_for_client(session: Session, client_id: UUID) -> None:
    session.execute(_OF_CLIENTS, {"client": client_id})


def open_for_campaign(session: Session, campaign_id: UUID) -> None:
    """The accounts of an isolated campaign."""
    session.execute(_OF_CAMPAIGN, {"campaign": campaign_id})


def open_for_currency(session: Session, currency: str) -> None:
    """A currency that the platform begins to use, down the whole tree; in the PLATFORM scope."""
    open_accounts(session, Owner(Tier.PLATFORM, PLATFORM_ID), currency=currency, parent_id=None)
    session.execute(_OF_AGENCIES, {"platform": PLATFORM_ID, "agency": None})
    session.execute(_OF_CLIENTS, {"client": None})
