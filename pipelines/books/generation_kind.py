"""The work of generating codes: each chunk makes exactly its number of them, or none (EC-028)."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.audit.record import record
from pipelines.books.patterns import Pattern, draw_codes
from pipelines.books.refusals import BookClosed, PatternSpaceTooSmall
from pipelines.books.write_coupons import Supply, write_coupons
from pipelines.errors import Refusal
from pipelines.jobs.chunks import rest_chunk
from pipelines.jobs.kinds import CODE_GENERATION, ChunkInHand, JobKind, Reopened
from pipelines.jobs.layout import reopen_chunks
from pipelines.limits import Limits
from pipelines.sealing import Keyring
from pipelines.telemetry import get_logger

log = get_logger(__name__)

Draw = Callable[[int], bytes]
#: In a space that was large enough, one draw in a thousand is taken; a chunk then needs two or three.
ROUNDS_MAX = 12

_JOB = text("""
SELECT j.id, j.state, j.spec, j.agency_id, j.client_id, b.id AS book_id, b.seals_codes,
    b.closed_at IS NOT NULL AS is_closed, l.suspended_at IS NOT NULL AS is_suspended, c.pending
FROM jobs j JOIN chunks c ON c.job_id = j.id AND c.number = :chunk
JOIN books b ON b.id = CAST(j.spec->>'book_id' AS uuid)
JOIN clients l ON l.id = j.client_id
WHERE j.id = :job
""")
_END = text("""
UPDATE chunks SET pending = 0, succeeded = succeeded + :succeeded, failed = failed + :failed,
    cancelled = cancelled + :cancelled, updated_at = :now
WHERE job_id = :job AND number = :chunk
""")
# A chunk that ends badly says why, last of all; the job is free, or its holder waits for no chunk.
_BLAME = text("""
UPDATE jobs SET error = coalesce(error, CAST(:error AS jsonb)), version = version + 1
WHERE id = :job
""")
_REOPEN = text("""
WITH reopened AS (
    UPDATE chunks SET pending = failed, failed = 0 WHERE job_id = :job AND failed > 0
    RETURNING number, pending
)
SELECT coalesce(sum(pending), 0) AS codes, array_agg(number) AS chunks FROM reopened
""")
_FORGET_ERROR = text("UPDATE jobs SET error = NULL WHERE id = :job")
_MADE = text("SELECT coalesce(sum(succeeded), 0) FROM chunks WHERE job_id = :job")


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of a chunk's codes: all of them, or none."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    because: Refusal | None = None


class AccountSuspended(Refusal):
    """The client is suspended: nothing more is made for it."""

    code = "account_suspended"
    detail = "The account was suspended."


class GenerationFailed(Refusal):
    """A part of the codes could not be made for a reason of ours; a retry makes it."""

    code = "internal_error"
    detail = "Some codes could not be made, by an error of ours. Retry the job to make them."


def generation_kind(keyring: Keyring, *, draw: Draw = os.urandom) -> JobKind:
    """The kind of job that generates codes; `draw` gives that many random bytes."""
    return JobKind(
        CODE_GENERATION,
        settle=_settle,
        run_chunk=partial(_run_chunk, keyring=keyring, draw=draw),
        give_up=_give_up,
        reopen=_reopen,
        undo="New codes are nobody's yet; there is nothing to take back.",
    )


def _run_chunk(
    session: Session,
    chunk: ChunkInHand,
    now: datetime,
    limits: Limits,
    *,
    keyring: Keyring,
    draw: Draw,
) -> None:
    """The chunk is locked, the job is not paused; what was made before is not made again."""
    job = _read(session, chunk)
    stop = _stop(job)
    if job.pending == 0:
        ended = _Ended()
    elif stop is not None:
        ended = _Ended(cancelled=job.pending, because=stop[0])
    elif _make(session, job, keyring, draw):
        ended = _Ended(succeeded=job.pending)
    else:
        ended = _Ended(failed=job.pending, because=PatternSpaceTooSmall(_TAKEN))
    _end(session, chunk, ended, now, limits)


def _give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """A chunk that keeps failing ends so; its codes can be tried again."""
    pending = _read(session, chunk).pending
    _end(session, chunk, _Ended(failed=pending, because=GenerationFailed()), now, limits)


_TAKEN = (
    "Too many codes of this pattern are taken, by this book or another one of the client. Make the "
    "random part longer and generate what is missing."
)


def _read(session: Session, chunk: ChunkInHand) -> Row[Any]:
    return session.execute(_JOB, {"job": chunk.job_id, "chunk": chunk.number}).one()


def _stop(job: Row[Any]) -> tuple[Refusal | None] | None:
    """Why nothing more is made, without a reason where somebody asked for it; None: it goes on."""
    if job.state == JobState.CANCELLING:
        return (None,)
    if job.is_suspended:
        return (AccountSuspended(),)
    return (BookClosed("The book was closed."),) if job.is_closed else None


def _make(session: Session, job: Row[Any], keyring: Keyring, draw: Draw) -> bool:
    """Exactly the chunk's number of new codes, or nothing: False if too many are taken already."""
    pattern = Pattern(**job.spec["pattern"])
    supply = Supply(job.book_id, job.agency_id, job.client_id, job.id, job.seals_codes)
    savepoint = session.begin_nested()
    missing = job.pending
    for _ in range(ROUNDS_MAX):
        codes = set(draw_codes(pattern, missing, draw=draw))
        missing -= write_coupons(session, supply, codes, keyring=keyring)
        if missing == 0:
            savepoint.commit()
            return True
    savepoint.rollback()
    return False


def _end(
    session: Session, chunk: ChunkInHand, ended: _Ended, now: datetime, limits: Limits
) -> None:
    place = {"job": chunk.job_id, "chunk": chunk.number, "now": now}
    counts = {name: getattr(ended, name) for name in ("succeeded", "failed", "cancelled")}
    session.execute(_END, place | counts)
    rest_chunk(
        session,
        job_id=chunk.job_id,
        number=chunk.number,
        tenant_id=chunk.tenant_id,
        now=now,
        open_orders_max=limits.open_orders_per_job_max,
    )
    log.info("codes.made", job_id=str(chunk.job_id), chunk=chunk.number, **counts)
    if ended.because is not None:
        _blame(session, chunk.job_id, ended.because)


def _blame(session: Session, job_id: UUID, why: Refusal) -> None:
    status = 500 if isinstance(why, GenerationFailed) else 422
    error = {"status": status, "code": why.code, "detail": why.detail}
    session.execute(_BLAME, {"job": job_id, "error": json.dumps(error)})


def _settle(session: Session, job: Row[Any], _now: datetime) -> None:
    """The codes are there, chunk by chunk; the audit is told of them all."""
    made = session.execute(_MADE, {"job": job.id}).scalar_one()
    if not made:
        return
    record(
        session,
        "codes.generated",
        object_kind="book",
        object_id=UUID(job.spec["book_id"]),
        actor_id=job.submitted_by,
        agency_id=job.agency_id,
        client_id=job.client_id,
        job_id=job.id,
        detail={"codes": int(made)},
    )


def _reopen(session: Session, job: Row[Any], _round: int, _now: datetime) -> Reopened:
    """The codes that failed are made again; what was cancelled is asked for anew."""
    found = session.execute(_REOPEN, {"job": job.id}).one()
    session.execute(_FORGET_ERROR, {"job": job.id})
    reopen_chunks(session, job.id, found.chunks)
    return Reopened(int(found.codes), 0)
