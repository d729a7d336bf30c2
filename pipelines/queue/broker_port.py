"""What the house asks of a broker besides Dramatiq itself; Redis and RabbitMQ each answer it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dramatiq import Broker, Message, MessageProxy
from dramatiq.errors import DecodeError

from pipelines.queue.ring import Doorbell
from pipelines.telemetry import get_logger

log = get_logger(__name__)


class BrokerAway(Exception):
    """The broker cannot be reached, or refuses; `reason` is the class of its fault.

    `rung` says how many messages went out before it.
    """

    def __init__(self, reason: str, *, rung: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rung = rung


@dataclass(frozen=True, slots=True)
class BrokerVersion:
    """Which program answers."""

    name: str
    version: str


class HouseBroker(Broker, ABC):
    """A Dramatiq broker of ours. Every method but `ring` raises `BrokerAway`.

    No call waits longer than the patience the broker was made with for any one answer.
    """

    @abstractmethod
    def send(self, doorbells: Iterable[Doorbell]) -> int:
        """Enqueue one message per doorbell by actor name; returns how many went out: all."""

    @abstractmethod
    def remembers_epoch(self) -> bool:
        """False from the broker's loss of memory until `mark_epoch`."""

    @abstractmethod
    def mark_epoch(self) -> None:
        """Everything was rung again: from now on the broker is taken to remember."""

    @abstractmethod
    def depth(self, queue: str) -> int:
        """Messages of a queue that no worker has fetched yet."""

    @abstractmethod
    def ping(self) -> None:
        """Return if the broker answers."""

    @abstractmethod
    def version(self) -> BrokerVersion:
        """Ask the program for its name."""

    def ring(self, doorbells: Iterable[Doorbell]) -> int:
        """Send what can be sent; returns how many went out, and never raises `BrokerAway`.

        What does not go out is rung again later from its row, so a broker that is away only
        costs time.
        """
        try:
            return self.send(doorbells)
        except BrokerAway as away:
            log.warning("ring.failed", rung=away.rung, fault=away.reason)
            return away.rung


def message_of(bell: Doorbell) -> Message[Any]:
    """The whole message: a task's id and the version its row has."""
    return Message(
        queue_name=bell.queue,
        actor_name=bell.kind,
        args=(),
        kwargs={"task_id": str(bell.task_id), "v": bell.v},
        options={},
    )


def task_of(message: Message[Any] | MessageProxy) -> UUID | None:
    """The task a message rings for; None if it does not say."""
    written = message.kwargs.get("task_id")
    try:
        return UUID(written) if isinstance(written, str) else None
    except ValueError:
        return None


def read_message(data: bytes, queue: str) -> Message[Any] | None:
    """The message in these bytes from this queue; None if Dramatiq cannot work with it.

    What it cannot decode ends the consumer's connection; a message that names another queue than
    the one it came by ends the thread that works on it; one that rings for nothing is rubbish too.
    """
    try:
        message: Message[Any] = Message.decode(data)
    except DecodeError:
        return None
    is_sound = (
        message.queue_name == queue
        and isinstance(message.actor_name, str)
        and isinstance(message.message_id, str)
        and isinstance(message.kwargs, dict)
        and isinstance(message.options, dict)
        and task_of(message) is not None
        and type(message.kwargs.get("v")) is int
    )
    return message if is_sound else None
