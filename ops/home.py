"""The data folder of one stack: who may read it, its secrets, its lock and its log files."""

import fcntl
import json
import os
import pwd
import random
import secrets
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipelines.errors import Kind, Refusal

DEFAULT_FOLDER = ".largesse"
#: A log longer than this is set aside as `<name>.log.1` when it is opened next.
LOG_BYTES_MAX = 16 * 1024 * 1024
#: Below the range that the kernel hands to outgoing connections, so that none takes the port.
FREE_PORTS = range(20_000, 32_000)


class AlreadyRunning(Refusal):
    """Another process runs a stack on this data folder."""

    code = "already_running"
    kind = Kind.CONFLICT


class HomeUnsafe(Refusal):
    """The data folder could be read or changed by somebody else."""

    code = "home_unsafe"
    kind = Kind.FORBIDDEN


@dataclass(frozen=True, slots=True)
class HomeLock:
    """The held lock of a data folder; `announce` tells a second `up` where the first serves."""

    file: IO[str]

    def announce(self, url: str = "") -> None:
        self.file.seek(0)
        self.file.truncate()
        json.dump({"pid": os.getpid(), "url": url}, self.file)
        self.file.flush()


class Home:
    """One data folder. Making the value makes the folder; nobody else may look inside.

    Root runs the embedded servers as an account of few rights, which must pass through the
    folder to its data: there the mode is 0710 with that account's group, otherwise 0700.
    """

    def __init__(self, path: Path | str = DEFAULT_FOLDER) -> None:
        self.path = Path(path).resolve()
        self._make()
        self._refuse_if_unsafe()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Home":
        return cls(environment.get("LARGESSE_HOME") or DEFAULT_FOLDER)

    def _make(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            return
        except PermissionError as error:
            raise HomeUnsafe(
                f"{self.path} cannot be made here; set LARGESSE_HOME to a folder of yours."
            ) from error
        if os.geteuid() == 0:
            os.chown(self.path, 0, unprivileged_ids()[1])
            self.path.chmod(0o710)

    def _refuse_if_unsafe(self) -> None:
        facts = self.path.stat()
        if not stat.S_ISDIR(facts.st_mode):
            raise HomeUnsafe(f"{self.path} is not a folder; set LARGESSE_HOME to another path.")
        if os.geteuid() not in (0, facts.st_uid):
            raise HomeUnsafe(f"{self.path} belongs to another user; set LARGESSE_HOME to your own.")
        if facts.st_mode & 0o022:
            raise HomeUnsafe(f"Others may write to {self.path}; run `chmod go-w` on it.")

    @property
    def secrets_path(self) -> Path:
        return self.path / "secrets.json"

    @property
    def pids_path(self) -> Path:
        return self.path / "pids.json"

    def log_path(self, name: str) -> Path:
        folder = self.path / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"{name}.log"

    def open_log(self, name: str) -> IO[bytes]:
        """The log of one process, opened for appending and unbuffered."""
        path = self.log_path(name)
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
        return open(path, "ab", buffering=0, opener=_open_private)

    def secret(self, name: str) -> str:
        """The secret called `name`, made at its first use and kept in `secrets.json`."""
        with self._exclusively("secrets.lock"):
            known = self._read_secrets()
            if name not in known:
                known[name] = secrets.token_urlsafe(32)
                self.write_json(self.secrets_path, known)
            return known[name]

    def _read_secrets(self) -> dict[str, str]:
        if not self.secrets_path.exists():
            return {}
        if self.secrets_path.stat().st_mode & 0o077:
            raise HomeUnsafe(f"Others may read {self.secrets_path}; run `chmod 600` on it.")
        return {str(name): str(value) for name, value in read_json(self.secrets_path).items()}

    def write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        """Replace `path` in one step: a reader sees the old or the new, never a half."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with open(draft, "x", opener=_open_private, encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    @contextmanager
    def lock(self) -> Iterator[HomeLock]:
        """Hold the folder for one running stack; the kernel frees it when the process ends."""
        path = self.path / "lock"
        with self.open_lock_file(path.name) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AlreadyRunning(self._who_runs(path)) from error
            held = HomeLock(file)
            held.announce()
            try:
                yield held
            finally:
                file.truncate(0)

    def _who_runs(self, path: Path) -> str:
        holder = read_json(path)
        at = f" at {holder['url']}" if holder.get("url") else ""
        return (
            f"Largesse is already running as pid {holder.get('pid', 'unknown')}{at} "
            f"on {self.path}; stop it, or set LARGESSE_HOME and PORT to start another."
        )

    @contextmanager
    def _exclusively(self, name: str) -> Iterator[None]:
        with self.open_lock_file(name) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def open_lock_file(self, name: str) -> IO[str]:
        """A file to lock; what it says about the holder can be read without the lock."""
        return open(self.path / name, "a+", opener=_open_private, encoding="utf-8")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read_json(path: Path) -> dict[str, Any]:
    """The object stored at `path`; empty while the file is missing or half written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def unprivileged_ids() -> tuple[int, int]:
    """User and group of `nobody`: initdb insists on an account that the system knows by name."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65_534, 65_534
    return entry.pw_uid, entry.pw_gid


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    for _ in range(200):
        port = random.choice(FREE_PORTS)
        if port_is_free(port):
            return port
    raise AlreadyRunning(f"No free port between {FREE_PORTS.start} and {FREE_PORTS.stop}.")


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
