"""Take a task, finish it, fail it, postpone it: the moves of a task row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import clock
from pipelines.errors import Fault, LeaseLost
from pipelines.queue.kinds import ACCEPTED_VERSIONS

_VERSIONS = sorted(ACCEPTED_VERSIONS)


@dataclass(frozen=True, slots=True)
class TaskInHand:
    """A task as its worker knows it; `token` fences writes of stepped kinds."""

    id: UUID
    kind: str
    args: dict[str, Any]
    job_id: UUID | None
    tenant_id: UUID | None
    starts: int
    attempts: int
    token: int
    request_id: str | None
    v: int
    #: The transaction that counted this start.
    xid: str | None = None

    @property
    def unaccounted_starts(self) -> int:
        """Starts that ended without an outcome: their worker died."""
        return self.starts - 1 - self.attempts


class Postpone(Fault):
    """Raised by a handler: come back at `until`; no attempt is spent."""

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(reason)
        self.until = until
        self.reason = reason


# A start is only counted and may be lost in a crash of the server; a lease may not, so only starts
# without one are committed without waiting for the disk.
_START = text("""
WITH started AS (
    UPDATE tasks SET starts = starts + 1,
        lease_token = lease_token + CASE WHEN f.lease_seconds IS NULL THEN 0 ELSE 1 END,
        lease_until = CAST(:now AS timestamptz) + make_interval(secs => f.lease_seconds)
    FROM (SELECT t.id AS task, l.seconds AS lease_seconds FROM tasks t
          LEFT JOIN unnest(CAST(:kinds AS text[]), CAST(:seconds AS float8[])) AS l (kind, seconds)
                 ON l.kind = t.kind
          WHERE t.id = :id AND t.state = 'ready' AND t.run_after <= :now
            AND (t.lease_until IS NULL OR t.lease_until <= :now)
            AND t.kind = ANY(:known) AND t.v = ANY(:versions)
            AND (:alone OR t.starts <= t.attempts)
            AND NOT EXISTS (SELECT FROM queues q
                            WHERE q.name = t.queue AND q.paused_at IS NOT NULL)
          FOR UPDATE OF t SKIP LOCKED) f
    WHERE id = f.task
    RETURNING id, kind, args, job_id, tenant_id, starts, attempts, lease_token, lease_until,
        request_id, v
)
SELECT s.*, CAST(pg_current_xact_id() AS text) AS xid,
    CASE WHEN s.lease_until IS NULL THEN set_config('synchronous_commit', 'off', true) END
FROM started s
""")
# Not held by anybody, so whoever started it last is gone or has yet to lock it.
_SUSPECT = text("""
SELECT 1 FROM tasks t WHERE t.id = :id AND t.state = 'ready' AND t.run_after <= :now
    AND t.starts > t.attempts AND (t.lease_until IS NULL OR t.lease_until <= :now)
    AND NOT EXISTS (SELECT FROM queues q WHERE q.name = t.queue AND q.paused_at IS NOT NULL)
FOR UPDATE OF t SKIP LOCKED
""")
_HOLD = text("SELECT 1 FROM tasks WHERE id = :id AND state = 'ready' FOR UPDATE SKIP LOCKED")
_HOLD_SOON = text("SELECT 1 FROM tasks WHERE id = :id AND state = 'ready' FOR UPDATE")
_LOOK_PATIENCE = text("SET LOCAL lock_timeout = '1s'")
_USUAL_PATIENCE = text("SET LOCAL lock_timeout TO DEFAULT")
_FENCE = text(
    "SELECT 1 FROM tasks WHERE id = :id AND lease_token = :token AND state = 'ready' FOR UPDATE"
)
_FINISH = text("DELETE FROM tasks WHERE id = :id")
# The token ends with the work: who did not hear of this cannot put the task down a second time.
# A cancel wakes what waits, but not what is in hand: that comes back at once instead of at a time
# far away, to be ended. A chunk waits for a cancel that is about to commit; an order is put down
# with its chunk locked, so it only looks. What asks after orders keeps the times it chose.
_AGAIN = text(f"""
UPDATE tasks SET lease_token = lease_token + 1, attempts = :attempts, starts = :attempts + :kills,
    last_error = :error, rung_at = NULL, lease_until = NULL, postponed_for = :reason,
    run_after = CASE
        WHEN CAST(:reason AS text) IS NULL
            OR CAST(:until AS timestamptz) <= {clock.SQL} + interval '2 seconds' THEN :until
        WHEN kind IN ('run_chunk', 'run_single')
            AND (SELECT j.state FROM jobs j WHERE j.id = tasks.job_id FOR SHARE) = 'cancelling'
            THEN {clock.SQL}
        WHEN kind = 'place_order'
            AND (SELECT j.state FROM jobs j WHERE j.id = tasks.job_id) = 'cancelling'
            THEN {clock.SQL}
        ELSE :until END, state = :state,
    died_at = CASE WHEN :state = 'dead' THEN CAST(:until AS timestamptz) END
