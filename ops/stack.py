"""Run a whole stack on one data folder: servers, schema, seed, processes; and stop all of it."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import requests

from ops import stack_record
from ops.child import Server, ServerFailed
from ops.databases import check_connections, prepare_as_admin, prepare_given
from ops.embedded import Servers, start_servers
from ops.home import Home
from ops.stack_record import StackRecord
from ops.supervise import Entry, Event, Fact, Supervisor, asked_by_signals, parse_procfile
from ops.surroundings import (
    ROOT,
    SANDBOX,
    Addresses,
    addresses,
    behind_pgbouncer,
    connections_needed,
    process_environment,
    uses_own_servers,
)
from ops.unprivileged import Say
from pipelines.errors import Fault

READY_SECONDS = 90.0
POLL_SECONDS = 0.1
#: What a process that cannot work with its settings exits with; starting it again is no use.
SETTINGS_EXIT = 2
LOG_LINES_SHOWN = 5
#: More deaths than this before the stack serves are no accident.
DEATHS_MAX = 3
#: Where the sandbox's Stripe tells of events.
STRIPE_WEBHOOKS = "/api/v1/webhooks/stripe"

Seed = Callable[[str], None]


class StackFailed(Fault):
    """The stack could not be started or kept; the text says which part and where to look."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the name of the environment, and what to put into a new database.

    `seed` gets the worker's database address. `secrets_home` keeps the roles' passwords on
    servers that were given, where they outlive a demo's folder.
    """

    environment_name: str
    seed: Seed | None = None
    is_demo_run: bool = False
    secrets_home: Home | None = None

    @property
    def with_sandbox(self) -> bool:
        return self.environment_name != "production"


@dataclass(frozen=True, slots=True)
class Ground:
    """The servers under a stack: addresses by login, the store's address, the embedded pair."""

    urls: Mapping[str, str]
    queue_url: str
    servers: Servers | None


