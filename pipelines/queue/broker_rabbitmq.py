"""RabbitMQ as the house's broker."""

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from dramatiq import Consumer, MessageProxy, Middleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import BrokerConnectionError
from pika.exceptions import AMQPConnectionError, AMQPError, ChannelClosedByBroker

from pipelines.queue.broker_port import (
    BrokerAway,
    BrokerVersion,
    HouseBroker,
    message_of,
    read_message,
)
from pipelines.queue.broker_thread import ConnectionThread
from pipelines.queue.ring import Doorbell
from pipelines.telemetry import get_logger

T = TypeVar("T")

log = get_logger(__name__)
# It tells a refused connection in pages; whoever asked tells it in a line.
logging.getLogger("pika").setLevel(logging.CRITICAL)

CONNECT_TIMEOUT_SECONDS = 2.0
#: A broker that is silent this long is gone; both sides send twice in that time.
HEARTBEAT_SECONDS = 20
TEND_SECONDS = 5.0
#: While this queue stands, RabbitMQ remembers what was rung: it is as durable as the messages.
EPOCH_QUEUE = "largesse.epoch"
#: A thing that every RabbitMQ has, to be asked for when only an answer matters.
ALWAYS_THERE = "amq.direct"
NOT_FOUND = 404


class RabbitmqDoorbells(HouseBroker, RabbitmqBroker):
    """Dramatiq's RabbitMQ broker, and what the house asks besides.

    Consumers have connections of their own. Whatever is sent or asked goes through one thread,
    for a connection must not be shared and does not time out. Confirms tell a message that went
    out from one that was written to a dead connection or to a queue that is gone.
    """

    def __init__(
        self, url: str, *, middleware: Iterable[Middleware], patience_seconds: float
    ) -> None:
        super().__init__(url=url, middleware=list(middleware), confirm_delivery=True)
        self.parameters: Any = _impatient(self.parameters)
        self._patience = patience_seconds
        self._ours = ConnectionThread("rabbitmq", tend=self._tend, tend_seconds=TEND_SECONDS)

    @property
    def consumer_class(self) -> type["SoundConsumer"]:
        return SoundConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Nobody would tend the connection on which the caller's thread declared the queue."""
        try:
            return super().consume(queue_name, prefetch, timeout)
        finally:
            del self.connection

    def send(self, doorbells: Iterable[Doorbell]) -> int:
        rung: list[Doorbell] = []
        unheard = threading.Event()

        def step() -> None:
            for bell in doorbells:
                if unheard.is_set():
                    return
                self.enqueue(message_of(bell))
                rung.append(bell)

        try:
            self._do(step)
        except BrokerAway as away:
            unheard.set()
            raise BrokerAway(away.reason, rung=len(rung)) from None
        return len(rung)

    def remembers_epoch(self) -> bool:
        return self._do(lambda: self._messages_in(EPOCH_QUEUE)) is not None

    def mark_epoch(self) -> None:
        self._do(lambda: self.channel.queue_declare(EPOCH_QUEUE, durable=True))

    def depth(self, queue: str) -> int:
        return self._do(lambda: self._messages_in(queue)) or 0

    def ping(self) -> None:
        self._do(lambda: self.channel.exchange_declare(ALWAYS_THERE, passive=True))

    def version(self) -> BrokerVersion:
        facts: dict[str, Any] = self._do(lambda: self.connection._impl.server_properties)
        return BrokerVersion("rabbitmq", str(facts["version"]))

    def close(self) -> None:
        self._ours.end(self._let_go, patience_seconds=self._patience)
        super().close()

    def _messages_in(self, queue: str) -> int | None:
        """How many, or None if there is no such queue; the refusal costs the channel."""
        try:
            found = self.channel.queue_declare(queue, passive=True)
        except ChannelClosedByBroker as refusal:
            if refusal.reply_code != NOT_FOUND:
                raise
            del self.channel
            return None
        return int(found.method.message_count)

    def _do(self, step: Callable[[], T]) -> T:
        """In our thread, and once more if the connection turns out to have died while idle."""

        def twice() -> T:
            is_used = getattr(self.state, "connection", None) is not None
            try:
                return step()
            except AMQPError:
                del self.connection
                if not is_used:
                    raise
            return step()

        try:
            return self._ours.do(twice, patience_seconds=self._patience)
        except (AMQPError, BrokerConnectionError, OSError) as fault:
            inner = getattr(fault, "message", None)
            cause = inner if isinstance(inner, BaseException) else fault
            raise BrokerAway(type(cause).__name__) from None

    def _tend(self) -> None:
        """Answer the broker's heartbeats while there is nothing to send."""
        connection = getattr(self.state, "connection", None)
        if connection is not None:
            try:
                connection.process_data_events(time_limit=0)
            except AMQPError:
                del self.connection

    def _let_go(self) -> None:
        with suppress(AMQPConnectionError):
            del self.connection


def _impatient(parameters: Any) -> Any:
    """The addresses with our waits; the library's are a quarter of a minute, or without end."""
    for one in parameters if isinstance(parameters, list) else [parameters]:
        one.connection_attempts = 1
        one.socket_timeout = CONNECT_TIMEOUT_SECONDS
        one.stack_timeout = 2 * CONNECT_TIMEOUT_SECONDS
        one.blocked_connection_timeout = HEARTBEAT_SECONDS
        one.heartbeat = HEARTBEAT_SECONDS
    return parameters


class SoundConsumer(_RabbitmqConsumer):
    """A consumer that puts aside what Dramatiq cannot work with, instead of ending over it."""

    def __next__(self) -> MessageProxy | None:
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        if message is None or read_message(message.encode(), self.queue_name) is not None:
            return message
        log.error("message.unreadable", queue=self.queue_name)
        self.nack(message)  # type: ignore[no-untyped-call]
        return None
