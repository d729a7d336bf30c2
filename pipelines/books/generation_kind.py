"""The work of generating codes: each chunk makes exactly its number of them, or none (EC-028)."""

import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.books.patterns import Pattern, draw_codes
from pipelines.books.refusals import BookClosed, PatternSpaceTooSmall
from pipelines.books.write_coupons import Supply, write_coupons
from pipelines.errors import Refusal
from pipelines.jobs.counted import (
    Ended,
    GenerationFailed,
    end_counted,
    made_by,
    reopen_counted,
    stopped,
)
from pipelines.jobs.kinds import CODE_GENERATION, ChunkInHand, JobKind
from pipelines.limits import Limits
from pipelines.sealing import Keyring

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


def generation_kind(keyring: Keyring, *, draw: Draw = os.urandom) -> JobKind:
    """The kind of job that generates codes; `draw` gives that many random bytes."""
    return JobKind(
        CODE_GENERATION,
        settle=_settle,
        run_chunk=partial(_run_chunk, keyring=keyring, draw=draw),
        give_up=_give_up,
        reopen=reopen_counted,
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
        ended = Ended()
    elif stop is not None:
        ended = Ended(cancelled=job.pending, because=stop[0])
    elif _make(session, job, keyring, draw):
        ended = Ended(succeeded=job.pending)
    else:
        ended = Ended(failed=job.pending, because=PatternSpaceTooSmall(_TAKEN))
    end_counted(session, chunk, ended, now, limits)


def _give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """A chunk that keeps failing ends so; its codes can be tried again."""
    pending = _read(session, chunk).pending
    end_counted(session, chunk, Ended(failed=pending, because=GenerationFailed()), now, limits)


_TAKEN = (
    "Too many codes of this pattern are taken, by this book or another one of the client. Make the "
    "random part longer and generate what is missing."
)


def _read(session: Session, chunk: ChunkInHand) -> Row[Any]:
    return session.execute(_JOB, {"job": chunk.job_id, "chunk": chunk.number}).one()


def _stop(job: Row[Any]) -> tuple[Refusal | None] | None:
    """Why nothing more is made; None: it goes on."""
    stop = stopped(job)
    if stop is not None:
        return stop
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


def _settle(session: Session, job: Row[Any], _now: datetime) -> None:
    """The codes are there, chunk by chunk; the audit is told of them all."""
    made = made_by(session, job.id)
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
        detail={"codes": made},
    )
