"""The work of generating discount codes: each chunk makes exactly its number of them, or none (EC-028)."""

import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.audit.record import record
from pipelines.books.patterns import Pattern, draw_codes
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.discounts.batches import state_of_batch
from pipelines.discounts.options import options_in
from pipelines.discounts.read import LIMIT_NAMES
from pipelines.discounts.refusals import BatchArchived
from pipelines.discounts.stored_rules import RULE_NAMES, rules_from
from pipelines.discounts.write_codes import Series, write_codes
from pipelines.jobs.counted import (
    Ended,
    GenerationFailed,
    end_counted,
    made_by,
    reopen_counted,
    stopped,
)
from pipelines.jobs.kinds import DISCOUNT_GENERATION, ChunkInHand, JobKind
from pipelines.limits import Limits

Draw = Callable[[int], bytes]
#: In a space that was large enough, one draw in a thousand is taken; a chunk then needs two or three.
ROUNDS_MAX = 12

#: Why jobs that make discount codes are not taken back.
BATCH_IS_PUT_AWAY = "Put the batch of codes away instead: what was paid with them keeps its price."

_JOB = text("""
SELECT j.id, j.state, j.spec, j.agency_id, j.client_id, j.submitted_by,
    l.suspended_at IS NOT NULL AS is_suspended, c.pending
FROM jobs j JOIN chunks c ON c.job_id = j.id AND c.number = :chunk
JOIN clients l ON l.id = j.client_id
WHERE j.id = :job
""")
_TAKEN = (
    "Too many codes of this pattern are taken. Make the random part longer and generate what is "
    "missing."
)


def discount_generation_kind(*, draw: Draw = os.urandom) -> JobKind:
    """The kind of job that generates discount codes; `draw` gives that many random bytes."""
    return JobKind(
        DISCOUNT_GENERATION,
        settle=_settle,
        run_chunk=partial(_run_chunk, draw=draw),
        give_up=_give_up,
        reopen=reopen_counted,
        undo=BATCH_IS_PUT_AWAY,
    )


def _run_chunk(
    session: Session, chunk: ChunkInHand, now: datetime, limits: Limits, *, draw: Draw
) -> None:
    """The chunk is locked, the job is not paused; what was made before is not made again."""
    job = _read(session, chunk)
    stop, state = stopped(job), state_of_batch(session, job.id)
    if stop is None and state is CodeState.ARCHIVED:
        stop = (BatchArchived(),)
    if job.pending == 0:
        ended = Ended()
    elif stop is not None:
        ended = Ended(cancelled=job.pending, because=stop[0])
    elif _make(session, job, state, draw):
        ended = Ended(succeeded=job.pending)
    else:
        ended = Ended(failed=job.pending, because=PatternSpaceTooSmall(_TAKEN))
    end_counted(session, chunk, ended, now, limits)


def _give_up(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """A chunk that keeps failing ends so; its codes can be tried again."""
    pending = _read(session, chunk).pending
    end_counted(session, chunk, Ended(failed=pending, because=GenerationFailed()), now, limits)


def _read(session: Session, chunk: ChunkInHand) -> Row[Any]:
    return session.execute(_JOB, {"job": chunk.job_id, "chunk": chunk.number}).one()


def _make(session: Session, job: Row[Any], state: CodeState, draw: Draw) -> bool:
    """Exactly the chunk's number of new codes, or nothing: False if too many are taken already."""
    pattern, series = Pattern(**job.spec["pattern"]), _series(job)
    savepoint = session.begin_nested()
    missing = job.pending
    for _ in range(ROUNDS_MAX):
        codes = set(draw_codes(pattern, missing, draw=draw))
        missing -= write_codes(session, series, codes, state=state)
        if missing == 0:
            savepoint.commit()
            return True
    savepoint.rollback()
    return False


def _series(job: Row[Any]) -> Series:
    limits = {name: job.spec[name] for name in LIMIT_NAMES}
    rules = rules_from(_with_times(job.spec["rules"]))
    return Series(
        job.id,
        job.agency_id,
        job.client_id,
        rules,
        # A job of a release before has none.
        options=options_in(job.spec.get("options", {})),
        created_by=job.submitted_by,
        **limits,
    )


def _with_times(kept: dict[str, Any]) -> dict[str, Any]:
    """The rules as they were kept, their times read again; a job from before a rule has none of it."""
    rules = {name: kept.get(name) for name in RULE_NAMES}
    times = {name: rules[name] for name in ("starts_at", "expires_at")}
    return rules | {name: at and datetime.fromisoformat(at) for name, at in times.items()}


def _settle(session: Session, job: Row[Any], _now: datetime) -> None:
    """The codes are there, chunk by chunk; the audit is told of them all."""
    made = made_by(session, job.id)
    if not made:
        return
    record(
        session,
        "discount_batch.generated",
        object_kind="discount_batch",
        object_id=job.id,
        actor_id=job.submitted_by,
        agency_id=job.agency_id,
        client_id=job.client_id,
        job_id=job.id,
        detail={"codes": made},
    )
