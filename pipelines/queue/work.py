"""Take a task, finish it, fail it, postpone it: the moves of a task row."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import Fault, LeaseLost


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


_START = text("""
UPDATE tasks SET starts = starts + 1, lease_token = lease_token + :stepped,
    lease_until = CASE WHEN :stepped = 1 THEN CAST(:lease_until AS timestamptz) END
WHERE id = (SELECT id FROM tasks WHERE id = :id AND state = 'ready' AND run_after <= :now
              AND (lease_until IS NULL OR lease_until <= :now)
            FOR UPDATE SKIP LOCKED)
RETURNING id, kind, args, job_id, tenant_id, starts, attempts, lease_token, request_id, v
""")
_HOLD = text("SELECT 1 FROM tasks WHERE id = :id AND state = 'ready' FOR UPDATE SKIP LOCKED")
_FENCE = text(
    "SELECT 1 FROM tasks WHERE id = :id AND lease_token = :token AND state = 'ready' FOR UPDATE"
)
_FINISH = text("DELETE FROM tasks WHERE id = :id")
_AGAIN = text("""
UPDATE tasks SET attempts = :attempts, starts = :attempts, last_error = :error, rung_at = NULL,
    lease_until = NULL, postponed_for = :reason, run_after = :until, state = :state
WHERE id = :id AND lease_token = :token
""")


def start(
    session: Session, task_id: UUID, *, now: datetime, lease: timedelta | None
) -> TaskInHand | None:
    """Count a start and, for a stepped kind, take the lease; None if it is not to be had.

    None means: done, in other hands, or not yet due. The message is then simply forgotten.
    """
    row = session.execute(
        _START,
        {
            "id": task_id,
            "now": now,
            "stepped": int(lease is not None),
            "lease_until": now + lease if lease is not None else None,
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
    )


def hold_row(session: Session, task: TaskInHand) -> bool:
    """Lock the row of a one-transaction task for this transaction; False = not ours to do."""
    return session.execute(_HOLD, {"id": task.id}).scalar_one_or_none() is not None


def fence(session: Session, task: TaskInHand) -> None:
    """First statement of each writing step: raises `LeaseLost` if a newer holder exists."""
    held = session.execute(_FENCE, {"id": task.id, "token": task.token}).scalar_one_or_none()
    if held is None:
        raise LeaseLost(task.kind)


def finish(session: Session, task: TaskInHand) -> None:
    """The work is done: the row goes in the same transaction as the effect."""
    session.execute(_FINISH, {"id": task.id})


def try_again(
    session: Session, task: TaskInHand, *, at: datetime, error: str, is_dead: bool = False
) -> None:
    """An attempt was spent: note the error's class and when to come back (or bury as dead)."""
    session.execute(
        _AGAIN,
        {
            "id": task.id,
            "token": task.token,
            "attempts": task.attempts + 1,
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
            "error": None,
            "reason": reason,
            "until": until,
            "state": "ready",
        },
    )
