"""Every process says that it lives, how busy it is and what troubles it, and leaves at its end."""

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from models.database import scoped_transaction
from models.scope import SYSTEM
from ops.embedded_valkey import ValkeyServer
from ops.home import Home, free_port
from ops.unprivileged import discard
from pipelines.boot import make_heartbeat
from pipelines.queue.processes import Sample, Tally, rate_per_second
from pipelines.settings import PROCESSES
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows, submit
from tests.seeding import seed
from tests.workers.crew import Crew
from workers import scheduler


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A message store that this test may kill."""
    home = Home(Path("/tmp") / f"largesse-valkey-{secrets.token_hex(6)}")
    server = ValkeyServer(home, say=lambda _line: None).start()
    yield server
    server.stop()
    discard(home)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        ([], 0.0),
        ([Sample(0.0, 0)], 0.0),
        ([Sample(0.0, 0), Sample(10.0, 50)], 5.0),
        ([Sample(5.0, 40), Sample(10.0, 45), Sample(65.0, 160)], 2.0),
        ([Sample(5.0, 40), Sample(5.0, 45)], 0.0),
    ],
)
def test_the_rate_is_what_was_done_between_the_ends(samples: list[Sample], rate: float) -> None:
    assert rate_per_second(samples) == rate


@pytest.mark.parametrize("name", ["relay", "scheduler", "interactive", "deliveries"])
def test_a_process_has_a_row_while_it_lives_and_none_after_a_clean_end(
    crew: Crew, name: str
) -> None:
    process = crew.start(name)

    (beat,) = crew.beats()
    assert (beat.name, beat.pid, beat.threads) == (name, process.pid, PROCESSES[name][1])
    assert (beat.state, beat.busy, beat.done, beat.failed) == ("running", 0, 0, 0)
    assert beat.trouble is None
    assert beat.rss_bytes > 10_000_000

    assert crew.end(process) == 0
    assert crew.beats() == []


def test_the_front_beats_from_the_process_that_serves(crew: Crew) -> None:
    port = free_port()
    front = crew.start("web", module="web", beats=False, PORT=str(port))
    crew.until(lambda: bool(crew.beats()))

    assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    crew.until(lambda: crew.beats()[0].done == 1)

    (beat,) = crew.beats()
    assert (beat.name, beat.threads, beat.busy, beat.failed) == ("web", 18, 0, 0)
    assert os.getpgid(beat.pid) == os.getpgid(front.pid)
    assert beat.pid != front.pid
    assert crew.end(front) == 0
    assert crew.beats() == []


def test_work_is_counted(crew: Crew) -> None:
    house = crew.house
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    job_id = submit(house, seeded, recipients_csv(3))
    bulk, _relay = crew.start("bulk"), crew.start("relay")

    crew.until(lambda: crew.beat_of(bulk).done == 1)

    counts = rows(house, "SELECT succeeded FROM chunks WHERE job_id = :job", job=job_id)
    assert [row.succeeded for row in counts] == [3]


def test_a_beat_outlives_an_outage_of_the_database(crew: Crew, database: Database) -> None:
    process = crew.start("deliveries")
    first = crew.beat_of(process)

    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s AND pid <> pg_backend_pid()",
            [database.name],
        )
        crew.house.sessions.kw["bind"].dispose()
        crew.until(lambda: "heartbeat.unwell" in crew.logs())
        admin.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")

    crew.until(lambda: "heartbeat.well_again" in crew.logs())
    crew.until(lambda: crew.beat_of(process).beat_at > first.beat_at)
    assert crew.beat_of(process).id == first.id
    assert crew.end(process) == 0


def test_a_worker_tells_that_its_broker_is_away_and_that_it_is_back(
    crew: Crew, own_valkey: ValkeyServer
) -> None:
    worker = crew.start("interactive", QUEUE_URL=own_valkey.url)
    relay = crew.start("relay", QUEUE_URL=own_valkey.url)

    own_valkey.kill()
    crew.until(lambda: crew.beat_of(worker).trouble is not None)
    crew.until(lambda: crew.beat_of(relay).trouble is not None)
    assert crew.beat_of(worker).trouble == "ConnectionClosed"
    assert crew.beat_of(relay).trouble == "ConnectionError"

    own_valkey.start()
    crew.until(lambda: crew.beat_of(worker).trouble is None)
    crew.until(lambda: crew.beat_of(relay).trouble is None)
    assert (worker.poll(), relay.poll()) == (None, None)


def test_a_killed_process_leaves_a_row_that_the_scheduler_forgets_after_a_day(crew: Crew) -> None:
    house = crew.house
    crew.start("deliveries").send_signal(signal.SIGKILL)
    crew.started[0].wait(timeout=10)
    (left,) = crew.beats()

    age_beat(house, "23 hours")
    scheduler.run_once(house.sessions, house.limits)
    assert [beat.id for beat in crew.beats()] == [left.id]

    age_beat(house, "25 hours")
    scheduler.run_once(house.sessions, house.limits)
    assert crew.beats() == []


def test_a_beat_needs_no_connection_of_the_pool(house: House) -> None:
    """EC-137: work that holds every connection does not silence the process."""
    heartbeat = make_heartbeat(house, "tools", Tally())
    pool = house.sessions.kw["bind"]
    held = [pool.connect() for _ in range(house.settings.pool_size)]

    heartbeat.start()
    while not heartbeat.has_beaten:
        threading.Event().wait(0.01)
    heartbeat.stop()

    for connection in held:
        connection.close()
    assert rows(house, "SELECT 1 FROM processes") == []


def age_beat(house: House, age: str) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql(
            f"UPDATE processes SET beat_at = now() - interval '{age}'"
        )
