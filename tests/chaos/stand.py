"""A whole stand for breaking things: servers, vendor and product processes that may be killed."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from models.schema import migrate
from ops.bootstrap import create_from_template, database_url, drop_database, ensure_database
from ops.embedded import Servers, role_passwords, role_urls, start_servers
from ops.home import Home
from ops.unprivileged import discard
from pipelines.jobs.states import OPEN_ITEMS
from pipelines.wiring import House, build_house
from tests import canary
from tests.chaos.proxy import Proxy
from tests.conftest import load_settings, process_environment, vendor_environment
from tests.driving import view
from tests.vendor import Sandbox

PROCESSES = ("relay", "scheduler", "interactive", "bulk", "vendors")
TEMPLATE = "largesse_chaos"
POLL_SECONDS = 0.05
MEANWHILE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Grounds:
    """The servers and the vendor that one stand after the other is put up on."""

    home: Home
    servers: Servers
    sandbox: Sandbox


@dataclass
class Stand:
    """Everything a scenario needs; processes are real and die for real."""

    grounds: Grounds
    house: House
    environment: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: Path = field(default_factory=Path)
    _all: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _proxies: list[Proxy] = field(default_factory=list)

    @property
    def servers(self) -> Servers:
        return self.grounds.servers

    @property
    def sandbox(self) -> Sandbox:
        return self.grounds.sandbox

    def start(
        self, *names: str, module: str = "workers", before: tuple[str, ...] = (), **extra: str
    ) -> None:
        """Start product processes, as the Procfile would; each in a group of its own."""
        for name in names:
            command = [
                *before,
                sys.executable,
                "-m",
                *([module, name] if name != "web" else [name]),
            ]
            log = (self.logs / f"{name}-{len(self._all):03d}.log").open("wb")
            process = subprocess.Popen(
                command,
                env=self.environment | extra,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            log.close()
            self.running[name] = process
            self._all.append(process)

    def until_up(self, *names: str) -> None:
        """Until every process of these names has said that it has started."""
        for name in names:
            started = len(list(self.logs.glob(f"{name}-*.log")))
            self.until(lambda: self.words(name).count('"process.started"') == started)  # noqa: B023

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.signal(self.running[name], number)

    def signal(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """To the process and whatever it forked."""
        os.killpg(process.pid, number)
        if number is signal.SIGKILL:
            process.wait(timeout=10)

    def revive(self, name: str, **how: Any) -> int:
        """As the supervisor does: start a process again that has died; how often (0 or 1)."""
        if self.running[name].poll() is None:
            return 0
        self.start(name, **how)
        return 1

    def proxy(self, kind: str, *, listen: str = "127.0.0.1") -> Proxy:
        """A proxy before the `database`, the `queue` or the `vendor`."""
        urls = {
            "database": self.environment["DATABASE_WORKER_URL"],
            "queue": self.environment["QUEUE_URL"],
            "vendor": self.environment["RELOADLY_BASE_URL"],
        }
        parts = urlsplit(urls[kind])
        speaks = "postgres" if kind == "database" else "bytes"
        made = Proxy("127.0.0.1", parts.port or 0, speaks=speaks, listen=listen)
        self._proxies.append(made)
        return made

    def by_way_of(self, **proxies: Proxy) -> dict[str, str]:
        """The environment of a process that reaches the named servers through these proxies.

        Statements are then sent as text each time, so that a proxy can read them.
        """
        names = {
            "database": [name for name in self.environment if name.startswith("DATABASE_")],
            "queue": ["QUEUE_URL"],
            "vendor": ["RELOADLY_BASE_URL", "RELOADLY_AUTH_URL"],
        }
        chosen = {"DATABASE_POOLED": "true"} if "database" in proxies else {}
        for kind, through in proxies.items():
            chosen |= {name: through.through(self.environment[name]) for name in names[kind]}
        return chosen

    def stop(self) -> None:
        for process in self._all:
            if process.poll() is None:
                self.signal(process, signal.SIGKILL)
        for made in self._proxies:
            made.end()

    def until(self, condition: Callable[[], bool], *, seconds: float = 120.0) -> None:
        """Wait for a state of the world; a scenario that never gets there fails loudly."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached within {seconds:g} s")
            time.sleep(POLL_SECONDS)

    def until_ended(
        self,
        job_id: UUID,
        *,
        meanwhile: Callable[[], object] | None = None,
        seconds: float = 120.0,
    ) -> dict[str, Any]:
        """The job once it has ended; `meanwhile` is done again and again until then.

        A job of any size has time, but none in which no item ends for `seconds`.
        """
        next_at, moved_at, job = 0.0, time.monotonic(), view(self.house, job_id)
        while job["finished_at"] is None:
            if meanwhile is not None and time.monotonic() >= next_at:
                meanwhile()
                next_at = time.monotonic() + MEANWHILE_SECONDS
            time.sleep(POLL_SECONDS)
            before, job = job, view(self.house, job_id)
            if _reached(job) != _reached(before):
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > seconds:
                raise AssertionError(f"the job does not end: {job['state']} {job['counts']}")
        return job

    def until_done(self, job_id: UUID, items: int) -> None:
        """Until so many items have succeeded: the moment to break something."""
        self.until(lambda: view(self.house, job_id)["counts"]["succeeded"] >= items)

    def admin(self, statement: str) -> list[tuple[Any, ...]]:
        """As the superuser of the embedded server: for killing backends and looking at them."""
        with psycopg.connect(self.servers.admin_url, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def waiting_for_locks(self) -> int:
        """How many sessions of the product wait for a lock that somebody else holds."""
        name = self.house.sessions.kw["bind"].url.database
        return len(
            self.admin(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                f"AND datname = '{name}' AND application_name <> 'chaos'"
            )
        )

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """The superuser inside this stand's database, in one transaction: to hold locks."""
        name = self.house.sessions.kw["bind"].url.database
        url = database_url(self.servers.admin_url, name)
        with psycopg.connect(url, application_name="chaos") as connection:
            yield connection

    def flush_queue(self) -> None:
        """Redis forgets everything."""
        with Redis.from_url(self.servers.redis_url) as client:
            client.flushall()

    def words(self, name: str = "") -> str:
        """Everything the product processes of this name wrote."""
        logs = sorted(self.logs.glob(f"{name}*.log"))
        return "".join(path.read_text(errors="replace") for path in logs)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _reached(job: Mapping[str, Any]) -> tuple[str, int]:
    """What only ever goes on: the state, and how many items have not ended."""
    return job["state"], sum(job["counts"][state] for state in OPEN_ITEMS)


@contextmanager
def grounds(*, keep: bool = False, settings: Mapping[str, str] | None = None) -> Iterator[Grounds]:
    """Servers and vendor in a folder of their own; nothing of it is left afterwards."""
    home = Home(Path("/tmp") / f"largesse-chaos-{secrets.token_hex(6)}")
    sandbox = Sandbox()
    try:
        with start_servers(home, settings=settings, say=lambda _line: None) as servers:
            admin_url, passwords = servers.admin_url, role_passwords(home)
            ensure_database(admin_url, database=TEMPLATE, passwords=passwords)
            migrate(role_urls(home, admin_url, TEMPLATE)["largesse_owner"])
            yield Grounds(home, servers, sandbox)
    finally:
        sandbox.process.kill()
        sandbox.process.wait(timeout=10)
        if not keep:
            discard(home)


@contextmanager
def stand(base: Grounds, *, time_scale: float = 0.1) -> Iterator[Stand]:
    """A stand with a database, an empty queue and a vendor without orders or faults."""
    base.servers.postgres.start()  # a scenario that failed may have left them dead
    base.servers.valkey.start()
    base.sandbox.control("POST", "/reset")
    name = f"largesse_{secrets.token_hex(6)}"
    create_from_template(base.servers.admin_url, TEMPLATE, name)
    urls = role_urls(base.home, base.servers.admin_url, name)
    environment = process_environment(
        urls, base.servers.redis_url, time_scale=time_scale, **vendor_environment(base.sandbox)
    ) | {"PYTHONPATH": os.getcwd()}
    # Our own connections have a name, so that a scenario can spare them.
    ours = {"DATABASE_WORKER_URL": f"{urls['largesse_worker']}?application_name=chaos"}
    house = build_house(load_settings("tools", environment | ours))
    logs = Path(base.home.path) / "logs" / name
    logs.mkdir(parents=True)
    built = Stand(base, house, environment, logs=logs)
    try:
        built.flush_queue()
        yield built
        built.stop()
        canary.refuse(_secrets_left(built, database_url(base.servers.admin_url, name)))
    finally:
        built.stop()
        house.sessions.kw["bind"].dispose()
        if base.servers.postgres.is_alive:
            drop_database(base.servers.admin_url, name)


def _secrets_left(built: Stand, database: str) -> list[str]:
    """Where a scenario left a secret in clear; a server that it broke for good is not asked."""
    found = canary.in_logs(built.logs) + canary.in_logs(Path(built.grounds.home.path) / "logs")
    if built.servers.postgres.is_alive:
        found += canary.in_database(database)
    return found + (canary.in_redis(built.servers.redis_url) if queue_answers(built) else [])


def queue_answers(built: Stand) -> bool:
    """Whether Redis can be reached."""
    try:
        with Redis.from_url(built.servers.redis_url, socket_timeout=1) as client:
            return bool(client.ping())
    except RedisAway:
        return False
