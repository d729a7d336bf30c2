"""Whom the house tells by HTTP, what happened, and what became of each telling."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, of_same_agency, of_same_tenant, states


class EndpointState(StrEnum):
    ENABLED = "enabled"
    #: By a person, by three days without success, or because it answered that it is gone.
    DISABLED = "disabled"
    #: Kept for its deliveries; nobody sees or changes it any more.
    DELETED = "deleted"


class WebhookState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    #: Its endpoint was disabled or deleted first.
    CANCELLED = "cancelled"


class WebhookEndpoint(Base):
    """An address of a tenant, or of the platform, that is told of events.

    Its secrets are made from its id and a version, and kept nowhere.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        of_agency(),
        states("state", EndpointState),
        CheckConstraint("(state = 'enabled') = (disabled_at IS NULL)", name="disabled"),
        Index("uq_webhook_endpoints_tenant", "id", "agency_id", "client_id", unique=True),
        Index("uq_webhook_endpoints_agency", "id", "agency_id", unique=True),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "id"),
        Index(None, "failing_since", postgresql_where=text("failing_since IS NOT NULL")),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default=text("''"))
    #: Types of events; None: all of them, those to come included.
    events: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    state: Mapped[str] = mapped_column(server_default=text("'enabled'"))
    #: Why it is disabled, in a word of ours.
    disabled_for: Mapped[str | None]
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    secret_version: Mapped[int] = mapped_column(server_default=text("1"))
    #: Until then the secret before signs too.
    old_secret_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    succeeded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: The first failure since the last success.
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Of how bad a failure its owner was told: 0 none, 1 it began, 2 a day of it, 3 disabled.
    told_level: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    #: The last call failed or was slow, or there was none: all such endpoints share a few places.
    is_slow: Mapped[bool] = mapped_column(server_default=text("false"))
    #: A call is under way, until then at the longest.
    calling_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Its receiver asked to be left alone until then; tests are sent all the same.
    rests_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class WebhookFact(Base):
    """Something happened; written in the transaction of its cause, by any scope.

    Only ever inserted; a duty of the system makes deliveries of facts and deletes them.
    Ids, states and numbers only.
    """

    __tablename__ = "webhook_facts"
    #: The tenant is whole here already: what could not become a delivery would stop all others.
    __table_args__ = (of_agency(), {"implicit_returning": False})

    #: In the order in which causes that wait for each other happened.
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    event_id: Mapped[UUID]
    type: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[UUID]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class WebhookSequence(Base):
    """How many events an object has had."""

    __tablename__ = "webhook_sequences"
    __table_args__ = (Index(None, "at"),)

    object_id: Mapped[UUID] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Utc]


class WebhookDelivery(Base):
    """One event on its way to one endpoint, whose tenant it has: an agency's, if the agency's."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        of_agency(),
        of_same_tenant("webhook_endpoints", "endpoint_id"),
        of_same_agency("webhook_endpoints", "endpoint_id"),
        states("state", WebhookState),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("(state = 'waiting') = (next_at IS NOT NULL)", name="next"),
        Index(
            "ix_webhook_deliveries_waiting",
            "endpoint_id",
            "next_at",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(None, "endpoint_id", "id"),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "id"),
        Index(None, "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[UUID]
    type: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[UUID]
    sequence: Mapped[int] = mapped_column(BigInteger)
    #: Whose object it is; of an agency's endpoint it may be one of its clients.
    object_agency_id: Mapped[UUID | None]
    object_client_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    happened_at: Mapped[Utc]
    #: A person's trial: one try, and nothing is concluded from it.
    is_test: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    #: Tries since it was last sent off; `tries` lists those of all: `{at, outcome, milliseconds}`.
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    tries: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    #: What the last try came to, or why it ended without one.
    outcome: Mapped[str | None]
    next_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
