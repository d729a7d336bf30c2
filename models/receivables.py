"""What an account owes: one row for each top-up that was refunded or disputed outside (EC-077)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, Id, MinorUnits, Utc, of_same_agency, of_same_tenant


class Receivable(Base):
    """Owed is claimed - taken - written_off; while an account owes it is restricted."""

    __tablename__ = "receivables"
    __table_args__ = (
        of_same_tenant("accounts", "account_id"),
        of_same_agency("accounts", "account_id"),
        CheckConstraint(
            "claimed > 0 AND taken >= 0 AND written_off >= 0 AND taken + written_off <= claimed",
            name="parts",
        ),
        CheckConstraint(
            "(settled_at IS NOT NULL) = (taken + written_off = claimed)", name="settled_is_paid"
        ),
        Index(None, "account_id", "id"),
        Index(None, "transfer_id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    #: The movement that brought the credit in, and that was taken back outside.
    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfers.id"))
    #: The name of the dispute or refund where it happened: the same one is never taken twice.
    dispute_id: Mapped[str] = mapped_column(unique=True)
    currency: Mapped[Currency]
    claimed: Mapped[MinorUnits]
    #: What transfers of the kind `claw_back` have moved back so far.
    taken: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    written_off: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    reason: Mapped[str]
    actor_id: Mapped[UUID | None]
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
