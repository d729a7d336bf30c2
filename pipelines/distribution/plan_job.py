"""What is left to do of a large distribution after it was accepted, in two short holds of its book."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.refusals import BookExhausted
from pipelines.distribution.draw import Mode, RemainderPolicy
from pipelines.distribution.lay_out import begin, draw_coupons, set_aside, write_rows
from pipelines.distribution.plan import DistributionOptions, OnFailure, Plan, Standing
from pipelines.distribution.stage import capacities_of
from pipelines.jobs.ending import JobError, fail_unbegun, give_up_unplanned
from pipelines.jobs.kinds import PlanTools
from pipelines.queue.defer import defer
from pipelines.queue.kinds import PLAN_JOB
from pipelines.queue.work import TaskInHand
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_JOB = text("""
SELECT j.id, j.agency_id, j.client_id, j.scheduled_for, j.total, j.spec, d.seed, d.number,
    d.upto_key, EXISTS (SELECT FROM draw_chunks c WHERE c.job_id = j.id) AS is_drawn
FROM jobs j JOIN draws d ON d.job_id = j.id WHERE j.id = :job
""")
_CLOSE = text("UPDATE draws SET closed_at = :now WHERE job_id = :job AND closed_at IS NULL")
_INTERNAL = "The distribution could not be drawn for a reason of ours; nothing was assigned."


def plan_distribution(session: Session, task: TaskInHand, now: datetime, tools: PlanTools) -> None:
    """The next part of it: its rows; its part of the deck, for which others wait; its coupons.

    Each is a transaction of its own, and looks what is there already.
    """
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    if job.total == 0:
        write_rows(session, job, plan_of(session, job), tools.limits)
    if job.upto_key is None:
        _set_aside(session, job, now)
        return
    if not job.is_drawn:
        draw_coupons(session, job)
    begin(session, job, now, tools.limits)
    log.info("distribution.drawn", job_id=str(job.id), draw=job.number)


def _set_aside(session: Session, job: Row[Any], now: datetime) -> None:
    try:
        with session.begin_nested():
            set_aside(
                session,
                job.id,
                UUID(job.spec["book_id"]),
                allow_partial=job.spec["allow_partial"],
            )
    except BookExhausted as refusal:
        error = JobError(refusal.code, refusal.detail, status=409)
        fail_unbegun(session, job.id, error, now)
        close_draw(session, job.id, now)
        return
    args = {"job_id": str(job.id)}
    defer(session, PLAN_JOB, args=args, now=now, tenant_id=job.client_id, job_id=job.id)


def give_up_plan(session: Session, task: TaskInHand, now: datetime) -> None:
    """A distribution that cannot be drawn ends; nothing was assigned."""
    give_up_unplanned(session, task, now, _INTERNAL)
    close_draw(session, UUID(task.args["job_id"]), now)


def close_draw(session: Session, job_id: UUID, now: datetime) -> None:
    """The draw gives nothing any more; its book is free for others."""
    session.execute(_CLOSE, {"job": job_id, "now": now})


def plan_of(session: Session, job: Row[Any]) -> Plan:
    """The plan that was accepted, from its snapshot and its seed."""
    spec = job.spec
    options = DistributionOptions(
        pool_id=UUID(spec["pool_id"]),
        book_id=UUID(spec["book_id"]),
        mode=Mode(spec["mode"]),
        count=spec["count"],
        remainder_policy=RemainderPolicy(spec["remainder_policy"]),
        on_failure=OnFailure(spec["on_failure"]),
        max_per_recipient=spec["max_per_recipient"],
    )
    return Plan(options, Standing(0, 0, job.number), capacities_of(session, job.id), job.seed)
