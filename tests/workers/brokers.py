"""What tests do with a broker behind the house's back: look into it, put rubbish in, empty it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import pika
import redis
from dramatiq import Worker

from models.base import new_id
from pipelines.queue.broker import make_broker
from pipelines.queue.broker_port import HouseBroker
from pipelines.queue.broker_rabbitmq import EPOCH_QUEUE
from pipelines.queue.kinds import Queue
from pipelines.queue.ring import Doorbell
from pipelines.wiring import House
from tests.until import until
from tests.workers.tasks import wrapper_with
from workers.actors import bind
from workers.middleware import DoorbellsOnly

T = TypeVar("T")

#: Under this name Redis keeps what a test put in; Dramatiq expects it among the options.
INJECTED = "injected"


class Backstage(ABC):
    """One broker, seen from behind."""

    #: What it answers when it is asked for its name.
    program: ClassVar[str]

    def __init__(self, url: str) -> None:
        self.url = url

    def broker(self, patience_seconds: float = 5.0) -> HouseBroker:
        return make_broker(
            self.url, middleware=[DoorbellsOnly()], patience_seconds=patience_seconds
        )

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for queue in Queue for raw in self.raw(queue)]

    @abstractmethod
    def raw(self, queue: str) -> list[bytes]:
        """The waiting messages as they are written; they stay."""

    @abstractmethod
    def inject(self, queue: str, data: bytes) -> None:
        """Put a message in as another program might."""

    @abstractmethod
    def dead(self, queue: str) -> int:
        """How many messages are among the dead letters of a queue."""

    @abstractmethod
    def empty(self) -> None:
        """Have the broker forget everything."""


class BehindRedis(Backstage):
    program = "valkey"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._client = redis.Redis.from_url(url)

    def raw(self, queue: str) -> list[bytes]:
        return self._client.hvals(f"dramatiq:{queue}.msgs")

    def inject(self, queue: str, data: bytes) -> None:
        self._client.hset(f"dramatiq:{queue}.msgs", INJECTED, data)
        self._client.rpush(f"dramatiq:{queue}", INJECTED)

    def dead(self, queue: str) -> int:
        return self._client.zcard(f"dramatiq:{queue}.XQ")

    def empty(self) -> None:
        self._client.flushdb()


class BehindRabbitmq(Backstage):
    program = "rabbitmq"

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def raw(self, queue: str) -> list[bytes]:
        """Unacknowledged, they go back to where they were."""
        found = []
        with self._channel() as channel:
            if not _is_there(self._messages_in, queue):
                return []
            while (body := channel.basic_get(queue)[2]) is not None:
                found.append(body)
        return found

    def inject(self, queue: str, data: bytes) -> None:
        with self._channel() as channel:
            channel.confirm_delivery()
            channel.basic_publish("", queue, data, mandatory=True)

    def dead(self, queue: str) -> int:
        return self._messages_in(f"{queue}.XQ")

    def _messages_in(self, queue: str) -> int:
        with self._channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    def empty(self) -> None:
        with self._channel() as channel:
            channel.queue_delete(EPOCH_QUEUE)
            for queue in Queue:
                for name in (queue, f"{queue}.DQ", f"{queue}.XQ"):
                    channel.queue_delete(name)


def _is_there(look: Callable[[str], T], queue: str) -> bool:
    try:
        look(queue)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    return True


def bells(count: int, queue: str = "bulk") -> list[Doorbell]:
    return [Doorbell(new_id(), "run_chunk", queue) for _ in range(count)]


@contextmanager
def working(broker: HouseBroker, house: House, *, knows_kinds: bool = True) -> Iterator[Worker]:
    """A real worker on the bulk queue; without kinds it is code from before they were written."""
    if knows_kinds:
        bind(broker, wrapper_with(house))
    else:
        broker.declare_queue("bulk")
    worker = Worker(broker, queues={"bulk"}, worker_threads=2, worker_timeout=20)
    worker.start()
    try:
        until(lambda: worker.consumers["bulk"].consumer)
        yield worker
    finally:
        worker.stop(timeout=10_000)
