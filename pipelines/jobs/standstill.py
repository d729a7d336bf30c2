"""Pause jobs that wait for nothing but one cause, and take them up when it is over."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.queue.kinds import ALL

_WHILE_PAUSED = [kind.name for kind in ALL.values() if kind.runs_while_paused]

# Nothing is left to do for them but what waits for the cause, and what a pause does not stop.
_PAUSE = text("""
WITH waiting AS (
    SELECT job_id FROM tasks WHERE state = 'ready' AND job_id IN (
        SELECT job_id FROM tasks WHERE state = 'ready' AND postponed_for = :reason
          AND NOT kind = ANY(:while_paused))
    GROUP BY job_id
    HAVING bool_and(coalesce(postponed_for = :reason, false) OR kind = ANY(:while_paused))
), held AS (
    SELECT id FROM jobs WHERE id IN (SELECT job_id FROM waiting) AND state = 'running'
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE jobs SET state = 'paused', paused_at = :now, pause_reason = :reason, paused_by = 'system',
    version = version + 1
FROM held WHERE jobs.id = held.id
""")
_RESUME = text("""
WITH held AS (
    SELECT id FROM jobs WHERE state = 'paused' AND pause_reason = :reason
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE jobs SET state = 'running', paused_at = NULL, pause_reason = NULL, paused_by = NULL,
    version = version + 1
FROM held WHERE jobs.id = held.id
""")
# What is in somebody's hands is left alone: it asks for itself.
_WAKE = text("""
UPDATE tasks SET run_after = :now, rung_at = NULL WHERE id IN (
    SELECT id FROM tasks WHERE state = 'ready' AND postponed_for = :reason
      AND (lease_until IS NULL OR lease_until <= :now)
    FOR UPDATE SKIP LOCKED)
""")


def pause_standing(session: Session, reason: str, *, now: datetime) -> int:
    """Pause the running jobs all of whose work waits for `reason`; returns how many.

    Their items stay as they are. Who resumes such a job by hand has it paused again.
    """
    values = {"reason": reason, "now": now, "while_paused": _WHILE_PAUSED}
    return session.execute(_PAUSE, values).rowcount  # type: ignore[attr-defined,no-any-return]


def resume_standing(session: Session, reason: str, *, now: datetime) -> None:
    """Take up what was paused for `reason`, and have what waits for it tried at once."""
    session.execute(_RESUME, {"reason": reason})
    session.execute(_WAKE, {"reason": reason, "now": now})
