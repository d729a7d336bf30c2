"""A cancel beside work in hand: what postpones itself afterwards comes back at once, to end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.jobs.control import cancel_job
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PLACE_ORDER, RECOVER_ORDER, RUN_CHUNK, RUN_SINGLE, TaskKind
from pipelines.queue.work import Postpone
from pipelines.wiring import House
from tests.driving import drain, recipients_csv, rows, submit, view
from tests.later import tomorrow
from tests.moves import control
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.until import until
from tests.workers.tasks import put, task, wrapper_with


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def job_id(house: House, seeded: Seeded) -> UUID:
    return submit(house, seeded, recipients_csv(2))


def postponing(house: House, meanwhile: Callable[[], object] = lambda: None) -> Any:
    """Work that finds after a while that it is to wait until tomorrow."""
    at = tomorrow(house)

    def run(*_anything: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(meanwhile).result()
        raise Postpone(at, "scheduled")

    return run


@pytest.mark.parametrize(
    ("kind", "comes_at_once"),
    [(RUN_CHUNK, True), (RUN_SINGLE, True), (PLACE_ORDER, True), (RECOVER_ORDER, False)],
)
def test_what_is_in_hand_at_a_cancel_does_not_put_the_jobs_end_off(
    house: House, seeded: Seeded, job_id: UUID, kind: TaskKind, comes_at_once: bool
):
    """Who asks a vendor what became of an order comes when the vendor may be asked."""
    task_id = put(house, kind, job_id=job_id, tenant_id=seeded.client_id)
    work = postponing(house, lambda: control(house, seeded, cancel_job, job_id))

    wrapper_with(house, Handler(kind, work)).run(task_id, 1)

    assert task(house, task_id).postponed_for == "scheduled"
    assert (task(house, task_id).due_in <= 0) is comes_at_once


def test_a_postponement_without_a_cancel_keeps_its_time(house: House, seeded: Seeded, job_id: UUID):
    (chunk,) = rows(house, "SELECT id FROM tasks")

    wrapper_with(house, Handler(RUN_CHUNK, postponing(house))).run(chunk.id, 1)

    assert 86_000 < task(house, chunk.id).due_in < 86_401


def test_a_chunk_that_postpones_itself_waits_for_the_cancel_beside_it(
    house: House, seeded: Seeded, job_id: UUID
):
    """The cancel has woken what waited and has not committed: neither sees the other's row."""
    (chunk,) = rows(house, "SELECT id FROM tasks")
    wrapper = wrapper_with(house, Handler(RUN_CHUNK, postponing(house)))

    with ThreadPoolExecutor(1) as pool:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            cancel_job(session, job_id, actor_id=ACTOR, now=clock.now(session))
            working = pool.submit(wrapper.run, chunk.id, 1)
            until(lambda: working.done() or _is_waited_for(session))
        working.result()

    assert task(house, chunk.id).due_in <= 0
    drain(house)
    assert view(house, job_id)["state"] == "cancelled"
    assert_proven(house)


def _is_waited_for(session: Session) -> bool:
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    found: int = session.execute(text(waits)).scalar_one()
    return found > 0
