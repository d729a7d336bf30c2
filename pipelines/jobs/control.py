"""Cancel, pause, resume and retry a job: compare-and-set moves of its state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.jobs.chunks import defer_settlement, release_next_chunk
from pipelines.jobs.kinds import CARD_IMPORT, InvalidJobState, JobKind, NothingToRetry
from pipelines.jobs.states import MOVES
from pipelines.limits import Limits

_LOCK_JOB = text("""
SELECT id, kind, state, round, agency_id, client_id, campaign_id, currency, spec, is_single
FROM jobs WHERE id = :job FOR NO KEY UPDATE
""")
_MOVE = text("UPDATE jobs SET state = :state, version = version + 1 WHERE id = :job")
_PAUSE = text("""
UPDATE jobs SET state = 'paused', paused_at = :now, pause_reason = 'user', paused_by = :by,
    version = version + 1 WHERE id = :job
""")
# A job may have been paused before its first chunk began.
_RESUME = text("""
UPDATE jobs SET state = 'running', started_at = coalesce(started_at, :now), paused_at = NULL,
    pause_reason = NULL, paused_by = NULL, version = version + 1 WHERE id = :job
""")
_REOPEN = text("""
UPDATE jobs SET state = 'running', round = :round, finished_at = NULL, version = version + 1
WHERE id = :job
""")
_WAKE = text("UPDATE tasks SET run_after = :now WHERE job_id = :job AND run_after > :now")


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
    job = _lock(session, job_id, JobState.CANCELLING, move="cancelled")
    session.execute(_MOVE, {"job": job_id, "state": JobState.CANCELLING.value})
    session.execute(_WAKE, {"job": job_id, "now": now})
    _settle_later(session, job, now)
    _audit(session, "job.cancel_asked", job, actor_id, reason=reason)


def pause_job(session: Session, job_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Stop starting work for this job; orders on their way are still driven home."""
    job = _lock(session, job_id, JobState.PAUSED, move="paused")
    session.execute(_PAUSE, {"job": job_id, "now": now, "by": str(actor_id)})
    _audit(session, "job.paused", job, actor_id)


def resume_job(session: Session, job_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Take a paused job up where it stood."""
    job = _lock(session, job_id, JobState.RUNNING, move="resumed", only_from=JobState.PAUSED)
    session.execute(_RESUME, {"job": job_id, "now": now})
    _settle_later(session, job, now)
    _audit(session, "job.resumed", job, actor_id)


def retry_job(
    session: Session,
    job_id: UUID,
    *,
    actor_id: UUID,
    now: datetime,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> int:
    """Open a new round for the failed items only; returns how many.

    The kind takes a new hold for them (`InsufficientCredit` otherwise, and nothing changes).
    """
    job = _lock(session, job_id, JobState.RUNNING, move="retried", not_from=JobState.PAUSED)
    reopen = kinds[job.kind].reopen
    if reopen is None:
        raise InvalidJobState(state=job.state, move="retried")
    session.execute(_REOPEN, {"job": job_id, "round": job.round + 1})
    reopened = reopen(session, job, job.round + 1, now)
    if reopened == 0:
        raise NothingToRetry
    for _ in range(limits.chunks_released_max):
        if (
            release_next_chunk(
                session,
                job_id=job_id,
                tenant_id=job.client_id,
                now=now,
                is_single=job.is_single,
            )
            is None
        ):
            break
    _audit(session, "job.retried", job, actor_id)
    return reopened


def _lock(
    session: Session,
    job_id: UUID,
    target: JobState,
    *,
    move: str,
    only_from: JobState | None = None,
    not_from: JobState | None = None,
) -> Row[Any]:
    job = session.execute(_LOCK_JOB, {"job": job_id}).one_or_none()
    if job is None:
        raise NotFound
    state = JobState(job.state)
    is_legal = target in MOVES[state] and state not in {not_from, target}
    if only_from is not None:
        is_legal = is_legal and state is only_from
    elif move == "retried":
        is_legal = state in {JobState.PARTIALLY_SUCCEEDED, JobState.FAILED}
    if not is_legal:
        raise InvalidJobState(state=state.value, move=move)
    return job


def _settle_later(session: Session, job: Row[Any], now: datetime) -> None:
    """A job without open chunks ends now; an import ends in its own transaction."""
    if job.kind != CARD_IMPORT:
        defer_settlement(session, job_id=job.id, tenant_id=job.client_id, now=now)


def _audit(
    session: Session, action: str, job: Row[Any], actor_id: UUID, *, reason: str | None = None
) -> None:
    record(
        session,
        action,
        object_kind="job",
        object_id=job.id,
        actor_id=actor_id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={"was": job.state, "round": job.round} | ({"reason": reason} if reason else {}),
    )
