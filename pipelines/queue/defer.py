"""Write work down in the caller's transaction: what was accepted cannot be lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import insert, text
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from models.base import new_id
from models.tasks import NIL, Task
from pipelines.limits import DEFAULTS
from pipelines.queue.kinds import TASK_VERSION, Queue, TaskKind
from pipelines.queue.ring import INTERACTIVE_WAITS, Doorbell, waited_since

_NOTED = "doorbells"

_DEFER = """
INSERT INTO tasks (id, kind, args, queue, lane, flow, job_id, tenant_id, priority, run_after,
    request_id, v, dedupe_key, rung_at)
VALUES (:id, :kind, :args, :queue, :lane, :flow, :job_id, :tenant_id, :priority, :run_after,
    :request_id, :v, :dedupe_key, {rung_at})
ON CONFLICT (kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND state = 'ready' DO NOTHING
RETURNING rung_at
"""
_UNRUNG = text(_DEFER.format(rung_at="NULL"))
_RUNG = text(_DEFER.format(rung_at=":now"))
# Rung if nobody else waits who would be overtaken.
_RUNG_IF_NEXT = text(
    _DEFER.format(
        rung_at=f"""CASE WHEN NOT EXISTS (
        SELECT FROM tasks o WHERE o.state = 'ready' AND o.rung_at IS NULL AND o.queue = :queue
          AND (o.lane, o.flow) <> (:lane, :flow) AND o.run_after <= :now)
      AND NOT {INTERACTIVE_WAITS} THEN CAST(:now AS timestamptz) END"""
    )
)


@dataclass(slots=True)
class Noted:
    """What a transaction deferred: the doorbells its caller rings after the commit.

    `waiting` names queues where others wait as well: who is next there is the fair pass's choice.
    """

    doorbells: list[Doorbell] = field(default_factory=list)
    waiting: set[Queue] = field(default_factory=set)


def defer(
    session: Session,
    kind: TaskKind,
    *,
    args: Mapping[str, str | int],
    now: datetime,
    tenant_id: UUID | None = None,
    job_id: UUID | None = None,
    lane: str | None = None,
    flow: UUID | None = None,
    run_after: datetime | None = None,
    priority: int = 100,
    dedupe_key: str | None = None,
) -> UUID:
    """Insert one task; it exists if and only if the caller's transaction commits.

    `args` holds ids and numbers only. `dedupe_key` keeps one ready task per kind and key. `flow`
    is who takes turns within the lane, if not the job. After `note_doorbells` a task that is due
    at once is noted there, to be rung without a relay.
    """
    row = _row(
        kind,
        args,
        now=now,
        tenant_id=tenant_id,
        job_id=job_id,
        lane=lane,
        flow=flow,
        run_after=run_after,
        priority=priority,
    )
    identity: UUID = row["id"]  # type: ignore[assignment]
    noted: Noted | None = session.info.get(_NOTED)
    is_due = run_after is None or run_after <= now
    values = row | {"args": Jsonb(row["args"]), "dedupe_key": dedupe_key, "now": now}
    statement = _UNRUNG
    if noted is not None and is_due:
        # A request's own queue is rung at once.
        statement = _RUNG if kind.queue is Queue.INTERACTIVE else _RUNG_IF_NEXT
        values["waited_since"] = waited_since(now, DEFAULTS)
    inserted = session.execute(statement, values).one_or_none()
    if noted is not None and is_due and inserted is not None:
        if inserted.rung_at is not None:
            noted.doorbells.append(Doorbell(identity, kind.name, kind.queue.value))
        else:
            noted.waiting.add(kind.queue)
    return identity


def note_doorbells(session: Session) -> Noted:
    """Have tasks deferred singly in this transaction noted; the caller rings them after commit.

    If it dies before that, the relay rings them after the ordinary redelivery.
    """
    noted = Noted()
    session.info[_NOTED] = noted
    return noted


def defer_many(
    session: Session,
    kind: TaskKind,
    args_of_each: Sequence[Mapping[str, str | int]],
    *,
    now: datetime,
    tenant_id: UUID | None,
    job_id: UUID | None,
    lane: str | None = None,
    flow: UUID | None = None,
    run_after: datetime | None = None,
    priority: int = 100,
) -> None:
    """Insert many tasks of one kind in one statement."""
    if args_of_each:
        session.execute(
            insert(Task),
            [
                _row(
                    kind,
                    args,
                    now=now,
                    tenant_id=tenant_id,
                    job_id=job_id,
                    lane=lane,
                    flow=flow,
                    run_after=run_after,
                    priority=priority,
                )
                for args in args_of_each
            ],
        )


def _row(
    kind: TaskKind,
    args: Mapping[str, str | int],
    *,
    now: datetime,
    tenant_id: UUID | None,
    job_id: UUID | None,
    lane: str | None,
    flow: UUID | None,
    run_after: datetime | None,
    priority: int,
) -> dict[str, object]:
    # What goes on while its job is paused keeps out of the job's flow, which a pause passes over.
    has_flow = (
        job_id is not None and kind.queue is not Queue.INTERACTIVE and not kind.runs_while_paused
    )
    return {
        "id": new_id(),
        "kind": kind.name,
        "args": dict(args),
        "queue": kind.queue.value,
        "lane": lane or str(tenant_id or "system"),
        "flow": flow or (job_id if has_flow else NIL),
        "job_id": job_id,
        "tenant_id": tenant_id,
        "priority": priority,
        "run_after": run_after or now,
        "request_id": get_contextvars().get("request_id"),
        "v": TASK_VERSION,
    }
