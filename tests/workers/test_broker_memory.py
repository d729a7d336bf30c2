"""EC-136: a broker without memory refuses; nothing is lost, all is done when memory is back."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import redis

from ops.embedded_valkey import ValkeyServer
from ops.home import Home
from ops.unprivileged import discard
from pipelines.queue.broker_port import BrokerAway, HouseBroker
from pipelines.queue.kinds import PURGE_KEYS
from pipelines.wiring import House
from tests.driving import rows
from tests.rabbitmq import RabbitmqServer
from tests.until import until
from tests.workers.brokers import BehindRabbitmq, BehindRedis, bells, working
from tests.workers.tasks import put
from workers import relay

TASKS = 10
NO_MEMORY = "OutOfMemoryError"


@pytest.fixture(scope="module")
def own_redis() -> Iterator[str]:
    """A Valkey for these tests alone, for its memory is taken away."""
    home = Home(Path("/tmp") / f"largesse-memory-{secrets.token_hex(6)}")
    server = ValkeyServer(home, say=lambda _line: None)
    try:
        yield server.start().url
    finally:
        server.stop()
        discard(home)


@pytest.fixture
def behind(own_redis: str) -> Iterator[BehindRedis]:
    seen = BehindRedis(own_redis)
    allow(own_redis, 0)
    seen.empty()
    yield seen
    allow(own_redis, 0)


@pytest.fixture
def broker(behind: BehindRedis) -> Iterator[HouseBroker]:
    made = behind.broker()
    made.mark_epoch()
    yield made
    made.close()


def allow(url: str, maxmemory: int) -> None:
    """0 is without end."""
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory", maxmemory)


def used(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory"])


def waiting(house: House) -> tuple[int, int]:
    """Tasks that are there, and how many of them are marked as rung."""
    (row,) = rows(house, "SELECT count(*) AS tasks, count(rung_at) AS rung FROM tasks")
    return row.tasks, row.rung


def test_ec136_a_ring_says_how_many_redis_took(
    broker: HouseBroker, behind: BehindRedis, own_redis: str
) -> None:
    """EC-136: memory ends in the middle of it."""
    assert broker.ring(bells(1)) == 1
    allow(own_redis, used(own_redis) + 200_000)

    rung = broker.ring(bells(5_000))

    assert 0 < rung < 5_000
    assert len(behind.raw("bulk")) == rung + 1


def test_ec136_no_task_is_marked_as_rung_while_redis_refuses(
    house: House, broker: HouseBroker, own_redis: str
) -> None:
    """EC-136: a pass says why it rang nothing, and leaves the tasks as they are."""
    for _ in range(TASKS):
        put(house, PURGE_KEYS)
    allow(own_redis, 1)

    with pytest.raises(BrokerAway, match=NO_MEMORY):
        relay.run_once(house.sessions, broker, house.limits)

    assert waiting(house) == (TASKS, 0)


@contextmanager
def ringing(house: House, broker: HouseBroker) -> Iterator[list[str | None]]:
    """A relay and a worker at work; what the relay tells of its state."""
    states: list[str | None] = []
    stop = threading.Event()
    limits = house.limits.scaled(0.1)
    one_pass = partial(relay.run_once, house.sessions, broker, limits)
    thread = threading.Thread(
        target=relay.run_forever, args=(one_pass, stop, limits, states.append)
    )
    with working(broker, house):
        thread.start()
        try:
            yield states
        finally:
            stop.set()
            thread.join(timeout=10)


def test_ec136_all_is_done_when_redis_has_memory_again(
    house: House, broker: HouseBroker, own_redis: str
) -> None:
    """EC-136: relay and worker stay, and the relay tells its trouble and its end, once each."""
    allow(own_redis, 1)
    with ringing(house, broker) as states:
        for _ in range(TASKS):
            put(house, PURGE_KEYS)
        until(lambda: states == [NO_MEMORY])
        assert waiting(house) == (TASKS, 0)

        allow(own_redis, 0)
        until(lambda: waiting(house)[0] == 0)
        until(lambda: states == [NO_MEMORY, None])


def test_ec136_all_is_done_when_rabbitmq_has_memory_again(
    house: House, rabbitmq: RabbitmqServer
) -> None:
    """EC-136: RabbitMQ does not refuse, it stops to listen; the relay does not stop with it."""
    BehindRabbitmq(rabbitmq.url).empty()
    broker = BehindRabbitmq(rabbitmq.url).broker(patience_seconds=0.5)
    with ringing(house, broker) as states:
        rabbitmq.control("set_vm_memory_high_watermark", "0.000001")
        try:
            until(lambda: put(house, PURGE_KEYS) and "NoAnswer" in states)
            for _ in range(TASKS):
                put(house, PURGE_KEYS)
        finally:
            rabbitmq.control("set_vm_memory_high_watermark", "absolute", "512MB")
        until(lambda: waiting(house)[0] == 0)
        until(lambda: states[-1] is None)
    broker.close()
