"""End a worker process in order: take nothing new, wait for what runs, give the rest back."""

import os
import queue
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from dramatiq import MessageProxy, Worker
from sqlalchemy.exc import SQLAlchemyError

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.limits import Limits
from pipelines.queue.broker_port import task_of
from pipelines.queue.processes import Heartbeat
from pipelines.queue.work import forget_ring, give_back
from pipelines.telemetry import get_logger
from workers.shift import Shift

log = get_logger(__name__)

POLL_SECONDS = 0.05
#: Of the margin after the wait: so long is work cancelled, the last part of it without mercy.
CUT_SECONDS = 1.0
LAST_CALL_SECONDS = 0.5
#: Dramatiq's threads, idle by then, end within this.
THREADS_END_MILLISECONDS = 300
#: The process ended in order but too late; work of it is found by its lease or redelivery.
LATE_EXIT = 1
ASKING = frozenset({signal.SIGTERM, signal.SIGINT})


@dataclass(slots=True)
class Asked:
    """Whether this process was asked to end, and whether somebody lost patience.

    Make it before any thread starts: signals are then blocked everywhere and read by one thread,
    so that no handler ever interrupts code that holds a lock.
    """

    limits: Limits
    stop: threading.Event = field(default_factory=threading.Event)
    at_once: threading.Event = field(default_factory=threading.Event)

    def listen(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
        threading.Thread(target=self._read_signals, name="signals", daemon=True).start()

    def _read_signals(self) -> None:
        signal.sigwait(ASKING)
        margin = self.limits.drain_margin_seconds
        self._end_after(self.limits.drain_seconds + margin)
        self.stop.set()
        log.info("process.draining")
        signal.sigwait(ASKING)
        self._end_after(margin)
        self.at_once.set()

    def _end_after(self, seconds: float) -> None:
        """Whatever hangs, a server or a lock, the process is gone by then."""
        fuse = threading.Timer(seconds, os._exit, [LATE_EXIT])
        fuse.daemon = True
        fuse.start()


def drain(worker: Worker, shift: Shift, heartbeat: Heartbeat, asked: Asked, limits: Limits) -> None:
    """Wait for what runs up to the limit, or until asked again; then cut it and give it back."""
    deadline = time.monotonic() + limits.drain_seconds
    shift.close()
    heartbeat.drain()
    for consumer in worker.consumers.values():
        consumer.pause()
    _put_back(worker, shift, heartbeat.sessions)
    while not shift.is_idle and time.monotonic() < deadline:
        if asked.at_once.wait(POLL_SECONDS):
            break
        _put_back(worker, shift, heartbeat.sessions)
    _cut(shift, heartbeat.sessions)
    _put_back(worker, shift, heartbeat.sessions)
    try:
        worker.stop(timeout=THREADS_END_MILLISECONDS)
    except Exception as fault:  # the broker is away: it will miss this process by itself
        log.warning("drain.broker_not_told", fault=type(fault).__name__)


def _put_back(worker: Worker, shift: Shift, sessions: Sessions) -> None:
    """Tasks that were fetched and not begun are rung again at once, elsewhere."""
    fetched: list[MessageProxy] = []
    with suppress(queue.Empty):
        while True:
            fetched.append(worker.work_queue.get_nowait().message)
    for task_id in filter(None, map(task_of, fetched)):
        shift.refuse(task_id)
    _forget_messages(worker, fetched)
    refused = shift.take_refused()
    if not refused:
        return
    try:
        with scoped_transaction(sessions, SYSTEM) as session:
            forget_ring(session, refused)
    except SQLAlchemyError as fault:  # the ordinary redelivery finds them, some seconds later
        log.warning("drain.not_rung_again", tasks=len(refused), fault=type(fault).__name__)


def _forget_messages(worker: Worker, messages: list[MessageProxy]) -> None:
    """A message whose broker cannot be told comes again and finds its task done, or to be done."""
    for message in messages:
        consumer = worker.consumers[message.queue_name].consumer
        try:
            if consumer is not None:
                consumer.ack(message)
        except Exception as fault:
            log.warning("drain.broker_not_told", fault=type(fault).__name__)
            return


def _cut(shift: Shift, sessions: Sessions) -> None:
    """Interrupt what still runs and give it back, its start uncounted."""
    deadline = time.monotonic() + CUT_SECONDS
    given_back = 0
    while True:
        left = deadline - time.monotonic()
        tasks = shift.cut(is_last_call=left < LAST_CALL_SECONDS)
        if not tasks or left < 0:
            break
        try:
            with scoped_transaction(sessions, SYSTEM) as session:
                rows = give_back(session, tasks)
        except SQLAlchemyError as fault:
            log.warning("drain.not_given_back", tasks=len(tasks), fault=type(fault).__name__)
            return
        done = [task for task in tasks if task.id in rows]
        shift.note_given_back(done)
        given_back += len(done)
        if len(done) < len(tasks):
            time.sleep(POLL_SECONDS)
    if given_back or tasks:
        log.info("drain.cut", given_back=given_back, left_to_time=len(tasks))
