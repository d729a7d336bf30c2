"""Both brokers keep the same promises: small messages, plain failures, no end over rubbish."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from dramatiq import Message
from dramatiq.middleware import MiddlewareError
from sqlalchemy import text

from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.broker import UnknownScheme, make_broker
from pipelines.queue.broker_port import BrokerAway, HouseBroker
from pipelines.queue.kinds import ALL, PURGE_KEYS, RUN_CHUNK, RUN_SINGLE, TASK_VERSION, Queue
from pipelines.wiring import House
from tests.until import until
from tests.workers.brokers import (
    INJECTED,
    Backstage,
    bells,
    working,
)
from tests.workers.tasks import change_task, put, task
from workers import relay
from workers.middleware import MESSAGE_BYTES_MAX


def one_pass(house: House, broker: HouseBroker) -> int:
    """With room for a task of every kind on one queue, though nobody works there."""
    return relay.run_once(house.sessions, broker, replace(house.limits, window_tasks_min=len(ALL)))


def written(**changed: Any) -> bytes:
    """A message that would be sound but for what is changed."""
    fields = {
        "queue_name": "bulk",
        "actor_name": PURGE_KEYS.name,
        "args": [],
        "kwargs": {"task_id": str(new_id()), "v": 1},
        "options": {"redis_message_id": INJECTED},
        "message_id": str(new_id()),
        "message_timestamp": 1,
    }
    return json.dumps(fields | changed).encode()


RUBBISH = {
    "no JSON": b"\xff not json",
    "a list": b"[]",
    "half a message": b'{"queue_name": "bulk", "args": []}',
    "another queue": written(queue_name="elsewhere"),
    "no options": written(options=None),
    "a list for an id": written(message_id=[1]),
    "a list for an actor": written(actor_name=["purge_keys"]),
    "no task": written(kwargs={"v": 1}),
    "a number for a task": written(kwargs={"task_id": 7, "v": 1}),
    "a name for a task": written(kwargs={"task_id": "seven", "v": 1}),
    "no version": written(kwargs={"task_id": str(new_id())}),
    "a yes for a version": written(kwargs={"task_id": str(new_id()), "v": True}),
}


def test_ec123_a_message_is_an_id_and_a_version_for_every_kind(
    house: House, broker: HouseBroker, backstage: Backstage
) -> None:
    """EC-123: what is on the broker, for every kind of the catalogue."""
    made = {
        kind: put(house, kind, tenant_id=new_id(), args={"x": "x" * 99}) for kind in ALL.values()
    }

    assert one_pass(house, broker) == len(ALL)

    found = backstage.messages()
    assert {m["actor_name"]: m["kwargs"] for m in found} == {
        kind.name: {"task_id": str(task_id), "v": TASK_VERSION} for kind, task_id in made.items()
    }
    assert {m["actor_name"]: m["queue_name"] for m in found} == {
        kind.name: kind.queue.value for kind in made
    }
    assert [m for m in found if m["args"] or set(m["options"]) - {"redis_message_id"}] == []
    sizes = [len(raw) for queue in Queue for raw in backstage.raw(queue)]
    assert len(sizes) == len(ALL)
    assert max(sizes) <= MESSAGE_BYTES_MAX


def test_a_ring_says_how_many_went_out_and_the_queue_is_as_deep(
    broker: HouseBroker,
) -> None:
    assert broker.depth("bulk") == 0
    assert broker.ring(bells(3)) == 3
    assert (broker.depth("bulk"), broker.depth("interactive")) == (3, 0)


def test_ec117_a_broker_that_forgot_says_so_until_it_is_marked(
    broker: HouseBroker, backstage: Backstage
) -> None:
    """EC-117: a relay that dies, or fails, before everything is rung again is not the last."""
    unmarked = [broker.remembers_epoch(), broker.remembers_epoch()]
    broker.mark_epoch()
    marked = broker.remembers_epoch()
    backstage.empty()

    assert (unmarked, marked, broker.remembers_epoch()) == ([False, False], True, False)


def test_ec117_what_a_worker_holds_does_not_keep_the_rest_from_being_rung_again(
    house: House, broker: HouseBroker, backstage: Backstage
) -> None:
    held, free = (put(house, PURGE_KEYS, lane=lane) for lane in ("held", "free"))
    assert one_pass(house, broker) == 2
    backstage.empty()
    with ThreadPoolExecutor(1) as elsewhere, scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("SELECT 1 FROM tasks WHERE id = :id FOR UPDATE"), {"id": held})
        rung = elsewhere.submit(one_pass, house, broker).result(timeout=20)

    assert rung == 1
    assert {m["kwargs"]["task_id"] for m in backstage.messages()} == {str(free)}


def test_a_queue_that_nobody_empties_gets_no_more_doorbells(
    house: House, broker: HouseBroker
) -> None:
    deep = replace(house, limits=replace(house.limits, broker_depth_max=3))
    broker.ring(bells(3))
    put(house, RUN_CHUNK, tenant_id=UUID(int=1))
    single = put(house, RUN_SINGLE, tenant_id=UUID(int=1))

    assert one_pass(deep, broker) == 1
    assert task(house, single).rung_at is not None


def test_ec117_a_broker_that_lost_its_memory_is_told_everything_again(
    house: House, broker: HouseBroker, backstage: Backstage
) -> None:
    """EC-117: the mark is gone, so all that is unfinished is rung anew."""
    made = {str(put(house, PURGE_KEYS, lane=str(n))) for n in range(5)}
    assert one_pass(house, broker) == 5
    backstage.empty()

    assert one_pass(house, broker) == 5
    assert {m["kwargs"]["task_id"] for m in backstage.messages()} == made
    assert one_pass(house, broker) == 0


def test_the_broker_names_itself(broker: HouseBroker, backstage: Backstage) -> None:
    broker.ping()

    assert broker.version().name == backstage.program
    assert broker.version().version[0].isdigit()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_told_plainly(scheme: str) -> None:
    """A ring raises nothing and rings nothing; every question says who is away."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"{scheme}://127.0.0.1:{closed.getsockname()[1]}"
    broker = make_broker(url)

    assert broker.ring(bells(2)) == 0
    asked = (broker.ping, broker.version, broker.remembers_epoch, lambda: broker.depth("bulk"))
    for ask in asked:
        with pytest.raises(BrokerAway, match="ConnectionError"):
            ask()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_never_answers_is_not_waited_for(scheme: str) -> None:
    """The system takes the connection for a program that stands still."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = make_broker(
            f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", patience_seconds=0.05
        )

        assert broker.ring(bells(2)) == 0
        with pytest.raises(BrokerAway):
            broker.ping()


@pytest.mark.parametrize("url", ["sqs://queue", "http://127.0.0.1/", "localhost:6379", ""])
def test_an_address_of_another_kind_is_refused_with_the_ones_that_fit(url: str) -> None:
    with pytest.raises(UnknownScheme, match=r"redis://.*amqps://"):
        make_broker(url)


@pytest.mark.parametrize("name", RUBBISH)
def test_ec122_what_cannot_be_read_is_put_aside(
    house: House, broker: HouseBroker, backstage: Backstage, name: str
) -> None:
    """EC-122: the consumer and the threads go on, and the work behind it is done."""
    with working(broker, house) as worker:
        consumer = worker.consumers["bulk"].consumer
        backstage.inject("bulk", RUBBISH[name])
        until(lambda: backstage.dead("bulk") == 1)
        task_id = put(house, PURGE_KEYS)
        one_pass(house, broker)
        until(lambda: task(house, task_id) is None)

        assert worker.consumers["bulk"].consumer is consumer
        assert [thread.is_alive() for thread in worker.workers] == [True, True]
        assert backstage.dead("bulk") == 1


def test_ec122_an_unknown_actor_s_message_is_put_aside(
    house: House, broker: HouseBroker, backstage: Backstage
) -> None:
    """EC-122: an actor of tomorrow; today's work goes on."""
    with working(broker, house) as worker:
        consumer = worker.consumers["bulk"].consumer
        backstage.inject("bulk", written(actor_name="from_tomorrow"))
        until(lambda: backstage.dead("bulk") == 1)
        task_id = put(house, PURGE_KEYS)
        one_pass(house, broker)
        until(lambda: task(house, task_id) is None)

        assert worker.consumers["bulk"].consumer is consumer


