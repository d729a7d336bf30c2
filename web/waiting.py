"""Wait for jobs to end: one watcher thread asks for all who wait, in one statement."""

import threading
from collections import Counter
from uuid import UUID

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.jobs.read import ended_among
from pipelines.limits import Limits
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: After a failed look at the database the watcher waits this long.
PAUSE_AFTER_FAULT_SECONDS = 0.5


class Waiter:
    """The waiting room of one web process; a waiter holds no database connection."""

    def __init__(self, sessions: Sessions, *, seats: int, limits: Limits) -> None:
        self._sessions = sessions
        self._poll_seconds = limits.waiter_poll_seconds
        self._seats = threading.BoundedSemaphore(max(1, seats))
        self._changed = threading.Condition()
        self._waited_for: Counter[UUID] = Counter()
        self._ended: set[UUID] = set()
        self._watcher: threading.Thread | None = None

    def wait(self, job_id: UUID, seconds: float) -> bool:
        """True once the job has ended; False if time ran out or every seat is taken."""
        if seconds <= 0 or not self._seats.acquire(blocking=False):
            return False
        try:
            return self._wait(job_id, seconds)
        finally:
            self._seats.release()

    def _wait(self, job_id: UUID, seconds: float) -> bool:
        with self._changed:
            self._waited_for[job_id] += 1
            self._start_watcher()
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: job_id in self._ended, timeout=seconds)
            finally:
                self._waited_for[job_id] -= 1
                if self._waited_for[job_id] <= 0:
                    del self._waited_for[job_id]
                    self._ended.discard(job_id)

    def _start_watcher(self) -> None:
        """Started by the first who waits, so that it lives in the process that serves."""
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(target=self._watch, name="waiter", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        breath = threading.Event()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waited_for))
                asked = list(self._waited_for)
            ended = self._look(asked)
            if ended:
                with self._changed:
                    self._ended |= ended & self._waited_for.keys()
                    self._changed.notify_all()
            breath.wait(PAUSE_AFTER_FAULT_SECONDS if ended is None else self._poll_seconds)

    def _look(self, asked: list[UUID]) -> set[UUID] | None:
        try:
            with scoped_transaction(self._sessions, SYSTEM) as session:
                return ended_among(session, asked)
        except Exception as fault:  # whoever waits gets a 202 when the time is over
            log.warning("waiter.blind", fault=type(fault).__name__)
            return None
