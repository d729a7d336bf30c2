"""What operators and auditors read: the audit log, the heads of its chains, who saw them, and erasures."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, states


class ErasureState(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"


class AuditEntry(Base):
    """One sensitive act, written with its effect; numbered and chained afterwards, per tenant."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index(None, "agency_id", "at"),
        Index(None, "client_id", "at"),
        Index(
            "ix_audit_entries_object_id_at",
            "object_id",
            "at",
            postgresql_where=sql("object_id IS NOT NULL"),
        ),
        Index("ix_audit_entries_unsealed", "at", postgresql_where=sql("sequence IS NULL")),
        Index(
            "uq_audit_entries_sequence",
            "agency_id",
            "client_id",
            "sequence",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=sql("sequence IS NOT NULL"),
        ),
        Index(None, "at", "id"),
        Index(None, "actor_id", "at", postgresql_where=sql("actor_id IS NOT NULL")),
        Index(
            "ix_audit_entries_redeemed",
            "client_id",
            "address",
            "at",
            postgresql_where=sql("action = 'code.redeemed'"),
        ),
        Index("ix_audit_entries_address", "at", postgresql_where=sql("address IS NOT NULL")),
    )

    id: Mapped[Id]
    at: Mapped[Utc] = mapped_column(server_default=sql("now()"))
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    #: What the actor was allowed then; None where nobody asked, as in a worker.
    actor_role: Mapped[str | None]
    #: Whose rights the actor used, when they were not the actor's own.
    on_behalf_of: Mapped[UUID | None]
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[UUID | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None]
    job_id: Mapped[UUID | None]
    #: The network the request came from; outside the hash, because it is forgotten.
    address: Mapped[str | None]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    chain_hash: Mapped[bytes | None]


class AuditHead(Base):
    """Where the chain of one stream stands: the one row that sealers take turns on."""

    __tablename__ = "audit_heads"

    stream: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, server_default=sql("0"))
    hash: Mapped[bytes]
    updated_at: Mapped[Utc] = mapped_column(server_default=sql("now()"))


class AuditWitness(Base):
    """A head as it once was, under a key that the database does not have."""

    __tablename__ = "audit_witnesses"

    stream: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    hash: Mapped[bytes]
    mac: Mapped[bytes]
    at: Mapped[Utc] = mapped_column(server_default=sql("now()"))


class Erasure(Base):
    """A request to forget one person, and how far it has come; whom, is kept until then alone."""

    __tablename__ = "erasures"
    __table_args__ = (
        of_agency(),
        states("state", ErasureState),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    #: None: everywhere, asked by the platform.
    client_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(server_default=sql("'running'"))
    #: None once the work is done: nothing of the person is left here either. Or they have no address.
    sealed_email: Mapped[bytes | None]
    #: Whoever was named by an id of ours or of the client's.
    user_id: Mapped[UUID | None]
    asked_by: Mapped[UUID]
    #: The work goes through the jobs up to `until_job_id`, oldest first, and has come to here.
    until_job_id: Mapped[UUID]
    after_job_id: Mapped[UUID]
    after_position: Mapped[int] = mapped_column(server_default=sql("0"))
    #: A round begins when no transaction with a lower number writes any more.
    waits_for: Mapped[int] = mapped_column(
        BigInteger, server_default=sql("CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
    )
    waits_since: Mapped[Utc] = mapped_column(server_default=sql("now()"))
    #: The first round goes through everything, later ones through undos and clones.
    is_round_of_copies: Mapped[bool] = mapped_column(server_default=sql("false"))
    #: Whether this round has erased something: then somebody may have been copying it.
    has_found: Mapped[bool] = mapped_column(server_default=sql("false"))
    items: Mapped[int] = mapped_column(server_default=sql("0"))
    provisions: Mapped[int] = mapped_column(server_default=sql("0"))
    redemption_codes: Mapped[int] = mapped_column(server_default=sql("0"))
    drafts: Mapped[int] = mapped_column(server_default=sql("0"))
    users: Mapped[int] = mapped_column(server_default=sql("0"))
    created_at: Mapped[Utc] = mapped_column(server_default=sql("now()"))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
