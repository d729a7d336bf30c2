"""What the use of a code was judged by, and what a person decided on it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Utc, of_same_tenant, states


class Decision(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


class UsageRisk(Base):
    """One for each reservation; the keys are digests of one client's own that nobody reads back."""

    __tablename__ = "usage_risks"
    __table_args__ = (
        of_same_tenant("discount_usages", "usage_id"),
        states("decision", Decision, "decision"),
        CheckConstraint("score BETWEEN 0 AND 100", name="score"),
        CheckConstraint(
            "num_nulls(decision, decided_by, decided_at, decision_reason) IN (0, 4) "
            "AND (decision IS NULL OR flagged_at IS NOT NULL)",
            name="decided",
        ),
        Index(None, "network_key", "created_at", postgresql_where=text("network_key IS NOT NULL")),
        Index(None, "device_key", "created_at", postgresql_where=text("device_key IS NOT NULL")),
        Index(None, "code_id", "mailbox_key", postgresql_where=text("mailbox_key IS NOT NULL")),
        Index(
            "ix_usage_risks_waits",
            "client_id",
            "usage_id",
            postgresql_where=text("flagged_at IS NOT NULL AND decision IS NULL"),
        ),
        Index(
            "ix_usage_risks_flagged",
            "client_id",
            "usage_id",
            postgresql_where=text("flagged_at IS NOT NULL"),
        ),
    )

    usage_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    code_id: Mapped[UUID]
    score: Mapped[int]
    #: Our own words for what was noticed, with points and counts.
    reasons: Mapped[list[Any]] = mapped_column(JSONB)
    #: Of a network and a day, a device, a mailbox however its address is written, the card that paid.
    network_key: Mapped[bytes | None]
    device_key: Mapped[bytes | None]
    mailbox_key: Mapped[bytes | None]
    card_key: Mapped[bytes | None]
    created_at: Mapped[Utc]
    flagged_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decision: Mapped[str | None]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decision_reason: Mapped[str | None]
