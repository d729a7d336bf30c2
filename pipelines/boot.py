"""What every process does before it serves: check schema, role and room, and begin to beat."""

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from models.database import create_database_engine, sessions_of
from models.schema import newest_revision, revision_of
from pipelines.queue.processes import Heartbeat, Tally
from pipelines.settings import OWN_CONNECTIONS, SettingsBroken
from pipelines.telemetry import get_logger
from pipelines.wiring import House

log = get_logger(__name__)

_ROLE = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
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


def check_database(house: House) -> None:
    """Refuse to start on a schema this code does not fit, as a role that sees everything, or
    without room for this process's connections (EC-137)."""
    engine = house.sessions.kw["bind"]
    found, needed = revision_of(engine), newest_revision()
    if found != needed:
        raise SettingsBroken(
            f"The database is at schema {found}; this code needs {needed}. Run: largesse migrate"
        )
    with engine.connect() as connection:
        if connection.execute(_ROLE).scalar_one():
            raise SettingsBroken(
                "This process connected as a superuser, for whom tenant policies do not hold. "
                "Use the largesse_* logins that `largesse migrate` makes."
            )
    _check_room(house, engine)


def _check_room(house: House, engine: Engine) -> None:
    """The pool has a connection for each thread by its making; the server must have them too."""
    if house.settings.pooled_by_proxy:
        log.info("boot.connections_not_checked", why="PgBouncer shares them out")
        return
    with engine.connect() as connection:
        allowed = connection.execute(text(CONNECTIONS_ALLOWED)).scalar_one()
        in_use = connection.execute(_IN_USE).scalar_one()
    needed = house.settings.pool_size + OWN_CONNECTIONS
    if needed > allowed - in_use:
        raise SettingsBroken(
            f"This process needs {needed} database connections; the server allows {allowed} in "
            f"all and {in_use} are in use. Raise max_connections, lower "
            "LARGESSE_<PROCESS>_THREADS, or put PgBouncer in front and set DATABASE_POOLED=1."
        )


def unreachable(error: DBAPIError) -> str:
    """What to print when the database does not answer at all; its own words may name secrets."""
    return (
        f"The database does not answer ({type(error.orig).__name__}): look whether it runs, and "
        "at the address and password in DATABASE_*_URL."
    )


def make_heartbeat(house: House, name: str, tally: Tally) -> Heartbeat:
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
    )
