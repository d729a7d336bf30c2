"""Make the moves of people on jobs, and run tasks one at a time."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.jobs.control import retry_job
from pipelines.queue.ring import ring_due
from pipelines.wiring import House, build_handlers
from tests.intake import items_of
from tests.seeding import ACTOR, Seeded
from workers.wrapper import Wrapper


def control(house: House, seeded: Seeded, verb: Any, job_id: UUID, **more: Any) -> Any:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        return verb(session, job_id, actor_id=ACTOR, now=now, **more)


def retry(house: House, seeded: Seeded, job_id: UUID) -> int:
    return control(house, seeded, retry_job, job_id, kinds=house.job_kinds, limits=house.limits)


def one_step(house: House) -> None:
    """Run the oldest due task and nothing else."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        bells = ring_due(session, now=clock.now(session), limits=house.limits)
        session.execute(text("UPDATE tasks SET rung_at = NULL"))
    oldest = min(bells, key=lambda bell: bell.task_id)
    Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0).run(oldest.task_id, 1)


def due(house: House) -> list[str]:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        bells = ring_due(session, now=clock.now(session), limits=house.limits)
        session.execute(text("UPDATE tasks SET rung_at = NULL"))
    return sorted(bell.kind for bell in bells)


def states(house: House, job_id: UUID) -> list[str]:
    return [state for (state,) in items_of(house, job_id, "state")]
