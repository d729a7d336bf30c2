"""Choose who is next on the broker, fairly, and mark them rung; they are rung after the commit.

What waits stays in PostgreSQL: a queue has a window of rung tasks, about what its living threads
can begin soon. Lanes (tenants; vendors for vendor calls) take turns for the places in it, and one
lane has at most half of them while others wait. Within a lane tenants take turns, then priorities
decide, then jobs take turns. The work of a pass grows with the lanes and jobs that wait, not with
the tasks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.locks import Namespace, try_lock
from pipelines.limits import Limits
from pipelines.queue.kinds import ACCEPTED_VERSIONS, ALL, TASK_VERSION, Queue

RING_AT_MOST = 500
#: From this priority on, work waits until nothing else is due in its lane, whosever it is.
BEHIND_ALL = 200


@dataclass(frozen=True, slots=True)
class Doorbell:
    """What goes on the broker: a task's id, its actor, its queue and version; nothing else."""

    task_id: UUID
    kind: str
    queue: str
    #: As the task's row says; a task that this code has just written has this code's.
    v: int = TASK_VERSION


#: SQL: somebody has waited too long on the interactive queue, and nobody stopped it.
INTERACTIVE_WAITS = """EXISTS (
    SELECT FROM tasks i WHERE i.state = 'ready' AND i.queue = 'interactive'
      AND i.rung_at IS NOT NULL AND i.lease_until IS NULL AND i.run_after <= :waited_since
      AND NOT EXISTS (SELECT FROM queues q WHERE q.name = i.queue AND q.paused_at IS NOT NULL))"""

# Places a queue has: so many per thread of the processes that beat, at least the least. What an
# accepter rang itself takes no place, or storefronts would keep the relay from everything else.
_WINDOWS = text(f"""
SELECT w.queue, CASE
    WHEN w.queue = 'bulk' AND {INTERACTIVE_WAITS}
    THEN greatest(1, coalesce(p.threads, 0) / 2)
    ELSE greatest(:least, coalesce(p.threads, 0) * w.per_thread) END AS places,
    coalesce(u.tasks, 0) AS in_use
FROM unnest(CAST(:queues AS text[]), CAST(:per_thread AS integer[])) AS w (queue, per_thread)
LEFT JOIN (SELECT name, sum(threads)::integer AS threads FROM processes
           WHERE beat_at > :beat_since AND state = 'running' GROUP BY name) p ON p.name = w.queue
LEFT JOIN (SELECT queue, count(*) AS tasks FROM tasks
           WHERE state = 'ready' AND rung_at IS NOT NULL
             AND (rung_at > :counted_since OR lease_until > :now) GROUP BY queue) u
       ON u.queue = w.queue
WHERE w.queue <> ALL(SELECT name FROM queues WHERE paused_at IS NOT NULL)
""")

