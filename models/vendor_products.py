"""What vendors sell, as their catalogues said when they were last read."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, Id, Utc


class VendorProduct(Base):
    """One product of a vendor; values in minor units of its card's currency.

    It is sold at `fixed_minor`, or between `least_minor` and `most_minor`. What a card costs, a
    share of its face value and a flat part, is in `cost_currency`; none: the catalogue does not say.
    """

    __tablename__ = "vendor_products"
    __table_args__ = (UniqueConstraint("vendor", "product"),)

    id: Mapped[Id]
    vendor: Mapped[str] = mapped_column(ForeignKey("vendor_accounts.vendor"))
    product: Mapped[str]
    name: Mapped[str]
    currency: Mapped[Currency]
    countries: Mapped[list[str]] = mapped_column(ARRAY(Text))
    least_minor: Mapped[int | None] = mapped_column(BigInteger)
    most_minor: Mapped[int | None] = mapped_column(BigInteger)
    fixed_minor: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    cost_bp: Mapped[int | None]
    cost_flat_minor: Mapped[int | None] = mapped_column(BigInteger)
    cost_currency: Mapped[str | None]
    #: What it cost before it last changed, and when that was.
    was_cost_bp: Mapped[int | None]
    was_cost_flat_minor: Mapped[int | None] = mapped_column(BigInteger)
    cost_changed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[Utc]
    #: Since when the catalogue does not list it any more.
    vanished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
