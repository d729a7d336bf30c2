"""Take a whole job back: what an undo would do, and the compensating job that does it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.jobs import JobState, Priority
from pipelines.audit.record import record
from pipelines.errors import NotFound
from pipelines.jobs.create import NewJob, create_job
from pipelines.jobs.ending import give_up_unplanned
from pipelines.jobs.kinds import InvalidJobState, JobKind, Undo, UndoTally
from pipelines.jobs.moves import audit_move, lock_for, refuse_beside_undo
from pipelines.jobs.refusals import NothingToUndo, NotUndoable
from pipelines.jobs.states import MAY, Move
from pipelines.limits import Limits
from pipelines.queue.defer import defer
from pipelines.queue.keys import Done, RequestKey, once
from pipelines.queue.kinds import PLAN_JOB
from pipelines.queue.work import TaskInHand

_JOB = text("SELECT id, kind, state, currency, spec FROM jobs WHERE id = :job")


def preview_undo(session: Session, job_id: UUID, *, kinds: Mapping[str, JobKind]) -> UndoTally:
    """What an undo would do now; writes nothing. Refuses what `submit_undo` would refuse."""
    job = session.execute(_JOB, {"job": job_id}).one_or_none()
    if job is None:
        raise NotFound
    if JobState(job.state) not in MAY[Move.UNDO]:
        raise InvalidJobState(state=job.state, move=Move.UNDO)
    return _undo_of(session, job, kinds).tally(session, job)


def submit_undo(
    session: Session,
    job_id: UUID,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> Done:
    """Accept the undo of an ended job in the caller's transaction (client scope).

    Raises `InvalidJobState`, `NotUndoable`, `UndoInProgress`, `NothingToUndo`.
    """

    def make() -> UUID:
        now = clock.now(session)
        job = lock_for(session, job_id, Move.UNDO)
        undo = _undo_of(session, job, kinds)
        if undo.tally(session, job).undoable == 0:
            raise NothingToUndo
        return _write(session, job, undo, actor_id=actor_id, now=now, limits=limits)

    return once(session, key, make, status=202, resource_kind="job")


def _undo_of(session: Session, job: Row[Any], kinds: Mapping[str, JobKind]) -> Undo:
    undo = kinds[job.kind].undo
    if isinstance(undo, str):
        raise NotUndoable(undo)
    refuse_beside_undo(session, job.id)
    return undo


def _write(
    session: Session,
    job: Row[Any],
    undo: Undo,
    *,
    actor_id: UUID,
    now: datetime,
    limits: Limits,
) -> UUID:
    """The job and its planning task; its items are written by a worker, however many."""
    new = NewJob(
        kind=undo.kind,
        agency_id=job.agency_id,
        client_id=job.client_id,
        campaign_id=job.campaign_id,
        spec=undo.spec(job.spec),
        currency=job.currency,
        priority=Priority(job.priority),
        undoes_id=job.id,
        submitted_by=actor_id,
    )
    undo_id = create_job(session, new, now=now, limits=limits)
    defer(
        session,
        PLAN_JOB,
        args={"job_id": str(undo_id)},
        now=now,
        tenant_id=job.client_id,
        job_id=undo_id,
        priority=job.priority,
    )
    record(
        session,
        "job.submitted",
        object_kind="job",
        object_id=undo_id,
        actor_id=actor_id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={"undoes": str(job.id)},
    )
    audit_move(session, "job.undo_asked", job, actor_id, {"undone_by": str(undo_id)})
    return undo_id


def give_up_undo_plan(session: Session, task: TaskInHand, now: datetime) -> None:
    """An undo that cannot be planned ends; nothing was taken back."""
    detail = "The undo could not be planned for a reason of ours; nothing was taken back."
    give_up_unplanned(session, task, now, detail)
