"""The engine, the sessions that need a scope, and the only transaction block."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import psycopg
from sqlalchemy import Engine, TextClause, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from models import clock, plain_text
from models import scope as scopes
from models.entering import enter

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

#: Where a session keeps its connection, and the driver's, for as long as its transaction.
_KEPT_AS = "connections"


class ScopedSession(Session):
    """A session whose every transaction takes the current scope's role and tenant ids.

    Text goes to the driver by the short way, `models.plain_text`.
    """

    if not TYPE_CHECKING:  # typed as the session's own, which tells what columns there are

        def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
            """As SQLAlchemy's; a text with one set of values needs none of its preparations."""
            is_plain = isinstance(statement, TextClause) and not (
                options or self.dispatch.do_orm_execute
            )
            if is_plain and (params is None or isinstance(params, dict)):
                connection, driver = self._connections()
                if (ready := plain_text.ready(statement, connection.dialect)) is not None:
                    return plain_text.run(connection, driver, ready, params or {})
            return super().execute(statement, params, **options)

    def _connections(self) -> "tuple[Connection, psycopg.Connection[Any]]":
        """This transaction's, which begins if it has not; a savepoint that waits is made."""
        begun = self.get_transaction()
        kept = self.info.get(_KEPT_AS)
        if kept is None or kept[0] is not begun or self.in_nested_transaction():
            connection = self.connection()
            driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
            kept = self.info[_KEPT_AS] = (self.get_transaction(), connection, driver)
        return kept[1], kept[2]


Sessions = sessionmaker[ScopedSession]


@event.listens_for(ScopedSession, "after_begin")
def _enter_scope(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    """A savepoint is within its transaction's scope already."""
    if not transaction.nested:
        session.info[clock.KEPT_AS] = enter(connection, scopes.current())


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
        # The one used last is warm: its statements are prepared, and its server's caches are filled.
        pool_use_lifo=True,
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
