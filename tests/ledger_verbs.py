"""What jobs and budgets do to the ledger, without a job: for proofs of the ledger alone."""

from uuid import UUID

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.access.principals import Principal
from pipelines.credit.hold import capture_and_void
from pipelines.tenants.budgets import isolate_budget, share_budget
from pipelines.wiring import House
from tests.seeding import ACTOR, Seeded


def settle_hold(house: House, seeded: Seeded, job_id: UUID, *, captured: int, voided: int) -> None:
    """Capture and void parts of a hold, in minor units."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        transfer_id = new_id()
        capture_and_void(
            session,
            job_id=job_id,
            round_number=1,
            captured=captured,
            voided=voided,
            client_ref=f"capture:{transfer_id.hex}",
            transfer_id=transfer_id,
            now=clock.now(session),
        )


def switch_budget(house: House, seeded: Seeded, amount: int | None) -> None:
    """An amount of its own for the campaign; None: back to its client's account."""
    caller = Principal(ACTOR, Role.CLIENT_ADMIN, seeded.agency_id, seeded.client_id)
    name = f"b:{new_id()}"
    with scoped_transaction(house.sessions, caller.scope) as session:
        if amount is None:
            share_budget(
                session, seeded.campaign_id, client_ref=name, caller=caller, limits=house.limits
            )
            return
        isolate_budget(
            session,
            seeded.campaign_id,
            amount=amount,
            currency="USD",
            client_ref=name,
            caller=caller,
            limits=house.limits,
        )
