"""What a card is charged at where that is not its face value: for a brand, or for one client."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency


class Price(Base):
    """A rule of one brand; never edited, only ended, so that every charge stays explained.

    `charge_minor` is an amount for one denomination; `charge_bp` a share of the face value in
    basis points, for one denomination or for all.
    """

    __tablename__ = "prices"
    __table_args__ = (
        of_agency(),
        CheckConstraint(
            "num_nonnulls(charge_minor, charge_bp) = 1"
            " AND (charge_minor IS NULL OR denomination_minor IS NOT NULL)",
            name="rule",
        ),
        CheckConstraint("charge_minor > 0", name="charge_minor"),
        CheckConstraint("charge_bp > 0", name="charge_bp"),
        CheckConstraint("num_nonnulls(agency_id, client_id) IN (0, 2)", name="tenant"),
        Index(
            "uq_prices_current",
            "brand_id",
            "client_id",
            "denomination_minor",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(None, "brand_id", "id"),
    )

    id: Mapped[Id]
    #: Whose price it is; none: everybody's who has no price of their own.
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    brand_id: Mapped[UUID] = mapped_column(ForeignKey("brands.id"))
    denomination_minor: Mapped[int | None] = mapped_column(BigInteger)
    charge_minor: Mapped[int | None] = mapped_column(BigInteger)
    charge_bp: Mapped[int | None]
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
