"""The queues with what the broker says of them: one look, for the API and the console."""

from dataclasses import dataclass

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.broker_port import BrokerAway
from pipelines.queue.overview import (
    ProcessSeen,
    QueueSeen,
    look_at_processes,
    look_at_queues,
)
from web.front import front


@dataclass(frozen=True, slots=True)
class EngineSeen:
    """Queues, processes, and messages per queue; None while the broker does not answer."""

    queues: list[QueueSeen]
    processes: list[ProcessSeen]
    depths: dict[str, int] | None

    def depth(self, queue: str) -> int | None:
        return self.depths.get(queue) if self.depths is not None else None


def look_at_engine() -> EngineSeen:
    """Ask the database in one transaction and, after it, the broker."""
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        queues = look_at_queues(session, now=now, limits=house.limits)
        processes = look_at_processes(session, now=now, limits=house.limits)
    return EngineSeen(queues, processes, _depths([queue.name for queue in queues]))


def _depths(names: list[str]) -> dict[str, int] | None:
    """The first question that is not answered is the last one asked."""
    try:
        return {name: front().lookout.depth(name) for name in names}
    except BrokerAway:
        return None
