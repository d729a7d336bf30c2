"""What every process does before it serves: check schema, role and room, and begin to beat."""

import gc
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from models import clock
from models.database import Sessions, create_database_engine, scoped_transaction, sessions_of
from models.isolation import isolation_faults, login_faults
from models.schema import newest_revision, revision_of
from models.scope import SYSTEM, NoScope, client
from pipelines.access.demo_people import demo_people
from pipelines.keys.versions import note_versions
from pipelines.queue.processes import Heartbeat, Tally
from pipelines.settings import OWN_CONNECTIONS, Environment, SettingsBroken
from pipelines.telemetry import get_logger
from pipelines.unsafe_settings import EMBEDDED_CLUSTER, queue_in_clear
from pipelines.wiring import House

log = get_logger(__name__)

_CLUSTER = text("SELECT current_setting('cluster_name')")
#: As a client that does not exist: whatever is seen is somebody else's.
_NOBODY = UUID(int=0)
_ANY_ROW = text("SELECT EXISTS (SELECT FROM campaigns) OR EXISTS (SELECT FROM jobs)")
#: Connections that the server gives to logins like ours, all of them together.
CONNECTIONS_ALLOWED = (
    "SELECT current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int"
    " - current_setting('reserved_connections')::int"
)
_IN_USE = text(
    "SELECT count(*) FROM pg_stat_activity WHERE usename IS NOT NULL"
    " AND coalesce(backend_type, 'client backend') = 'client backend'"
    " AND pid <> pg_backend_pid()"
)
# Who drains takes no more connections than it has.
_RUNNING = text(
    "SELECT host, pid, threads, beat_at FROM processes WHERE state = 'running'"
    " AND beat_at > CAST(:now AS timestamptz) - make_interval(secs => :gone)"
)
POLL_SECONDS = 0.1


def keep_what_is_made() -> None:
    """What a process has made before it serves lives as long as it: no garbage is looked for in it.

    Else each full look holds a request up by as long as it takes to walk all of our code.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Room:
    """The server's connections: allowed in all, in use now, and those of the pools of others.

    Pools fill as work comes, so that `pooled` may be more than is in use. Of those, `proven` belong
    to processes that have beaten since we looked first: the row of a dead one stands for a while.
    """

    allowed: int
    in_use: int
    pooled: int
    proven: int

    def has(self, needed: int) -> bool:
        """Whether so many more fit, even if every row is that of a living process."""
        return needed <= self.allowed - max(self.in_use, self.pooled)

    def never_has(self, needed: int) -> bool:
        """Whether they do not fit whichever rows are those of the dead."""
        return needed > self.allowed - max(self.in_use, self.proven)


def check_database(house: House) -> None:
    """Refuse to start on a schema this code does not fit, in a house whose walls have holes
    (SEC-37), without the keys of what is stored, or without room for connections (EC-137)."""
    engine = house.sessions.kw["bind"]
    found, needed = revision_of(engine), newest_revision()
    if found != needed:
        raise SettingsBroken(
            f"The database is at schema {found}; this code needs {needed}. Run: largesse migrate"
        )
    with engine.connect() as connection:
        faults = login_faults(connection)
        if faults:
            raise SettingsBroken("\n".join(faults))
        faults = isolation_faults(connection)
        if house.settings.environment is Environment.PRODUCTION:
            faults += _embedded(connection)
            if queue_in_clear(os.environ):
                log.warning("boot.queue_in_clear", remedy="use rediss:// or amqps://")
    faults += _walls_in_use(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        if house.settings.environment is Environment.PRODUCTION:
            faults += demo_people(session)
        faults += note_versions(session, house.settings.keyring)
    if faults:
        raise SettingsBroken("\n".join(faults))
    _check_room(house)


def _embedded(connection: Connection) -> list[str]:
    if connection.execute(_CLUSTER).scalar_one() != EMBEDDED_CLUSTER:
        return []
    return ["This is the embedded database, which is for development. Use a server of your own."]


def _walls_in_use(house: House) -> list[str]:
    """Sessions refuse to work without a scope, and a client that is nobody sees nothing."""
    faults = []
    try:
        with house.sessions() as session:
            session.execute(text("SELECT 1"))
    except NoScope:
        pass
    else:
        faults.append("A session works without a scope: this code was changed; install a release.")
    with scoped_transaction(house.sessions, client(_NOBODY)) as session:
        if session.execute(_ANY_ROW).scalar_one():
            faults.append(
                "A client sees rows of others. Restore the policies of this release "
                "(models/migrations), and do not serve until then."
            )
    return faults


def _check_room(house: House) -> None:
    """The pool has a connection for each thread by its making; the server must have them too.

    Nobody is refused for the sake of the dead: until a row has beaten again or grown old, we wait.
    """
    if house.settings.pooled_by_proxy:
        log.info("boot.connections_not_checked", why="PgBouncer shares them out")
        return
    needed = house.settings.pool_size + OWN_CONNECTIONS
    with scoped_transaction(house.sessions, SYSTEM) as session:
        began = clock.now(session)
    while not (room := _room(house, since=began)).has(needed):
        if room.never_has(needed):
            raise SettingsBroken(_no_room(room, needed))
        time.sleep(POLL_SECONDS)


def _room(house: House, *, since: datetime) -> Room:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        values = {"now": clock.now(session), "gone": house.limits.process_gone_seconds}
        running = [row for row in session.execute(_RUNNING, values) if not _is_gone(row)]
        return Room(
            allowed=session.execute(text(CONNECTIONS_ALLOWED)).scalar_one(),
            in_use=session.execute(_IN_USE).scalar_one(),
            pooled=sum(row.threads + OWN_CONNECTIONS for row in running),
            proven=sum(row.threads + OWN_CONNECTIONS for row in running if row.beat_at > since),
        )


def _is_gone(row: Any) -> bool:
    """Whether it ran on this machine and does not any more; of others only their beat tells."""
    if row.host != socket.gethostname():
        return False
    try:
        os.kill(row.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's, but there
    return False


def _no_room(room: Room, needed: int) -> str:
    taken = f"{room.in_use} are in use"
    if room.proven > room.in_use:
        taken = f"{room.proven} belong to the pools of processes that run"
    return (
        f"This process needs {needed} database connections; the server allows {room.allowed} in "
        f"all and {taken}. Raise max_connections, lower LARGESSE_<PROCESS>_THREADS, or put "
        "PgBouncer in front and set DATABASE_POOLED=1."
    )


def refusal(process: str, error: Exception) -> str:
    """Each fault on a line of its own, behind the name of the process that refuses it."""
    return "\n".join(f"{process}: {line}" for line in str(error).splitlines())


def unreachable(error: DBAPIError) -> str:
    """What to print when the database does not answer at all; its own words may name secrets."""
    return (
        f"The database does not answer ({type(error.orig).__name__}): look whether it runs, and "
        "at the address and password in DATABASE_*_URL."
    )


def make_heartbeat(
    house: House, name: str, tally: Tally, *, beside: Callable[[Sessions], None] | None = None
) -> Heartbeat:
    """The heartbeat of a process, not yet started, with a connection of its own."""
    settings = house.settings
    engine = create_database_engine(
        settings.database_url,
        pool_size=OWN_CONNECTIONS,
        pooled_by_proxy=settings.pooled_by_proxy,
    )
    return Heartbeat(
        sessions_of(engine),
        name,
        threads=settings.pool_size,
        limits=house.limits,
        tally=tally,
        keyring=settings.keyring,
        beside=beside,
    )
