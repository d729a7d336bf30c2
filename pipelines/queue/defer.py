"""Write work down in the caller's transaction: what was accepted cannot be lost."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from models.base import new_id
from models.tasks import Task
from pipelines.queue.kinds import TASK_VERSION, TaskKind
from pipelines.queue.ring import Doorbell

_NOTED = "doorbells"


def defer(
    session: Session,
    kind: TaskKind,
    *,
    args: Mapping[str, str | int],
    now: datetime,
    tenant_id: UUID | None = None,
    job_id: UUID | None = None,
    lane: str | None = None,
    run_after: datetime | None = None,
    priority: int = 100,
    dedupe_key: str | None = None,
) -> UUID:
    """Insert one task; it exists if and only if the caller's transaction commits.

    `args` holds ids and numbers only. `dedupe_key` keeps one ready task per kind and key. After
    `note_doorbells` a task that is due at once is noted there, to be rung without a relay.
    """
    row = _row(
        kind,
        args,
        now=now,
        tenant_id=tenant_id,
        job_id=job_id,
        lane=lane,
        run_after=run_after,
        priority=priority,
    )
    identity: UUID = row["id"]  # type: ignore[assignment]
    noted: list[Doorbell] | None = session.info.get(_NOTED)
    rung_at = None
    if noted is not None and (run_after is None or run_after <= now):
        rung_at = now
        noted.append(Doorbell(identity, kind.name, kind.queue.value))
    row |= {"dedupe_key": dedupe_key, "rung_at": rung_at}
    statement = upsert(Task).values(row)
    if dedupe_key is not None:
        statement = statement.on_conflict_do_nothing(
            index_elements=["kind", "dedupe_key"],
            index_where=text("dedupe_key IS NOT NULL AND state = 'ready'"),
        )
    session.execute(statement)
    return identity


def note_doorbells(session: Session) -> list[Doorbell]:
    """Have tasks deferred singly in this transaction noted; the caller rings them after commit.

    If it dies before that, the relay rings them after the ordinary redelivery.
    """
    noted: list[Doorbell] = []
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
    run_after: datetime | None = None,
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
                    run_after=run_after,
                    priority=100,
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
    run_after: datetime | None,
    priority: int,
) -> dict[str, object]:
    return {
        "id": new_id(),
        "kind": kind.name,
        "args": dict(args),
        "queue": kind.queue.value,
        "lane": lane or str(tenant_id or "system"),
        "job_id": job_id,
        "tenant_id": tenant_id,
        "priority": priority,
        "run_after": run_after or now,
        "request_id": get_contextvars().get("request_id"),
        "v": TASK_VERSION,
    }
