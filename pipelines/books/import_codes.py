"""Work a file of codes in: judge, seal, insert; all of it in one transaction (EC-024, EC-101).

The verdict of a row that was taken is its coupon (`coupons.load_job_id`); rejected rows become items
of the job, without their codes.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.base import new_ids
from models.jobs import JobState
from models.locks import Namespace, wait_for_lock
from pipelines.audit.record import record
from pipelines.books.code_rows import COLUMNS, check_code
from pipelines.books.deck import Parts, free_parts, leave_draws, places_in
from pipelines.books.guessing import Look
from pipelines.books.patterns import BEARER_BITS_LEFT
from pipelines.books.read import book_rules
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.books.rules import BookRules
from pipelines.books.write_coupons import LAST_CHARACTERS, sealed_code
from pipelines.errors import Fault, Refusal
from pipelines.jobs.cells import CellProblem
from pipelines.jobs.copying import BATCH_ROWS, copy_lines, line
from pipelines.jobs.csv_reader import CsvRow, CsvRowError, open_csv
from pipelines.jobs.imports import (
    CANCELLED,
    Landing,
    end_import,
    file_refused,
    given_up,
    is_refused_for_rows,
    landed,
    rows_refused,
)
from pipelines.jobs.states import ENDED
from pipelines.jobs.stored_input import StoredInput
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring, Purpose
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Somebody may generate the same code between the look and the insert, but not again and again.
LOOKS_MAX = 3

_JOB = text("""
SELECT id, state, agency_id, client_id, spec, submitted_by FROM jobs
WHERE id = :job FOR NO KEY UPDATE
""")
_CREATE = text("""
CREATE TEMPORARY TABLE code_intake (
    row_number integer NOT NULL, id uuid, code text, blind_index bytea, draw_key bigint,
    code_sealed bytea, last4 text, problem text, detail text, field text) ON COMMIT DROP
""")
_COPY = (
    "COPY code_intake (row_number, id, code, blind_index, draw_key, code_sealed, last4, problem, "
    "detail, field) FROM STDIN"
)
_KNOWN = text("""
SELECT coalesce(sum(unassigned + assigned + locked + redeemed + void), 0) FROM book_stock
WHERE book_id = :book
""")
_TALLY = text("""
SELECT count(*) AS rows, count(*) FILTER (WHERE problem IS NOT NULL) AS rejected FROM code_intake
""")
_INSERT_INDEX = text("""
INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id)
SELECT blind_index, :book, id, :agency, :client
FROM code_intake WHERE problem IS NULL ORDER BY blind_index
""")
# In the order of the deck (decision 0040); ids keep the order of the file.
_INSERT = text("""
INSERT INTO coupons (book_id, id, agency_id, client_id, code, draw_key, load_job_id)
SELECT :book, id, :agency, :client, code, draw_key, :job
FROM code_intake WHERE problem IS NULL ORDER BY draw_key
""")
_INSERT_SEALED = text("""
INSERT INTO coupon_codes (id, agency_id, client_id, code_sealed, last4)
SELECT id, :agency, :client, code_sealed, last4 FROM code_intake WHERE problem IS NULL
""")
_INDEX = text("CREATE INDEX ON code_intake (blind_index)")
_REPEATED_IN_FILE = text("""
UPDATE code_intake SET problem = 'duplicate_code', field = 'code',
    detail = 'The same code stands in row ' || f.first_row || '.'
FROM (SELECT row_number, min(row_number) OVER (PARTITION BY blind_index) AS first_row
      FROM code_intake WHERE problem IS NULL) f
WHERE code_intake.row_number = f.row_number AND f.first_row < f.row_number
""")
# Another client's code with the same text is another code, and is not looked for.
_KNOWN_ALREADY = text("""
UPDATE code_intake SET problem = 'duplicate_code', field = 'code',
    detail = CASE WHEN x.book_id = :book THEN 'The book has this code already.'
                  ELSE 'Another book of this client has this code.' END
FROM code_index x
WHERE code_intake.problem IS NULL AND x.client_id = :client
  AND x.blind_index = code_intake.blind_index
""")
_REJECTS = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, code, detail, field)
SELECT :job, row_number, 1, :agency, :client, 'failed', problem, detail, field
FROM code_intake WHERE problem IS NOT NULL
""")


class CodesMoved(Fault):
    """Codes of the file were made elsewhere while it was worked in, more than once."""


def import_codes(
    session: Session, task: TaskInHand, now: datetime, *, keyring: Keyring, limits: Limits
) -> None:
    """The work of IMPORT_CODES. With `on_error=abort` one bad row means that nothing is kept."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    if JobState(job.state) in ENDED:
        return
    if job.state == JobState.CANCELLING:
        _end(session, job, CANCELLED, now)
        return
    wait_for_lock(session, Namespace.CODE_IMPORT, str(job.client_id))
    savepoint = session.begin_nested()
    try:
        book = book_rules(session, UUID(job.spec["book_id"]))
        refusal = book.ended(now)
        if refusal is not None:
            raise refusal
        free = free_parts(session, book.id)
        _stage(session, job, book, free, keyring, limits)
        landing = _land(session, job, book)
        if landing.succeeded:
            leave_draws(session, book.id, job.id, count=landing.succeeded, known=free)
        savepoint.commit()
    except Refusal as why:
        savepoint.rollback()
        landing = file_refused(why.code, why.detail)
    _end(session, job, landing, now)


def give_up_codes(session: Session, task: TaskInHand, now: datetime) -> None:
    """An import that keeps failing ends `failed internal_error` with nothing imported."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    end_import(session, job.id, given_up("nothing was kept"), now)


