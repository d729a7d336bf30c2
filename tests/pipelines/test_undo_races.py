"""An undo beside a reveal, and an undo with a poisoned item: one winner, one loser."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import client
from ops.bootstrap import database_url
from pipelines.provisioning.refusals import ProvisionUndone
from pipelines.provisioning.reveal import reveal
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import (
    drain,
    hasten,
    view,
)
from tests.intake import items_of, money_of
from tests.moves import one_step, retry
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import (
    ask_undo,
    card_states,
    open_card,
    provision_of,
    served_job,
)
from tests.until import until

CREDIT = 500_000
#: No handler knows of it: the provision of one position cannot be undone.
_POISON = """
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.position = {position} THEN RAISE EXCEPTION 'poison'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE UPDATE ON provisions FOR EACH ROW EXECUTE FUNCTION poison();
"""


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def test_a_reveal_racing_an_undo_leaves_one_winner(house: House, seeded: Seeded) -> None:
    """Whoever locks the provision first decides; the other one is told."""
    job_id = served_job(house, seeded, 8)
    provisions = [provision_of(house, job_id, position).id for position in range(1, 9)]
    undo_id = ask_undo(house, seeded, job_id).resource_id
    one_step(house)
    gate = threading.Barrier(2)

    def reveal_all() -> list[bool]:
        gate.wait()
        return [_opens(house, seeded, provision) for provision in provisions]

    def take_back() -> None:
        gate.wait()
        drain(house)

    with ThreadPoolExecutor(2) as pool:
        opened, taken = pool.submit(reveal_all), pool.submit(take_back)
        seen = opened.result()
        taken.result()

    drain(house)
    ends = [state for (state,) in items_of(house, undo_id, "state")]
    assert [state == "failed" for state in ends] == seen
    assert set(ends) <= {"failed", "succeeded"}
    assert_proven(house)


def _opens(house: House, seeded: Seeded, provision_id: UUID) -> bool:
    try:
        open_card(house, seeded, provision_id)
    except ProvisionUndone:
        return False
    return True


def test_an_undo_that_waited_for_a_reveal_leaves_the_card_to_its_recipient(
    house: House, seeded: Seeded
) -> None:
    """The undo reads the provision anew after the wait, not as it was when it began."""
    job_id = served_job(house, seeded, 1)
    provision_id = provision_of(house, job_id, 1).id
    undo_id = ask_undo(house, seeded, job_id).resource_id
    one_step(house)
    with ThreadPoolExecutor(1) as pool:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            now = clock.now(session)
            reveal(session, provision_id, actor_id=ACTOR, keyring=house.settings.keyring, now=now)
            working = pool.submit(drain, house)
            wait_for_a_waiter(house, working)
        working.result()

    assert items_of(house, undo_id, "state", "code") == [("failed", "already_revealed")]
    assert card_states(house) == {"issued": 1}
    assert_proven(house)


def wait_for_a_waiter(house: House, working: Future[Any]) -> None:
    """Until a transaction waits for a lock of another; whose work ends before did not wait."""
    until(lambda: some_wait(house) or working.done())
    assert not working.done(), working.result()


def some_wait(house: House) -> bool:
    """Whether a transaction of this test's database waits for another."""
    with house.sessions.kw["bind"].connect() as connection:
        waiting = text(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND wait_event = 'transactionid' AND datname = current_database()"
        )
        return connection.execute(waiting).first() is not None


@pytest.fixture
def poison(database: Database) -> Iterator[Callable[[int], None]]:
    """Poison the taking back of one position, until the test is over."""
    superuser = database_url(database.admin_url, database.name)

    def put_it(position: int) -> None:
        with psycopg.connect(superuser) as connection:
            connection.execute(_POISON.format(position=position))

    yield put_it
    with psycopg.connect(superuser) as connection:
        connection.execute("DROP FUNCTION IF EXISTS poison CASCADE")


def test_ec121_one_poisoned_item_of_an_undo_fails_alone_and_is_tried_again(
    house: House, seeded: Seeded, poison: Callable[[int], None], database: Database
) -> None:
    """EC-121: the chunk is split until the poison is by itself; what was healed is retried."""
    job_id = served_job(house, seeded, 6)
    poison(3)
    undo_id = ask_undo(house, seeded, job_id).resource_id
    while view(house, undo_id)["finished_at"] is None:
        hasten(house)
        drain(house)
    failed = [
        row for row in items_of(house, undo_id, "position", "state", "code") if row[2] is not None
    ]
    assert failed == [(3, "failed", "internal_error")]
    assert card_states(house) == {"available": 5, "issued": 1}
    assert money_of(house, seeded.client_account) == (CREDIT - 2500, 0)
    assert_proven(house)
    with psycopg.connect(database_url(database.admin_url, database.name)) as connection:
        connection.execute("DROP FUNCTION poison CASCADE")

    assert retry(house, seeded, undo_id) == 1
    drain(house)

    assert view(house, undo_id)["state"] == "succeeded"
    assert (card_states(house), money_of(house, seeded.client_account)) == (
        {"available": 6},
        (CREDIT, 0),
    )
    assert_proven(house)
