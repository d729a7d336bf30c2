"""Run one server program as a child that cannot outlive the process that started it."""

import ctypes
import fcntl
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, Self

from ops.home import Home, free_port
from ops.unprivileged import Account, Say
from pipelines.errors import Fault, Kind, Refusal

READY_SECONDS = 60.0
POLL_SECONDS = 0.05
#: Times a freshly chosen port may be snatched away before the start gives up.
PORT_TRIES = 5

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class DataInUse(Refusal):
    """A live server works on this data folder."""

    code = "data_in_use"
    kind = Kind.CONFLICT


class ServerFailed(Fault):
    """A server ended, or never answered, while it was being started."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start: the program, who runs it, and what it reads from its standard input."""

    argv: tuple[str, ...]
    account: Account
    environment: Mapping[str, str]
    told: bytes = b""


def tied_to_parent(account: Account, death_signal: signal.Signals) -> Callable[[], None]:
    """The step before a child's program starts: change the account, ask to die with the parent.

    The kernel forgets the wish when the account changes, so it comes second; and it counts the
    *thread* that forked as the parent, so start children from a thread that stays.
    """
    parent = os.getpid()

    def before_program() -> None:
        account.become()
        if _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            os._exit(126)
        if os.getppid() != parent:
            os._exit(126)

    return before_program


class Server(ABC):
    """One embedded server: start, stop, kill; the port and the data survive a restart."""

    name: ClassVar[str]
    #: Tried in turn by `stop`, each with the seconds it is given.
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]]
    #: A server that was killed needs a moment to let go of its data.
    let_go_seconds: float = 15.0
    #: What the log says when another program took the port.
    port_taken_words: ClassVar[str]

    def __init__(self, home: Home, port: int = 0, *, say: Say = print) -> None:
        self.home = home
        self.port = port
        self.say = say
        self._port_is_chosen = port == 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the server, password included."""

    @abstractmethod
    def _prepare(self) -> Launch:
        """Make the data folder if need be and say what to start."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server takes a connection with our password."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start and wait until it answers; a chosen port that is snatched is chosen anew."""
        if self.is_alive:
            return self
        with self._take_data() as lock:
            for tries_left in reversed(range(PORT_TRIES)):
                self.port = self.port or free_port()
                log_start = self._log_length()
                try:
                    self._launch(lock)
                    if self._wait_until_ready():
                        return self
                except BaseException:
                    self.kill()
                    raise
                self.kill()
                words = self._log_since(log_start)
                if not self._port_is_chosen or self.port_taken_words not in words or not tries_left:
                    break
                self.port = 0
        raise ServerFailed(f"{self.name} did not start on port {self.port}:\n{words}")

    def stop(self) -> None:
        """Ask politely, then firmly, then kill; nothing is left behind."""
        process = self._process
        if process is None:
            return
        for number, patience in self.stop_signals:
            if process.poll() is None:
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would; what a later `start` finds is a matter of recovery."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _take_data(self) -> IO[str]:
        """Lock the data; the child inherits the lock, so that it lives as long as any of its kin."""
        file = self.home.open_lock_file(f"{self.name}.lock")
        deadline = time.monotonic() + self.let_go_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    holder = file.read().strip() or "unknown"
                    file.close()
                    raise DataInUse(
                        f"The {self.name} data of {self.home.path} is in use by a live server, "
                        f"pid {holder}; stop that one, or set LARGESSE_HOME."
                    ) from None
                time.sleep(POLL_SECONDS)
            else:
                return file

    def _launch(self, lock: IO[str]) -> None:
        launch = self._prepare()
        with self.home.open_log(self.name) as log:
            try:
                self._process = subprocess.Popen(
                    launch.argv,
                    cwd="/",
                    env=launch.environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,
                    preexec_fn=tied_to_parent(  # noqa: PLW1509
                        launch.account, self.stop_signals[0][0]
                    ),
                )
            except (subprocess.SubprocessError, OSError) as error:
                raise ServerFailed(
                    f"{self.name} could not be started as user {launch.account.uid}."
                ) from error
        lock.truncate(0)
        lock.write(str(self._process.pid))
        lock.flush()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as told:
            told.write(launch.told)

    def _wait_until_ready(self) -> bool:
        """Ask again and again; a moment first, for another program may answer on our port."""
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(POLL_SECONDS)
                return False
            if self._answers():
                return self.is_alive
        return False

    def _log_length(self) -> int:
        path = self.home.log_path(self.name)
        return path.stat().st_size if path.exists() else 0

    def _log_since(self, start: int) -> str:
        words = self.home.log_path(self.name).read_bytes()[start:]
        return "\n".join(words.decode(errors="replace").splitlines()[-12:])


def plain_environment(home_folder: Path) -> dict[str, str]:
    """The environment of a server: nothing of ours, least of all a secret."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home_folder), "LC_ALL": "C", "TZ": "UTC"}
