"""Work that cannot be done, or that kills its workers, ends alone; all around it succeeds."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from models.jobs import ItemState
from ops.bootstrap import database_url
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PLACE_ORDER, RUN_CHUNK, TaskKind
from pipelines.wiring import House, build_handlers
from tests.conftest import Database
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, money_of, submit_file
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.workers.tasks import change_task, put, task, wrapper_with
from workers.wrapper import Wrapper

CREDIT = 500_000
#: A poison that no handler knows of: the row of one position cannot be written.
_POISON = """
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.position = {position} THEN RAISE EXCEPTION 'poison'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE INSERT ON provisions FOR EACH ROW EXECUTE FUNCTION poison();
"""


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


@pytest.fixture
def poison(database: Database) -> Iterator[Callable[[int], None]]:
    """Poison one position in the test's database, until the test is over."""
    superuser = database_url(database.admin_url, database.name)

    def put_it(position: int) -> None:
        with psycopg.connect(superuser) as connection:
            connection.execute(_POISON.format(position=position))

    yield put_it
    with psycopg.connect(superuser) as connection:
        connection.execute("DROP FUNCTION IF EXISTS poison CASCADE")


def to_the_end(house: House, job_id: UUID) -> int:
    """Drive the job until it ends; how many times waits were brought forward."""
    for rounds in range(40):
        drain(house)
        if view(house, job_id)["finished_at"] is not None:
            return rounds
        hasten(house)
    raise AssertionError("the job does not end")


@pytest.mark.parametrize("position", [1, 17, 50])
def test_ec121_one_poisoned_item_among_fifty_fails_alone(
    house: House, poison: Callable[[int], None], seeded: Seeded, position: int
) -> None:
    """EC-121: the chunk is split until the poison is by itself."""
    import_cards_now(house, seeded.csv_pool, cards_csv(50))
    poison(position)

    job_id = submit_file(house, seeded, recipients_csv(50)).job_id
    to_the_end(house, job_id)

    failed = [
        row for row in items_of(house, job_id, "position", "state", "code") if row[2] is not None
    ]
    assert failed == [(position, "failed", "internal_error")]
    assert view(house, job_id)["counts"]["succeeded"] == 49
    assert view(house, job_id)["state"] == "partially_succeeded"
    assert money_of(house, seeded.client_account) == (CREDIT - 49 * 2500, 0)
    cards = rows(house, "SELECT state, count(*) AS n FROM cards GROUP BY state")
    assert {row.state: row.n for row in cards} == {"issued": 49, "available": 1}
    assert_proven(house)


def test_a_single_request_that_is_poison_ends_too(
    house: House, poison: Callable[[int], None], seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    poison(1)

    job_id = submit_file(house, seeded, recipients_csv(1)).job_id
    to_the_end(house, job_id)

    assert items_of(house, job_id, "state", "code") == [("failed", "internal_error")]
    assert view(house, job_id)["state"] == "failed"
    assert money_of(house, seeded.client_account) == (CREDIT, 0)
    assert_proven(house)


def test_a_chunk_that_killed_three_workers_is_split_before_it_kills_a_fourth(
    house: House, seeded: Seeded
) -> None:
    """Three starts without an outcome: its workers died."""
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    job_id = submit_file(house, seeded, recipients_csv(4)).job_id
    (chunk,) = rows(house, "SELECT id FROM tasks")
    change_task(house, chunk.id, "starts = 3")

    Wrapper(house.sessions, build_handlers(house)).run(chunk.id, 1)

    halves = rows(house, "SELECT args FROM tasks ORDER BY id")
    assert [row.args for row in halves] == [
        {"job_id": str(job_id), "chunk": 1, "first": 1, "last": 2},
        {"job_id": str(job_id), "chunk": 1, "first": 3, "last": 4},
    ]
    assert view(house, job_id)["counts"][ItemState.PENDING] == 4
    drain(house)
    assert view(house, job_id)["state"] == "succeeded"
    assert_proven(house)


def test_two_deaths_are_not_yet_a_verdict(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    job_id = submit_file(house, seeded, recipients_csv(4)).job_id
    (chunk,) = rows(house, "SELECT id FROM tasks")
    change_task(house, chunk.id, "starts = 2")

    Wrapper(house.sessions, build_handlers(house)).run(chunk.id, 1)

    assert view(house, job_id)["counts"]["succeeded"] == 4


def test_an_item_that_kills_its_workers_alone_ends_uncharged(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job_id = submit_file(house, seeded, recipients_csv(1)).job_id
    (chunk,) = rows(house, "SELECT id FROM tasks")
    change_task(house, chunk.id, "starts = 3")

    Wrapper(house.sessions, build_handlers(house)).run(chunk.id, 1)
    drain(house)

    assert items_of(house, job_id, "state", "code") == [("failed", "internal_error")]
    assert money_of(house, seeded.client_account) == (CREDIT, 0)
    assert_proven(house)


@pytest.mark.parametrize(
    ("before", "runs", "kept"),
    [("starts = 3", 0, (4, 1)), ("starts = 7, attempts = 7", 1, (8, 8))],
    ids=["killed its workers", "failed too often"],
)
@pytest.mark.parametrize("kind", [RUN_CHUNK, PLACE_ORDER], ids=lambda kind: kind.name)
def test_a_give_up_that_fails_is_tried_again_after_the_longest_wait(
    house: House, kind: TaskKind, before: str, runs: int, kept: tuple[int, int]
) -> None:
    """What it had half done is rolled back, its verdict stays, and one day it succeeds."""
    seen: list[str] = []

    def give_up(session: Any, _task: Any, _now: Any) -> None:
        session.execute(text("UPDATE tasks SET kind = 'half'"))
        seen.append("gave up")
        if len(seen) - runs == 1:
            raise ValueError

    def run(*_anything: Any) -> None:
        seen.append("ran")
        raise KeyError

    wrapper = wrapper_with(house, Handler(kind, run, give_up))
    task_id = put(house, kind, tenant_id=UUID(int=7), job_id=UUID(int=8))
    change_task(house, task_id, before)

    wrapper.run(task_id, 1)
    row = task(house, task_id)
    wrapper.run(task_id, 1)

    assert seen == ["ran"] * runs + ["gave up"]
    assert (row.starts, row.attempts) == kept
    assert (row.state, row.kind, row.last_error) == ("ready", kind.name, "ValueError")
    assert (row.rung_at, row.lease_until) == (None, None)
    assert row.due_in == pytest.approx(house.limits.backoff_max_seconds, abs=30)

    change_task(house, task_id, "run_after = now()")
    wrapper.run(task_id, 1)

    assert seen == (["ran"] * runs + ["gave up"]) * 2
    assert task(house, task_id) is None
