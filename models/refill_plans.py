"""Dates by which a buffer is to hold so many cards."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc


class RefillPlan(Base):
    """So many cards are to be in the pool at that time, for a launch; the platform's."""

    __tablename__ = "refill_plans"
    __table_args__ = (CheckConstraint("needed > 0", name="needed"), Index(None, "pool_id", "by"))

    id: Mapped[Id]
    pool_id: Mapped[UUID] = mapped_column(ForeignKey("card_pools.id"))
    needed: Mapped[int]
    by: Mapped[Utc]
    created_by: Mapped[UUID]
    #: When a person withdrew it: nothing is bought for it any more.
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: When the duty saw that its cards were there at its time, or have come since.
    met_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: When it saw that they were not.
    missed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: When it was too long ago to be asked about any more.
    dropped_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
