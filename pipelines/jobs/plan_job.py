"""Plan a job by its kind: an accepted request too large for its answer becomes items later."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.jobs.kinds import JobKind, PlanTools
from pipelines.queue.work import TaskInHand

_KIND = text("SELECT kind FROM jobs WHERE id = :job")


def plan_job(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    kinds: Mapping[str, JobKind],
    tools: PlanTools,
) -> None:
    """The work of PLAN_JOB."""
    plan = _kind_of(session, task, kinds).plan
    if plan is None:
        raise LookupError("jobs of this kind are not planned")
    plan(session, task, now, tools)


def give_up_plan(
    session: Session, task: TaskInHand, now: datetime, *, kinds: Mapping[str, JobKind]
) -> None:
    """The attempts of PLAN_JOB are spent: the job ends, and nothing of it was begun."""
    give_up = _kind_of(session, task, kinds).give_up_plan
    if give_up is None:
        raise LookupError("jobs of this kind are not planned")
    give_up(session, task, now)


def _kind_of(session: Session, task: TaskInHand, kinds: Mapping[str, JobKind]) -> JobKind:
    values = {"job": UUID(task.args["job_id"])}
    return kinds[session.execute(_KIND, values).scalar_one()]
