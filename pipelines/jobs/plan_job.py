"""Plan a job by its kind: an accepted request too large for its answer becomes items later."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.kinds import JobKind, PlanTools
from pipelines.jobs.layout import release_first_chunks
from pipelines.jobs.states import STOPPED
from pipelines.jobs.stored_input import forget_input
from pipelines.queue.work import TaskInHand

_JOB = text("SELECT id, kind, state, client_id FROM jobs WHERE id = :job")


def plan_job(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    kinds: Mapping[str, JobKind],
    tools: PlanTools,
) -> None:
    """The work of PLAN_JOB; a job that was cancelled before it ends without what is not there yet."""
    job = _job(session, task)
    if job.state in STOPPED:
        forget_input(session, job.id)
        release_first_chunks(
            session, job_id=job.id, tenant_id=job.client_id, now=now, limits=tools.limits
        )
        defer_settlement(session, job_id=job.id, tenant_id=job.client_id, now=now)
        return
    plan = kinds[job.kind].plan
    if plan is None:
        raise LookupError("jobs of this kind are not planned")
    plan(session, task, now, tools)


def give_up_plan(
    session: Session, task: TaskInHand, now: datetime, *, kinds: Mapping[str, JobKind]
) -> None:
    """The attempts of PLAN_JOB are spent: the job ends, and nothing of it was begun."""
    give_up = kinds[_job(session, task).kind].give_up_plan
    if give_up is None:
        raise LookupError("jobs of this kind are not planned")
    give_up(session, task, now)


def _job(session: Session, task: TaskInHand) -> Row[Any]:
    return session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
