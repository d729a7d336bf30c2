"""Payments at Stripe, what is paid back or disputed of them, and the events that tell of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    Currency,
    Id,
    MinorUnits,
    Utc,
    of_agency,
    of_same_agency,
    of_same_tenant,
    states,
)


class PaymentPurpose(StrEnum):
    PURCHASE = "purchase"
    TOP_UP = "top_up"


class PaymentState(StrEnum):
    OPEN = "open"
    #: Begun, and told of later: a bank debit (EC-047).
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    #: Another amount was paid than we asked for; a person decides (EC-049).
    MISMATCHED = "mismatched"
    #: All of it.
    REFUNDED = "refunded"
    FAILED = "failed"
    EXPIRED = "expired"


class SessionStatus(StrEnum):
    """In the order in which one is learned over another."""

    NONE = "none"
    OPEN = "open"
    EXPIRED = "expired"
    COMPLETE = "complete"


class Paid(StrEnum):
    """In the order in which one is learned over another."""

    UNPAID = "unpaid"
    PROCESSING = "processing"
    FAILED = "failed"
    PAID = "paid"
    NOT_REQUIRED = "not_required"


class RefundState(StrEnum):
    """In the order in which one is learned over another."""

    #: Ours; Stripe has not answered yet.
    ASKED = "asked"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class EventState(StrEnum):
    RECEIVED = "received"
    HANDLED = "handled"
    #: It says nothing that was not known.
    STALE = "stale"
    #: Of a type that nothing here acts on.
    UNHANDLED = "unhandled"
    #: About a payment that is not there yet; looked at again.
    UNMATCHED = "unmatched"
    MODE_MISMATCH = "mode_mismatch"
    NEEDS_REVIEW = "needs_review"


class Payment(Base):
    """One thing that can be paid once; what is known of it only grows (EC-048)."""

    __tablename__ = "payments"
    __table_args__ = (
        of_agency(),
        states("purpose", PaymentPurpose, "purpose"),
        states("state", PaymentState),
        states("session_status", SessionStatus, "session_status"),
        states("payment", Paid, "payment"),
        CheckConstraint(
            "amount_minor >= 0 AND paid_minor >= 0 AND charge_refunded_minor >= 0 "
            "AND refunded_minor BETWEEN 0 AND coalesce(paid_minor, 0)",
            name="amounts",
        ),
        Index("uq_payments_tenant", "id", "agency_id", "client_id", unique=True),
        Index("uq_payments_agency", "id", "agency_id", unique=True),
        Index("uq_payments_session_id", "session_id", unique=True),
        Index(None, "payment_intent_id"),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "card", postgresql_where=text("card IS NOT NULL")),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    purpose: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    amount_minor: Mapped[MinorUnits]
    currency: Mapped[Currency]
    #: What its page lists: name, quantity, minor units of one.
    lines: Mapped[list[Any]] = mapped_column(JSONB)
    #: What Stripe is told to call it: the reservation's id, or our own.
    reference: Mapped[UUID]
    success_url: Mapped[str]
    cancel_url: Mapped[str]
    #: Which of its keys its page is asked for with: an answer that Stripe keeps may be a failure.
    page_key: Mapped[int] = mapped_column(server_default=text("1"))
    session_id: Mapped[str | None]
    session_url: Mapped[str | None]
    session_status: Mapped[str] = mapped_column(server_default=text("'none'"))
    #: Told to Stripe when the session is made.
    session_expires_at: Mapped[Utc]
    payment_intent_id: Mapped[str | None]
    payment: Mapped[str] = mapped_column(server_default=text("'unpaid'"))
    paid_minor: Mapped[int | None] = mapped_column(BigInteger)
    paid_currency: Mapped[str | None]
    #: The most that Stripe said of the charge; with what failed since, refunds are checked by it.
    charge_refunded_minor: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    refunded_minor: Mapped[MinorUnits] = mapped_column(server_default=text("0"))
    is_accepted: Mapped[bool] = mapped_column(server_default=text("false"))
    is_disputed: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Cards are told apart by it, and nothing else is known of them.
    card: Mapped[str | None]
    last_failure_code: Mapped[str | None]
    #: Why we end the session ourselves; written before Stripe is asked to.
    end_reason: Mapped[str | None]
    end_asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[UUID | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    paid_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Refund(Base):
    """Money back: asked for by us before Stripe is, or learned from Stripe."""

    __tablename__ = "refunds"
    __table_args__ = (
        of_same_tenant("payments", "payment_id"),
        of_same_agency("payments", "payment_id"),
        states("state", RefundState),
        CheckConstraint("amount_minor > 0", name="amount_minor"),
        CheckConstraint("jsonb_typeof(units) = 'object' AND units <> '{}'", name="units"),
        Index("uq_refunds_refund_id", "refund_id", unique=True),
        Index(None, "payment_id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    #: Which of its keys it is sent with: an answer that Stripe keeps may be a failure.
    send_key: Mapped[int] = mapped_column(server_default=text("1"))
    #: Stripe's name of it.
    refund_id: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default=text("'asked'"))
    amount_minor: Mapped[MinorUnits]
    #: How many units of which line of a purchase it pays for, by the line's place.
    units: Mapped[dict[str, int] | None] = mapped_column(JSONB(none_as_null=True))
    reason: Mapped[str]
    #: Why, in the words of whoever asked for it.
    note: Mapped[str | None]
    failure_code: Mapped[str | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Dispute(Base):
    """A payment that the payer's bank asks back; `status` is Stripe's word."""

    __tablename__ = "disputes"
    __table_args__ = (
        of_same_tenant("payments", "payment_id"),
        of_same_agency("payments", "payment_id"),
        Index("uq_disputes_dispute_id", "dispute_id", unique=True),
        Index(None, "payment_id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    dispute_id: Mapped[str]
    status: Mapped[str]
    amount_minor: Mapped[MinorUnits]
    reason: Mapped[str]
    #: When what is known of it was so, by Stripe's clock.
    as_of: Mapped[Utc]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class StripeEvent(Base):
    """An event, once: what we act on of it, never the whole, which names people."""

    __tablename__ = "stripe_events"
    __table_args__ = (
        states("state", EventState),
        Index("uq_stripe_events_own_id", "own_id", unique=True),
        Index(None, "received_at", "id"),
        Index(
            "ix_stripe_events_state",
            "state",
            "received_at",
            "id",
            postgresql_where=text("state NOT IN ('handled', 'stale', 'unhandled')"),
        ),
        Index(None, "payment_id"),
    )

    #: Stripe's.
    id: Mapped[str] = mapped_column(primary_key=True)
    #: What its task names it by.
    own_id: Mapped[UUID]
    type: Mapped[str]
    object_id: Mapped[str | None]
    news: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(server_default=text("'received'"))
    payment_id: Mapped[UUID | None]
    livemode: Mapped[bool]
    account: Mapped[str | None]
    happened_at: Mapped[Utc]
    received_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    was_pulled: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Which of our secrets it was signed with: 0 is the newest.
    secret_place: Mapped[int | None]
    deliveries: Mapped[int] = mapped_column(server_default=text("1"))
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    handled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class StripePull(Base):
    """How far what Stripe lists was read (EC-131)."""

    __tablename__ = "stripe_pulls"

    name: Mapped[str] = mapped_column(primary_key=True)
    pulled_to: Mapped[Utc]
    ran_at: Mapped[Utc]
    found: Mapped[int] = mapped_column(server_default=text("0"))
