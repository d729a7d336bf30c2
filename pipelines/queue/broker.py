"""The message broker, chosen by the scheme of QUEUE_URL."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from dramatiq import Middleware

from pipelines.queue.broker_port import HouseBroker
from pipelines.queue.broker_rabbitmq import RabbitmqDoorbells
from pipelines.queue.broker_redis import RedisDoorbells

REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
RABBITMQ_SCHEMES = frozenset({"amqp", "amqps"})
#: How long workers, relay and tools wait for an answer.
PATIENCE_SECONDS = 5.0


class UnknownScheme(Exception):
    """QUEUE_URL names a broker that this build does not speak to."""


def make_broker(
    url: str,
    *,
    middleware: Iterable[Middleware] = (),
    patience_seconds: float = PATIENCE_SECONDS,
) -> HouseBroker:
    """The broker at `url`; opens no connection by itself. Raises `UnknownScheme`."""
    scheme = urlsplit(url).scheme
    if scheme in REDIS_SCHEMES:
        return RedisDoorbells(url, middleware=middleware, patience_seconds=patience_seconds)
    if scheme in RABBITMQ_SCHEMES:
        return RabbitmqDoorbells(url, middleware=middleware, patience_seconds=patience_seconds)
    raise UnknownScheme(
        f"QUEUE_URL starts with {scheme or 'no scheme'}; use redis://, rediss:// or unix:// for "
        "Redis and Valkey, amqp:// or amqps:// for RabbitMQ."
    )