def _stage(
    session: Session,
    job: Row[Any],
    book: BookRules,
    free: Parts,
    keyring: Keyring,
    limits: Limits,
) -> None:
    """Every row with its coupon or its problem; raises what is wrong with the file as a whole."""
    session.execute(_CREATE)
    stored = cast(BinaryIO, StoredInput(session, job.id, keyring, purpose=Purpose.CODES))
    rows, look = iter(open_csv(stored, columns=COLUMNS, limits=limits)), Look()
    while batch := list(islice(rows, BATCH_ROWS)):
        copy_lines(session, _COPY, list(_lines(batch, book, free, keyring, look)))
    known = session.execute(_KNOWN, {"book": book.id}).scalar_one()
    if look.count and look.bits(known=int(known)) < BEARER_BITS_LEFT:
        raise PatternSpaceTooSmall(
            "Codes like these are found by trying: of too few different characters, or alike at "
            "their beginning. Make longer ones at random, such as 16 letters and digits.",
        )


def _lines(
    batch: list[CsvRow | CsvRowError], book: BookRules, free: Parts, keyring: Keyring, look: Look
) -> Iterator[str]:
    """Rows of `code_intake`: the coupon as it will be, or only what is wrong with the row."""
    ids, keys, scope = new_ids(len(batch)), places_in(free, len(batch)), book.client_id.bytes
    good: list[str] = []
    for row, identity, key in zip(batch, ids, keys, strict=True):
        if isinstance(row, CsvRowError):
            yield line(row.number, *_NO_CODE, row.code, row.detail, row.column)
            continue
        code = check_code(row.cells["code"], is_bearer=book.seals_codes)
        if isinstance(code, CellProblem):
            yield line(row.number, *_NO_CODE, code.code, code.detail, "code")
            continue
        index = keyring.blind_index(code, scope=scope).hex()
        if not book.seals_codes:
            yield f"{row.number}\t{identity}\t{code}\t\\\\x{index}\t{key}\t{_NO_SEAL}\n"
            continue
        good.append(code)
        sealed, last4 = sealed_code(keyring, code, identity).hex(), code[-LAST_CHARACTERS:]
        front = f"{row.number}\t{identity}\t\\N\t\\\\x{index}\t{key}"
        yield f"{front}\t\\\\x{sealed}\t{last4}\t{_NO_PROBLEM}\n"
    look.add(good)


_NO_CODE = (None,) * 6
_NO_PROBLEM = "\\N\t\\N\t\\N"
_NO_SEAL = f"\\N\t\\N\t{_NO_PROBLEM}"


def _land(session: Session, job: Row[Any], book: BookRules) -> Landing:
    """Insert what is good, list what is not, and say how the job ends.

    Most files have no duplicates: they are looked for only when a row finds its code taken.
    """
    values = {
        "job": job.id,
        "agency": book.agency_id,
        "client": book.client_id,
        "book": book.id,
    }
    tally = session.execute(_TALLY).one()
    if not is_refused_for_rows(job, tally.rejected) and _insert(session, book, values):
        return _landed(session, values, tally)
    session.execute(_INDEX)
    session.execute(_REPEATED_IN_FILE)
    for _ in range(LOOKS_MAX):
        session.execute(_KNOWN_ALREADY, values)
        tally = session.execute(_TALLY).one()
        if is_refused_for_rows(job, tally.rejected):
            return _refused(session, values, tally)
        if _insert(session, book, values):
            return _landed(session, values, tally)
    raise CodesMoved


def _insert(session: Session, book: BookRules, values: dict[str, Any]) -> bool:
    """Insert every good row; if one finds its code taken, none is."""
    try:
        with session.begin_nested():
            session.execute(_INSERT_INDEX, values)
    except IntegrityError as error:
        if "pk_code_index" not in str(error.orig):
            raise
        return False
    session.execute(_INSERT, values)
    if book.seals_codes:
        session.execute(_INSERT_SEALED, values)
    return True


def _landed(session: Session, values: dict[str, Any], tally: Row[Any]) -> Landing:
    if tally.rejected:
        session.execute(_REJECTS, values)
    return landed(tally.rows - tally.rejected, failed=tally.rejected)


def _refused(session: Session, values: dict[str, Any], tally: Row[Any]) -> Landing:
    session.execute(_REJECTS, values)
    good = tally.rows - tally.rejected
    return rows_refused(good, failed=tally.rejected, nothing="nothing was imported")


def _end(session: Session, job: Row[Any], landing: Landing, now: datetime) -> None:
    end_import(session, job.id, landing, now)
    if landing.succeeded:
        record(
            session,
            "codes.imported",
            object_kind="book",
            object_id=UUID(job.spec["book_id"]),
            actor_id=job.submitted_by,
            agency_id=job.agency_id,
            client_id=job.client_id,
            job_id=job.id,
            detail={"codes": landing.succeeded, "refused": landing.failed},
        )
    log.info("codes.imported", job_id=str(job.id), rows=landing.total, imported=landing.succeeded)
