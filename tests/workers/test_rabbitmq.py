"""Real jobs through real processes on RabbitMQ, which dies and forgets in the middle of them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis

from pipelines.wiring import House
from tests.conftest import Database, Ground, process_environment, vendor_environment
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows, submit, view
from tests.proof import assert_proven
from tests.rabbitmq import RabbitmqServer
from tests.seeding import seed
from tests.until import until
from tests.vendor import Sandbox
from tests.workers.brokers import BehindRabbitmq

PROCESSES = ("relay", "scheduler", "interactive", "bulk", "vendors")
STOCKED, BOUGHT = 20, 130
ITEMS = STOCKED + BOUGHT


@pytest.fixture
def logs(
    ground: Ground, database: Database, sandbox: Sandbox, rabbitmq: RabbitmqServer, tmp_path: Path
) -> Iterator[Path]:
    """Product processes on an empty RabbitMQ and on nothing else; the folder of what they say."""
    redis.Redis.from_url(ground.servers.redis_url).flushdb()
    BehindRabbitmq(rabbitmq.url).empty()
    environment = process_environment(
        database.urls, rabbitmq.url, time_scale=0.1, **vendor_environment(sandbox)
    )
    running = []
    for name in PROCESSES:
        with (tmp_path / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "workers", name]
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    yield tmp_path
    for process in running:
        process.terminate()
    assert [process.wait(timeout=60) for process in running] == [0] * len(running)


def begun_job(house: House) -> UUID:
    """A job whose cards come from a pool and from the vendor."""
    seeded = seed(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(STOCKED))
    return submit(house, seeded, recipients_csv(ITEMS))


def until_done(house: House, job_id: UUID, items: int) -> None:
    until(lambda: view(house, job_id)["counts"]["succeeded"] >= items)


def assert_ends_exactly(house: House, job_id: UUID, sandbox: Sandbox) -> None:
    """Everybody has one card, the vendor sold no more than we asked for, and the books agree."""
    until(lambda: view(house, job_id)["finished_at"] is not None, seconds=180)
    job = view(house, job_id)
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", ITEMS)
    references = sandbox.references()
    assert (len(references), len(set(references))) == (BOUGHT, BOUGHT)
    until(lambda: rows(house, "SELECT 1 FROM tasks WHERE job_id = :job", job=job_id) == [])
    assert_proven(house)


def test_a_job_runs_to_its_end_on_rabbitmq_alone(
    house: House, logs: Path, sandbox: Sandbox, ground: Ground
) -> None:
    job_id = begun_job(house)

    assert_ends_exactly(house, job_id, sandbox)
    assert redis.Redis.from_url(ground.servers.redis_url).dbsize() == 0
    assert "relay.unwell" not in (logs / "relay.log").read_text()


def test_ec117_rabbitmq_is_killed_in_the_middle_of_a_job(
    house: House, logs: Path, sandbox: Sandbox, rabbitmq: RabbitmqServer
) -> None:
    """EC-117: it comes back with what it has; nothing is lost and nothing is done twice."""
    job_id = begun_job(house)
    until_done(house, job_id, STOCKED + BOUGHT // 10)
    rabbitmq.kill()
    until(lambda: "relay.unwell" in (logs / "relay.log").read_text())
    rabbitmq.start()

    assert_ends_exactly(house, job_id, sandbox)
    assert "relay.well_again" in (logs / "relay.log").read_text()


def test_ec117_rabbitmq_forgets_everything_in_the_middle_of_a_job(
    house: House, logs: Path, sandbox: Sandbox, rabbitmq: RabbitmqServer
) -> None:
    """EC-117: the marker is gone with the messages, so all that is unfinished is rung again."""
    job_id = begun_job(house)
    until_done(house, job_id, STOCKED + BOUGHT // 10)
    told = (logs / "relay.log").read_text().count("relay.epoch_lost")
    rabbitmq.wipe()

    assert_ends_exactly(house, job_id, sandbox)
    assert (logs / "relay.log").read_text().count("relay.epoch_lost") == told + 1
