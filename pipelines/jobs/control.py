"""Cancel, pause, resume and retry a job: compare-and-set moves of its state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.kinds import (
    IMPORTS,
    InvalidJobState,
    JobKind,
    NothingToRetry,
    UndoInProgress,
)
from pipelines.jobs.layout import lock_failed_chunks, release_first_chunks
from pipelines.jobs.moves import audit_move, lock_for, refuse_beside_undo
from pipelines.jobs.states import Move
from pipelines.limits import Limits

_MOVE = text("UPDATE jobs SET state = :state, version = version + 1 WHERE id = :job")
_PAUSE = text("""
UPDATE jobs SET state = 'paused', paused_at = :now, pause_reason = 'user', paused_by = :by,
    version = version + 1 WHERE id = :job
""")
# A job may have been paused before its first chunk began; one with a time of its own then waits
# for it as before.
_RESUME = text("""
UPDATE jobs SET paused_at = NULL, pause_reason = NULL, paused_by = NULL, version = version + 1,
    state = CASE WHEN started_at IS NULL AND scheduled_for IS NOT NULL
                 THEN 'queued' ELSE 'running' END,
    started_at = CASE WHEN started_at IS NULL AND scheduled_for IS NOT NULL
                      THEN NULL ELSE coalesce(started_at, :now) END
WHERE id = :job
""")
_REOPEN = text("""
UPDATE jobs SET state = 'running', round = :round, finished_at = NULL, funded_to = NULL,
    version = version + 1
WHERE id = :job
""")
# A task in somebody's hands is left alone: waiting for it while holding the job would be a circle.
_WAKE = text("""
UPDATE tasks SET run_after = :now WHERE id IN (
    SELECT id FROM tasks WHERE job_id = :job AND state = 'ready' AND run_after > :now
    FOR UPDATE SKIP LOCKED)
""")
# They have not waited for a worker while the job was paused.
_WAIT_ANEW = text("""
UPDATE tasks SET run_after = :now WHERE id IN (
    SELECT id FROM tasks WHERE job_id = :job AND state = 'ready' AND run_after < :now
    FOR UPDATE SKIP LOCKED)
""")


def cancel_job(
    session: Session,
    job_id: UUID,
    *,
    actor_id: UUID,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Ask a job to end: what is not begun is cancelled, orders on their way are driven home.

    The `reason` is a person's own words for the audit.
    """
    job = lock_for(session, job_id, Move.CANCEL)
    session.execute(_MOVE, {"job": job_id, "state": JobState.CANCELLING.value})
    session.execute(_WAKE, {"job": job_id, "now": now})
    _settle_later(session, job, now)
    audit_move(session, "job.cancel_asked", job, actor_id, {"reason": reason} if reason else None)


def pause_job(
    session: Session,
    job_id: UUID,
    *,
    actor_id: UUID,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Stop starting work for this job; orders on their way are still driven home.

    The `reason` is a person's own words for the audit.
    """
    job = lock_for(session, job_id, Move.PAUSE)
    session.execute(_PAUSE, {"job": job_id, "now": now, "by": str(actor_id)})
    audit_move(session, "job.paused", job, actor_id, {"reason": reason} if reason else None)


def resume_job(session: Session, job_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Take a paused job up where it stood; one that has not reached its time waits for it."""
    job = lock_for(session, job_id, Move.RESUME)
    session.execute(_RESUME, {"job": job_id, "now": now})
    session.execute(_WAIT_ANEW, {"job": job_id, "now": now})
    _settle_later(session, job, now)
    audit_move(session, "job.resumed", job, actor_id)


def retry_job(
    session: Session,
    job_id: UUID,
    *,
    actor_id: UUID,
    now: datetime,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> int:
    """Open a new round for the failed items, and those that waited for their margin; returns how many.

    The kind takes a new hold for them (`InsufficientCredit` otherwise, and nothing changes).
    Refused beside an undo of the job: it would take back what the retry gives.
    """
    job = lock_for(session, job_id, Move.RETRY)
    kind = kinds[job.kind]
    if kind.reopen is None:
        raise InvalidJobState(state=job.state, move=Move.RETRY)
    refuse_beside_undo(session, job_id)
    _open_round(session, job)
    lock_failed_chunks(session, job_id)
    reopened = kind.reopen(session, job, job.round + 1, now)
    if reopened.items == 0:
        raise NothingToRetry
    release_first_chunks(
        session,
        job_id=job_id,
        tenant_id=job.client_id,
        now=now,
        limits=limits,
        is_single=job.is_single,
    )
    audit_move(session, "job.retried", job, actor_id, {"items": reopened.items})
    if kind.hold is not None:
        kind.hold(session, job, job.round + 1, reopened, now)
    return reopened.items


def _open_round(session: Session, job: Row[Any]) -> None:
    """Open the next round; of one job at most one undo is open at a time."""
    try:
        with session.begin_nested():
            session.execute(_REOPEN, {"job": job.id, "round": job.round + 1})
    except IntegrityError as error:
        if "uq_jobs_undoing" in str(error.orig):
            raise UndoInProgress from None
        raise


def _settle_later(session: Session, job: Row[Any], now: datetime) -> None:
    """A job without open chunks ends now; an import ends in its own transaction."""
    if job.kind not in IMPORTS:
        defer_settlement(
            session, job_id=job.id, tenant_id=job.client_id, now=now, priority=job.priority
        )
