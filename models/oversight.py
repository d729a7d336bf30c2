"""What operators and auditors read: the audit log (sealed later by a duty)."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc


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
    )

    id: Mapped[Id]
    at: Mapped[Utc] = mapped_column(server_default=sql("now()"))
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[UUID | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    chain_hash: Mapped[bytes | None]
