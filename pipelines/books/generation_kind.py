"""The kind of job that generates the codes of a book."""

import os
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.code_chunks import CodeMaker, Draw, Write, code_generation
from pipelines.books.refusals import BookClosed
from pipelines.books.write_coupons import Supply, write_coupons
from pipelines.errors import Refusal
from pipelines.jobs.kinds import CODE_GENERATION, JobKind
from pipelines.sealing import Keyring

_JOB = text("""
SELECT j.id, j.state, j.spec, j.agency_id, j.client_id, b.id AS book_id, b.seals_codes,
    b.closed_at IS NOT NULL AS is_closed, l.suspended_at IS NOT NULL AS is_suspended, c.pending
FROM jobs j JOIN chunks c ON c.job_id = j.id AND c.number = :chunk
JOIN books b ON b.id = CAST(j.spec->>'book_id' AS uuid)
JOIN clients l ON l.id = j.client_id
WHERE j.id = :job
""")
_TAKEN = (
    "Too many codes of this pattern are taken, by this book or another one of the client. Make the "
    "random part longer and generate what is missing."
)


def generation_kind(keyring: Keyring, *, draw: Draw = os.urandom) -> JobKind:
    """The kind of job that generates codes; `draw` gives that many random bytes."""
    maker = CodeMaker(
        _JOB,
        ended=_ended,
        write=partial(_write, keyring=keyring),
        taken=_TAKEN,
        action="codes.generated",
        object_kind="book",
        object_id=lambda job: UUID(job.spec["book_id"]),
    )
    undo = "New codes are nobody's yet; there is nothing to take back."
    return code_generation(CODE_GENERATION, maker, draw=draw, undo=undo)


def _ended(_session: Session, job: Row[Any]) -> Refusal | None:
    return BookClosed("The book was closed.") if job.is_closed else None


def _write(session: Session, job: Row[Any], *, keyring: Keyring) -> Write:
    supply = Supply(job.book_id, job.agency_id, job.client_id, job.id, job.seals_codes)
    return lambda codes: write_coupons(session, supply, codes, keyring=keyring)
