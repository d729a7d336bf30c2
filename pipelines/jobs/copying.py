"""COPY many rows in batches: no statement lasts as long as the file, and none waits for its rows."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, cast

from psycopg import Connection
from sqlalchemy.orm import Session

#: Rows made ready and copied at a time; the next ones are read between two copies.
BATCH_ROWS = 5_000


def copy_rows(session: Session, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Run the `COPY ... FROM STDIN` for each batch of rows, in the session's transaction.

    The session may be used by whoever makes the rows, since no copy is open meanwhile.
    """
    driver = cast("Connection[Any]", session.connection().connection.driver_connection)
    for batch in _batches(rows):
        with driver.cursor().copy(statement) as copy:
            for values in batch:
                copy.write_row(values)


def copy_lines(session: Session, statement: str, lines: list[str]) -> None:
    """Run the `COPY ... FROM STDIN` with lines in its text format: tabs between, nothing to escape."""
    driver = cast("Connection[Any]", session.connection().connection.driver_connection)
    with driver.cursor().copy(statement) as copy:
        copy.write("".join(lines))


def line(*values: str | int | None) -> str:
    """A row in the text format of COPY, whatever characters it has."""
    return "\t".join(_cell(value) for value in values) + "\n"


def _cell(value: str | int | None) -> str:
    return r"\N" if value is None else str(value).translate(_ESCAPES)


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    rows = iter(rows)
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
