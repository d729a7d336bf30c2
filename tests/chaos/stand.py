"""A whole stand for breaking things: servers, vendor and product processes that may be killed."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from models.schema import migrate
from ops.bootstrap import ensure_database
from ops.embedded import Servers, role_passwords, role_urls, start_servers
from ops.home import Home
from ops.unprivileged import discard
from pipelines.wiring import House, build_house
from tests.conftest import load_settings, process_environment, vendor_environment
from tests.driving import view
from tests.vendor import Sandbox

PROCESSES = ("relay", "scheduler", "interactive", "bulk", "vendors")
POLL_SECONDS = 0.05


@dataclass
class Stand:
    """Everything a scenario needs; processes are real and die for real."""

    home: Home
    servers: Servers
    sandbox: Sandbox
    house: House
    environment: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str, **extra: str) -> None:
        """Start product processes, as the Procfile would."""
        for name in names:
            command = [sys.executable, "-m", "workers", name]
            log = self.home.open_log(f"{name}-{secrets.token_hex(3)}")
            self.running[name] = subprocess.Popen(
                command, env=self.environment | extra, stdout=log, stderr=log
            )
            log.close()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        process = self.running[name]
        process.send_signal(number)
        if number is signal.SIGKILL:
            process.wait(timeout=10)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait(timeout=10)
        self.running.clear()

    def until(self, condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Wait for a state of the world; a scenario that never gets there fails loudly."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached within {seconds:g} s")
            time.sleep(POLL_SECONDS)

    def until_ended(self, job_id: UUID, *, seconds: float = 120.0) -> dict[str, Any]:
        """The job once it has ended."""
        try:
            self.until(lambda: view(self.house, job_id)["finished_at"] is not None, seconds=seconds)
        except AssertionError:
            job = view(self.house, job_id)
            raise AssertionError(f"the job does not end: {job['state']} {job['counts']}") from None
        return view(self.house, job_id)

    def until_done(self, job_id: UUID, items: int) -> None:
        """Until so many items have succeeded: the moment to break something."""
        self.until(lambda: view(self.house, job_id)["counts"]["succeeded"] >= items)

    def admin(self, statement: str) -> list[tuple[Any, ...]]:
        """As the superuser of the embedded server: for killing backends only."""
        with psycopg.connect(self.servers.admin_url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def flush_queue(self) -> None:
        """Redis forgets everything."""
        from redis import Redis

        Redis.from_url(self.servers.redis_url).flushall()

    def logs(self) -> str:
        """Everything the product processes wrote."""
        folder = Path(self.home.path) / "logs"
        return "".join(p.read_text(errors="replace") for p in sorted(folder.glob("*.log")))


@contextmanager
def stand(
    *, time_scale: float = 0.1, keep: bool = False, settings: dict[str, str] | None = None
) -> Iterator[Stand]:
    """A fresh stand in a folder of its own; nothing of it is left afterwards."""
    home = Home(Path("/tmp") / f"largesse-chaos-{secrets.token_hex(6)}")
    sandbox = Sandbox()
    try:
        with start_servers(home, settings=settings, say=lambda _line: None) as servers:
            ensure_database(servers.admin_url, database="largesse", passwords=role_passwords(home))
            urls = role_urls(home, servers.admin_url, "largesse")
            migrate(urls["largesse_owner"])
            environment = process_environment(
                urls, servers.redis_url, time_scale=time_scale, **vendor_environment(sandbox)
            ) | {"PYTHONPATH": os.getcwd()}
            house = build_house(load_settings("tools", environment))
            built = Stand(home, servers, sandbox, house, environment)
            try:
                yield built
            finally:
                built.stop()
                house.sessions.kw["bind"].dispose()
    finally:
        sandbox.process.kill()
        sandbox.process.wait(timeout=10)
        if not keep:
            discard(home)