WHERE id = :id AND lease_token = :token
""")
# What another transaction holds is skipped; what is gone or in newer hands needs nothing.
_GIVE_BACK = text("""
WITH mine AS (
    SELECT t.id, count(*) AS starts FROM tasks t
    JOIN unnest(CAST(:ids AS uuid[]), CAST(:tokens AS integer[])) AS g (id, token)
      ON g.id = t.id AND g.token = t.lease_token
    GROUP BY t.id
), free AS (
    SELECT id FROM tasks WHERE id IN (SELECT id FROM mine) ORDER BY id FOR UPDATE SKIP LOCKED
), given AS (
    UPDATE tasks SET starts = greatest(tasks.starts - mine.starts, attempts),
        lease_until = NULL, rung_at = NULL
    FROM free JOIN mine USING (id) WHERE tasks.id = free.id RETURNING tasks.id
)
SELECT id FROM mine WHERE id NOT IN (SELECT id FROM given)
""")
_FORGET_RING = text("""
UPDATE tasks SET rung_at = NULL WHERE id IN (
    SELECT id FROM tasks WHERE id = ANY(:ids) AND state = 'ready' AND lease_until IS NULL
    ORDER BY id FOR UPDATE SKIP LOCKED)
""")


def start(
    session: Session,
    task_id: UUID,
    *,
    now: datetime,
    known: Collection[str],
    leases: Mapping[str, timedelta],
    alone: bool = False,
) -> TaskInHand | None:
    """Count a start and, for the kinds in `leases`, take the lease; None if it is not to be had.

    None means: done, in other hands, not yet due, of a paused queue, of a kind that is not `known`,
    or of a version that this code does not accept, whatever its message said. The message is then
    simply forgotten: the row brings the task back. A task whose worker died (`is_suspect`) is only to be had by one who works `alone`.
    """
    row = session.execute(
        _START,
        {
            "id": task_id,
            "now": now,
            "known": list(known),
            "versions": _VERSIONS,
            "alone": alone,
            "kinds": list(leases),
            "seconds": [lease.total_seconds() for lease in leases.values()],
        },
    ).one_or_none()
    if row is None:
        return None
    return TaskInHand(
        id=row.id,
        kind=row.kind,
        args=row.args,
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        starts=row.starts,
        attempts=row.attempts,
        token=row.lease_token,
        request_id=row.request_id,
        v=row.v,
        xid=row.xid,
    )


def is_suspect(session: Session, task_id: UUID, *, now: datetime) -> bool:
    """Whether the worker that had it in hand died, by its doing or by a neighbour's."""
    values = {"id": task_id, "now": now}
    return session.execute(_SUSPECT, values).scalar_one_or_none() is not None


def hold_row(session: Session, task: TaskInHand) -> bool:
    """Lock the row of a one-transaction task for this transaction; False = not ours to do.

    Who only asks whether it is suspect locks it for a moment, and is waited for.
    """
    if session.execute(_HOLD, {"id": task.id}).scalar_one_or_none() is not None:
        return True
    try:
        with session.begin_nested():
            session.execute(_LOOK_PATIENCE)
            held = session.execute(_HOLD_SOON, {"id": task.id}).scalar_one_or_none()
    except OperationalError as fault:
        if isinstance(fault.orig, LockNotAvailable):
            return False
        raise
    session.execute(_USUAL_PATIENCE)
    return held is not None


def fence(session: Session, task: TaskInHand) -> None:
    """First statement of each writing step: raises `LeaseLost` if a newer holder exists."""
    held = session.execute(_FENCE, {"id": task.id, "token": task.token}).scalar_one_or_none()
    if held is None:
        raise LeaseLost(task.kind)


def finish(session: Session, task: TaskInHand) -> None:
    """The work is done: the row goes in the same transaction as the effect."""
    session.execute(_FINISH, {"id": task.id})


def try_again(
    session: Session,
    task: TaskInHand,
    *,
    at: datetime,
    error: str,
    is_dead: bool = False,
    kills: int = 0,
) -> None:
    """An attempt was spent: note the error's class and when to come back (or lie dead from `at`).

    It had an outcome, so that earlier starts without one are forgotten, but for `kills` of them.
    """
    session.execute(
        _AGAIN,
        {
            "id": task.id,
            "token": task.token,
            "attempts": task.attempts + 1,
            "kills": kills,
            "error": error,
            "reason": None,
            "until": at,
            "state": "dead" if is_dead else "ready",
        },
    )


def postpone(session: Session, task: TaskInHand, *, until: datetime, reason: str) -> None:
    """Come back later without spending an attempt (rate limit, open breaker, pause, drain)."""
    session.execute(
        _AGAIN,
        {
            "id": task.id,
            "token": task.token,
            "attempts": task.attempts,
            "kills": 0,
            "error": None,
            "reason": reason,
            "until": until,
            "state": "ready",
        },
    )


def give_back(session: Session, tasks: Sequence[TaskInHand]) -> frozenset[UUID]:
    """The process ends before the work: the start does not count, and it is rung again at once.

    Returns whose rows are in order; the others are still held by the transaction that is cut.
    """
    values = {"ids": [task.id for task in tasks], "tokens": [task.token for task in tasks]}
    held = set(session.execute(_GIVE_BACK, values).scalars())
    return frozenset(task.id for task in tasks) - held


def forget_ring(session: Session, task_ids: Sequence[UUID]) -> None:
    """Tasks whose message nobody will follow are due to be rung again."""
    session.execute(_FORGET_RING, {"ids": list(task_ids)})
