"""Accept codes for a book: keep them sealed, part by part, with the job and task that will read them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from pipelines.books.code_rows import COLUMNS
from pipelines.books.read import book_rules
from pipelines.jobs.create import AcceptedJob, NewJob, Upload, create_job
from pipelines.jobs.csv_reader import open_csv
from pipelines.jobs.imports import CodesFile, SealedFile, accept_file, listed_file
from pipelines.jobs.kinds import CODE_IMPORT, OnError
from pipelines.jobs.quotas import QueueSaturated, admit_job
from pipelines.limits import Limits
from pipelines.queue.keys import RequestKey, first_result
from pipelines.queue.kinds import IMPORT_CODES
from pipelines.sealing import Keyring, Purpose

#: Codes in a JSON body; more come as a file.
LISTED_CODES_MAX = 10_000


def listed_codes(codes: Sequence[str], on_error: OnError) -> CodesFile:
    """A list of codes as the file it could have been."""
    return listed_file(COLUMNS.required, ((code,) for code in codes), on_error)


def accept_codes(
    session: Session,
    book_id: UUID,
    file: CodesFile,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Take codes for a book that the caller's scope can see; `file.stream` is seekable.

    The header and the start of the file are judged now; the rows by the worker. Raises the
    whole-file refusals of the CSV reader, `NotFound`, `BookClosed`, `BookExpired`,
    `TenantQuotaExceeded`, and `saturated`.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    if saturated is not None:
        raise saturated
    book, now = book_rules(session, book_id), clock.now(session)
    refusal = book.ended(now)
    if refusal is not None:
        raise refusal
    admit_job(session, book.client_id, limits=limits)
    open_csv(file.stream, columns=COLUMNS, limits=limits)
    file.stream.seek(0)
    new = NewJob(
        kind=CODE_IMPORT,
        agency_id=book.agency_id,
        client_id=book.client_id,
        spec={"book_id": str(book_id), "on_error": file.on_error.value},
        upload=Upload(book_id, None, file.name),
        submitted_by=actor_id,
    )
    job_id = create_job(session, new, now=now, limits=limits)
    accept_file(
        session,
        job_id,
        new,
        SealedFile(file.stream, Purpose.CODES, keyring),
        IMPORT_CODES,
        action="job.submitted",
        key=key,
        now=now,
        limits=limits,
    )
    return AcceptedJob(job_id)
