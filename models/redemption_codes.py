"""Codes that recipients redeem for a card."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, MinorUnits, Utc, in_campaign


class RedemptionCode(Base):
    """A recipient's code spent on one provision request: unique per campaign, kept as an index."""

    __tablename__ = "redemption_codes"
    __table_args__ = (in_campaign(),)

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    blind_index: Mapped[bytes] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    job_id: Mapped[UUID] = mapped_column(index=True)
    person_key: Mapped[bytes | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class LoadedCode(Base):
    """A code that whoever types it may have one card for; kept as an index, like spent ones."""

    __tablename__ = "loaded_codes"
    __table_args__ = (
        in_campaign(),
        CheckConstraint("denomination_minor > 0", name="denomination"),
        Index("ix_loaded_codes_value", "campaign_id", "brand_id", "denomination_minor"),
    )

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    blind_index: Mapped[bytes] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    brand_id: Mapped[UUID] = mapped_column(ForeignKey("brands.id"))
    denomination_minor: Mapped[MinorUnits]
    #: In whose name its card is asked for.
    loaded_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    #: From then on it brings nothing.
    withdrawn_at: Mapped[Utc | None]
