"""What is paid for: purchases of shoppers, and credit of tenants; each has the id of its payment."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Utc, of_same_agency, of_same_tenant


class Purchase(Base):
    """A cart that a shopper pays for, with the reservation of a code or without."""

    __tablename__ = "purchases"
    __table_args__ = (
        of_same_tenant("payments", "id"),
        of_same_tenant("discount_usages", "usage_id"),
        CheckConstraint("review = 'risk_high'", name="review"),
        Index(
            "uq_purchases_cart",
            "client_id",
            "cart_reference",
            unique=True,
            postgresql_where=text("is_live"),
        ),
        Index(None, "usage_id"),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "cart_reference"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    usage_id: Mapped[UUID | None]
    cart_reference: Mapped[str]
    cart_digest: Mapped[str]
    quote: Mapped[dict[str, Any]] = mapped_column(JSONB)
    user_id: Mapped[UUID | None]
    customer_keys: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    #: It can still be paid, or waits for a person.
    is_live: Mapped[bool] = mapped_column(server_default=text("true"))
    #: Its customer is counted as one who has bought.
    is_counted: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Paid when its slot had been given back (EC-006).
    is_late: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Why its money is not kept: it is paid back, and confirms nothing.
    refused: Mapped[str | None]
    #: Why what was paid waits for a person; nothing is confirmed by it meanwhile.
    review: Mapped[str | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class TopUp(Base):
    """Credit that is paid for outside; `transfer_id` is its movement, once it is paid."""

    __tablename__ = "top_ups"
    __table_args__ = (
        of_same_tenant("payments", "id"),
        of_same_agency("payments", "id"),
        of_same_tenant("accounts", "account_id"),
        of_same_agency("accounts", "account_id"),
        Index(None, "account_id", "id"),
        Index(None, "transfer_id", postgresql_where=text("transfer_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), primary_key=True)
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"))
    created_by: Mapped[UUID | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
