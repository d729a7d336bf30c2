"""The demo's tenants: one agency, its client, and the client's campaign."""

from sqlalchemy.dialects.postgresql import insert

from models.database import Sessions, scoped_transaction
from models.scope import PLATFORM
from models.tenants import Agency, Campaign, Client
from ops.demo import ids

AGENCY_NAME = "Northwind Agency"
CLIENT_NAME = "Contoso Retail"
CAMPAIGN_NAME = "Spring Drop"


def seed_tenants(sessions: Sessions) -> None:
    """Add the tenants that are missing."""
    agency = {"id": ids.AGENCY, "agency_id": ids.AGENCY, "name": AGENCY_NAME}
    inside = {"agency_id": ids.AGENCY, "client_id": ids.CLIENT, "time_zone": "Europe/Berlin"}
    with scoped_transaction(sessions, PLATFORM) as session:
        for statement in (
            insert(Agency).values(**agency),
            insert(Client).values(id=ids.CLIENT, name=CLIENT_NAME, **inside),
            insert(Campaign).values(id=ids.CAMPAIGN, name=CAMPAIGN_NAME, **inside),
        ):
            session.execute(statement.on_conflict_do_nothing())
