"""Redis and Valkey as the house's broker."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from dramatiq import Middleware
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipelines.queue.broker_port import (
    BrokerAway,
    BrokerVersion,
    HouseBroker,
    message_of,
    read_message,
)
from pipelines.queue.ring import Doorbell
from pipelines.telemetry import get_logger

log = get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 2.0
HEARTBEAT_MILLISECONDS = 60_000
#: Chance in a million per command to clear up after dead workers; nothing rests on it.
MAINTENANCE_CHANCE = 20_000
DEAD_MESSAGE_MILLISECONDS = 24 * 3600 * 1000
#: While this key stands, Redis remembers what was rung.
EPOCH_KEY = "largesse:epoch"
#: More wakes than this are not kept: a consumer that is awake looks for all there is.
WAKES_MAX = 64
#: A consumer whose threads have enough to do looks again this much later.
FULL_SECONDS = 0.02


def redis_client(url: str, *, socket_timeout: float) -> redis.Redis:
    """A client that fails plainly: a retried send would ring twice for nothing."""
    return redis.Redis.from_url(
        url,
        socket_timeout=socket_timeout,
        socket_connect_timeout=min(CONNECT_TIMEOUT_SECONDS, socket_timeout),
        retry=Retry(NoBackoff(), 0),
    )


class _WokenConsumer(_RedisConsumer):
    """Dramatiq's consumer, woken by a ring where Dramatiq's own would look again some time later.

    Nothing rests on the wake: without one it looks again when its timeout is over.
    """

    def __init__(
        self, broker: "RedisDoorbells", queue_name: str, prefetch: int, timeout: int
    ) -> None:
        super().__init__(broker, queue_name, prefetch, 0)  # type: ignore[no-untyped-call]
        self._client = broker.client
        self._idle_seconds = timeout / 1000
        self._has_told = False

    def __next__(self) -> MessageProxy | None:
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        if message is None:
            self._rest()
        return message

    def _tell_once(self, fault: redis.ResponseError) -> None:
        if not self._has_told:
            log.warning("consumer.not_woken", queue=self.queue_name, fault=type(fault).__name__)
        self._has_told = True

    def _rest(self) -> None:
        if self.outstanding_message_count >= self.prefetch:
            time.sleep(FULL_SECONDS)
            return
        try:
            self._client.blpop([_wake_key(self.queue_name)], timeout=self._idle_seconds)
        except redis.ResponseError as fault:  # an old server, or an account without the right
            self._tell_once(fault)
            time.sleep(self._idle_seconds)
        except (redis.ConnectionError, redis.TimeoutError) as fault:
            raise ConnectionClosed(fault) from None  # type: ignore[no-untyped-call]


class RedisDoorbells(HouseBroker, RedisBroker):
    """Dramatiq's Redis broker, and what the house asks besides."""

    def __init__(
        self, url: str, *, middleware: Iterable[Middleware], patience_seconds: float
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=redis_client(url, socket_timeout=patience_seconds),
            middleware=list(middleware),
            heartbeat_timeout=HEARTBEAT_MILLISECONDS,
            maintenance_chance=MAINTENANCE_CHANCE,
            dead_message_ttl=DEAD_MESSAGE_MILLISECONDS,
        )

    @property
    def consumer_class(self) -> type[_WokenConsumer]:
        return _WokenConsumer

    def send(self, doorbells: Iterable[Doorbell]) -> int:
        rung: Counter[str] = Counter()
        try:
            for bell in doorbells:
                with _told_plainly():
                    self.enqueue(message_of(bell))
                rung[bell.queue] += 1
        except BrokerAway as away:
            raise BrokerAway(away.reason, rung=rung.total()) from None
        finally:
            self._wake(rung)
        return rung.total()

    def _wake(self, rung: Counter[str]) -> None:
        """One wake per message; whoever is not woken looks by itself a moment later."""
        with suppress(redis.RedisError), self.client.pipeline(transaction=False) as pipe:
            for queue, messages in rung.items():
                pipe.rpush(_wake_key(queue), *[b""] * min(messages, WAKES_MAX))
                pipe.ltrim(_wake_key(queue), -WAKES_MAX, -1)
            pipe.execute()

    def remembers_epoch(self) -> bool:
        with _told_plainly():
            # Written again where it stands: a Redis without memory for a doorbell refuses this too.
            return self.client.set(EPOCH_KEY, "1", xx=True) is not None

    def mark_epoch(self) -> None:
        with _told_plainly():
            self.client.set(EPOCH_KEY, "1")

    def depth(self, queue: str) -> int:
        with _told_plainly():
            return int(self.client.llen(f"{self.namespace}:{queue}"))

    def ping(self) -> None:
        with _told_plainly():
            self.client.ping()

    def version(self) -> BrokerVersion:
        with _told_plainly():
            facts: Any = self.client.info("server")
        name = "valkey" if "valkey_version" in facts else "redis"
        return BrokerVersion(name, str(facts[f"{name}_version"]))

    def close(self) -> None:
        self.client.close()

    def do_fetch(self, queue: str, at_most: int) -> list[bytes]:
        """What can be read of the next messages; the rest would end the consumer over and over."""
        fetched: list[bytes | None] = self._dispatch("fetch")(  # type: ignore[no-untyped-call]
            queue, at_most
        )
        sound = []
        for data in filter(None, fetched):
            message = read_message(data, queue)
            if message is not None and "redis_message_id" in message.options:
                sound.append(data)
            else:
                log.error("message.unreadable", queue=queue, bytes=len(data))
                self._bury(queue, data)
        return sound

    def _bury(self, queue: str, data: bytes) -> None:
        """To the dead letters; its id is looked for, since a fetch does not tell it."""
        for message_id, found in self.client.hscan_iter(f"{self.namespace}:{queue}.msgs"):
            if found == data:
                self.do_nack(queue, message_id)


def _wake_key(queue: str) -> str:
    return f"largesse:wake:{queue}"


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as fault:
        raise BrokerAway(type(fault).__name__) from None
