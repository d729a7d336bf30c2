"""Choose due tasks and mark them rung; the caller rings the broker after the commit."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.limits import Limits
from pipelines.queue.kinds import ALL

RING_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Doorbell:
    """What goes on the broker: a task's id, its actor and its queue; nothing else."""

    task_id: UUID
    kind: str
    queue: str


# Due: ready, its time has come, no live lease, never rung or rung too long ago, job not paused.
# Each lane of a queue gets what its window leaves, shared fairly between the jobs in the lane.
_RING_DUE = text("""
WITH due AS (
    SELECT t.id, t.queue, t.lane, t.priority, t.run_after, t.job_id
    FROM tasks t
    WHERE t.state = 'ready' AND t.run_after <= :now
      AND (t.lease_until IS NULL OR t.lease_until <= :now)
      AND (t.rung_at IS NULL OR t.rung_at <= :rung_before)
      AND t.kind = ANY(:known)
      AND (t.job_id IS NULL OR t.kind = ANY(:while_paused)
           OR NOT EXISTS (SELECT FROM jobs j WHERE j.id = t.job_id AND j.state = 'paused'))
), shared AS (
    SELECT id, queue, lane, priority, run_after, row_number() OVER (
        PARTITION BY queue, lane, job_id ORDER BY priority, run_after, id) AS turn
    FROM due
), ranked AS (
    SELECT id, queue, lane, row_number() OVER (
        PARTITION BY queue, lane ORDER BY priority, turn, run_after, id) AS place
    FROM shared
), rung AS (
    SELECT queue, lane, count(*) AS tasks FROM tasks
    WHERE state = 'ready' AND rung_at > :rung_before GROUP BY queue, lane
), chosen AS MATERIALIZED (
    SELECT t.id FROM tasks t
    JOIN ranked r ON r.id = t.id
    LEFT JOIN rung f ON f.queue = r.queue AND f.lane = r.lane
    WHERE r.place <= :window - coalesce(f.tasks, 0)
      AND (t.rung_at IS NULL OR t.rung_at <= :rung_before)
    ORDER BY r.place LIMIT :at_most
    FOR UPDATE OF t SKIP LOCKED
)
UPDATE tasks SET rung_at = :now FROM chosen WHERE tasks.id = chosen.id
RETURNING tasks.id, tasks.kind, tasks.queue
""")

_FORGET_RINGS = text(
    "UPDATE tasks SET rung_at = NULL WHERE state = 'ready' AND rung_at IS NOT NULL"
)

_KNOWN = sorted(ALL)
_WHILE_PAUSED = sorted(name for name, kind in ALL.items() if kind.runs_while_paused)


def ring_due(session: Session, *, now: datetime, limits: Limits) -> list[Doorbell]:
    """Mark due tasks as rung and return their doorbells, at most `RING_AT_MOST`."""
    rows = session.execute(
        _RING_DUE,
        {
            "now": now,
            "rung_before": now - timedelta(seconds=limits.redelivery_seconds),
            "window": limits.window_tasks_per_lane,
            "known": _KNOWN,
            "while_paused": _WHILE_PAUSED,
            "at_most": RING_AT_MOST,
        },
    )
    return [Doorbell(task_id=row.id, kind=row.kind, queue=row.queue) for row in rows]


def forget_rings(session: Session) -> int:
    """The broker lost its memory: everything unfinished is due to be rung again."""
    result = session.execute(_FORGET_RINGS)
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def rung_by_accepter(now: datetime, limits: Limits) -> datetime:
    """`rung_at` for a task its accepter rings itself: redelivered after the short wait."""
    return now - timedelta(
        seconds=limits.redelivery_seconds - limits.interactive_redelivery_seconds
    )
