"""Ring for a request of one card just accepted: within the budget; if nobody hears, the relay will."""

from uuid import UUID

from pipelines.queue.kinds import RUN_SINGLE
from pipelines.queue.ring import Doorbell
from web.front import front


def ring_single(task_id: UUID | None) -> None:
    """A replay has no task to ring for."""
    if task_id is not None:
        bell = Doorbell(task_id, RUN_SINGLE.name, RUN_SINGLE.queue.value)
        front().broker.ring([bell])
