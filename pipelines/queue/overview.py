"""The engine at a glance: what waits in each queue, who works on it, which processes live."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.limits import Limits
from pipelines.queue.kinds import Queue

PROCESSES_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Pause:
    """Who stopped a queue, when and why."""

    since: datetime
    by: UUID | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """One queue: its tasks by what they wait for, and the living processes that serve it.

    `ready` is all that is to be done: `due` now, `scheduled` for later, or `in_hand` of a worker
    that holds a lease. `dead` waits for a person.
    """

    name: str
    ready: int
    due: int
    scheduled: int
    in_hand: int
    dead: int
    oldest_due_seconds: float | None
    workers: int
    threads: int
    busy: int
    rate_per_second: float
    pause: Pause | None

    def as_json(self, *, broker_depth: int | None) -> dict[str, Any]:
        pause = self.pause
        return {
            "name": self.name,
            "ready": self.ready,
            "due": self.due,
            "scheduled": self.scheduled,
            "in_hand": self.in_hand,
            "dead": self.dead,
            "oldest_due_seconds": self.oldest_due_seconds,
            "workers": self.workers,
            "threads": self.threads,
            "busy": self.busy,
            "rate_per_second": round(self.rate_per_second, 2),
            "paused": pause and {"since": pause.since, "by": pause.by, "reason": pause.reason},
            "broker_depth": broker_depth,
        }


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """One process by its own last word; `is_alive` is false once that is too old."""

    id: UUID
    name: str
    host: str
    pid: int
    threads: int
    busy: int
    done: int
    failed: int
    rate_per_second: float
    rss_bytes: int
    state: str
    trouble: str | None
    started_at: datetime
    beat_at: datetime
    is_alive: bool

    def as_json(self) -> dict[str, Any]:
        shown = {name: getattr(self, name) for name in ProcessSeen.__slots__}
        return shown | {"rate_per_second": round(self.rate_per_second, 2)}


# One walk over the tasks, whatever their number; names that no queue of this code has stay visible.
_QUEUES = text("""
WITH counted AS (
    SELECT queue AS name,
        count(*) FILTER (WHERE state = 'ready') AS ready,
        count(*) FILTER (WHERE state = 'ready' AND lease_until > :now) AS in_hand,
        count(*) FILTER (WHERE state = 'ready' AND run_after > :now
                         AND (lease_until IS NULL OR lease_until <= :now)) AS scheduled,
        count(*) FILTER (WHERE state = 'dead') AS dead,
        min(run_after) FILTER (WHERE state = 'ready' AND run_after <= :now
                         AND (lease_until IS NULL OR lease_until <= :now)) AS oldest_due
    FROM tasks GROUP BY queue
), living AS (
    SELECT name, count(*) AS workers, sum(threads) AS threads, sum(busy) AS busy,
        sum(rate_per_second) AS rate
    FROM processes WHERE beat_at > :beat_since GROUP BY name
)
SELECT n.name, coalesce(c.ready, 0) AS ready, coalesce(c.in_hand, 0) AS in_hand,
    coalesce(c.scheduled, 0) AS scheduled, coalesce(c.dead, 0) AS dead,
    extract(epoch FROM CAST(:now AS timestamptz) - c.oldest_due) AS oldest_due_seconds,
    coalesce(l.workers, 0) AS workers, coalesce(l.threads, 0) AS threads,
    coalesce(l.busy, 0) AS busy, coalesce(l.rate, 0) AS rate,
    q.paused_at, q.paused_by, q.pause_reason
FROM (SELECT unnest(CAST(:names AS text[])) UNION SELECT name FROM counted) n (name)
LEFT JOIN counted c ON c.name = n.name
LEFT JOIN living l ON l.name = n.name
LEFT JOIN queues q ON q.name = n.name
ORDER BY array_position(CAST(:names AS text[]), n.name), n.name
""")
_PROCESSES = text("""
SELECT id, name, host, pid, threads, busy, done, failed, rate_per_second, rss_bytes, state,
    trouble, started_at, beat_at, beat_at > :beat_since AS is_alive
FROM processes ORDER BY is_alive DESC, name, started_at, id LIMIT :limit
""")


def look_at_queues(session: Session, *, now: datetime, limits: Limits) -> list[QueueSeen]:
    """Every queue of this code, and any other that has tasks."""
    names = [queue.value for queue in Queue]
    values: dict[str, Any] = {"now": now, "names": names} | _beat_since(now, limits)
    return [_queue(row) for row in session.execute(_QUEUES, values)]


def look_at_processes(session: Session, *, now: datetime, limits: Limits) -> list[ProcessSeen]:
    """Processes that said they live, the living first; old rows are purged after a day."""
    values: dict[str, Any] = {"limit": PROCESSES_SHOWN_MAX} | _beat_since(now, limits)
    rows = session.execute(_PROCESSES, values).mappings()
    return [ProcessSeen(**row) for row in rows]


def _beat_since(now: datetime, limits: Limits) -> dict[str, Any]:
    return {"beat_since": now - timedelta(seconds=limits.process_gone_seconds)}


def _queue(row: Row[Any]) -> QueueSeen:
    oldest = row.oldest_due_seconds
    pause = Pause(row.paused_at, row.paused_by, row.pause_reason) if row.paused_at else None
    return QueueSeen(
        name=row.name,
        ready=row.ready,
        due=row.ready - row.in_hand - row.scheduled,
        scheduled=row.scheduled,
        in_hand=row.in_hand,
        dead=row.dead,
        oldest_due_seconds=None if oldest is None else float(oldest),
        workers=row.workers,
        threads=int(row.threads),
        busy=int(row.busy),
        rate_per_second=float(row.rate),
        pause=pause,
    )
