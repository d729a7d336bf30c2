"""Redis and Valkey as the house's broker."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from dramatiq import Middleware
from dramatiq.brokers.redis import RedisBroker
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


def redis_client(url: str, *, socket_timeout: float) -> redis.Redis:
    """A client that fails plainly: a retried send would ring twice for nothing."""
    return redis.Redis.from_url(
        url,
        socket_timeout=socket_timeout,
        socket_connect_timeout=min(CONNECT_TIMEOUT_SECONDS, socket_timeout),
        retry=Retry(NoBackoff(), 0),
    )


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

    def send(self, doorbells: Iterable[Doorbell]) -> int:
        rung = 0
        try:
            for bell in doorbells:
                with _told_plainly():
                    self.enqueue(message_of(bell))
                rung += 1
        except BrokerAway as away:
            raise BrokerAway(away.reason, rung=rung) from None
        return rung

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


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as fault:
        raise BrokerAway(type(fault).__name__) from None
