"""Jobs that make codes of a pattern: each chunk makes exactly its number of them, or none (EC-028).

A `CodeMaker` says what is a kind's own: coupons of a book, discount codes of a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause
from sqlalchemy.orm import Session

from pipelines.books.patterns import Pattern, draw_codes
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.errors import Refusal
from pipelines.jobs.counted import (
    Ended,
    GenerationFailed,
    end_counted,
    made_by,
    reopen_counted,
    stopped,
)
from pipelines.jobs.kinds import ChunkInHand, JobKind
from pipelines.jobs.record_work import record_work
from pipelines.limits import Limits

#: Gives that many random bytes, such as `os.urandom`.
Draw = Callable[[int], bytes]
#: Writes those of the codes that nobody has yet; how many they were.
Write = Callable[[set[str]], int]
#: In a space that was large enough, one draw in a thousand is taken; a chunk then needs two or three.
ROUNDS_MAX = 12


@dataclass(frozen=True, slots=True)
class CodeMaker:
    """How the codes of a kind of job are made; `spec` of the job has their `pattern`."""

    #: Reads the job `:job` with the number that its chunk `:chunk` is to make, `pending`.
    job: TextClause
    #: Why nothing more is made of what the codes are for; None: it goes on.
    ended: Callable[[Session, Row[Any]], Refusal | None]
    write: Callable[[Session, Row[Any]], Write]
    #: What is said and done when too many codes of the pattern are taken.
    taken: str
    #: What the audit says was done, to an object of which kind, and to which.
    action: str
    object_kind: str
    object_id: Callable[[Row[Any]], UUID]


def code_generation(name: str, maker: CodeMaker, *, draw: Draw, undo: str) -> JobKind:
    """The kind of job that makes codes so."""
    return JobKind(
        name,
        settle=partial(_settle, maker=maker),
        run_chunk=partial(_run_chunk, maker=maker, draw=draw),
        give_up=partial(_give_up, maker=maker),
        reopen=reopen_counted,
        undo=undo,
    )


def _run_chunk(
    session: Session,
    chunk: ChunkInHand,
    now: datetime,
    limits: Limits,
    *,
    maker: CodeMaker,
    draw: Draw,
) -> None:
    """The chunk is locked, the job is not paused; what was made before is not made again."""
    job = _read(session, chunk, maker)
    stop = _stop(session, job, maker)
    if job.pending == 0:
        ended = Ended()
    elif stop is not None:
        ended = Ended(cancelled=job.pending, because=stop[0])
    elif _make(session, job, maker.write(session, job), draw):
        ended = Ended(succeeded=job.pending)
    else:
        ended = Ended(failed=job.pending, because=PatternSpaceTooSmall(maker.taken))
    end_counted(session, chunk, ended, now, limits)


def _give_up(
    session: Session, chunk: ChunkInHand, now: datetime, limits: Limits, *, maker: CodeMaker
) -> None:
    """A chunk that keeps failing ends so; its codes can be tried again."""
    pending = _read(session, chunk, maker).pending
    end_counted(session, chunk, Ended(failed=pending, because=GenerationFailed()), now, limits)


def _read(session: Session, chunk: ChunkInHand, maker: CodeMaker) -> Row[Any]:
    return session.execute(maker.job, {"job": chunk.job_id, "chunk": chunk.number}).one()


def _stop(session: Session, job: Row[Any], maker: CodeMaker) -> tuple[Refusal | None] | None:
    """As `stopped`, also for what the kind itself knows."""
    stop, refusal = stopped(job), maker.ended(session, job)
    return (refusal,) if stop is None and refusal is not None else stop


def _make(session: Session, job: Row[Any], write: Write, draw: Draw) -> bool:
    """Exactly the chunk's number of new codes, or nothing: False if too many are taken already."""
    pattern = Pattern(**job.spec["pattern"])
    savepoint = session.begin_nested()
    missing = job.pending
    for _ in range(ROUNDS_MAX):
        missing -= write(set(draw_codes(pattern, missing, draw=draw)))
        if missing == 0:
            savepoint.commit()
            return True
    savepoint.rollback()
    return False


def _settle(session: Session, job: Row[Any], _now: datetime, *, maker: CodeMaker) -> None:
    """The codes are there, chunk by chunk; the audit is told of them all."""
    made = made_by(session, job.id)
    if made:
        record_work(
            session,
            maker.action,
            job,
            object_kind=maker.object_kind,
            object_id=maker.object_id(job),
            detail={"codes": made},
        )
