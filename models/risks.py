"""What the use of a code was judged by, what a person decided on it, and who tried another's code."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_same_tenant, states


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


class CodeTry(Base):
    """Somebody who tried a code that is another's, once for each of them (EC-017)."""

    __tablename__ = "code_tries"
    __table_args__ = (
        of_same_tenant("discount_codes", "code_id"),
        CheckConstraint("tries > 0 AND last_at >= first_at", name="tries"),
        Index(None, "code_id", "last_at"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    code_id: Mapped[UUID]
    #: What the customer is counted by; nobody reads them back.
    customer_keys: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    tries: Mapped[int]
    first_at: Mapped[Utc]
    last_at: Mapped[Utc]
