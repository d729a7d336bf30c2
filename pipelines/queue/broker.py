"""The message broker, chosen by the scheme of QUEUE_URL, and the ringing of doorbells."""

from collections.abc import Iterable
from urllib.parse import urlsplit

import redis
from dramatiq import Broker, Message, Middleware
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError as BrokerUnreachable
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipelines.queue.kinds import TASK_VERSION
from pipelines.queue.ring import Doorbell
from pipelines.telemetry import get_logger

log = get_logger(__name__)

SOCKET_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0
HEARTBEAT_MILLISECONDS = 60_000
#: Chance in a million per command to clear up after dead workers; nothing rests on it.
MAINTENANCE_CHANCE = 20_000
DEAD_MESSAGE_MILLISECONDS = 24 * 3600 * 1000
#: While this key stands, Redis remembers what was rung.
EPOCH_KEY = "largesse:epoch"


class UnknownScheme(Exception):
    """QUEUE_URL names a broker that this build does not speak to."""


def redis_client(url: str, *, socket_timeout: float = SOCKET_TIMEOUT_SECONDS) -> redis.Redis:
    """A client that fails plainly: a retried send would ring twice for nothing."""
    return redis.Redis.from_url(
        url,
        socket_timeout=socket_timeout,
        socket_connect_timeout=min(CONNECT_TIMEOUT_SECONDS, socket_timeout),
        retry=Retry(NoBackoff(), 0),
    )


def make_broker(
    url: str,
    *,
    middleware: Iterable[Middleware] = (),
    socket_timeout: float = SOCKET_TIMEOUT_SECONDS,
) -> RedisBroker:
    """A broker for `redis://` (Redis, Valkey); raises `UnknownScheme` for others."""
    scheme = urlsplit(url).scheme
    if scheme not in {"redis", "rediss", "unix"}:
        raise UnknownScheme(f"QUEUE_URL starts with {scheme}://; use redis:// or rediss://")
    return RedisBroker(  # type: ignore[no-untyped-call]
        client=redis_client(url, socket_timeout=socket_timeout),
        middleware=list(middleware),
        heartbeat_timeout=HEARTBEAT_MILLISECONDS,
        maintenance_chance=MAINTENANCE_CHANCE,
        dead_message_ttl=DEAD_MESSAGE_MILLISECONDS,
    )


def ring(broker: Broker, doorbells: Iterable[Doorbell]) -> int:
    """Enqueue one message per doorbell by actor name; returns how many got through.

    A message that does not get through is rung again later from its row, so an unreachable
    broker only costs time.
    """
    rung = 0
    try:
        for bell in doorbells:
            broker.enqueue(
                Message(
                    queue_name=bell.queue,
                    actor_name=bell.kind,
                    args=(),
                    kwargs={"task_id": str(bell.task_id), "v": TASK_VERSION},
                    options={},
                )
            )
            rung += 1
    except (BrokerUnreachable, redis.RedisError) as error:
        log.warning("ring.failed", rung=rung, fault=type(error).__name__)
    return rung


def remembers_epoch(client: redis.Redis) -> bool:
    """False once after Redis lost its memory; sets the epoch again."""
    return client.set(EPOCH_KEY, "1", nx=True) is None