class Stack:
    """A running stack; call `keep` from the thread that started it."""

    def __init__(
        self, home: Home, supervisor: Supervisor, ground: Ground, record: StackRecord, say: Say
    ) -> None:
        self.home = home
        self.supervisor = supervisor
        self.ground = ground
        self.record = record
        self._say = say

    def keep(self, until: threading.Event) -> bool:
        """Restart what dies until `until` is set or a signal asks; True if a signal did."""
        with asked_by_signals() as asked:
            while not asked and not until.wait(POLL_SECONDS):
                self.supervisor.check()
                self._revive_servers()
            until.set()
            self.supervisor.stop()
            return bool(asked)

    def wait_until_ready(self, deaths: list[Event]) -> None:
        """Until web says so; a process that refuses its settings ends the wait with its words."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.supervisor.check()
            hopeless = [event for event in deaths if event.exit_code == SETTINGS_EXIT]
            hopeless = hopeless or deaths[DEATHS_MAX:]
            if hopeless:
                raise StackFailed(self._last_words(hopeless[0].name, "does not start"))
            if _answers(f"{self.record.web_url}/readyz"):
                return
            time.sleep(POLL_SECONDS)
        raise StackFailed(self._last_words("web", f"was not ready in {READY_SECONDS:.0f} s"))

    def _last_words(self, name: str, what: str) -> str:
        path = self.home.log_path(name)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join([f"{name} {what}; see {path}", *lines[-LOG_LINES_SHOWN:]])

    def _revive_servers(self) -> None:
        """Start an embedded server that died again, on its port and data."""
        servers = self.ground.servers
        if servers is None:
            return
        for server in (servers.postgres, servers.valkey):
            if not server.is_alive:
                self._say(f"{server.name} ended; starting it again.")
                self._revive(server)

    def _revive(self, server: Server) -> None:
        address = server.url
        try:
            server.start()
        except ServerFailed as fault:
            self._say(f"{fault}\nTrying again.")
            return
        if server.url != address:
            raise StackFailed(f"{server.name} lost its port to another program; start again.")
        self.record = replace(self.record, servers=_server_pids(self.ground.servers))
        self.record.write(self.home)
        self._say(f"{server.name} runs again.")


@contextmanager
def running(
    home: Home, given: Mapping[str, str], plan: Plan, *, say: Say = print
) -> Iterator[Stack]:
    """A stack that serves, until the block ends; nothing of it is left then.

    Raises `AlreadyRunning`, `StackFailed`, `ServerFailed` and the refusals of the database.
    """
    with ExitStack() as to_undo:
        lock = to_undo.enter_context(home.lock())
        where = addresses(given, web_may_move=plan.is_demo_run)
        ground = _prepare_ground(home, given, plan, to_undo, say)
        if plan.seed is not None:
            plan.seed(ground.urls["largesse_worker"])
        told = process_environment(
            home,
            given,
            database_urls=ground.urls,
            queue_url=ground.queue_url,
            where=where,
            environment_name=plan.environment_name,
            embedded=ground.servers is not None,
        )
        entries = entries_of(plan, home, where)
        if not behind_pgbouncer(told):
            needed = connections_needed([entry.name for entry in entries], told)
            check_connections(ground.urls["largesse_readonly"], needed)
        deaths: list[Event] = []
        supervisor = Supervisor(
            home, entries, environment=told, cwd=ROOT, hook=_listener(deaths, home, say)
        )
        to_undo.enter_context(supervisor)
        supervisor.start()
        record = _record(plan, where, ground)
        to_undo.callback(stack_record.forget, home)
        record.write(home)
        stack = Stack(home, supervisor, ground, record, say)
        stack.wait_until_ready(deaths)
        lock.announce(record.web_url)
        yield stack


def entries_of(plan: Plan, home: Home, where: Addresses) -> tuple[Entry, ...]:
    """The Procfile's processes, and the sandbox where outside companies are played."""
    entries = parse_procfile((ROOT / "Procfile").read_text(encoding="utf-8"))
    if not plan.with_sandbox:
        return entries
    data = home.path / "sandbox.sqlite3"
    command = (
        f"python -m ops.sandbox --port {where.sandbox_port} --smtp-port {where.smtp_port}"
        f" --stripe-webhooks {where.web_url}{STRIPE_WEBHOOKS} --data '{data}'"
    )
    return (*entries, Entry(SANDBOX, command))


def _prepare_ground(
    home: Home, given: Mapping[str, str], plan: Plan, to_undo: ExitStack, say: Say
) -> Ground:
    if uses_own_servers(given):
        urls = prepare_given(plan.secrets_home or home, given, demo=plan.is_demo_run)
        return Ground(urls, given.get("QUEUE_URL") or given["REDIS_URL"], None)
    servers = to_undo.enter_context(start_servers(home, say=say))
    return Ground(prepare_as_admin(home, servers.admin_url), servers.redis_url, servers)


def _record(plan: Plan, where: Addresses, ground: Ground) -> StackRecord:
    return StackRecord(
        pid=os.getpid(),
        environment=plan.environment_name,
        web_url=where.web_url,
        sandbox_url=where.sandbox_url if plan.with_sandbox else None,
        database_url=ground.urls["largesse_readonly"],
        queue_url=ground.queue_url,
        servers=_server_pids(ground.servers),
    )


def _server_pids(servers: Servers | None) -> dict[str, int]:
    if servers is None:
        return {}
    pids = {server.name: server.pid for server in (servers.postgres, servers.valkey)}
    return {name: pid for name, pid in pids.items() if pid is not None}


def _listener(deaths: list[Event], home: Home, say: Say) -> Callable[[Event], None]:
    def note(event: Event) -> None:
        if event.fact is Fact.DIED:
            deaths.append(event)
            say(
                f"{event.name} ended with {event.exit_code}; it starts again in "
                f"{event.restart_in_seconds:.0f} s. See {home.log_path(event.name)}"
            )

    return note


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False
