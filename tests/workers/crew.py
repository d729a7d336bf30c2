"""Real product processes on a test's database, started and ended one by one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from pipelines.wiring import House
from tests.driving import rows, view

POLL_SECONDS = 0.02


@dataclass
class Crew:
    """The processes of one test; whatever still runs at its end is killed."""

    house: House
    environment: dict[str, str]
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self,
        name: str,
        *,
        module: str = "workers",
        beats: bool = True,
        log: Path | None = None,
        **extra: str,
    ) -> subprocess.Popen[bytes]:
        """One process, as the Procfile would start it; returns once it beats.

        `log`: where its lines go, if not to a file of their own.
        """
        command = [sys.executable, "-m", module, *([name] if module != "web" else [])]
        own_log = self.folder / f"{name}-{len(self.started)}.log"
        with (log or own_log).open("wb") as log_file:
            process = subprocess.Popen(
                command,
                env=self.environment | extra,
                stdout=log_file,
                stderr=log_file,
                cwd=os.getcwd(),
            )
        self.started.append(process)
        if beats:
            self.until(lambda: self.beat_of(process) is not None or process.poll() is not None)
            assert process.poll() is None, self.logs()
        return process

    def beat_of(self, process: subprocess.Popen[bytes]) -> Any:
        """The row that a process writes, or None."""
        return next(iter(self.beats(f"pid = {process.pid}")), None)

    def beats(self, where: str = "true") -> list[Any]:
        return rows(self.house, f"SELECT * FROM processes WHERE {where} ORDER BY started_at")

    def end(self, process: subprocess.Popen[bytes], *, seconds: float = 30.0) -> int:
        """Ask it to end; its exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=seconds)

    def until(self, condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Wait for a state of the world; one that is never reached fails loudly."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not reached within {seconds:g} s\n{self.logs()}"
            time.sleep(POLL_SECONDS)

    def until_ended(self, job_id: UUID) -> dict[str, Any]:
        """The job once it has ended."""
        self.until(lambda: view(self.house, job_id)["finished_at"] is not None)
        return view(self.house, job_id)

    def logs(self) -> str:
        """Everything that the processes wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def dismiss(self) -> None:
        for process in self.started:
            process.kill()
            process.wait(timeout=10)
