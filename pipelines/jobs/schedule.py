"""Change what may still be changed about an accepted job: its priority, and when it starts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.jobs import JobState, Priority
from pipelines.errors import FieldError, ValidationFailed
from pipelines.jobs.kinds import InvalidJobState, JobKind
from pipelines.jobs.moves import audit_move, lock_for
from pipelines.jobs.states import Move
from pipelines.limits import Limits
from pipelines.queue.kinds import BEGINNINGS

_SET_PRIORITY = text("""
UPDATE jobs SET priority = :priority, version = version + 1 WHERE id = :job
""")
# What is in a worker's hands needs no place in the queue any more.
_MOVE_TASKS = text("""
UPDATE tasks SET priority = :priority WHERE id IN (
    SELECT id FROM tasks WHERE job_id = :job AND state = 'ready' AND priority <> :priority
    FOR UPDATE SKIP LOCKED)
""")
_SET_TIME = text("""
UPDATE jobs SET scheduled_for = :at, version = version + 1 WHERE id = :job
""")
# Rows are read and bad ones told at once, and orders on their way are asked after in time; only
# what begins work waits for the time.
_WORK = f"""
job_id = :job AND state = 'ready'
AND kind IN ({", ".join(f"'{kind.name}'" for kind in BEGINNINGS)})
"""
_MOVE_START = text(f"""
WITH moved AS (
    UPDATE tasks SET run_after = :at, rung_at = NULL WHERE id IN (
        SELECT id FROM tasks WHERE {_WORK} FOR UPDATE SKIP LOCKED) RETURNING 1
)
SELECT (SELECT count(*) FROM tasks WHERE {_WORK}) - (SELECT count(*) FROM moved) AS in_hand
""")
# The first chunk does not wait for whoever holds the job's row at that moment, so a job may have
# begun while its row says `queued`. What intake ended by itself has no attempts.
_HAS_BEGUN = text("""
SELECT EXISTS (SELECT FROM chunks WHERE job_id = :job
               AND running + retrying + succeeded + needs_review + cancelled > 0)
    OR EXISTS (SELECT FROM items
               WHERE job_id = :job AND state IN ('failed', 'skipped') AND attempts > 0)
""")


class ScheduleRefused(ValidationFailed):
    """The time a job is to start at has passed or is too far away."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code  # type: ignore[misc]
        super().__init__(detail, errors=(FieldError(code, detail, pointer="/scheduled_for"),))


def check_start(at: datetime | None, *, now: datetime, limits: Limits) -> None:
    """Raise `ScheduleRefused` for a start that is not ahead, or more than a year ahead."""
    if at is None:
        return
    if at <= now:
        raise ScheduleRefused(
            "scheduled_in_past", "The time has passed. Give a later one, or none to start at once."
        )
    if at > now + timedelta(days=limits.schedule_days_max):
        raise ScheduleRefused(
            "scheduled_too_far",
            f"Give a time within the next {limits.schedule_days_max} days.",
        )


def set_priority(
    session: Session, job_id: UUID, priority: Priority, *, actor_id: UUID, now: datetime
) -> None:
    """Move a job that has not ended, and whatever waits of it, before or behind its tenant's others.

    Raises `InvalidJobState`.
    """
    job = lock_for(session, job_id, Move.PRIORITISE)
    if job.priority == priority:
        return
    values = {"job": job_id, "priority": priority.value, "now": now}
    session.execute(_SET_PRIORITY, values)
    session.execute(_MOVE_TASKS, values)
    detail = {"priority": name_of(priority), "priority_was": name_of(Priority(job.priority))}
    audit_move(session, "job.priority_changed", job, actor_id, detail)


def reschedule(
    session: Session,
    job_id: UUID,
    at: datetime | None,
    *,
    actor_id: UUID,
    now: datetime,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> None:
    """Give a job that has not started another time to start at; None starts it now.

    Raises `ScheduleRefused`, `InvalidJobState` for a job that has started, and what the job's kind has
    against a start at that time.
    """
    job = lock_for(session, job_id, Move.RESCHEDULE)
    check_start(at, now=now, limits=limits)
    may_begin = kinds[job.kind].may_begin
    if may_begin is not None:
        may_begin(session, job, at or now)
    values = {"job": job_id, "at": at or now}
    session.execute(_SET_TIME, values)
    in_hand = session.execute(_MOVE_START, values).scalar_one()
    # Asked last: a chunk that was in hand before its tasks were locked has committed by then.
    if in_hand or session.execute(_HAS_BEGUN, values).scalar_one():
        raise InvalidJobState(state=JobState.RUNNING.value, move=Move.RESCHEDULE)
    detail = {
        "scheduled_for": at.isoformat() if at else None,
        "scheduled_was": job.scheduled_for.isoformat() if job.scheduled_for else None,
    }
    audit_move(session, "job.rescheduled", job, actor_id, detail)


def name_of(priority: int) -> str:
    """`high`, `normal` or `low`."""
    return Priority(priority).name.lower()
