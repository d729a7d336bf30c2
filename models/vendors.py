"""Vendor accounts as all workers share them: rate, breaker, calls in flight and counted, balances."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, Id, Utc


class VendorAccount(Base):
    """One vendor account: rate bucket, bulkhead and breaker, one row for all workers."""

    __tablename__ = "vendor_accounts"
    __table_args__ = (
        CheckConstraint("rate_per_minute > 0 AND burst > 0", name="rate"),
        CheckConstraint("concurrency > 0", name="concurrency"),
    )

    vendor: Mapped[str] = mapped_column(primary_key=True)
    #: What alerts, tasks and the audit call it by.
    id: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    rate_per_minute: Mapped[int] = mapped_column(server_default=text("6000"))
    burst: Mapped[int] = mapped_column(server_default=text("50"))
    #: Calls in flight at most, over all workers.
    concurrency: Mapped[int] = mapped_column(server_default=text("32"))
    #: No orders are sent there while this is set; what is on its way is driven home.
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: The last call that the vendor answered with our keys.
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: When its catalogue was last read to its end.
    catalogue_read_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: The reading that goes on now: its next page, and since when.
    catalogue_page: Mapped[str | None]
    catalogue_begun_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    micro_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("50000000"))
    filled_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    #: The vendor asked for slower calls: the bucket stays empty until then.
    paused_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Calls that have begun take up the rate until then: who comes late does not begin at once.
    taken_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    breaker_state: Mapped[str] = mapped_column(server_default=text("'closed'"))
    breaker_failures_in_row: Mapped[int] = mapped_column(server_default=text("0"))
    breaker_window: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    breaker_window_calls: Mapped[int] = mapped_column(server_default=text("0"))
    breaker_openings: Mapped[int] = mapped_column(server_default=text("0"))
    breaker_blocked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Open because the vendor does not take our keys.
    breaker_refuses_keys: Mapped[bool] = mapped_column(server_default=text("false"))
    breaker_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class VendorCall(Base):
    """A call in flight, or in the line before it; one whose worker died counts until `until`."""

    __tablename__ = "vendor_calls"

    #: The task that makes the call.
    id: Mapped[Id]
    vendor: Mapped[str] = mapped_column(ForeignKey("vendor_accounts.vendor"), index=True)
    until: Mapped[Utc]
    #: It may begin from here on; None once it has begun.
    starts_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class VendorCallCount(Base):
    """How calls went, by vendor and slice of five minutes."""

    __tablename__ = "vendor_call_counts"

    vendor: Mapped[str] = mapped_column(ForeignKey("vendor_accounts.vendor"), primary_key=True)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    #: The vendor answered; a refusal is an answer too.
    answered: Mapped[int] = mapped_column(server_default=text("0"))
    #: Not reached, throttled, or our keys refused: nothing ran.
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    #: No usable answer: whether it ran is not known.
    unknown: Mapped[int] = mapped_column(server_default=text("0"))


class VendorBalance(Base):
    """What a vendor account held when asked; a new row when it changed, and one an hour."""

    __tablename__ = "vendor_balances"

    vendor: Mapped[str] = mapped_column(ForeignKey("vendor_accounts.vendor"), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    balance_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[Currency]
