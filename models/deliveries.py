"""How the link of an issued card gets to its recipient: one row per card, apart from the card.

And which phones want no messages.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_same_tenant, states


class Channel(StrEnum):
    """By which way the link goes out."""

    EMAIL = "email"
    SMS = "sms"


class DeliveryState(StrEnum):
    WAITING = "waiting"
    #: The server of the next station took it over.
    SENT = "sent"
    #: It arrived at the recipient's phone; only SMS tell.
    DELIVERED = "delivered"
    FAILED = "failed"
    #: The card was taken back or replaced, or its recipient erased, before anything was sent.
    CANCELLED = "cancelled"


class Delivery(Base):
    """The sending of one card's link; a resend is another sending of the same row (EC-039)."""

    __tablename__ = "deliveries"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "position"], ["provisions.job_id", "provisions.position"]),
        of_same_tenant("jobs", "job_id"),
        UniqueConstraint("job_id", "position"),
        states("channel", Channel, "channel"),
        states("state", DeliveryState),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended"),
        CheckConstraint(
            "sealed_address IS NULL OR (address_key IS NOT NULL AND address_of_id IS NULL)",
            name="corrected_address",
        ),
        Index(None, "job_id", "position", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    job_id: Mapped[UUID]
    position: Mapped[int]
    channel: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    #: The first sending is 1; a resend raises it, so that a task of an earlier one does nothing.
    sending: Mapped[int] = mapped_column(server_default=text("1"))
    #: A corrected address, and the key of the person it stands for; without a key the item's is used.
    #: A key without an address: it was erased, and the key with it is a pseudonym.
    sealed_address: Mapped[bytes | None]
    address_key: Mapped[bytes | None]
    #: A replacement's: the delivery whose corrected address this one goes to as well.
    address_of_id: Mapped[UUID | None]
    #: Tries of this sending; `tries` lists those of all: `{sending, at, outcome}`.
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    tries: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    #: Why it waits, or why it ended without being sent.
    code: Mapped[str | None]
    #: After this it is not tried any more.
    good_until: Mapped[Utc]
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class SmsOptOut(Base):
    """A phone that answered STOP, known by a keyed hash of its number; START deletes the row."""

    __tablename__ = "sms_opt_outs"

    number_key: Mapped[bytes] = mapped_column(primary_key=True)
    since: Mapped[Utc]
