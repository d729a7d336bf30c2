"""Background work as rows: a task lives until its work is done; messages only ring for it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import REAL, BigInteger, DateTime, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, states

#: The flow of work that belongs to no bulk job.
NIL = UUID(int=0)


class TaskState(StrEnum):
    READY = "ready"
    DEAD = "dead"  # its attempts are spent: a person replays or buries it
    BURIED = "buried"  # a person decided that it is not to be done


class Task(Base):
    """One durable piece of work; `args` holds ids only, never people or codes."""

    __tablename__ = "tasks"
    __table_args__ = (
        states("state", TaskState),
        Index(
            "ix_tasks_unrung",
            "queue",
            "lane",
            "flow",
            "priority",
            "run_after",
            postgresql_where=text("state = 'ready' AND rung_at IS NULL"),
        ),
        Index(
            "ix_tasks_rung",
            "rung_at",
            "queue",
            "lane",
            postgresql_where=text("state = 'ready' AND rung_at IS NOT NULL"),
        ),
        Index("ix_tasks_dead", "died_at", postgresql_where=text("state <> 'ready'")),
        Index(
            "uq_tasks_dedupe",
            "kind",
            "dedupe_key",
            unique=True,
            postgresql_where=text("dedupe_key IS NOT NULL AND state = 'ready'"),
        ),
        Index("ix_tasks_job_id", "job_id", postgresql_where=text("job_id IS NOT NULL")),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    args: Mapped[dict[str, Any]] = mapped_column(JSONB)
    queue: Mapped[str]
    #: Fair shares are per lane: the vendor for vendor calls, the tenant otherwise.
    lane: Mapped[str]
    #: Within a lane flows take turns: a bulk job is one, requests of one item share the nil flow.
    flow: Mapped[UUID] = mapped_column(server_default=text(f"'{NIL}'"))
    job_id: Mapped[UUID | None]
    #: The client in whose scope the work runs; none = the system's own duty.
    tenant_id: Mapped[UUID | None]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("100"))
    run_after: Mapped[Utc]
    rung_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    starts: Mapped[int] = mapped_column(server_default=text("0"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: The fencing token: grows with each lease, and every settling write checks it.
    lease_token: Mapped[int] = mapped_column(server_default=text("0"))
    state: Mapped[str] = mapped_column(server_default=text("'ready'"))
    last_error: Mapped[str | None]
    postponed_for: Mapped[str | None]
    died_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    dedupe_key: Mapped[str | None]
    request_id: Mapped[str | None]
    v: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class ScheduleRun(Base):
    """One tick of a standing duty: its row is what lets any number of schedulers fire it once."""

    __tablename__ = "schedule_runs"

    name: Mapped[str] = mapped_column(primary_key=True)
    fire_at: Mapped[Utc] = mapped_column(primary_key=True)
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class ProcessState(StrEnum):
    RUNNING = "running"
    DRAINING = "draining"  # asked to end; it takes nothing new


class Process(Base):
    """A process of ours that says it lives; a row whose beat is old belongs to one that does not."""

    __tablename__ = "processes"
    __table_args__ = (states("state", ProcessState), Index(None, "beat_at"))

    id: Mapped[Id]
    #: Its line in the Procfile: relay, scheduler, or the queue it works on.
    name: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    threads: Mapped[int]
    busy: Mapped[int] = mapped_column(server_default=text("0"))
    #: Since it started.
    done: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    #: Tasks done per second over the last minute.
    rate_per_second: Mapped[float] = mapped_column(REAL, server_default=text("0"))
    rss_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    state: Mapped[str] = mapped_column(server_default=text("'running'"))
    #: What it cannot do just now, by its fault's class; none while all is well.
    trouble: Mapped[str | None]
    #: What it seals with, and how many sealed values did not open since its start.
    key_version: Mapped[int | None] = mapped_column(SmallInteger)
    unopened: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    started_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    beat_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class PausedQueue(Base):
    """What an operator decided about a queue; a queue without a row runs."""

    __tablename__ = "queues"

    name: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_by: Mapped[UUID | None]
    pause_reason: Mapped[str | None]


class IdempotencyKey(Base):
    """A caller's name for a request: its fingerprint and the id of what it made, never a body."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("actor_id", "key"), Index(None, "created_at"))

    id: Mapped[Id]
    actor_id: Mapped[UUID]
    key: Mapped[str]
    fingerprint: Mapped[bytes]
    status: Mapped[int]
    resource_kind: Mapped[str]
    resource_id: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
