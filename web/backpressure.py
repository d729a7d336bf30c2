"""Ask, before a bulk request is taken in, whether the installation keeps up with its work."""

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.jobs.quotas import QueueSaturated, saturation
from web.front import front


def saturation_now() -> QueueSaturated | None:
    """The refusal for a new bulk request, or None; a repeat of an accepted one is answered.

    It counts the work of every tenant, which nobody may see: hence a look of its own.
    """
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return saturation(session, now=clock.now(session), limits=house.limits)
