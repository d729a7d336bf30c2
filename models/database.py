"""The engine, the sessions that need a scope, and the only transaction block."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from models import clock
from models import scope as scopes

#: True while this thread or task is inside a transaction: the HTTP door refuses to call out.
in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)

CONNECT_TIMEOUT_SECONDS = 3
TCP_USER_TIMEOUT_MILLISECONDS = 5_000
#: A server that vanished while its answer is awaited is found out by probes; the system's own
#: next probe after the first would come more than a minute later.
KEEPALIVES_IDLE_SECONDS = 5
KEEPALIVES_INTERVAL_SECONDS = 2
KEEPALIVES_COUNT = 3
#: A connection used this short a time ago is taken for alive.
TRUSTED_SECONDS = 2.0
_USED_AT = "used_at"

_ENTER_SCOPE = text(
    "SELECT set_config('role', :role, true), set_config('app.agency_id', :agency_id, true), "
    f"set_config('app.client_id', :client_id, true), {clock.SQL} AS now"
)


class ScopedSession(Session):
    """A session whose every transaction takes the current scope's role and tenant ids."""


Sessions = sessionmaker[ScopedSession]


@event.listens_for(ScopedSession, "after_begin")
def _enter_scope(
    session: Session, _transaction: SessionTransaction, connection: Connection
) -> None:
    scope = scopes.current()
    entered = connection.execute(
        _ENTER_SCOPE,
        {
            "role": scope.role.value,
            "agency_id": str(scope.agency_id or ""),
            "client_id": str(scope.client_id or ""),
        },
    )
    session.info[clock.KEPT_AS] = entered.one().now


def create_database_engine(url: str, *, pool_size: int, pooled_by_proxy: bool = False) -> Engine:
    """An engine with `pool_size` connections and no overflow.

    `pooled_by_proxy` suits PgBouncer in transaction mode: no server-side prepared statements.
    """
    connect_args: dict[str, object] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MILLISECONDS,
        "keepalives_idle": KEEPALIVES_IDLE_SECONDS,
        "keepalives_interval": KEEPALIVES_INTERVAL_SECONDS,
        "keepalives_count": KEEPALIVES_COUNT,
    }
    if pooled_by_proxy:
        connect_args["prepare_threshold"] = None
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        connect_args=connect_args,
    )
    _ping_after_a_rest(engine)
    return engine


def _ping_after_a_rest(engine: Engine) -> None:
    """Ask a connection that rested whether it still lives; one in steady use is not asked.

    When one in use turns out dead, SQLAlchemy replaces all that are older than that.
    """

    @event.listens_for(engine, "checkin")
    def note(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        rested = time.monotonic() - record.info.get(_USED_AT, time.monotonic())
        if rested < TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def sessions_of(engine: Engine) -> Sessions:
    return sessionmaker(engine, class_=ScopedSession, expire_on_commit=False)


@contextmanager
def transaction(sessions: Sessions) -> Iterator[ScopedSession]:
    """One transaction in the current scope: commits at the end, rolls back on any exception."""
    if in_transaction.get():
        raise RuntimeError("a transaction is already open in this thread; transactions do not nest")
    marker = in_transaction.set(True)
    try:
        with sessions() as session, session.begin():
            yield session
    finally:
        in_transaction.reset(marker)


@contextmanager
def scoped_transaction(sessions: Sessions, scope: scopes.Scope) -> Iterator[ScopedSession]:
    """A transaction in its own scope, for the doors: credential look-ups, the relay, duties."""
    with scopes.tenant_scope(scope), transaction(sessions) as session:
        yield session
