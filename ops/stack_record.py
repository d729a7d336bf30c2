"""What a running stack says about itself in its data folder, for `doctor` and the clients."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ops.home import Home, read_json
from pipelines.errors import Refusal

FILE = "stack.json"
#: Data folders of demo runs, inside LARGESSE_HOME.
DEMO_FOLDERS = "demo-*"


class NoStack(Refusal):
    """No stack runs on this data folder."""

    code = "no_stack"


@dataclass(frozen=True, slots=True)
class StackRecord:
    """Where a running stack is reached; the addresses carry passwords, so the file is private."""

    pid: int
    environment: str
    web_url: str
    sandbox_url: str | None
    database_url: str = field(repr=False)
    queue_url: str = field(repr=False)
    #: Pids of the embedded servers; empty when real servers are used.
    servers: dict[str, int] = field(default_factory=dict)

    def write(self, home: Home) -> None:
        home.write_json(home.path / FILE, asdict(self))


def forget(home: Home) -> None:
    (home.path / FILE).unlink(missing_ok=True)


def running_stack_of(home: Home) -> tuple[Home, StackRecord]:
    """The stack that runs on `home`, or else a demo inside it; raises `NoStack`."""
    for path in (home.path, *sorted(home.path.glob(DEMO_FOLDERS), reverse=True)):
        record = _read(path)
        if record is not None:
            return Home(path), record
    raise NoStack(
        f"No stack runs on {home.path}; start one with `largesse up`, or set LARGESSE_HOME "
        "to the data folder of the one you mean."
    )


def running_processes(home: Home, record: StackRecord) -> list[tuple[str, int]]:
    """Name and pid of each process of the stack that is alive right now."""
    supervised = read_json(home.pids_path).get("processes", {})
    known = {**record.servers, **supervised}
    return [(str(name), int(pid)) for name, pid in known.items() if is_alive(int(pid))]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> StackRecord | None:
    """The record at `path`, unless the stack that wrote it has ended without a word."""
    content = read_json(path / FILE)
    holder = read_json(path / "lock").get("pid")
    if not content or holder != content.get("pid") or not is_alive(int(content["pid"])):
        return None
    return StackRecord(**content)
