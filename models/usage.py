"""What was done on each day, to cards and to coupons, and how often discount codes were refused.

Of cards and coupons there are deltas beside their sums, exact at every moment.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, Id, MinorUnits, Utc, in_campaign, of_agency, of_same_tenant


class IssuedDelta(Base):
    """What one statement issued or undid; a trigger on `provisions` writes it, a duty adds it up.

    Deltas are only ever inserted, so that chunks of one campaign do not wait for each other.
    """

    __tablename__ = "issued_deltas"
    __table_args__ = (in_campaign(), Index(None, "client_id"), Index(None, "agency_id"))

    id: Mapped[Id] = mapped_column(server_default=text("gen_random_uuid()"))
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    #: In UTC: of the issuing, or of the undoing, whose numbers are negative.
    day: Mapped[date] = mapped_column(Date)
    source: Mapped[str]
    currency: Mapped[Currency]
    cards: Mapped[int]
    charge_minor: Mapped[MinorUnits]
    #: Of the cards whose cost is known in this currency; the others are counted beside it.
    cost_minor: Mapped[MinorUnits]
    cards_without_cost: Mapped[int]


class IssuedDaily(Base):
    """The sums of the deltas that were added up already."""

    __tablename__ = "issued_daily"
    __table_args__ = (
        in_campaign(),
        Index(None, "agency_id", "day"),
        Index(None, "client_id", "day"),
    )

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[Currency] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    cards: Mapped[int]
    charge_minor: Mapped[MinorUnits]
    cost_minor: Mapped[MinorUnits]
    cards_without_cost: Mapped[int]


class CouponUsageDelta(Base):
    """What one statement did to a book's coupons; a trigger on `coupon_events` writes it, a duty adds it up."""

    __tablename__ = "coupon_usage_deltas"
    __table_args__ = (Index(None, "book_id"),)

    id: Mapped[Id] = mapped_column(server_default=text("gen_random_uuid()"))
    book_id: Mapped[UUID]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    #: In UTC, of the events.
    day: Mapped[date] = mapped_column(Date)
    assigned: Mapped[int]
    released: Mapped[int]
    #: A coupon that is redeemed more than once counts each time.
    redeemed: Mapped[int]
    voided: Mapped[int]


class CouponUsageDaily(Base):
    """The sums of the deltas that were added up already, kept for good; the view `coupon_usage` is both."""

    __tablename__ = "coupon_usage_daily"
    __table_args__ = (
        of_same_tenant("books", "book_id"),
        Index(None, "agency_id", "day"),
        Index(None, "client_id", "day"),
    )

    book_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    assigned: Mapped[int] = mapped_column(BigInteger)
    released: Mapped[int] = mapped_column(BigInteger)
    redeemed: Mapped[int] = mapped_column(BigInteger)
    voided: Mapped[int] = mapped_column(BigInteger)


class DiscountRefusals(Base):
    """How often a code was refused for a reason in a quarter of an hour; fronts add what they counted.

    Days of every time zone begin with a quarter of an hour. Without a code: what no code has.
    """

    __tablename__ = "discount_refusals"
    __table_args__ = (
        of_agency(),
        of_same_tenant("discount_codes", "code_id"),
        CheckConstraint(
            "applied >= 0 AND validated >= 0 AND applied + validated > 0", name="counts"
        ),
        Index(
            "uq_discount_refusals_slot",
            "client_id",
            "slot",
            "code_id",
            "reason",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "code_id", "slot"),
        Index(None, "agency_id", "slot"),
        Index(None, "slot"),
    )

    id: Mapped[Id] = mapped_column(server_default=text("gen_random_uuid()"))
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    code_id: Mapped[UUID | None]
    #: The code of a refusal, as answers say it.
    reason: Mapped[str]
    slot: Mapped[Utc]
    applied: Mapped[int]
    validated: Mapped[int]
