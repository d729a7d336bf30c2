"""Vendors' access tokens, shared by all workers; system only."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql import text

from models.base import Base, Id, Utc


class VendorToken(Base):
    """One account's token, sealed; its id is made from what names the account.

    `good_until` is when it is renewed, before its end; `renewed_until` when a claim to do so ends.
    """

    __tablename__ = "vendor_tokens"
    __table_args__ = (
        CheckConstraint("token_sealed IS NULL OR good_until IS NOT NULL", name="good"),
    )

    id: Mapped[Id]
    vendor: Mapped[str]
    token_sealed: Mapped[bytes | None]
    good_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    renewed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
