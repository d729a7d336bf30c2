"""A process says that it lives: its row in `processes`, written again every few seconds."""

import os
import resource
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from models.tasks import ProcessState
from pipelines.limits import Limits
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger

log = get_logger(__name__)

RATE_WINDOW_SECONDS = 60.0
#: At a clean end the row is taken away within this; if not, it grows old and is purged.
FAREWELL_SECONDS = 1.5

_QUICK_COMMIT = text("SET LOCAL synchronous_commit = off")
_BEAT = text("""
INSERT INTO processes (id, name, host, pid, threads, busy, done, failed, rate_per_second,
                       rss_bytes, state, trouble, key_version, unopened, started_at, beat_at)
VALUES (:id, :name, :host, :pid, :threads, :busy, :done, :failed, :rate, :rss, :state, :trouble,
        :key_version, :unopened, CAST(:now AS timestamptz) - make_interval(secs => :age), :now)
ON CONFLICT (id) DO UPDATE SET busy = excluded.busy, done = excluded.done,
    failed = excluded.failed, rate_per_second = excluded.rate_per_second,
    rss_bytes = excluded.rss_bytes, state = excluded.state, trouble = excluded.trouble,
    unopened = excluded.unopened,
    beat_at = excluded.beat_at
""")
_LEAVE = text("DELETE FROM processes WHERE id = :id")
_FORGET = text(
    "DELETE FROM processes "
    "WHERE beat_at < CAST(:now AS timestamptz) - make_interval(hours => :hours)"
)


class Tally:
    """What the threads of a process are at and have done; every thread counts its own work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = self._done = self._failed = 0

    def begin(self) -> None:
        with self._lock:
            self._busy += 1

    def end(self) -> None:
        with self._lock:
            self._busy -= 1

    def count_done(self) -> None:
        with self._lock:
            self._done += 1

    def count_failed(self) -> None:
        with self._lock:
            self._failed += 1

    def read(self) -> tuple[int, int, int]:
        """Busy threads now; work done and attempts failed since the start."""
        with self._lock:
            return self._busy, self._done, self._failed


@dataclass(frozen=True, slots=True)
class Sample:
    """How much was done when."""

    at: float
    done: int


def rate_per_second(samples: Sequence[Sample]) -> float:
    """Done per second between the first sample and the last; 0 while there is only one."""
    if len(samples) < 2 or samples[-1].at <= samples[0].at:
        return 0.0
    return (samples[-1].done - samples[0].done) / (samples[-1].at - samples[0].at)


def forget_silent(session: Session, *, hours: int) -> int:
    """Remove the rows of processes that have been silent this long; returns how many."""
    result = session.execute(_FORGET, {"now": clock.now(session), "hours": hours})
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


class Heartbeat:
    """Writes one process's row from a thread of its own, through a connection of its own.

    So neither does busy work keep it from beating, nor does it keep work from a connection.
    `sessions` is that connection; whoever ends the process may use it too. `beside` is a small write of
    the process that goes with each beat, and with its end; it opens its own transaction.
    """

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        *,
        threads: int,
        limits: Limits,
        tally: Tally,
        keyring: Keyring,
        beside: Callable[[Sessions], None] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions = sessions
        self.tally = tally
        self._limits = limits
        self._keyring = keyring
        self._beside = beside
        self._now = now
        self._who = {"id": new_id(), "name": name, "host": socket.gethostname(), "pid": os.getpid()}
        self._threads = threads
        self._state = ProcessState.RUNNING
        self._troubles: dict[str, str] = {}
        self._samples: deque[Sample] = deque([Sample(now(), 0)])
        self._began = self._last_beat = now()
        self._is_well = True
        self._awake = threading.Event()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @property
    def id(self) -> UUID:
        return self._who["id"]  # type: ignore[return-value]

    @property
    def last_beat(self) -> float:
        """When a beat was last written, by the clock that was given; at first, when it began."""
        return self._last_beat

    @property
    def has_beaten(self) -> bool:
        return self._last_beat > self._began

    def start(self) -> None:
        self._thread.start()

    def note_trouble(self, where: str, fault: str | None) -> None:
        """What part of the process cannot do just now, by its fault's class; None = well again."""
        if fault is None:
            self._troubles.pop(where, None)
        else:
            self._troubles[where] = fault

    def drain(self) -> None:
        """Say at once that this process takes nothing new."""
        self._state = ProcessState.DRAINING
        self._awake.set()

    def stop(self) -> None:
        """Take the row away and end; an outage is not waited for."""
        self._ends.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(FAREWELL_SECONDS)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._attempt(self._beat)
            if self._is_well:
                self._write_beside()
            self._awake.wait(self._limits.heartbeat_seconds)
            self._awake.clear()
        self._write_beside()
        self._attempt(self._leave)

    def _write_beside(self) -> None:
        if self._beside is None:
            return
        try:
            self._beside(self.sessions)
        except Exception as fault:  # the beat goes on without it
            log.warning("heartbeat.beside_failed", fault=type(fault).__name__)

    def _attempt(self, write: Callable[[Session], None]) -> None:
        try:
            with scoped_transaction(self.sessions, SYSTEM) as session:
                session.execute(_QUICK_COMMIT)
                write(session)
        except Exception as fault:  # the heartbeat outlives any outage of the database
            if self._is_well:
                log.warning("heartbeat.unwell", fault=type(fault).__name__)
            self._is_well = False
            return
        if not self._is_well:
            log.info("heartbeat.well_again")
        self._is_well = True
        self._last_beat = self._now()

    def _beat(self, session: Session) -> None:
        busy, done, failed = self.tally.read()
        at = self._now()
        self._samples.append(Sample(at, done))
        while at - self._samples[0].at > RATE_WINDOW_SECONDS:
            self._samples.popleft()
        facts = self._who | {
            "threads": self._threads,
            "busy": busy,
            "done": done,
            "failed": failed,
            "rate": rate_per_second(self._samples),
            "rss": rss_bytes(),
            "state": self._state.value,
            "trouble": next(iter(list(self._troubles.values())), None),
            "key_version": self._keyring.current,
            "unopened": self._keyring.unopened,
            "now": clock.now(session),
            "age": at - self._began,
        }
        session.execute(_BEAT, facts)

    def _leave(self, session: Session) -> None:
        session.execute(_LEAVE, {"id": self.id})


def rss_bytes() -> int:
    """Memory of this process that is in use now; where the kernel does not say, its peak."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
