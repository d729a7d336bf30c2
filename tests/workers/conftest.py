"""These tests share one database, emptied before each of them, and one RabbitMQ."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.home import Home
from ops.unprivileged import discard
from pipelines.queue.broker_port import HouseBroker
from pipelines.wiring import House
from tests import canary
from tests.conftest import Database, Ground, process_environment, vendor_environment
from tests.emptied import emptied, own_database
from tests.rabbitmq import RabbitmqServer, rabbitmq_server
from tests.vendor import Sandbox
from tests.workers.brokers import Backstage, BehindRabbitmq, BehindRedis
from tests.workers.crew import Crew


@pytest.fixture(scope="package")
def shared_database(ground: Ground) -> Iterator[Database]:
    with own_database(ground) as made:
        yield made


@pytest.fixture
def database(shared_database: Database) -> Iterator[Database]:
    yield from emptied(shared_database)


@pytest.fixture(scope="package")
def rabbitmq() -> Iterator[RabbitmqServer]:
    home = Home(Path("/tmp") / f"largesse-rabbitmq-{secrets.token_hex(6)}")
    try:
        with rabbitmq_server(home) as server:
            yield server
    finally:
        discard(home)


@pytest.fixture
def crew(
    ground: Ground, database: Database, vendor_house: House, sandbox: Sandbox, tmp_path: Path
) -> Iterator[Crew]:
    """Nobody yet: the test starts whom it needs. Waits are 50 times shorter.

    The broker is emptied first: a doorbell that another test left keeps a process busy.
    """
    BehindRedis(ground.servers.redis_url).empty()
    environment = process_environment(
        database.urls,
        ground.servers.redis_url,
        time_scale=0.02,
        **vendor_environment(sandbox),
    )
    made = Crew(vendor_house, environment, tmp_path)
    yield made
    made.dismiss()
    canary.refuse(canary.in_logs(tmp_path))


@pytest.fixture(params=["redis", "amqp"])
def backstage(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Backstage]:
    """Each broker in turn, empty."""
    behind: Backstage
    if request.param == "redis":
        behind = BehindRedis(ground.servers.redis_url)
    else:
        behind = BehindRabbitmq(request.getfixturevalue("rabbitmq").url)
    behind.empty()
    yield behind
    behind.empty()


@pytest.fixture
def broker(backstage: Backstage) -> Iterator[HouseBroker]:
    made = backstage.broker()
    yield made
    made.close()
