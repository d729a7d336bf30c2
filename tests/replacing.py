"""Report a card that does not work, the way the doors do."""

from uuid import UUID

from models.database import scoped_transaction
from models.scope import client
from pipelines.provisioning.replace import replace_card
from pipelines.wiring import House
from tests.seeding import ACTOR, Seeded


def report(house: House, seeded: Seeded, provision_id: UUID, *, approved: bool = False) -> UUID:
    """The job that gives another card, not worked on yet."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return replace_card(
            session,
            provision_id,
            reason="The shop says it was used",
            actor_id=ACTOR,
            limits=house.limits,
            is_approved=approved,
        ).job_id
