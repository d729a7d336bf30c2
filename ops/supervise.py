"""Keep the processes of a Procfile running: start, restart with growing waits, stop without remains."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import IO, Self

from ops.child import tied_to_parent
from ops.home import LOG_BYTES_MAX, Home
from ops.unprivileged import Account
from pipelines.errors import Refusal

LINE_BYTES_MAX = 64 * 1024
_ENTRY = re.compile(r"([A-Za-z0-9_.-]+):\s*(\S.*)")


class ProcfileBroken(Refusal):
    """A line of the Procfile is not `name: command`, or a name is unknown or stands twice."""

    code = "procfile_broken"


class Fact(StrEnum):
    """What happened to a process."""

    STARTED = "started"
    DIED = "died"
    STOPPED = "stopped"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Event:
    """One fact for the status hook."""

    name: str
    fact: Fact
    pid: int
    exit_code: int | None = None
    restart_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the Procfile: one simple command, started without a shell of its own."""

    name: str
    command: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits for what."""

    first_restart_seconds: float = 1.0
    longest_restart_seconds: float = 30.0
    #: A process that lived this long starts again with the first wait.
    healthy_seconds: float = 60.0
    #: Longer than the drain of a worker, so that only a stuck process is killed.
    stop_seconds: float = 25.0
    poll_seconds: float = 0.05

    def restart_delay(self, deaths_in_row: int) -> float:
        doublings = min(deaths_in_row - 1, 16)
        return min(self.longest_restart_seconds, self.first_restart_seconds * 2.0**doublings)


@dataclass(slots=True)
class _Process:
    entry: Entry
    environment: dict[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None
    started_at: float = 0.0
    deaths_in_row: int = 0
    #: When to start it again; None while it runs or is meant to rest.
    due_at: float | None = None


def parse_procfile(text: str) -> tuple[Entry, ...]:
    """The entries of a Procfile, in its order; empty lines and `#` lines are skipped."""
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ENTRY.fullmatch(line.strip())
        if match is None:
            raise ProcfileBroken(f"Line {number} of the Procfile is not `name: command`.")
        name, command = match.groups()
        if name in entries:
            raise ProcfileBroken(f"Line {number} of the Procfile names `{name}` a second time.")
        entries[name] = Entry(name, command)
    return tuple(entries.values())


class Supervisor:
    """Runs entries as children in process groups of their own; use it as a context manager.

    Start it from a thread that stays: the kernel asks a child to end when the thread that
    started it ends. `hook` is told every event; `echo` gets every output line.
    """

    def __init__(
        self,
        home: Home,
        entries: Iterable[Entry],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        patience: Patience | None = None,
        echo: Callable[[str], None] | None = None,
        hook: Callable[[Event], None] | None = None,
    ) -> None:
        self.home = home
        self.environment = dict(environment)
        self.cwd = cwd
        self.patience = patience or Patience()
        self._echo = echo
        self._hook = hook
        self._all = {entry.name: _Process(entry) for entry in entries}
        self._width = max(map(len, self._all), default=0)
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self, *names: str, environment: Mapping[str, str] | None = None) -> None:
        """Start the named entries, or all; what runs already is left alone.

        `environment` is added for these entries and kept for their restarts. If one cannot be
        started, everything is stopped before the error goes on.
        """
        with self._lock:
            try:
                for process in self._chosen(names):
                    process.environment |= environment or {}
                    if process.running is None:
                        process.deaths_in_row = 0
                        self._spawn(process)
            except BaseException:
                self.stop()
                raise

    def processes(self) -> list[tuple[str, int]]:
        """Name and pid of each running process, in the order of the Procfile."""
        with self._lock:
            return [(p.entry.name, p.running.pid) for p in self._all.values() if p.running]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the whole group of one process, as a crash would; returns its pid."""
        with self._lock:
            (process,) = self._chosen((name,))
            if process.running is None:
                raise ProcfileBroken(f"`{name}` is not running.")
            _signal_group(process.running.pid, number)
            return process.running.pid

    def check(self) -> None:
        """One look around: bury the dead, start again what is due."""
        with self._lock:
            now = time.monotonic()
            for process in self._all.values():
                if process.running is not None and _has_ended(process.running.pid):
                    self._bury(process, now)
                elif process.due_at is not None and now >= process.due_at:
                    self._spawn(process)

    def run_forever(self, until: threading.Event) -> None:
        """Look around until `until` is set, or SIGTERM or SIGINT comes; then stop everything."""
        with asked_by_signals() as asked:
            try:
                while not asked and not until.wait(self.patience.poll_seconds):
                    self.check()
            finally:
                until.set()
                self.stop()

    def stop(self, *names: str) -> None:
        """Stop the named entries, or all: SIGTERM, wait, then SIGKILL to the whole group.

        SIGTERM goes to the first process of each group only. Worker and web masters pass it on,
        and a second SIGTERM makes a worker drop its running task.
        """
        with self._lock:
            stopping = []
            for process in self._chosen(names):
                process.due_at = None
                if process.running is not None:
                    os.kill(process.running.pid, signal.SIGTERM)
                    _signal_group(process.running.pid, signal.SIGCONT)
                    stopping.append((process, process.running))
            deadline = time.monotonic() + self.patience.stop_seconds
            for process, running in stopping:
                while not (ended := _has_ended(running.pid)) and time.monotonic() < deadline:
                    time.sleep(self.patience.poll_seconds)
                exit_code = self._clear_away(process, running)
                fact = Fact.STOPPED if ended else Fact.KILLED
                self._tell(Event(process.entry.name, fact, running.pid, exit_code))
            self._write_pids()

    def _chosen(self, names: tuple[str, ...]) -> list[_Process]:
        if unknown := set(names) - set(self._all):
            raise ProcfileBroken(f"The Procfile has no {', '.join(sorted(unknown))}.")
        return [self._all[name] for name in names or self._all]

    def _spawn(self, process: _Process) -> None:
        name = process.entry.name
        own = Account(os.geteuid(), os.getegid())
        log = self.home.open_log(name)
        running = subprocess.Popen(
            # The shell reads quotes and variables, then becomes the command: one pid, no parent.
            ["/bin/sh", "-c", f"exec {process.entry.command}"],
            cwd=self.cwd,
            env={**self.environment, **process.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=tied_to_parent(own, signal.SIGTERM),  # noqa: PLW1509
        )
        assert running.stdout is not None
        process.running = running
        process.started_at = time.monotonic()
        process.due_at = None
        process.reader = threading.Thread(
            target=self._keep_output,
            args=(name, running.stdout, log),
            name=f"log-{name}",
            daemon=True,
        )
        process.reader.start()
        self._write_pids()
        self._tell(Event(name, Fact.STARTED, running.pid))

    def _bury(self, process: _Process, now: float) -> None:
        assert process.running is not None
        pid = process.running.pid
        exit_code = self._clear_away(process, process.running)
        lived = now - process.started_at
        process.deaths_in_row = (
            1 if lived >= self.patience.healthy_seconds else process.deaths_in_row + 1
        )
        delay = self.patience.restart_delay(process.deaths_in_row)
        process.due_at = now + delay
        self._write_pids()
        self._tell(Event(process.entry.name, Fact.DIED, pid, exit_code, delay))

    def _clear_away(self, process: _Process, running: subprocess.Popen[bytes]) -> int:
        """Kill what is left of the group while its first process still holds the number."""
        _signal_group(running.pid, signal.SIGKILL)
        exit_code = running.wait()
        if process.reader is not None:
            process.reader.join(timeout=1.0)
        process.running = process.reader = None
        return exit_code

    def _keep_output(self, name: str, output: IO[bytes], log: IO[bytes]) -> None:
        """Copy one process's lines to its log; a full disk must not block the process."""
        prefix = f"{name:<{self._width}} | "
        with output:
            for line in iter(lambda: output.readline(LINE_BYTES_MAX), b""):
                with suppress(OSError, ValueError):
                    log.write(prefix.encode() + line.rstrip(b"\n") + b"\n")
                    if log.tell() > LOG_BYTES_MAX:
                        log.close()
                        log = self.home.open_log(name)
                if self._echo is not None:
                    with suppress(OSError, ValueError):
                        self._echo(prefix + line.decode(errors="replace").rstrip("\n"))
        log.close()

    def _tell(self, event: Event) -> None:
        if self._hook is not None:
            self._hook(event)

    def _write_pids(self) -> None:
        self.home.write_json(
            self.home.pids_path, {"supervisor": os.getpid(), "processes": dict(self.processes())}
        )


def _has_ended(pid: int) -> bool:
    """Whether our child ended; it is not reaped yet, so nobody else can get its number."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


@contextmanager
def asked_by_signals() -> Iterator[list[int]]:
    """A list that SIGTERM and SIGINT write to; only the main thread may ask for that.

    A list and not the event itself: a handler that sets an event can wait for itself for ever.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
