"""Look a running stack over: who runs, who answers, what does not fit, and what to do about it."""

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import psycopg
import requests
from sqlalchemy.exc import SQLAlchemyError

from models.database import create_database_engine
from models.isolation import isolation_faults
from models.schema import newest_revision
from ops.home import Home
from ops.stack_record import NoStack, StackRecord, running_processes, running_stack_of
from ops.supervise import parse_procfile
from ops.surroundings import ROOT, SANDBOX, behind_pgbouncer, connections_needed
from pipelines.boot import CONNECTIONS_ALLOWED
from pipelines.erasure.writers import PATIENCE, WAITED_FOR
from pipelines.monitoring.runs import SILENT_AFTER
from pipelines.queue.broker import make_broker
from pipelines.queue.broker_port import BrokerAway
from pipelines.unsafe_settings import production_faults

TIMEOUT_SECONDS = 5
_PAUSED_QUEUES = b"""
SELECT name, paused_at AT TIME ZONE 'UTC', coalesce(pause_reason, '') FROM queues
WHERE paused_at IS NOT NULL ORDER BY name
"""
#: Sealing is late when an entry waits longer than this; the duty runs every few seconds.
UNSEALED_SECONDS_MAX = 120
_UNSEALED = b"""
SELECT count(*), coalesce(extract(epoch FROM now() - min(at)), 0)::int
FROM (SELECT at FROM audit_entries WHERE sequence IS NULL ORDER BY at LIMIT 10000) waiting
"""
# Before its first look, since when its duty is due.
_LOOKED = b"""
SELECT extract(epoch FROM now() - coalesce(
    (SELECT at FROM check_runs WHERE name = 'monitor'),
    (SELECT min(fire_at) FROM schedule_runs WHERE name = 'monitor'), now()))::int
"""
_WAITING_ERASURES = f"""
SELECT w.id, extract(epoch FROM now() - min(w.waits_since))::int, string_agg(w.writer, ', ')
FROM ({WAITED_FOR}) w WHERE w.waits_since <= now() - make_interval(secs => %s)
GROUP BY w.id ORDER BY w.id LIMIT 20
""".encode()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `remedy` is empty while there is nothing to do."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that is known of the stack on one data folder."""

    home: str
    web_url: str | None = None
    database_url: str | None = field(default=None, repr=False)
    #: The broker's address, whatever its kind; `doctor --json` promises this name.
    redis_url: str | None = field(default=None, repr=False)
    sandbox_url: str | None = None
    processes: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok} | asdict(self)


def examine(home: Home, environment: dict[str, str]) -> Diagnosis:
    """Every check on the stack that runs on `home`; without one, that is the finding."""
    versions = {"largesse": version("largesse"), "python": platform.python_version()}
    try:
        at, record = running_stack_of(home)
    except NoStack as refusal:
        nothing = Check("stack", ok=False, detail="nothing runs here", remedy=refusal.detail)
        return Diagnosis(home=str(home.path), versions=versions, checks=[nothing])
    processes = running_processes(at, record)
    checks = [
        Check("stack", ok=True, detail=f"pid {record.pid}, {record.environment}"),
        _processes(at, record, dict(processes)),
        _settings(record, environment),
        *_web(record),
        *_database(record, versions, environment),
        _store(record, versions),
    ]
    if record.sandbox_url is not None:
        checks.append(_page("sandbox", f"{record.sandbox_url}/healthz", at, SANDBOX))
    return Diagnosis(
        home=str(at.path),
        web_url=record.web_url,
        database_url=record.database_url,
        redis_url=record.queue_url,
        sandbox_url=record.sandbox_url,
        processes=[{"name": name, "pid": pid} for name, pid in processes],
        versions=versions,
        checks=checks,
    )


def _processes(home: Home, record: StackRecord, alive: dict[str, int]) -> Check:
    procfile = parse_procfile((ROOT / "Procfile").read_text(encoding="utf-8"))
    wanted = [entry.name for entry in procfile] + list(record.servers)
    missing = [name for name in wanted if name not in alive]
    if not missing:
        return Check("processes", ok=True, detail=f"{len(alive)} run")
    logs = home.log_path(missing[0])
    return Check(
        "processes",
        ok=False,
        detail=f"not running: {', '.join(missing)}",
        remedy=f"It is started again by itself; if it stays so, read {logs}.",
    )


def _web(record: StackRecord) -> list[Check]:
    return [
        _page(f"web_{path}", f"{record.web_url}/{path}", None, "web")
        for path in ("healthz", "readyz")
    ]