# `flows` hops along ix_tasks_unrung, one probe for each flow that waits; what was rung too long
# ago without an end is a candidate like what was never rung. Turns count what is out already, so
# that they go on from one pass to the next.
_NEXT = text("""
WITH RECURSIVE windows AS (
    SELECT * FROM unnest(CAST(:queues AS text[]), CAST(:places AS integer[]),
        CAST(:in_use AS integer[])) AS w (queue, places, in_use)
), flows AS (
    SELECT w.queue, w.places, n.lane, n.flow FROM windows w CROSS JOIN LATERAL (
        SELECT t.lane, t.flow FROM tasks t
        WHERE t.state = 'ready' AND t.rung_at IS NULL AND t.queue = w.queue
        ORDER BY t.lane, t.flow LIMIT 1) n
    UNION ALL
    SELECT f.queue, f.places, n.lane, n.flow FROM flows f CROSS JOIN LATERAL (
        SELECT t.lane, t.flow FROM tasks t WHERE t.state = 'ready' AND t.rung_at IS NULL
          AND t.queue = f.queue AND (t.lane, t.flow) > (f.lane, f.flow)
        ORDER BY t.lane, t.flow LIMIT 1) n
), waiting AS (
    SELECT t.* FROM flows f
    CROSS JOIN LATERAL (
        SELECT t.id, t.queue, t.lane, t.flow, t.tenant_id, t.priority, t.run_after FROM tasks t
        WHERE t.state = 'ready' AND t.rung_at IS NULL
          AND t.queue = f.queue AND t.lane = f.lane AND t.flow = f.flow
          AND t.run_after <= :now AND (t.lease_until IS NULL OR t.lease_until <= :now)
          AND t.kind = ANY(:known) AND t.v = ANY(:versions)
          AND (t.job_id IS NULL OR t.job_id = f.flow OR t.kind = ANY(:while_paused)
               OR NOT EXISTS (SELECT FROM jobs p WHERE p.id = t.job_id AND p.state = 'paused'))
        ORDER BY t.priority, t.run_after LIMIT f.places) t
    WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.id = f.flow AND j.state = 'paused')
    UNION ALL
    (SELECT t.id, t.queue, t.lane, t.flow, t.tenant_id, t.priority, t.run_after FROM tasks t
     JOIN windows w ON w.queue = t.queue
     WHERE t.state = 'ready' AND t.rung_at <= :rung_before AND t.run_after <= :now
       AND (t.lease_until IS NULL OR t.lease_until <= :now)
       AND t.kind = ANY(:known) AND t.v = ANY(:versions)
       AND (t.job_id IS NULL OR t.kind = ANY(:while_paused)
            OR NOT EXISTS (SELECT FROM jobs p WHERE p.id = t.job_id AND p.state = 'paused'))
     ORDER BY t.rung_at LIMIT :at_most)
), rung AS (
    SELECT queue, lane, tenant_id, flow, count(*) AS tasks FROM tasks
    WHERE state = 'ready' AND rung_at IS NOT NULL
      AND (rung_at > :counted_since OR lease_until > :now) GROUP BY queue, lane, tenant_id, flow
), rung_of_tenant AS (
    SELECT queue, lane, tenant_id, sum(tasks) AS tasks FROM rung GROUP BY queue, lane, tenant_id
), rung_of_lane AS (
    SELECT queue, lane, sum(tasks) AS tasks FROM rung GROUP BY queue, lane
), lanes AS (
    SELECT queue, count(DISTINCT lane) AS lanes
    FROM (SELECT queue, lane FROM waiting UNION ALL SELECT queue, lane FROM rung) l GROUP BY queue
), by_flow AS (
    SELECT b.*, coalesce(r.tasks, 0) + row_number() OVER (
        PARTITION BY b.queue, b.lane, b.tenant_id, b.flow
        ORDER BY b.priority, b.run_after, b.id) AS flow_turn
    FROM waiting b LEFT JOIN rung r ON r.queue = b.queue AND r.lane = b.lane
      AND r.tenant_id IS NOT DISTINCT FROM b.tenant_id AND r.flow = b.flow
), by_tenant AS (
    SELECT b.*, coalesce(r.tasks, 0) + row_number() OVER (
        PARTITION BY b.queue, b.lane, b.tenant_id
        ORDER BY b.priority, b.flow_turn, b.run_after, b.id) AS tenant_turn
    FROM by_flow b LEFT JOIN rung_of_tenant r ON r.queue = b.queue AND r.lane = b.lane
      AND r.tenant_id IS NOT DISTINCT FROM b.tenant_id
), by_lane AS (
    SELECT b.*, coalesce(r.tasks, 0) + row_number() OVER (
        PARTITION BY b.queue, b.lane
        ORDER BY b.priority >= :behind_all, b.tenant_turn, b.run_after, b.id) AS turn
    FROM by_tenant b LEFT JOIN rung_of_lane r ON r.queue = b.queue AND r.lane = b.lane
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY queue ORDER BY turn, run_after, id) AS place
    FROM by_lane
)
SELECT p.id FROM placed p
JOIN windows w ON w.queue = p.queue JOIN lanes l ON l.queue = p.queue
WHERE p.place <= w.places - w.in_use
  AND p.turn <= CASE WHEN l.lanes > 1 THEN (w.places + 1) / 2 ELSE w.places END
ORDER BY p.place LIMIT :at_most
""")

