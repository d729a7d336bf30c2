"""Work a file of codes in: judge, seal, insert; all of it in one transaction (EC-024, EC-101).

The verdict of a row that was taken is its coupon (`coupons.load_job_id`); rejected rows become items
of the job, without their codes.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_ids
from models.locks import Namespace, wait_for_lock
from pipelines.books.code_rows import COLUMNS, check_code
from pipelines.books.deck import Parts, free_parts, leave_draws, places_in
from pipelines.books.guessing import Look
from pipelines.books.patterns import BEARER_BITS_LEFT
from pipelines.books.read import book_rules
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.books.rules import BookRules
from pipelines.books.write_coupons import LAST_CHARACTERS, sealed_code
from pipelines.jobs.cells import CellProblem
from pipelines.jobs.copying import BATCH_ROWS, copy_lines, line
from pipelines.jobs.csv_reader import CsvRow, CsvRowError
from pipelines.jobs.file_rows import COPY, Repeated, Writing, land, land_unseen, table_of
from pipelines.jobs.imports import Landing, values_of
from pipelines.jobs.record_work import record_work
from pipelines.jobs.run_import import FileInHand, ImportKind
from pipelines.queue.kinds import IMPORT_CODES
from pipelines.sealing import Keyring

#: `same_as` is the blind index, also where the code itself is kept.
_TABLE = table_of(
    {
        "same_as": "bytea",
        "code": "text",
        "draw_key": "bigint",
        "code_sealed": "bytea",
        "last4": "text",
    }
)
_REPEATED = Repeated(code="duplicate_code", field="code", thing="code")
_STOCK = text("""
SELECT coalesce(sum(unassigned + assigned + locked + redeemed + void), 0) FROM book_stock
WHERE book_id = :book
""")
# Another client's code with the same text is another code, and is not looked for.
_KNOWN_ALREADY = text("""
UPDATE file_rows SET problem = 'duplicate_code', field = 'code',
    detail = CASE WHEN x.book_id = :book THEN 'The book has this code already.'
                  ELSE 'Another book of this client has this code.' END
FROM code_index x
WHERE file_rows.problem IS NULL AND x.client_id = :client AND x.blind_index = file_rows.same_as
""")
_INSERT_INDEX = text("""
INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id)
SELECT same_as, :book, id, :agency, :client
FROM file_rows WHERE problem IS NULL ORDER BY same_as
""")
# In the order of the deck (decision 0040); ids keep the order of the file.
_INSERT = text("""
INSERT INTO coupons (book_id, id, agency_id, client_id, code, draw_key, load_job_id)
SELECT :book, id, :agency, :client, code, draw_key, :job
FROM file_rows WHERE problem IS NULL ORDER BY draw_key
""")
_INSERT_SEALED = text("""
INSERT INTO coupon_codes (id, agency_id, client_id, code_sealed, last4)
SELECT id, :agency, :client, code_sealed, last4 FROM file_rows WHERE problem IS NULL
""")


def _hold(session: Session, job: Row[Any]) -> None:
    wait_for_lock(session, Namespace.CODE_IMPORT, str(job.client_id))


def _work(session: Session, file: FileInHand) -> Landing:
    job = file.job
    book = book_rules(session, UUID(job.spec["book_id"]))
    refusal = book.ended(file.now)
    if refusal is not None:
        raise refusal
    free = free_parts(session, book.id)
    _stage(session, file, book, free)
    statements = (_INSERT_INDEX, _INSERT, *(_INSERT_SEALED,) * book.seals_codes)
    writing = Writing(statements, values_of(job) | {"book": book.id}, "pk_code_index")
    # Most files have no duplicates: they are looked for only when a row finds its code taken.
    landing = land_unseen(session, job, writing)
    if landing is None:
        landing = land(session, job, _REPEATED, _KNOWN_ALREADY, writing)
    if landing.succeeded:
        leave_draws(session, book.id, job.id, count=landing.succeeded, known=free)
    return landing


def _stage(session: Session, file: FileInHand, book: BookRules, free: Parts) -> None:
    """Every row with its coupon or its problem; raises what is wrong with the file as a whole."""
    session.execute(_TABLE.create)
    rows, look = iter(file.rows(COLUMNS)), Look()
    while batch := list(islice(rows, BATCH_ROWS)):
        copy_lines(session, COPY, list(_lines(batch, book, free, file.keyring, look)))
    stock = session.execute(_STOCK, {"book": book.id}).scalar_one()
    if look.count and look.bits(known=int(stock)) < BEARER_BITS_LEFT:
        raise PatternSpaceTooSmall(
            "Codes like these are found by trying: of too few different characters, or alike at "
            "their beginning. Make longer ones at random, such as 16 letters and digits.",
        )


def _lines(
    batch: list[CsvRow | CsvRowError], book: BookRules, free: Parts, keyring: Keyring, look: Look
) -> Iterator[str]:
    """Rows of `file_rows`: the coupon as it will be, or only what is wrong with the row."""
    ids, keys, scope = new_ids(len(batch)), places_in(free, len(batch)), book.client_id.bytes
    good: list[str] = []
    for row, identity, key in zip(batch, ids, keys, strict=True):
        if isinstance(row, CsvRowError):
            yield line(*_TABLE.reject(row.number, row.code, row.detail, row.column))
            continue
        code = check_code(row.cells["code"], is_bearer=book.seals_codes)
        if isinstance(code, CellProblem):
            yield line(*_TABLE.reject(row.number, code.code, code.detail, "code"))
            continue
        index = keyring.blind_index(code, scope=scope).hex()
        front = f"{row.number}\t{_NO_PROBLEM}\t{identity}\t\\\\x{index}"
        if not book.seals_codes:
            yield f"{front}\t{code}\t{key}\t{_NO_SEAL}\n"
            continue
        good.append(code)
        sealed, last4 = sealed_code(keyring, code, identity).hex(), code[-LAST_CHARACTERS:]
        yield f"{front}\t\\N\t{key}\t\\\\x{sealed}\t{last4}\n"
    look.add(good)


_NO_PROBLEM = "\\N\t\\N\t\\N"
_NO_SEAL = "\\N\t\\N"


def _tell(session: Session, job: Row[Any], landing: Landing) -> None:
    if landing.succeeded:
        record_work(
            session,
            "codes.imported",
            job,
            object_kind="book",
            object_id=UUID(job.spec["book_id"]),
            detail={"codes": landing.succeeded, "refused": landing.failed},
        )


CODES = ImportKind(IMPORT_CODES, _work, "codes.imported", hold=_hold, tell=_tell)