def _page(name: str, url: str, home: Home | None, process: str) -> Check:
    def look() -> str:
        answer = requests.get(url, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return f"{url} answers in {answer.elapsed.total_seconds() * 1000:.0f} ms"

    where = home.log_path(process) if home else f"logs/{process}.log in the data folder"
    return _looked(name, look, remedy=f"Read {where}.")


def _database(
    record: StackRecord, versions: dict[str, str], environment: dict[str, str]
) -> list[Check]:
    facts: dict[str, Any] = {}

    def look() -> str:
        with psycopg.connect(record.database_url, connect_timeout=TIMEOUT_SECONDS) as connection:
            row = connection.execute(
                f"SELECT current_setting('server_version'), ({CONNECTIONS_ALLOWED}),"
                " (SELECT version_num FROM alembic_version)".encode()
            ).fetchone()
            assert row is not None
            is_current = row[2] == newest_revision()
            seen = _seen(connection) if is_current else []
        facts.update(server=row[0], allowed=row[1], schema=row[2], seen=seen)
        facts["walls"] = _walls(record.database_url)
        versions.update(postgresql=row[0], schema=row[2])
        return f"PostgreSQL {row[0]} answers"

    check = _looked("database", look, remedy="Read logs/postgres.log in the data folder.")
    return (
        [
            check,
            _schema(facts["schema"]),
            _budget(facts["allowed"], environment),
            facts["walls"],
            *facts["seen"],
        ]
        if facts
        else [check]
    )


def _seen(connection: psycopg.Connection) -> list[Check]:
    waiting = waiting_erasures(connection)
    return [*paused_queues(connection), audit_tail(connection), monitor_look(connection), *waiting]


def paused_queues(connection: psycopg.Connection) -> list[Check]:
    """A line only if somebody has paused a queue; that is meant, so the stack is well."""
    paused = connection.execute(_PAUSED_QUEUES).fetchall()
    if not paused:
        return []
    said = "; ".join(
        f"{name} since {since:%Y-%m-%d %H:%M} UTC: {why}" for name, since, why in paused
    )
    resume = ", ".join(f"`largesse queues resume {name}`" for name, _since, _why in paused)
    remedy = f"Jobs on a paused queue wait. To let them go on: {resume}."
    return [Check("queues_paused", ok=True, detail=said, remedy=remedy)]


def audit_tail(connection: psycopg.Connection) -> Check:
    """Whether the audit log is sealed as it grows; `largesse audit verify` looks at the chains."""
    count, seconds = connection.execute(_UNSEALED).fetchone() or (0, 0)
    detail = f"{count} entries wait to be sealed, for {seconds} s" if count else "sealed to its end"
    if seconds <= UNSEALED_SECONDS_MAX:
        return Check("audit", ok=True, detail=detail)
    remedy = "Look whether scheduler and interactive workers run, and no queue is paused."
    return Check("audit", ok=False, detail=detail, remedy=remedy)


def monitor_look(connection: psycopg.Connection) -> Check:
    """Whether somebody looks at pools, credit and the engine: without it no news is no good news."""
    (seconds,) = connection.execute(_LOOKED).fetchone() or (0,)
    if seconds <= SILENT_AFTER.total_seconds():
        return Check("monitor", ok=True, detail=f"looked {seconds} s ago")
    detail = f"has not looked for {seconds // 60} min"
    remedy = "Look whether scheduler and interactive workers run, and no queue is paused."
    return Check("monitor", ok=False, detail=detail, remedy=remedy)


def waiting_erasures(connection: psycopg.Connection) -> list[Check]:
    """A line only if a person is not forgotten because somebody has left a transaction open."""
    waiting = connection.execute(_WAITING_ERASURES, [PATIENCE.total_seconds()]).fetchall()
    if not waiting:
        return []
    said = "; ".join(
        f"{erasure} waits since {seconds // 60} min for {writers}"
        for erasure, seconds, writers in waiting
    )
    remedy = (
        "Their transactions began before. Let them end, or end them with what they wrote: "
        "SELECT pg_terminate_backend(PID), or ROLLBACK PREPARED 'NAME'."
    )
    return [Check("erasures", ok=False, detail=said, remedy=remedy)]


def _walls(database_url: str) -> Check:
    """What every process looks at before it starts, looked at again while they run (SEC-37)."""
    engine = create_database_engine(database_url, pool_size=1)
    try:
        with engine.connect() as connection:
            faults = isolation_faults(connection)
    finally:
        engine.dispose()
    return _of_faults("isolation", faults, "row security is on, forced and complete")


def _settings(record: StackRecord, environment: dict[str, str]) -> Check:
    if record.environment != "production":
        return Check("settings", ok=True, detail=f"{record.environment}: not looked at")
    return _of_faults("settings", production_faults(environment), "fit for production")


def _of_faults(name: str, faults: list[str], well: str) -> Check:
    if not faults:
        return Check(name, ok=True, detail=well)
    return Check(name, ok=False, detail=f"{len(faults)} faults", remedy="\n".join(faults))


def _schema(found: str) -> Check:
    needed = newest_revision()
    if found == needed:
        return Check("schema", ok=True, detail=found)
    return Check(
        "schema",
        ok=False,
        detail=f"the database has {found}, this code needs {needed}",
        remedy="Run `largesse migrate`, or start the stack again.",
    )


def _budget(allowed: int, environment: dict[str, str]) -> Check:
    if behind_pgbouncer(environment):
        return Check("connections", ok=True, detail="PgBouncer shares them out: its own affair")
    procfile = parse_procfile((ROOT / "Procfile").read_text(encoding="utf-8"))
    needed = connections_needed([entry.name for entry in procfile], environment)
    detail = f"{needed} of {allowed} connections"
    if needed <= allowed:
        return Check("connections", ok=True, detail=detail)
    remedy = "Raise max_connections, or lower LARGESSE_<PROCESS>_THREADS."
    return Check("connections", ok=False, detail=detail, remedy=remedy)


def _store(record: StackRecord, versions: dict[str, str]) -> Check:
    def look() -> str:
        broker = make_broker(record.queue_url, patience_seconds=TIMEOUT_SECONDS)
        try:
            found = broker.version()
        finally:
            broker.close()
        versions[found.name] = found.version
        return f"{found.name} {found.version} answers"

    own = "Read logs/valkey.log in the data folder."
    remedy = own if record.servers else "Look after the server that QUEUE_URL names."
    return _looked("message_store", look, remedy=remedy)


def _looked(name: str, look: Callable[[], str], *, remedy: str) -> Check:
    try:
        return Check(name, ok=True, detail=look())
    except BrokerAway as away:
        return Check(name, ok=False, detail=away.reason, remedy=remedy)
    except (requests.RequestException, psycopg.Error, SQLAlchemyError, OSError) as fault:
        return Check(name, ok=False, detail=type(fault).__name__, remedy=remedy)
