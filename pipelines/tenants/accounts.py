"""Open the credit accounts that a new tenant or a new currency calls for, set-wise."""

from collections.abc import Sequence
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
_OF_CAMPAIGNS = text("""
INSERT INTO accounts (id, kind, tier, owner_id, agency_id, client_id, parent_id, currency)
SELECT uuidv7(), k.kind, 'campaign', c.id, c.agency_id, c.client_id,
       CASE k.kind WHEN 'credit' THEN p.id END, p.currency
FROM campaigns c
JOIN accounts p ON p.owner_id = c.client_id AND p.kind = 'credit'
CROSS JOIN (VALUES ('credit'), ('spent')) AS k (kind)
WHERE c.id = ANY(:campaigns)
ON CONFLICT DO NOTHING
""")

# As the three above would open them one after the other: each tier has what stands above it, too.
_FORETOLD = text("""
WITH of_platform AS (
    SELECT currency FROM accounts WHERE owner_id = :platform AND kind = 'credit'
    UNION SELECT unnest(CAST(:currencies AS text[]))),
of_agencies AS (
    SELECT g.id AS owner_id, p.currency FROM agencies g CROSS JOIN of_platform p
    UNION SELECT a.owner_id, a.currency FROM accounts a JOIN agencies g ON g.id = a.owner_id
    WHERE a.kind = 'credit'),
of_clients AS (
    SELECT c.id AS owner_id, o.currency FROM clients c JOIN of_agencies o ON o.owner_id = c.agency_id
    UNION SELECT a.owner_id, a.currency FROM accounts a JOIN clients c ON c.id = a.owner_id
    WHERE a.kind = 'credit'),
of_campaigns AS (
    SELECT c.id AS owner_id, o.currency FROM campaigns c
    JOIN of_clients o ON o.owner_id = c.client_id WHERE c.id = ANY(:campaigns))
SELECT count(*) FROM (
    SELECT CAST(:platform AS uuid) AS owner_id, currency FROM of_platform
    UNION ALL SELECT * FROM of_agencies UNION ALL SELECT * FROM of_clients
    UNION ALL SELECT * FROM of_campaigns) wanted
WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.kind = 'credit'
    AND a.owner_id = wanted.owner_id AND a.currency = wanted.currency)
""")


def open_for_agency(session: Session, agency_id: UUID) -> None:
    session.execute(_OF_AGENCIES, {"platform": PLATFORM_ID, "agency": agency_id})


def open_for_client(session: Session, client_id: UUID) -> None:
    session.execute(_OF_CLIENTS, {"client": client_id})


def open_for_campaign(session: Session, campaign_id: UUID) -> None:
    """The accounts of an isolated campaign."""
    open_for_campaigns(session, [campaign_id])


def open_for_campaigns(session: Session, campaign_ids: Sequence[UUID]) -> None:
    session.execute(_OF_CAMPAIGNS, {"campaigns": list(campaign_ids)})


def open_for_currency(session: Session, currency: str) -> None:
    """A currency that the platform begins to use, down the whole tree; in the PLATFORM scope."""
    open_accounts(session, Owner(Tier.PLATFORM, PLATFORM_ID), currency=currency, parent_id=None)
    session.execute(_OF_AGENCIES, {"platform": PLATFORM_ID, "agency": None})
    session.execute(_OF_CLIENTS, {"client": None})


def credit_accounts_missing(
    session: Session, currencies: Sequence[str], campaign_ids: Sequence[UUID]
) -> int:
    """How many credit accounts `open_for_currency` of each and then `open_for_campaigns` would make."""
    if not currencies:
        return 0
    values = {"currencies": list(currencies), "campaigns": list(campaign_ids)}
    return int(session.execute(_FORETOLD, values | {"platform": PLATFORM_ID}).scalar_one())
