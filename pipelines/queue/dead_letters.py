"""Dead letters: work whose attempts are spent, listed, tried again or buried by a person."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import errors as pg
from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.tasks import TaskState
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.limits import Limits

#: What a person can look at; ready tasks are the engine's own business.
KEPT_STATES = (TaskState.DEAD, TaskState.BURIED)
PURGED_AT_ONCE_MAX = 5_000
#: A twin that is written meanwhile makes a replay of many begin again, without that one.
REPLAY_TRIES = 10


class InvalidTaskState(Refusal):
    """Somebody was quicker, or the task is not one that waits for a person; `state` says."""

    code = "invalid_task_state"
    kind = Kind.CONFLICT

    def __init__(self, state: str, move: str) -> None:
        super().__init__(
            f"The task is {state} and cannot be {move}. Only dead tasks can.",
            extra={"state": state},
        )


class TwinWaiting(Refusal):
    """The same work is waiting already; `task_id` names it."""

    code = "task_twin_waiting"
    kind = Kind.CONFLICT
    detail = "The same work waits to be done already. Bury this task instead."


_LIST = text("""
SELECT id, kind, queue, state, tenant_id, job_id, attempts, last_error, died_at, created_at,
       request_id, args
FROM tasks
WHERE state = ANY(:states)
  AND (CAST(:kind AS text) IS NULL OR kind = :kind)
  AND (CAST(:queue AS text) IS NULL OR queue = :queue)
  AND (CAST(:before AS uuid) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")
_STATE = text("""
SELECT t.state, t.kind, t.tenant_id, c.agency_id
FROM tasks t LEFT JOIN clients c ON c.id = t.tenant_id WHERE t.id = :id
""")
_TWIN = text("""
SELECT r.id FROM tasks t JOIN tasks r ON r.kind = t.kind AND r.dedupe_key = t.dedupe_key
WHERE t.id = :id AND r.state = 'ready' AND r.id <> t.id
""")
# A worker that died with the task in hand, and wakes up, is fenced by the grown token.
_AGAIN = """
UPDATE tasks SET state = 'ready', attempts = 0, starts = 0, run_after = :now, rung_at = NULL,
    lease_until = NULL, lease_token = lease_token + 1, postponed_for = NULL, died_at = NULL
"""
_REPLAY = text(f"{_AGAIN} WHERE id = :id AND state = 'dead' RETURNING id")
# Of several with one dedupe key the youngest is tried again; one that has a twin stays.
_REPLAY_ALL = text(f"""
WITH chosen AS MATERIALIZED (
    SELECT id, kind, dedupe_key FROM tasks t
    WHERE state = 'dead' AND (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (:may_have_twins OR dedupe_key IS NULL)
      AND NOT EXISTS (SELECT FROM tasks r WHERE r.kind = t.kind AND r.dedupe_key = t.dedupe_key
                      AND r.state = 'ready')
    ORDER BY died_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
), one_each AS (
    SELECT DISTINCT ON (kind, coalesce(dedupe_key, id::text)) id FROM chosen
    ORDER BY kind, coalesce(dedupe_key, id::text), id DESC
)
{_AGAIN} WHERE id IN (SELECT id FROM one_each) RETURNING id
""")
# What is buried is never run; until `run_after` it is kept for those who ask.
_BURY = text("""
UPDATE tasks SET state = 'buried', run_after = :kept_until WHERE id = :id AND state = 'dead'
RETURNING id
""")
_PURGE = text("""
DELETE FROM tasks WHERE id = ANY (ARRAY(
    SELECT id FROM tasks WHERE state = 'buried' AND run_after <= :now LIMIT :limit))
""")


def list_dead_letters(
    session: Session,
    *,
    state: str | None,
    kind: str | None,
    queue: str | None,
    before: UUID | None,
    limit: int,
) -> list[Row[Any]]:
    """Dead and buried tasks, youngest first; kinds that this code does not know are there too."""
    states = [state] if state else [one.value for one in KEPT_STATES]
    values = {"states": states, "kind": kind, "queue": queue, "before": before, "limit": limit}
    return list(session.execute(_LIST, values))


def replay_dead_letter(session: Session, task_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Give a dead task all its attempts again; of two people who do so at once, one does.

    Raises `NotFound`, `InvalidTaskState` and `TwinWaiting`.
    """
    found = _beside_twins(session, _REPLAY, {"id": task_id, "now": now})
    if found is None:
        twin = session.execute(_TWIN, {"id": task_id}).scalar_one_or_none()
        raise TwinWaiting(extra={"task_id": str(twin) if twin else None})
    task = _moved(session, task_id, move="replayed", is_done=bool(found))
    _audit(session, "task.replayed", task_id, task, actor_id)


def replay_all(
    session: Session, *, kind: str | None, actor_id: UUID, now: datetime, limits: Limits
) -> int:
    """Give dead tasks, of one kind or of all, their attempts again; returns how many.

    At most `replays_max` at once, the longest dead first; those with a ready twin are left.
    """
    replayed = _replay_many(session, {"kind": kind, "now": now, "limit": limits.replays_max})
    if replayed:
        record(
            session,
            "task.replayed_many",
            object_kind="task",
            object_id=None,
            actor_id=actor_id,
            detail={"kind": kind, "count": replayed},
        )
    return replayed


def _replay_many(session: Session, values: dict[str, Any]) -> int:
    """How many became ready; in the end those that can have no twin, whatever is written beside."""
    for tries_left in reversed(range(REPLAY_TRIES)):
        found = _beside_twins(session, _REPLAY_ALL, values | {"may_have_twins": tries_left > 0})
        if found is not None:
            return len(found)
    return 0


def _beside_twins(
    session: Session, replay: TextClause, values: dict[str, Any]
) -> Sequence[Row[Any]] | None:
    """What the statement made ready; None, and nothing changed, if a twin stands in the way."""
    try:
        with session.begin_nested():
            return session.execute(replay, values).all()
    except IntegrityError as error:
        if isinstance(error.orig, pg.UniqueViolation):
            return None
        raise


def bury_dead_letter(
    session: Session,
    task_id: UUID,
    *,
    reason: str,
    actor_id: UUID,
    now: datetime,
    limits: Limits,
) -> None:
    """Decide that a dead task is not to be done. Raises `NotFound` and `InvalidTaskState`."""
    kept_until = now + timedelta(days=limits.buried_days)
    done = session.execute(_BURY, {"id": task_id, "kept_until": kept_until}).one_or_none()
    task = _moved(session, task_id, move="buried", is_done=done is not None)
    _audit(session, "task.buried", task_id, task, actor_id, reason=reason)


def forget_buried(session: Session, now: datetime) -> int:
    """Delete buried tasks whose time is over; returns how many, at most 5,000 a pass."""
    result = session.execute(_PURGE, {"now": now, "limit": PURGED_AT_ONCE_MAX})
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def _moved(session: Session, task_id: UUID, *, move: str, is_done: bool) -> Row[Any]:
    """The task that was moved; raises what stands in the way of one that was not."""
    task = session.execute(_STATE, {"id": task_id}).one_or_none()
    if task is None:
        raise NotFound
    if not is_done:
        raise InvalidTaskState(task.state, move)
    return task


def _audit(
    session: Session,
    action: str,
    task_id: UUID,
    task: Row[Any],
    actor_id: UUID,
    *,
    reason: str | None = None,
) -> None:
    record(
        session,
        action,
        object_kind="task",
        object_id=task_id,
        actor_id=actor_id,
        agency_id=task.agency_id,
        client_id=task.tenant_id,
        detail={"kind": task.kind} | ({"reason": reason} if reason else {}),
    )