# Found by their ids alone and judged afterwards: with a condition that a partial index answers, a
# planner whose statistics are from when the table was empty would read the whole backlog. What
# somebody took in the meantime is left out.
_MARK = text("""
WITH held AS MATERIALIZED (
    SELECT id, state, rung_at FROM tasks WHERE id = ANY(:chosen) FOR UPDATE SKIP LOCKED)
UPDATE tasks SET rung_at = :now FROM held
WHERE tasks.id = held.id AND held.state = 'ready'
  AND (held.rung_at IS NULL OR held.rung_at <= :rung_before)
RETURNING tasks.id, tasks.kind, tasks.queue, tasks.v
""")

# What somebody holds is being worked on; if that fails it is rung again like anything else.
_FORGET_RINGS = text("""
UPDATE tasks SET rung_at = NULL FROM (
    SELECT id FROM tasks WHERE state = 'ready' AND rung_at IS NOT NULL
    FOR UPDATE SKIP LOCKED) free
WHERE tasks.id = free.id
""")

_KNOWN = sorted(ALL)
_VERSIONS = sorted(ACCEPTED_VERSIONS)
_WHILE_PAUSED = sorted(name for name, kind in ALL.items() if kind.runs_while_paused)


def ring_due(
    session: Session, *, now: datetime, limits: Limits, queues: Iterable[Queue] = tuple(Queue)
) -> list[Doorbell]:
    """Mark the next due tasks of these queues as rung and return their doorbells in order.

    One pass at a time looks: a second one returns nothing, as the first rings for it.
    """
    if not try_lock(session, Namespace.RINGING, "pass"):
        return []
    rung_before = now - timedelta(seconds=limits.redelivery_seconds)
    counted_since = rung_by_accepter(now, limits)
    windows = _open_windows(session, now, limits, queues, counted_since=counted_since)
    if not windows:
        return []
    chosen = session.execute(
        _NEXT,
        {
            "now": now,
            "rung_before": rung_before,
            "counted_since": counted_since,
            "queues": [window.queue for window in windows],
            "places": [window.places for window in windows],
            "in_use": [window.in_use for window in windows],
            "known": _KNOWN,
            "versions": _VERSIONS,
            "while_paused": _WHILE_PAUSED,
            "behind_all": BEHIND_ALL,
            "at_most": RING_AT_MOST,
        },
    )
    return _mark(session, list(chosen.scalars()), now=now, rung_before=rung_before)


def _mark(
    session: Session, chosen: list[UUID], *, now: datetime, rung_before: datetime
) -> list[Doorbell]:
    if not chosen:
        return []
    rows = session.execute(_MARK, {"chosen": chosen, "now": now, "rung_before": rung_before})
    bells = {row.id: Doorbell(row.id, row.kind, row.queue, row.v) for row in rows}
    return [bells[task_id] for task_id in chosen if task_id in bells]


def _open_windows(
    session: Session,
    now: datetime,
    limits: Limits,
    queues: Iterable[Queue],
    *,
    counted_since: datetime,
) -> list[Row[Any]]:
    """Queue, places and places in use, of each queue that runs and has a free place."""
    names = [queue.value for queue in queues]
    per_thread = [
        limits.window_tasks_per_bulk_thread
        if name == Queue.BULK
        else limits.window_tasks_per_thread
        for name in names
    ]
    rows = session.execute(
        _WINDOWS,
        {
            "now": now,
            "counted_since": counted_since,
            "queues": names,
            "per_thread": per_thread,
            "least": limits.window_tasks_min,
            "beat_since": now - timedelta(seconds=limits.process_gone_seconds),
            "waited_since": waited_since(now, limits),
        },
    )
    return [row for row in rows if row.in_use < row.places]


def waited_since(now: datetime, limits: Limits) -> datetime:
    """Who is due since before this has waited too long on the interactive queue."""
    return now - timedelta(seconds=limits.interactive_wait_seconds_max)


def forget_rings(session: Session) -> int:
    """The broker lost its memory: everything unfinished is due to be rung again."""
    result = session.execute(_FORGET_RINGS)
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def rung_by_accepter(now: datetime, limits: Limits) -> datetime:
    """`rung_at` for a task its accepter rings itself: redelivered after the short wait."""
    return now - timedelta(
        seconds=limits.redelivery_seconds - limits.interactive_redelivery_seconds
    )
