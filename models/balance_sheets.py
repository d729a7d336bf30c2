"""The balance sheet that a platform starts from: the file as it was given, and what became of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc


class BalanceSheet(Base):
    """A sheet that two people agree on; applied once, whatever it is called (S4-013)."""

    __tablename__ = "balance_sheets"
    __table_args__ = (
        Index(
            "uq_balance_sheets_applied",
            "sha256",
            unique=True,
            postgresql_where=text("applied_at IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    file: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str]
    asked_by: Mapped[UUID]
    #: What the check found when it was asked for; what was made, once it is applied.
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: One line per row with its account and its movement, once it is applied.
    lines: Mapped[bytes | None] = mapped_column(LargeBinary)
    applied_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
