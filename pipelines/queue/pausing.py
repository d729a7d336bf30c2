"""Pause a queue and resume it: its tasks stay where they are, and none is begun meanwhile."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.queue.kinds import Queue


class InvalidQueueState(Refusal):
    """The queue is paused already, or runs already; `is_paused` says."""

    code = "invalid_queue_state"
    kind = Kind.CONFLICT

    def __init__(self, *, is_paused: bool) -> None:
        state = "is paused already" if is_paused else "is not paused"
        super().__init__(f"The queue {state}.", extra={"is_paused": is_paused})


_PAUSE = text("""
INSERT INTO queues (name, paused_at, paused_by, pause_reason) VALUES (:name, :now, :by, :reason)
ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by,
    pause_reason = excluded.pause_reason WHERE queues.paused_at IS NULL
RETURNING 1
""")
_RESUME = text("""
UPDATE queues SET paused_at = NULL, paused_by = NULL, pause_reason = NULL
WHERE name = :name AND paused_at IS NOT NULL RETURNING 1
""")
# Messages that came during the pause were forgotten; what they rang for is rung anew at once.
_RING_ANEW = text("""
UPDATE tasks SET rung_at = NULL
WHERE id IN (SELECT id FROM tasks WHERE state = 'ready' AND rung_at IS NOT NULL AND queue = :name
               AND (lease_until IS NULL OR lease_until <= :now) FOR UPDATE SKIP LOCKED)
""")


def pause_queue(session: Session, name: str, *, reason: str, actor_id: UUID, now: datetime) -> None:
    """Begin nothing of this queue; what runs ends. Raises `NotFound` and `InvalidQueueState`."""
    queue = _known(name)
    values = {"name": queue, "now": now, "by": actor_id, "reason": reason}
    if session.execute(_PAUSE, values).one_or_none() is None:
        raise InvalidQueueState(is_paused=True)
    _audit(session, "queue.paused", actor_id, {"queue": queue, "reason": reason})


def resume_queue(session: Session, name: str, *, actor_id: UUID, now: datetime) -> None:
    """Let the queue run again. Raises `NotFound` and `InvalidQueueState`."""
    queue = _known(name)
    if session.execute(_RESUME, {"name": queue}).one_or_none() is None:
        raise InvalidQueueState(is_paused=False)
    session.execute(_RING_ANEW, {"name": queue, "now": now})
    _audit(session, "queue.resumed", actor_id, {"queue": queue})


def _known(name: str) -> str:
    if name not in frozenset(Queue):
        raise NotFound
    return name


def _audit(session: Session, action: str, actor_id: UUID, detail: dict[str, str]) -> None:
    record(session, action, object_kind="queue", object_id=None, actor_id=actor_id, detail=detail)
