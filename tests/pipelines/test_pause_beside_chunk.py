"""A job that has just begun is paused at once: nobody waits for its first chunk."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.jobs.control import pause_job
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import cards_csv, import_cards_now, recipients_csv, submit, view
from tests.moves import control, one_step
from tests.proof import assert_proven
from tests.seeding import seed
from tests.until import until

WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def is_somebody_waiting(database: Database) -> bool:
    with psycopg.connect(database.admin_url, dbname=database.name) as connection:
        return bool(connection.execute(WAITING).fetchall())


def test_ec129_a_pause_is_taken_while_the_first_chunk_is_at_work(
    house: House, database: Database
) -> None:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    job_id = submit(house, seeded, recipients_csv(3))
    with ThreadPoolExecutor(1) as worker:
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(text("SELECT 1 FROM items WHERE position = 2 FOR UPDATE"))
            chunk = worker.submit(one_step, house)
            with ThreadPoolExecutor(1) as person:
                until(lambda: is_somebody_waiting(database))
                person.submit(control, house, seeded, pause_job, job_id).result(timeout=10)
        chunk.result(timeout=20)

    job = view(house, job_id)
    assert job["state"] == "paused"
    assert job["counts"]["succeeded"] + job["counts"]["pending"] == 3
    assert_proven(house)
