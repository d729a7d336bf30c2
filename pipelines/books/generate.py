"""Accept the generation of codes: a job of chunks without items, each of which makes its number of codes."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from pipelines.audit.record import record
from pipelines.books.patterns import Pattern, check_space
from pipelines.books.read import book_rules, pattern_json, pattern_of
from pipelines.books.refusals import PatternRequired
from pipelines.errors import NotFound
from pipelines.jobs.counted import lay_counted
from pipelines.jobs.create import AcceptedJob, NewJob, create_job
from pipelines.jobs.kinds import CODE_GENERATION
from pipelines.jobs.quotas import QueueSaturated, admit_job
from pipelines.limits import Limits
from pipelines.queue.keys import RequestKey, first_result, remember

#: Codes that one request may ask for.
GENERATED_AT_ONCE_MAX = 5_000_000
#: Codes that one chunk makes in a transaction: half a second's work.
CODES_PER_CHUNK = 20_000

# Who asks for codes of a book waits for who does so already: both must find room.
_LOCK = text("""
SELECT id, agency_id, client_id, prefix, random_length, alphabet, suffix FROM books
WHERE id = :book FOR NO KEY UPDATE
""")
_EXISTING = text("""
SELECT (SELECT coalesce(sum(unassigned + assigned + locked + redeemed + void), 0)
        FROM book_stock WHERE book_id = :book)
     + (SELECT coalesce(sum(c.pending), 0) FROM jobs j JOIN chunks c ON c.job_id = j.id
        WHERE j.client_id = :client AND j.kind = 'code_generation'
          AND j.state IN ('queued', 'running', 'paused', 'cancelling')
          AND j.spec->>'book_id' = CAST(:book AS text)) AS codes
""")


def accept_generation(
    session: Session,
    book_id: UUID,
    count: int,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Take the wish for `count` new codes of a book that the caller's scope can see.

    Raises `NotFound`, `BookClosed`, `BookExpired`, `PatternRequired`, `PatternSpaceTooSmall`,
    `TenantQuotaExceeded`, and `saturated`.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    if saturated is not None:
        raise saturated
    book = session.execute(_LOCK, {"book": book_id}).one_or_none()
    if book is None:
        raise NotFound
    admit_job(session, book.client_id, limits=limits)
    pattern = _judged(session, book, count)
    job_id = lay_generation(
        session, book, pattern, count, actor_id=actor_id, limits=limits, size=CODES_PER_CHUNK
    )
    if key is not None:
        remember(session, key, status=202, resource_kind="job", resource_id=job_id)
    record(
        session,
        "job.submitted",
        object_kind="job",
        object_id=job_id,
        actor_id=actor_id,
        agency_id=book.agency_id,
        client_id=book.client_id,
        detail={"book_id": str(book_id), "codes": count},
    )
    return AcceptedJob(job_id)


def lay_generation(
    session: Session,
    book: Row[Any],
    pattern: Pattern,
    count: int,
    *,
    actor_id: UUID,
    limits: Limits,
    size: int,
) -> UUID:
    """Write the job with its chunks of `size` codes, and start the first of them.

    The pattern is kept as it was agreed to, whatever becomes of the book's.
    """
    now = clock.now(session)
    new = NewJob(
        kind=CODE_GENERATION,
        agency_id=book.agency_id,
        client_id=book.client_id,
        spec={"book_id": str(book.id), "pattern": pattern_json(pattern)},
        submitted_by=actor_id,
        total=count,
    )
    job_id = create_job(session, new, now=now, limits=limits)
    lay_counted(session, job_id, new, size=size, now=now, limits=limits)
    return job_id


def _judged(session: Session, book: Row[Any], count: int) -> Pattern:
    """The book's pattern, if it has room for so many more."""
    rules = book_rules(session, book.id)
    refusal = rules.ended(clock.now(session))
    if refusal is not None:
        raise refusal
    pattern = pattern_of(book)
    if pattern is None:
        raise PatternRequired
    values = {"book": book.id, "client": book.client_id}
    existing = int(session.execute(_EXISTING, values).scalar_one())
    check_space(pattern, existing=existing, count=count, is_bearer=rules.seals_codes)
    return pattern
