"""A job's timeline with the names of those who acted: one look, for the API and the console."""

from dataclasses import dataclass
from uuid import UUID

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.actors import names_of
from pipelines.access.principals import Principal
from pipelines.jobs.timeline import Event, Timeline, timeline_of
from web.front import front

SYSTEM_WORD = "system"


@dataclass(frozen=True, slots=True)
class TimelineSeen:
    """The events, and how to call who did them."""

    timeline: Timeline
    names: dict[UUID, str]

    def name_of(self, event: Event) -> str | None:
        """`system` for what nobody did; None for an actor who is not known any more."""
        return SYSTEM_WORD if event.actor_id is None else self.names.get(event.actor_id)


def look_at_timeline(caller: Principal, job_id: UUID) -> TimelineSeen:
    """Raises `NotFound` for a job outside the caller's scope, before any name is looked up."""
    sessions = front().house.sessions
    with scoped_transaction(sessions, caller.scope) as session:
        timeline = timeline_of(session, job_id, now=clock.now(session))
    actors = [event.actor_id for event in timeline.events if event.actor_id is not None]
    with scoped_transaction(sessions, SYSTEM) as session:
        names = names_of(session, actors, caller=caller)
    return TimelineSeen(timeline, names)
