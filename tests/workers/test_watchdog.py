"""A process that lost its ears or its memory ends itself; one whose broker is away does not."""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import redis

from ops.embedded_valkey import ValkeyServer
from ops.home import Home
from ops.unprivileged import discard
from pipelines.boot import make_heartbeat
from pipelines.limits import DEFAULTS
from pipelines.queue.broker import make_broker
from pipelines.queue.broker_port import message_of
from pipelines.queue.processes import Tally
from pipelines.queue.ring import Doorbell
from pipelines.wiring import House
from tests.conftest import Database
from tests.workers.crew import Crew
from workers.watchdog import SLEPT_SECONDS, Signs, Watchdog, ailment

WELL = Signs(dead_threads=0, consumer_silence=0.0, database_silence=0.0)
IMPATIENT = "tests.workers.impatient"
IN_A_YEAR = 365 * 24 * 3600 * 1000


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A message store that this test may break."""
    home = Home(Path("/tmp") / f"largesse-valkey-{secrets.token_hex(6)}")
    server = ValkeyServer(home, say=lambda _line: None).start()
    yield server
    server.stop()
    discard(home)


@pytest.fixture
def outage(database: Database) -> Iterator["Outage"]:
    made = Outage(database)
    yield made
    made.end()


class Outage:
    """Nobody gets into the test's database until it ends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, house: House) -> None:
        self._allow("false")
        house.sessions.kw["bind"].dispose()
        with psycopg.connect(self._database.admin_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> pg_backend_pid()",
                [self._database.name],
            )

    def end(self) -> None:
        self._allow("true")

    def _allow(self, value: str) -> None:
        with psycopg.connect(self._database.admin_url, autocommit=True) as admin:
            statement = f"ALTER DATABASE {self._database.name} ALLOW_CONNECTIONS {value}"
            admin.execute(statement.encode())


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        (WELL, None),
        (replace(WELL, dead_threads=1), "thread_died"),
        (replace(WELL, consumer_silence=30.0), None),
        (replace(WELL, consumer_silence=30.1), "consumer_silent"),
        (replace(WELL, database_silence=60.0), None),
        (replace(WELL, database_silence=60.1), "database_unreachable"),
    ],
)
def test_what_ends_a_process(signs: Signs, verdict: str | None) -> None:
    assert ailment(signs, DEFAULTS) == verdict


def test_a_process_that_stood_still_as_a_whole_gets_its_silences_anew(house: House) -> None:
    """Frozen and thawed, it has not been deaf: it was not there."""
    heartbeat = make_heartbeat(house, "tools", Tally())
    dog = Watchdog(heartbeat, house.limits, is_ending=lambda: False)
    began = heartbeat.last_beat

    silences = [
        dog.look(began + seconds).database_silence
        for seconds in (1.0, 9.0, 9.0 + SLEPT_SECONDS, 300.0, 301.0)
    ]

    assert silences[0] == pytest.approx(1.0, abs=0.5)
    assert silences[2] == pytest.approx(9.0 + SLEPT_SECONDS, abs=0.5)
    assert silences[3:] == [0.0, 1.0]


def test_a_process_whose_consumer_died_ends_itself(crew: Crew, valkey: ValkeyServer) -> None:
    """A fetch and the return of a delayed message both fail with what Dramatiq does not expect."""
    process = crew.start("interactive", QUEUE_URL=valkey.url)
    client = redis.Redis.from_url(valkey.url)
    message = message_of(Doorbell(UUID(int=1), "run_single", "interactive"))
    later = int(time.time() * 1000) + IN_A_YEAR
    make_broker(valkey.url).enqueue(message.copy(options={"eta": later}))
    crew.until(lambda: client.llen("dramatiq:interactive") == 0)

    client.set("dramatiq:interactive", "not a list")

    assert process.wait(timeout=30) == 1
    assert told(crew) == ["thread_died"]


def test_a_process_whose_consumer_fell_silent_ends_itself(crew: Crew, valkey: ValkeyServer) -> None:
    """Dramatiq is told to sleep for ten minutes after the loss of its broker."""
    limits = json.dumps({"consumer_silence_seconds": 1.0})
    process = crew.start(
        "interactive",
        module=IMPATIENT,
        QUEUE_URL=valkey.url,
        IMPATIENT_LIMITS=limits,
        dramatiq_restart_delay="600000",
    )

    valkey.kill()

    assert process.wait(timeout=30) == 1
    assert told(crew) == ["consumer_silent"]


def test_a_process_outlives_any_absence_of_its_broker(crew: Crew, valkey: ValkeyServer) -> None:
    """Its consumers ask again and again: to start it anew would help nobody."""
    limits = json.dumps({"consumer_silence_seconds": 1.0})
    process = crew.start(
        "interactive",
        module=IMPATIENT,
        QUEUE_URL=valkey.url,
        IMPATIENT_LIMITS=limits,
        dramatiq_restart_delay="50",
    )

    valkey.kill()
    crew.until(lambda: crew.beat_of(process).trouble is not None)
    since = crew.beat_of(process).beat_at
    crew.until(lambda: (crew.beat_of(process).beat_at - since).total_seconds() > 3.0)

    assert process.poll() is None
    assert crew.end(process) == 0
    assert told(crew) == []


@pytest.mark.parametrize("name", ["relay", "scheduler", "bulk"])
def test_a_process_without_a_database_for_too_long_ends_itself(
    crew: Crew, outage: Outage, name: str
) -> None:
    limits = json.dumps({"database_silence_seconds": 1.0})
    process = crew.start(name, module=IMPATIENT, IMPATIENT_LIMITS=limits)

    outage.begin(crew.house)

    assert process.wait(timeout=30) == 1
    assert told(crew) == ["database_unreachable"]


@pytest.mark.parametrize("name", ["relay", "vendors"])
def test_a_process_started_without_a_database_says_so_and_may_be_started_again(
    crew: Crew, outage: Outage, name: str
) -> None:
    """Exit 1 is an accident; only 2 would mean that starting again is no use."""
    outage.begin(crew.house)
    process = crew.start(name, beats=False)

    assert process.wait(timeout=30) == 1
    (line,) = crew.logs().splitlines()
    assert line.startswith(f"{name}: The database does not answer (OperationalError): look")


def test_the_front_without_a_database_says_so(crew: Crew, outage: Outage) -> None:
    outage.begin(crew.house)
    process: subprocess.Popen[bytes] = crew.start("web", module="web", beats=False, PORT="0")

    assert process.wait(timeout=30) == 1
    assert crew.logs().startswith("web: The database does not answer (OperationalError): look")


def told(crew: Crew) -> list[str]:
    """Why processes of this test ended themselves, by their logs."""
    lines = (json.loads(line) for line in crew.logs().splitlines() if line.startswith("{"))
    return [line["reason"] for line in lines if line["event"] == "watchdog.ends_process"]
