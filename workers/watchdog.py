"""End a process that has lost its ears or its memory, so that its supervisor starts a whole one."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dramatiq import Broker, MessageProxy, Worker
from dramatiq.broker import Consumer

from pipelines.limits import Limits
from pipelines.queue.processes import Heartbeat
from pipelines.telemetry import get_logger

log = get_logger(__name__)

LOOK_SECONDS = 1.0
#: A look this late means that the whole process stood still: silence then proves nothing.
SLEPT_SECONDS = 10.0
EXIT_CODE = 1


@dataclass(frozen=True, slots=True)
class Signs:
    """What a look at the process shows; silences in seconds."""

    dead_threads: int
    consumer_silence: float
    database_silence: float


def ailment(signs: Signs, limits: Limits) -> str | None:
    """Why this process must end; None while it is well.

    A broker that is away is no reason: its consumers ask again every few seconds.
    """
    if signs.dead_threads:
        return "thread_died"
    if signs.consumer_silence > limits.consumer_silence_seconds:
        return "consumer_silent"
    if signs.database_silence > limits.database_silence_seconds:
        return "database_unreachable"
    return None


class Polls:
    """When each consumer last asked its broker, and whether it got an answer."""

    def __init__(self, note_trouble: Callable[[str, str | None], None]) -> None:
        self._note_trouble = note_trouble
        self._asked: dict[str, float] = {}

    def listen_to(self, broker: Broker) -> None:
        """Have every consumer that the broker makes from now on noted."""
        make = broker.consume

        def consume(queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> Consumer:
            self.note(queue_name)
            try:
                return _Noted(make(queue_name, prefetch, timeout), queue_name, self)
            except Exception as fault:
                self._note_trouble("broker", type(fault).__name__)
                raise

        broker.consume = consume  # type: ignore[method-assign]

    def note(self, queue_name: str) -> None:
        self._asked[queue_name] = time.monotonic()

    def note_outcome(self, fault: Exception | None) -> None:
        self._note_trouble("broker", None if fault is None else type(fault).__name__)

    def oldest(self) -> float | None:
        """When the consumer that has been silent longest last asked; None without consumers."""
        return min(list(self._asked.values()), default=None)


class _Noted(Consumer):
    """A consumer whose every turn is noted; all else is its broker's."""

    def __init__(self, consumer: Consumer, queue_name: str, polls: Polls) -> None:
        self._consumer = consumer
        self._queue_name = queue_name
        self._polls = polls

    def __next__(self) -> MessageProxy | None:
        self._polls.note(self._queue_name)
        try:
            message = next(self._consumer)
        except Exception as fault:
            self._polls.note_outcome(fault)
            raise
        self._polls.note_outcome(None)
        return message

    def ack(self, message: MessageProxy) -> None:
        self._consumer.ack(message)

    def nack(self, message: MessageProxy) -> None:
        self._consumer.nack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._consumer.requeue(messages)

    def close(self) -> None:
        self._consumer.close()


class Watchdog:
    """Looks every second, from a thread of its own, and ends the process when it must.

    `is_ending`: the process ends anyway, and its consumers rest on purpose.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        limits: Limits,
        *,
        is_ending: Callable[[], bool],
        worker: Worker | None = None,
        polls: Polls | None = None,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._heartbeat = heartbeat
        self._limits = limits
        self._is_ending = is_ending
        self._worker = worker
        self._polls = polls
        self._end = end
        self._awake_since = self._last_look = time.monotonic()

    def start(self) -> None:
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while not self._is_ending():
            reason = ailment(self.look(time.monotonic()), self._limits)
            if reason is not None and not self._is_ending():
                log.error("watchdog.ends_process", reason=reason)
                self._end(EXIT_CODE)
            pause.wait(LOOK_SECONDS)

    def look(self, now: float) -> Signs:
        """The signs at `now`; a process that stood still gets its silences anew."""
        if now - self._last_look > SLEPT_SECONDS:
            self._awake_since = now
        self._last_look = now
        asked = self._polls.oldest() if self._polls is not None else None
        return Signs(
            dead_threads=self._dead_threads(),
            consumer_silence=now - max(asked, self._awake_since) if asked is not None else 0.0,
            database_silence=now - max(self._heartbeat.last_beat, self._awake_since),
        )

    def _dead_threads(self) -> int:
        if self._worker is None:
            return 0
        threads = [*self._worker.consumers.values(), *self._worker.workers]
        return sum(not thread.is_alive() for thread in threads)
