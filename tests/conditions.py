"""Campaigns with conditions, set as the doors set them."""

from datetime import timedelta
from typing import Any

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.tenants.campaigns import change_campaign
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import ACTOR, Seeded

HOUR = timedelta(hours=1)


def limit(house: House, seeded: Seeded, **conditions: Any) -> None:
    """Change the campaign's conditions; a timedelta is that far from now."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        values = {
            name: now + value if isinstance(value, timedelta) else value
            for name, value in conditions.items()
        }
        change_campaign(
            session,
            seeded.campaign_id,
            values,
            version=None,
            actor_id=ACTOR,
            limits=house.limits,
        )


def counted(house: House, seeded: Seeded) -> int | None:
    """The rewards that count, or None while nothing is counted."""
    found = rows(
        house,
        "SELECT counted FROM reward_counts WHERE campaign_id = :id AND person_key = ''",
        id=seeded.campaign_id,
    )
    return found[0].counted if found else None
