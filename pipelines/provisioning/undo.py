"""Take a whole job back: what an undo would do, and the compensating job that does it."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from pipelines.jobs.kinds import (
    CARD_IMPORT,
    CODE_GENERATION,
    CODE_IMPORT,
    POOL_IMPORT,
    PROVISIONING,
    PROVISIONING_UNDO,
    InvalidJobState,
)
from pipelines.jobs.moves import audit_move, lock_for, refuse_beside_undo
from pipelines.jobs.refusals import NothingToUndo, NotUndoable
from pipelines.jobs.states import MAY, Move
from pipelines.limits import Limits
from pipelines.provisioning.undo_chunk import ALREADY_REPLACED, ALREADY_REVEALED, ALREADY_UNDONE
from pipelines.queue.defer import defer
from pipelines.queue.keys import Done, RequestKey, once
from pipelines.queue.kinds import PLAN_JOB

#: Jobs that gave nobody a card, and a request whose code the recipient has spent.
_WHY_NOT: Mapping[str, str] = {
    PROVISIONING_UNDO: "An undo is not undone. Run the original job again for its recipients.",
    CARD_IMPORT: "An import gave no card to anybody; there is nothing to take back.",
    CODE_GENERATION: "New codes are nobody's yet; there is nothing to take back.",
    CODE_IMPORT: "Uploaded codes are nobody's yet; there is nothing to take back.",
    POOL_IMPORT: "Nobody was given anything. Take people out of the pool on its own page.",
}
_CODE_SPENT = (
    "The recipient paid for this card with a redemption code, which cannot be given back to "
    "them. Give them another card if this one must go."
)

_JOB = text("SELECT kind, state, currency, spec FROM jobs WHERE id = :job")
_TALLY = text("""
SELECT count(*) FILTER (WHERE is_live AND revealed_at IS NULL) AS undoable,
    coalesce(sum(charge_minor) FILTER (WHERE is_live AND revealed_at IS NULL), 0) AS refund,
    count(*) FILTER (WHERE is_live AND revealed_at IS NOT NULL) AS revealed,
    count(*) FILTER (WHERE undone_at IS NOT NULL) AS undone,
    count(*) FILTER (WHERE replaced_at IS NOT NULL) AS replaced
FROM (SELECT *, undone_at IS NULL AND replaced_at IS NULL AS is_live
      FROM provisions WHERE job_id = :job) p
""")


@dataclass(frozen=True, slots=True)
class UndoTally:
    """What can be taken back of a job and what cannot; the refund in minor units."""

    undoable: int
    refund_minor: int
    currency: str
    revealed: int
    undone: int
    replaced: int

    def as_json(self) -> dict[str, Any]:
        """The preview of the API."""
        left = (
            (ALREADY_REVEALED, self.revealed),
            (ALREADY_UNDONE, self.undone),
            (ALREADY_REPLACED, self.replaced),
        )
        return {
            "undoable": self.undoable,
            "refund_minor": self.refund_minor,
            "currency": self.currency,
            "not_undoable": [
                {"code": verdict.code, "count": count, "detail": verdict.detail}
                for verdict, count in left
                if count
            ],
        }


def preview_undo(session: Session, job_id: UUID) -> UndoTally:
    """What an undo would do now; writes nothing. Refuses what `submit_undo` would refuse."""
    job = session.execute(_JOB, {"job": job_id}).one_or_none()
    if job is None:
        raise NotFound
    if JobState(job.state) not in MAY[Move.UNDO]:
        raise InvalidJobState(state=job.state, move=Move.UNDO)
    _refuse(session, job_id, job)
    return _tally(session, job_id, job.currency)


def submit_undo(
    session: Session, job_id: UUID, *, actor_id: UUID, key: RequestKey | None, limits: Limits
) -> Done:
    """Accept the undo of an ended job in the caller's transaction (client scope).

    Raises `InvalidJobState`, `NotUndoable`, `UndoInProgress`, `NothingToUndo`.
    """

    def make() -> UUID:
        now = clock.now(session)
        job = lock_for(session, job_id, Move.UNDO)
        _refuse(session, job_id, job)
        if _tally(session, job_id, job.currency).undoable == 0:
            raise NothingToUndo
        return _write(session, job, actor_id=actor_id, now=now, limits=limits)

    return once(session, key, make, status=202, resource_kind="job")


def _refuse(session: Session, job_id: UUID, job: Row[Any]) -> None:
    if job.kind != PROVISIONING:
        raise NotUndoable(_WHY_NOT[job.kind])
    if job.spec.get("has_redemption_code"):
        raise NotUndoable(_CODE_SPENT)
    refuse_beside_undo(session, job_id)


def _tally(session: Session, job_id: UUID, currency: str | None) -> UndoTally:
    row = session.execute(_TALLY, {"job": job_id}).one()
    return UndoTally(
        row.undoable, int(row.refund), currency or "", row.revealed, row.undone, row.replaced
    )


def _write(
    session: Session, job: Row[Any], *, actor_id: UUID, now: datetime, limits: Limits
) -> UUID:
    """The job and its planning task; its items are written by a worker, however many."""
    new = NewJob(
        kind=PROVISIONING_UNDO,
        agency_id=job.agency_id,
        client_id=job.client_id,
        campaign_id=job.campaign_id,
        spec={"brand_id": job.spec.get("brand_id")},
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
