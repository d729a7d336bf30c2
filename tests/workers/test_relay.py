"""The relay rings what is due, fairly, after its commit; messages are doorbells and nothing else."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from dramatiq import Message

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.jobs.control import pause_job
from pipelines.queue.broker import make_broker
from pipelines.queue.broker_port import BrokerAway, HouseBroker
from pipelines.queue.defer import defer, defer_many
from pipelines.queue.kinds import PURGE_KEYS, RUN_CHUNK, SETTLE_JOB, TASK_VERSION
from pipelines.wiring import House
from tests.canary import MARK
from tests.conftest import Ground
from tests.driving import recipients_csv
from tests.intake import submit_file
from tests.seeding import ACTOR, seed
from tests.workers.tasks import change_task, put, task
from workers import relay
from workers.middleware import DoorbellsOnly

ONE = UUID(int=1)


@pytest.fixture
def memory(ground: Ground) -> Iterator[redis.Redis]:
    """Valkey, empty but for the relay's epoch."""
    connection = redis.Redis.from_url(ground.servers.redis_url)
    connection.flushdb()
    connection.set("largesse:epoch", "1")
    yield connection
    connection.flushdb()
    connection.close()


@pytest.fixture
def broker(ground: Ground, memory: redis.Redis) -> Iterator[HouseBroker]:
    made = make_broker(ground.servers.redis_url, middleware=[DoorbellsOnly()])
    yield made
    made.close()


def one_pass(house: House, broker: HouseBroker) -> int:
    return relay.run_once(house.sessions, broker, house.limits)


def messages(memory: redis.Redis) -> list[dict[str, Any]]:
    """Every message that Valkey holds, as it is written there."""
    return [
        json.loads(raw) for key in memory.scan_iter("dramatiq:*.msgs") for raw in memory.hvals(key)
    ]


def rung_tasks(memory: redis.Redis) -> Counter[str]:
    return Counter(message["kwargs"]["task_id"] for message in messages(memory))


def put_many(house: House, count: int, *, tenant_id: UUID, job_id: UUID | None = None) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        defer_many(
            session,
            RUN_CHUNK,
            [{"chunk": n} for n in range(count)],
            now=clock.now(session),
            tenant_id=tenant_id,
            job_id=job_id,
        )


def test_no_traceback_is_sent(broker: HouseBroker, memory: redis.Redis) -> None:
    options = {"traceback": f"ValueError: {MARK}"}
    broker.enqueue(Message("bulk", "run_chunk", (), {"task_id": "1", "v": 1}, options))

    (message,) = messages(memory)
    assert "traceback" not in message["options"]


def test_ec116_nothing_is_rung_before_its_commit(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    """EC-116: an uncommitted task is not there, a rolled back one never was."""
    with ThreadPoolExecutor(1) as elsewhere:

        def look() -> int:
            return elsewhere.submit(one_pass, house, broker).result(timeout=10)

        with (
            pytest.raises(ZeroDivisionError),
            scoped_transaction(house.sessions, SYSTEM) as session,
        ):
            defer(session, PURGE_KEYS, args={}, now=clock.now(session))
            assert look() == 0
            raise ZeroDivisionError
        after_rollback = look()
        with scoped_transaction(house.sessions, SYSTEM) as session:
            task_id = defer(session, PURGE_KEYS, args={}, now=clock.now(session))
            before_commit = look()
        after_commit = look()

    assert (after_rollback, before_commit, after_commit) == (0, 0, 1)
    assert rung_tasks(memory) == {str(task_id): 1}


def test_ec116_a_relay_killed_between_mark_and_message_only_costs_time(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    """EC-116: the row is rung again after its redelivery time, and not sooner."""
    task_id = put(house, PURGE_KEYS)
    seconds = house.limits.redelivery_seconds
    change_task(house, task_id, f"rung_at = now() - interval '{seconds - 2} seconds'")
    sooner = one_pass(house, broker)
    change_task(house, task_id, f"rung_at = now() - interval '{seconds} seconds'")
    later = one_pass(house, broker)

    assert (sooner, later) == (0, 1)
    assert one_pass(house, broker) == 0


def test_what_is_leased_dead_early_or_unknown_is_not_rung(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    changes = {
        "leased": "lease_until = now() + interval '1 minute'",
        "dead": "state = 'dead'",
        "early": "run_after = now() + interval '1 minute'",
        "unknown": "kind = 'from_tomorrow'",
        "newer": f"v = {TASK_VERSION + 1}",
        "lease over": "lease_until = now() - interval '1 second'",
    }
    made = {name: put(house, PURGE_KEYS, lane=name) for name in changes}
    for name, change in changes.items():
        change_task(house, made[name], change)

    one_pass(house, broker)

    assert rung_tasks(memory) == {str(made["lease over"]): 1}


def test_ec045_a_message_carries_the_version_of_its_row(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    """EC-045: code older than a row is told so, and leaves it to others."""
    now, before = put(house, PURGE_KEYS, lane="now"), put(house, PURGE_KEYS, lane="before")
    change_task(house, before, f"v = {TASK_VERSION - 1}")

    one_pass(house, broker)

    assert {m["kwargs"]["task_id"]: m["kwargs"]["v"] for m in messages(memory)} == {
        str(now): TASK_VERSION,
        str(before): TASK_VERSION - 1,
    }


def test_urgent_tasks_are_rung_first(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    put_many(house, 50, tenant_id=ONE)
    urgent = put(house, tenant_id=ONE, priority=1)

    one_pass(house, broker)

    assert task(house, urgent).rung_at is not None


def test_an_unreachable_broker_leaves_every_task_unmarked(house: House) -> None:
    task_id = put(house, PURGE_KEYS)

    with pytest.raises(BrokerAway, match="ConnectionError"):
        one_pass(house, nowhere())

    assert task(house, task_id).rung_at is None


def nowhere() -> HouseBroker:
    """A broker at an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
    return make_broker(url, middleware=[DoorbellsOnly()])


def test_a_paused_job_is_not_rung_but_for_what_brings_it_home(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    seeded = seed(house, vendor=False)
    job_id = submit_file(house, seeded, recipients_csv(2)).job_id
    settle = put(house, SETTLE_JOB, tenant_id=seeded.client_id, job_id=job_id)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        pause_job(session, job_id, actor_id=ACTOR, now=clock.now(session))

    one_pass(house, broker)

    assert rung_tasks(memory) == {str(settle): 1}


def test_two_relays_at_once_ring_each_task_once(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    put_many(house, 20, tenant_id=ONE)
    places = house.limits.window_tasks_min

    with ThreadPoolExecutor(4) as pool:
        rung = list(pool.map(lambda _n: one_pass(house, broker), range(4)))

    assert sum(rung) == places
    assert set(rung_tasks(memory).values()) == {1}


def test_an_accepter_s_own_ring_is_repeated_after_the_short_wait(
    house: House, broker: HouseBroker, memory: redis.Redis
) -> None:
    limits = house.limits
    task_id = put(house, PURGE_KEYS)
    gone = limits.redelivery_seconds - limits.interactive_redelivery_seconds
    change_task(house, task_id, f"rung_at = now() - interval '{gone} seconds'")
    at_once = one_pass(house, broker)
    row = task(house, task_id)
    again = row.rung_at + timedelta(seconds=limits.redelivery_seconds) - row.created_at

    assert at_once == 0
    assert again.total_seconds() == pytest.approx(limits.interactive_redelivery_seconds, abs=0.9)
