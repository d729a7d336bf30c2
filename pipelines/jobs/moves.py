"""Lock a job for what a person asks of it, refuse what its state does not allow, and audit it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.jobs.kinds import InvalidJobState, UndoInProgress
from pipelines.jobs.states import MAY, Move

_LOCK_JOB = text("""
SELECT id, kind, state, round, agency_id, client_id, campaign_id, currency, spec, is_single,
    priority, scheduled_for
FROM jobs WHERE id = :job FOR NO KEY UPDATE
""")
_OPEN_UNDO = text("""
SELECT id FROM jobs WHERE undoes_id = :job
  AND state IN ('queued', 'running', 'paused', 'cancelling')
""")


def lock_for(session: Session, job_id: UUID, move: Move) -> Row[Any]:
    """The job, locked: who asks at the same moment sees what this one made of it.

    Raises `NotFound` outside the caller's scope, and `InvalidJobState`.
    """
    job = session.execute(_LOCK_JOB, {"job": job_id}).one_or_none()
    if job is None:
        raise NotFound
    if JobState(job.state) not in MAY[move]:
        raise InvalidJobState(state=job.state, move=move)
    return job


def refuse_beside_undo(session: Session, job_id: UUID) -> None:
    """Raise `UndoInProgress` while an undo of the job is open.

    Under the job's lock the answer stays true: who asks for an undo takes it as well.
    """
    open_undo = session.execute(_OPEN_UNDO, {"job": job_id}).scalar_one_or_none()
    if open_undo is not None:
        raise UndoInProgress(extra={"job_id": str(open_undo)})


def audit_move(
    session: Session,
    action: str,
    job: Row[Any],
    actor_id: UUID,
    detail: Mapping[str, str | int | None] | None = None,
) -> None:
    """One audit entry about a job, with the state it was in."""
    record(
        session,
        action,
        object_kind="job",
        object_id=job.id,
        actor_id=actor_id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={"was": job.state, "round": job.round} | dict(detail or {}),
    )
