"""What vendors say that they sold us, a day at a time, to be compared with our orders."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, MinorUnits, Utc


class VendorStatement(Base):
    """A vendor's statement of one day (UTC); taken again, it takes the place of the first."""

    __tablename__ = "vendor_statements"

    vendor: Mapped[str] = mapped_column(ForeignKey("vendor_accounts.vendor"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    rows: Mapped[int]
    #: How many findings there were when it was taken.
    findings: Mapped[int] = mapped_column(server_default=text("0"))
    taken_by: Mapped[UUID]
    taken_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class VendorStatementRow(Base):
    """One sale as the vendor tells it: our reference, or its own number, and what it took."""

    __tablename__ = "vendor_statement_rows"
    __table_args__ = (
        ForeignKeyConstraint(
            ["vendor", "day"], ["vendor_statements.vendor", "vendor_statements.day"]
        ),
        Index(None, "vendor", "order_id", postgresql_where=text("order_id IS NOT NULL")),
        Index(
            None, "vendor", "vendor_order_id", postgresql_where=text("vendor_order_id IS NOT NULL")
        ),
    )

    vendor: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[UUID | None]
    vendor_order_id: Mapped[str | None]
    amount_minor: Mapped[MinorUnits] = mapped_column(BigInteger)
    currency: Mapped[Currency]
