"""A file of people is refused, repeated, cancelled or given up, and nobody is added by halves (S3-060)."""

from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.jobs.control import cancel_job
from pipelines.jobs.csv_reader import MissingColumns, UnknownColumns
from pipelines.queue.keys import RequestKey
from pipelines.user_pools.refusals import PoolArchived
from pipelines.wiring import House, build_handlers
from tests.driving import drain, rows, view
from tests.intake import table_sizes
from tests.pooling import accept, counts, in_pool, make_pool, work_in
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.workers.tasks import change_task
from workers.wrapper import Wrapper


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def pool(house: House, seeded: Seeded) -> UUID:
    return make_pool(house, seeded)


def test_a_header_without_a_column_of_ours_is_refused_at_once(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    before = table_sizes(house)

    with pytest.raises(UnknownColumns):
        accept(house, seeded, pool, b"e-mail\na@x.de\n")
    with pytest.raises(MissingColumns):
        accept(house, seeded, pool, b"name\nAnn\n")

    assert table_sizes(house) == before


def test_a_key_stands_for_one_file_and_an_archived_pool_takes_none(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    """EC-035"""
    key = RequestKey(ACTOR, "k", b"x" * 32)
    first = accept(house, seeded, pool, b"email\na@x.de\n", key=key)
    before = table_sizes(house)
    again = accept(house, seeded, pool, b"email\na@x.de\n", key=key)
    unchanged = table_sizes(house)
    rows(house, "UPDATE user_pools SET archived_at = now() RETURNING 1")
    with pytest.raises(PoolArchived):
        accept(house, seeded, pool, b"email\nb@x.de\n")
    drain(house)

    assert (again.job_id, again.is_replay) == (first.job_id, True)
    assert unchanged == before
    job = view(house, first.job_id)
    assert (job["state"], job["error"]["code"], counts(job)) == ("failed", "pool_archived", {})
    assert in_pool(house, pool) == []
    assert_proven(house)


def test_an_import_that_was_cancelled_in_time_adds_nobody(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    accepted = accept(house, seeded, pool, b"email\na@x.de\n", makes=True)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, accepted.job_id, actor_id=ACTOR, now=clock.now(session))

    drain(house)

    assert view(house, accepted.job_id)["state"] == "cancelled"
    assert rows(house, "SELECT count(*) FROM users") == [(0,)]
    assert rows(house, "SELECT count(*) FROM job_inputs") == [(0,)]
    assert_proven(house)


def test_an_import_that_keeps_killing_its_worker_ends_with_nobody_added(
    house: House, seeded: Seeded, pool: UUID
) -> None:
    accepted = accept(house, seeded, pool, b"email\na@x.de\n", makes=True)
    (task,) = rows(house, "SELECT id FROM tasks WHERE kind = 'import_members'")
    change_task(house, task.id, f"starts = {house.limits.kills_max}")
    Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0).run(task.id, 1)

    job = view(house, accepted.job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "internal_error")
    assert rows(house, "SELECT count(*) FROM users") == [(0,)]
    assert_proven(house)


def test_a_finished_import_is_told_to_endpoints(house: House, seeded: Seeded, pool: UUID) -> None:
    job = work_in(house, seeded, pool, b"email\na@x.de\n", makes=True)

    (fact,) = rows(house, "SELECT * FROM webhook_facts WHERE type = 'job.finished'")
    assert (fact.object_id, fact.client_id) == (job["id"], seeded.client_id)
    assert (fact.data["kind"], fact.data["succeeded"]) == ("pool_import", 1)


def test_the_function_makes_nobody_for_a_client_that_is_not_in_scope(
    house: House, seeded: Seeded
) -> None:
    other = seed(house, vendor=False)
    ask = text(
        "SELECT know_people(:agency, :client, ARRAY[:id], ARRAY['a@x.de'], ARRAY['a@x.de'], "
        "ARRAY[''], ARRAY[NULL])"
    )
    foreign = {"agency": other.agency_id, "client": other.client_id, "id": new_id()}
    for scope in (client(seeded.client_id), SYSTEM):
        with (
            pytest.raises(Exception, match=r"not one in scope|permission denied"),
            scoped_transaction(house.sessions, scope) as session,
        ):
            session.execute(ask, foreign)

    assert rows(house, "SELECT count(*) FROM users") == [(0,)]
