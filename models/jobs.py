"""Jobs, their chunks and their items: one durable row for every recipient."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, MinorUnits, Utc, in_campaign, of_same_tenant, states, whole_tenant


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    NEEDS_REVIEW = "needs_review"
    CANCELLED = "cancelled"


class ChunkState(StrEnum):
    WAITING = "waiting"  # no task yet
    RELEASED = "released"  # its task is due or running
    OPEN = "open"  # its pass is done, some vendor orders are not
    CLOSED = "closed"  # nothing pending, running or retrying


_MAY_GO_ON = "state IN ('queued', 'running', 'paused')"
_IS_OPEN = "state IN ('queued', 'running', 'paused', 'cancelling')"


class Priority(IntEnum):
    """Which of a tenant's jobs go first; between tenants there is only fairness."""

    HIGH = 50
    NORMAL = 100
    LOW = 150


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        in_campaign(),
        states("state", JobState),
        whole_tenant(),
        Index("uq_jobs_tenant", "id", "agency_id", "client_id", unique=True),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
        Index(
            "uq_jobs_upload",
            "client_id",
            "kind",
            "upload_scope",
            "upload_sha256",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("upload_sha256 IS NOT NULL"),
        ),
        Index(
            "ix_jobs_failed",
            "finished_at",
            postgresql_where=text("state IN ('failed', 'partially_succeeded')"),
        ),
        Index("ix_jobs_open", "client_id", postgresql_where=text(_IS_OPEN)),
        Index(
            "ix_jobs_unfunded",
            "campaign_id",
            postgresql_where=text(f"funded_to IS NOT NULL AND {_MAY_GO_ON}"),
        ),
        Index(
            "uq_jobs_undoing",
            "undoes_id",
            unique=True,
            postgresql_where=text(f"undoes_id IS NOT NULL AND {_IS_OPEN}"),
        ),
        Index("ix_jobs_undoes_id", "undoes_id", postgresql_where=text("undoes_id IS NOT NULL")),
        Index(
            "ix_jobs_copies",
            "id",
            postgresql_where=text("undoes_id IS NOT NULL OR cloned_from_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    agency_id: Mapped[UUID | None]
    #: None for the platform's own jobs (card imports into its pools).
    client_id: Mapped[UUID | None]
    campaign_id: Mapped[UUID | None] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(server_default=text("'queued'"))
    #: What was asked, by the kind: ids, denomination, delivery method. No people, no codes.
    spec: Mapped[dict[str, Any]] = mapped_column(JSONB)
    total: Mapped[int] = mapped_column(server_default=text("0"))
    currency: Mapped[str | None]
    round: Mapped[int] = mapped_column(server_default=text("1"))
    #: The hold covers the items up to this position; None: all of them.
    funded_to: Mapped[int | None]
    #: Charged for its rows beyond `funded_to`, in minor units, while it may go on: a trigger keeps it.
    unfunded_minor: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("100"))
    is_single: Mapped[bool] = mapped_column(server_default=text("false"))
    scheduled_for: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pause_reason: Mapped[str | None]
    paused_by: Mapped[str | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    upload_scope: Mapped[str | None]
    upload_sha256: Mapped[bytes | None]
    file_name: Mapped[str | None]
    #: The job whose recipients this one was given again.
    cloned_from_id: Mapped[UUID | None]
    #: The job whose effects this one takes back.
    undoes_id: Mapped[UUID | None]
    submitted_by: Mapped[UUID | None]
    request_id: Mapped[str | None]
    retain_until: Mapped[datetime] = mapped_column(Date)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Chunk(Base):
    """A slice of a job's items; its counters are kept by a trigger on items, so they cannot lie."""

    __tablename__ = "chunks"
    __table_args__ = (
        of_same_tenant("jobs", "job_id", ondelete="CASCADE"),
        whole_tenant(),
        states("state", ChunkState),
        Index("ix_chunks_open", "client_id", postgresql_where=text("state <> 'closed'")),
    )

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    #: Its items lie between these positions; None for an import, and where 0003's code laid it out.
    first_position: Mapped[int | None]
    last_position: Mapped[int | None]
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    #: Whether this chunk still counts among the released ones of its job.
    holds_slot: Mapped[bool] = mapped_column(server_default=text("true"))
    pending: Mapped[int] = mapped_column(server_default=text("0"))
    running: Mapped[int] = mapped_column(server_default=text("0"))
    retrying: Mapped[int] = mapped_column(server_default=text("0"))
    succeeded: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    skipped: Mapped[int] = mapped_column(server_default=text("0"))
    needs_review: Mapped[int] = mapped_column(server_default=text("0"))
    cancelled: Mapped[int] = mapped_column(server_default=text("0"))
    from_csv: Mapped[int] = mapped_column(server_default=text("0"))
    from_buffer: Mapped[int] = mapped_column(server_default=text("0"))
    from_api: Mapped[int] = mapped_column(server_default=text("0"))
    updated_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Item(Base):
    """One recipient's line in a job, with its own verdict; position = data row of the file."""

    __tablename__ = "items"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "chunk_number"], ["chunks.job_id", "chunks.number"], ondelete="CASCADE"
        ),
        of_same_tenant("jobs", "job_id", ondelete="CASCADE"),
        whole_tenant(),
        states("state", ItemState),
        Index(
            "ix_items_unsuccessful",
            "job_id",
            "state",
            "position",
            postgresql_where=text("state <> 'succeeded'"),
        ),
        Index(
            "ix_items_waiting_for_margin",
            "brand_id",
            postgresql_where=text("state = 'needs_review' AND code = 'margin_below_floor'"),
        ),
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    chunk_number: Mapped[int]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    #: The verdict code of an item that did not succeed, and its sentence for people.
    code: Mapped[str | None]
    detail: Mapped[str | None]
    field: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    reference: Mapped[str | None]
    email: Mapped[str | None]
    name: Mapped[str | None]
    phone: Mapped[str | None]
    person_key: Mapped[bytes | None]
    #: Who gets a coupon, or acts on one.
    user_id: Mapped[UUID | None]
    brand_id: Mapped[UUID | None]
    denomination_minor: Mapped[int | None] = mapped_column(BigInteger)
    charge_minor: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    source: Mapped[str | None]
    result_id: Mapped[UUID | None]
    #: The round whose hold covers this item's charge.
    round: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))


class JobInput(Base):
    """A large upload in parts, as it was given; card files are sealed part by part."""

    __tablename__ = "job_inputs"
    __table_args__ = (of_same_tenant("jobs", "job_id", ondelete="CASCADE"), whole_tenant())

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    part: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    #: Needed to open a sealed part: its bytes are bound to this id.
    id: Mapped[UUID]
    sealed: Mapped[bool]
    content: Mapped[bytes]
