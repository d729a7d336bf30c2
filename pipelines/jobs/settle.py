"""End a round of a job exactly once: when no chunk is open, write the end and void the rest."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import ItemState, JobState
from pipelines.audit.record import record
from pipelines.jobs.chunks import release_next_chunk
from pipelines.jobs.ending import tell_finished
from pipelines.jobs.kinds import JobKind
from pipelines.jobs.states import ENDED, OPEN_ITEMS, end_state
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_LOCK_JOB = text("""
SELECT id, kind, state, round, spec, agency_id, client_id, campaign_id, submitted_by, currency,
    funded_to, started_at, scheduled_for, is_single
FROM jobs WHERE id = :job FOR NO KEY UPDATE
""")
# A new statement after the lock, so that it sees what others committed while we waited.
_COUNTS = text("""
SELECT count(*) AS chunks, count(*) FILTER (WHERE state <> 'closed') AS still_open,
       count(*) FILTER (WHERE state IN ('released', 'open') OR running + retrying > 0) AS at_work,
       coalesce(sum(succeeded), 0) AS succeeded,
       coalesce(sum(failed), 0) AS failed, coalesce(sum(skipped), 0) AS skipped,
       coalesce(sum(needs_review), 0) AS needs_review, coalesce(sum(cancelled), 0) AS cancelled
FROM chunks WHERE job_id = :job
""")
_TO_BE_PLANNED = text("""
SELECT EXISTS (SELECT FROM tasks WHERE job_id = :job AND kind = 'plan_job' AND state = 'ready')
""")
_NO_CREDIT = text("""
UPDATE jobs SET state = 'paused', paused_at = :now, pause_reason = 'no_credit', paused_by = NULL,
    version = version + 1 WHERE id = :job AND state IN ('queued', 'running')
""")
_END = text("""
UPDATE jobs SET state = :state, finished_at = :now, version = version + 1,
    paused_at = NULL, pause_reason = NULL, paused_by = NULL
WHERE id = :job AND state = :was
""")


def settle_task(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> None:
    """The work of SETTLE_JOB."""
    settle_job(session, UUID(task.args["job_id"]), now, kinds=kinds, limits=limits)


def settle_job(
    session: Session,
    job_id: UUID,
    now: datetime,
    *,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> None:
    """Settle the job if its last chunk is closed; one that waits for credit goes on or pauses.

    Otherwise it does nothing.
    """
    job = session.execute(_LOCK_JOB, {"job": job_id}).one_or_none()
    if job is None or JobState(job.state) in ENDED:
        return
    counts = session.execute(_COUNTS, {"job": job_id}).one()
    if counts.still_open:
        if job.funded_to is not None and not counts.at_work:
            _go_on(session, job, now, kinds[job.kind], limits)
        return
    if counts.chunks == 0 and session.execute(_TO_BE_PLANNED, {"job": job_id}).scalar_one():
        return  # whoever plans it sees what was asked meanwhile
    ends = {one: int(getattr(counts, one)) for one in ItemState if one not in OPEN_ITEMS}
    state = end_state(ends, is_cancelled=job.state == JobState.CANCELLING)
    kinds[job.kind].settle(session, job, now)
    session.execute(_END, {"job": job_id, "state": state.value, "now": now, "was": job.state})
    record(
        session,
        "job.finished",
        object_kind="job",
        object_id=job_id,
        actor_id=job.submitted_by,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={"state": state.value, "round": job.round, "succeeded": int(counts.succeeded)},
    )
    tell_finished(session, job, state, ends, now=now)
    log.info("job.settled", job_id=str(job_id), state=state.value, round=job.round)


def _go_on(session: Session, job: Row[Any], now: datetime, kind: JobKind, limits: Limits) -> None:
    """All that its hold covers is done: fund more of the job, or pause it until there is credit.

    What a cancelled job never paid for ends like its other items.
    """
    if job.state == JobState.CANCELLING:
        release_next_chunk(session, job_id=job.id, tenant_id=job.client_id, now=now)
    elif job.state != JobState.PAUSED and not (
        kind.fund is not None and kind.fund(session, job, now, limits)
    ):
        pause_for_credit(session, job.id, now)


def pause_for_credit(session: Session, job_id: UUID, now: datetime) -> None:
    """Pause a job, locked by the caller, whose next item is not covered; credit resumes it."""
    session.execute(_NO_CREDIT, {"job": job_id, "now": now})
    log.info("job.waits_for_credit", job_id=str(job_id))
