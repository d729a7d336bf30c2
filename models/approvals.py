"""Acts that wait for a second person before they happen."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import DateTime, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Json, Utc, of_agency, states


class ApprovalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class Approval(Base):
    """One act that one person asked for and another has to approve before it expires (SEC-31)."""

    __tablename__ = "approvals"
    __table_args__ = (
        of_agency(),
        states("state", ApprovalState),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    kind: Mapped[str]
    #: Ids, amounts, and the asker's own notes; what is done is done from these.
    detail: Mapped[Json]
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    requested_by: Mapped[UUID]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str | None]
    #: What was made by the act, once it was approved.
    result_id: Mapped[UUID | None]
    expires_at: Mapped[Utc]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
