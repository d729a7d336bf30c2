"""Send SQL that we wrote ourselves straight to the driver.

SQLAlchemy prepares each statement anew, also one that is text and bound values: that takes several
times as long as the statement itself. Here a text is made ready once, and so are its columns' names;
rows, results and errors are SQLAlchemy's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Dialect, TextClause, text
from sqlalchemy.engine import Connection, IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.types import NullType

#: Texts that are put together as they are used; those of modules are kept as long as these.
TEXTS_KEPT = 512


class PlainResult(IteratorResult[Any]):
    """The rows of a plain statement, all of them fetched, and how many it found or touched."""

    rowcount: int


@dataclass(slots=True)
class Ready:
    """A text as the driver takes it, with what its answers' columns are called."""

    sql: str
    columns: SimpleResultMetaData = field(default_factory=lambda: SimpleResultMetaData(()))


_ready: "WeakKeyDictionary[TextClause, Ready | None]" = WeakKeyDictionary()


def ready(statement: TextClause, dialect: Dialect) -> Ready | None:
    """The text made ready; None where it says more than a text: types, or values of its own."""
    try:
        return _ready[statement]
    except KeyError:
        is_plain = all(
            bound.value is None and not bound.expanding and isinstance(bound.type, NullType)
            for bound in statement._bindparams.values()
        )
        made = Ready(_compiled(statement.text, dialect)) if is_plain else None
        _ready[statement] = made
        return made


@lru_cache(TEXTS_KEPT)
def _compiled(words: str, dialect: Dialect) -> str:
    return str(text(words).compile(dialect=dialect))


def run(
    connection: Connection,
    driver: "psycopg.Connection[Any]",
    statement: Ready,
    values: Mapping[str, Any],
) -> PlainResult:
    """Run it in the transaction of the connection; raises `DBAPIError` as SQLAlchemy does."""
    cursor = driver.cursor()
    for told in connection.dispatch.before_cursor_execute:
        told(connection, cursor, statement.sql, values, None, False)
    try:
        cursor.execute(statement.sql, values)
        rows = cursor.fetchall() if _has_rows(cursor) else []
    except BaseException as fault:
        fail(connection, statement.sql, values, cursor, fault)
    result = PlainResult(_columns(statement, cursor), iter(rows))
    result.rowcount = cursor.rowcount
    return result


def fail(
    connection: Connection, sql: str, values: Mapping[str, Any], cursor: Any, fault: BaseException
) -> None:
    """Raise a fault of the driver's as SQLAlchemy would, which puts a dead connection away."""
    connection._handle_dbapi_exception(fault, sql, cast("Any", values), cursor, None)


def _has_rows(cursor: "psycopg.Cursor[Any]") -> bool:
    """Whether the statement answers with rows, be they without columns."""
    answer = cursor.pgresult
    return answer is not None and answer.status == psycopg.pq.ExecStatus.TUPLES_OK


def _columns(statement: Ready, cursor: "psycopg.Cursor[Any]") -> SimpleResultMetaData:
    """What the answer's columns are called, read when there are others than before."""
    answer = cursor.pgresult
    count = 0 if answer is None else answer.nfields
    if answer is not None and len(statement.columns.keys) != count:
        names = [(answer.fname(place) or b"").decode() for place in range(count)]
        statement.columns = SimpleResultMetaData(names)
    return statement.columns
