"""Rows of a file as a set, in the temporary table `file_rows`: what each becomes, or what is wrong.

For imports whose good rows are written and whose rejects become items of the job, without what they
said. A kind gives columns of its own, and the statements that find what is known already and write
what is good; all of them are about the rows as a set.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.base import new_ids
from pipelines.errors import Fault, FieldError
from pipelines.jobs.copying import BATCH_ROWS, copy_rows
from pipelines.jobs.csv_reader import CsvRow, CsvRowError
from pipelines.jobs.imports import Landing, is_refused_for_rows, landed, rows_refused

#: Rows come with the columns of a `Table` in their order.
COPY = "COPY file_rows FROM STDIN"
#: Somebody may make what is in the file between the look and the insert, but not again and again.
LOOKS_MAX = 3

_INDEX = text("CREATE INDEX ON file_rows (same_as)")
_REPEATED_IN_FILE = text("""
UPDATE file_rows SET problem = :problem, field = :field,
    detail = 'The same ' || CAST(:thing AS text) || ' stands in row ' || f.first_row || '.'
FROM (SELECT row_number, min(row_number) OVER (PARTITION BY same_as) AS first_row
      FROM file_rows WHERE problem IS NULL) f
WHERE file_rows.row_number = f.row_number AND f.first_row < f.row_number
""")
_TALLY = text("""
SELECT count(*) FILTER (WHERE problem IS NULL) AS good,
    count(*) FILTER (WHERE problem IS NOT NULL) AS rejected
FROM file_rows
""")
_REJECTS = """
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, code, detail, field,
    reference)
SELECT :job, row_number, 1, :agency, :client, 'failed', problem, detail, field, {shown}
FROM file_rows WHERE problem IS NOT NULL
"""


class RowsMoved(Fault):
    """What is in the file was made elsewhere while it was worked in, more than once."""


@dataclass(frozen=True, slots=True)
class Table:
    """How `file_rows` is made for a kind of file."""

    create: TextClause
    own_columns: int

    def reject(self, number: int, code: str, detail: str, field: str | None) -> tuple[Any, ...]:
        """The columns of a row with which something is wrong, and nothing else is known."""
        return (number, code, detail, field, None, *(None,) * self.own_columns)


def table_of(columns: Mapping[str, str]) -> Table:
    """The table with these columns of a kind, and their types; module constants, never input.

    One is `same_as`: rows with the same value in it stand for the same thing. Before them come
    `row_number`, `problem`, `detail`, `field` and `id`.
    """
    own = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    create = text(f"""
CREATE TEMPORARY TABLE file_rows (
    row_number integer NOT NULL, problem text, detail text, field text, id uuid, {own})
ON COMMIT DROP
""")
    return Table(create, len(columns))


@dataclass(frozen=True, slots=True)
class Repeated:
    """What a row is told whose `thing` (a word) stands in an earlier one: a code, at a field."""

    code: str
    field: str
    thing: str


@dataclass(frozen=True, slots=True)
class Writing:
    """Statements that make the good rows what they are to be, and the values of all statements.

    The first one runs into the constraint `unique` when a row is there already, of this file or not.
    """

    statements: Sequence[TextClause]
    values: dict[str, Any]
    unique: str
    #: SQL: what a reject is called in its item, as whoever sees the job may see it; a module constant.
    shown: str = "NULL"


#: A row that could be read, with the id that it will have; and the columns of its kind, or what is wrong.
Named = tuple[CsvRow, str]
Judged = tuple[Any, ...] | FieldError
#: Judges part of a file at a time, each row in its place; it may ask the database about them all.
Judge = Callable[[Sequence[Named]], Sequence[Judged]]


def stage(
    session: Session, table: Table, rows: Iterable[CsvRow | CsvRowError], judge: Judge
) -> None:
    """Make the table and COPY the judged rows into it, part by part, with ids in their order."""
    session.execute(table.create)
    copy_rows(session, COPY, _judged(iter(rows), table, judge))


def land_unseen(session: Session, job: Row[Any], writing: Writing) -> Landing | None:
    """Write the good rows without a look at others; None, and nothing is, unless all are new."""
    tally = session.execute(_TALLY).one()
    if is_refused_for_rows(job, tally.rejected) or not _write(session, writing):
        return None
    return _told(session, job, tally, writing)


def land(
    session: Session, job: Row[Any], repeated: Repeated, known: TextClause, writing: Writing
) -> Landing:
    """Find what is there already, write what is good, list what is not, and say how the job ends.

    `known` gives the good rows that somebody has already their problem. Raises `RowsMoved`.
    """
    session.execute(_INDEX)
    told = {"problem": repeated.code, "field": repeated.field, "thing": repeated.thing}
    session.execute(_REPEATED_IN_FILE, told)
    for _ in range(LOOKS_MAX):
        session.execute(known, writing.values)
        tally = session.execute(_TALLY).one()
        if is_refused_for_rows(job, tally.rejected) or _write(session, writing):
            return _told(session, job, tally, writing)
    raise RowsMoved


def _judged(
    rows: Iterator[CsvRow | CsvRowError], table: Table, judge: Judge
) -> Iterator[tuple[Any, ...]]:
    while part := list(islice(rows, BATCH_ROWS)):
        named = list(zip(part, new_ids(len(part)), strict=True))
        judged = iter(judge([(row, name) for row, name in named if isinstance(row, CsvRow)]))
        for row, identity in named:
            if isinstance(row, CsvRowError):
                yield table.reject(row.number, row.code, row.detail, row.column)
                continue
            read = next(judged)
            if isinstance(read, FieldError):
                yield table.reject(row.number, read.code, read.detail, read.field)
            else:
                yield row.number, None, None, None, identity, *read


def _write(session: Session, writing: Writing) -> bool:
    """Write every good row; if one is somebody else's by now, none is."""
    first, *others = writing.statements
    try:
        with session.begin_nested():
            session.execute(first, writing.values)
    except IntegrityError as error:
        if writing.unique not in str(error.orig):
            raise
        return False
    for statement in others:
        session.execute(statement, writing.values)
    return True


def _told(session: Session, job: Row[Any], tally: Row[Any], writing: Writing) -> Landing:
    """List the rejects; the others are in, or kept out by them."""
    if tally.rejected:
        session.execute(text(_REJECTS.format(shown=writing.shown)), writing.values)
    if is_refused_for_rows(job, tally.rejected):
        return rows_refused(tally.good, failed=tally.rejected, nothing="nothing was imported")
    return landed(tally.good, failed=tally.rejected)