def test_ec122_work_that_old_code_put_aside_is_rung_again_for_code_that_knows_it(
    house: House, backstage: Backstage
) -> None:
    """EC-122: the message is a dead letter, and the row is as it was."""
    old, new = backstage.broker(), backstage.broker()
    task_id = put(house, PURGE_KEYS)
    with working(old, house, knows_kinds=False):
        assert one_pass(house, old) == 1
        until(lambda: backstage.dead("bulk") == 1)
    assert task(house, task_id).state == "ready"
    old.close()

    change_task(house, task_id, "rung_at = now() - interval '1 minute'")
    with working(new, house):
        assert one_pass(house, new) == 1
        until(lambda: task(house, task_id) is None)
    new.close()


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {"task_id": "1", "v": 1, "email": "one@example.com"}),
        (("1",), {"task_id": "1", "v": 1}),
        ((), {"task_id": "1" * MESSAGE_BYTES_MAX, "v": 1}),
    ],
)
def test_ec123_anything_more_than_a_doorbell_is_not_sent(
    broker: HouseBroker, backstage: Backstage, args: tuple[str, ...], kwargs: dict[str, Any]
) -> None:
    message: Message[Any] = Message("bulk", "run_chunk", args, kwargs, {})

    with pytest.raises(MiddlewareError):
        broker.enqueue(message)

    assert backstage.messages() == []
