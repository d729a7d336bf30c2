"""What is wrong and who has looked: alerts, and the signals they are made from."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, states


class AlertState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How soon somebody must look, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertSignal(Base):
    """Something was seen, or is over; whoever sees it writes it down in the transaction of its cause.

    Signals are only ever inserted, so that no chunk waits for another one's alert; a duty of the
    system folds them into alerts and deletes them. Ids and numbers only.
    """

    __tablename__ = "alert_signals"
    #: The tenant is whole here already: what could not become an alert would stop all others.
    __table_args__ = (of_agency(), states("severity", Severity, "severity"))

    id: Mapped[Id]
    kind: Mapped[str]
    subject_id: Mapped[UUID | None]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    severity: Mapped[str]
    #: How bad within the kind: a higher level than before is news again.
    level: Mapped[int] = mapped_column(server_default=text("0"))
    is_over: Mapped[bool] = mapped_column(server_default=text("false"))
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Alert(Base):
    """One thing that is wrong, however often it was seen; at most one open per kind and subject."""

    __tablename__ = "alerts"
    __table_args__ = (
        of_agency(),
        states("state", AlertState),
        states("severity", Severity, "severity"),
        CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
        Index(
            "uq_alerts_open",
            "kind",
            "subject_id",
            "agency_id",
            "client_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "id"),
        Index(None, "resolved_at", postgresql_where=text("resolved_at IS NOT NULL")),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    subject_id: Mapped[UUID | None]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    severity: Mapped[str]
    level: Mapped[int] = mapped_column(server_default=text("0"))
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    #: How often it was seen since it was opened.
    seen: Mapped[int] = mapped_column(server_default=text("1"))
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    first_seen_at: Mapped[Utc]
    last_seen_at: Mapped[Utc]
    #: Who handled it last said so, in one line; on an alert raised by hand, why.
    note: Mapped[str | None]
    #: Until then nobody is asked to look; when it gets worse before, it is open again.
    snoozed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    acknowledged_by: Mapped[UUID | None]
    acknowledged_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: None on a resolved one: its cause went away by itself.
    resolved_by: Mapped[UUID | None]
    resolved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AlertSubscription(Base):
    """From which severity on a person is told of alerts by mail, and of which kinds."""

    __tablename__ = "alert_subscriptions"
    __table_args__ = (
        of_agency(),
        CheckConstraint(
            "severity IN ('info', 'warning', 'critical', 'none')",
            name="severity",
        ),
        Index(None, "agency_id"),
        Index(None, "client_id"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    #: `none` is nothing at all, which is not the same as having chosen nothing.
    severity: Mapped[str]
    #: None: all kinds.
    kinds: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    changed_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class AlertNotice(Base):
    """When people were last told of a kind of trouble with a subject, at one level."""

    __tablename__ = "alert_notices"
    __table_args__ = (Index(None, "at"),)

    #: Kind, subject, agency and client, in one text; each of the last three may be empty.
    about: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[Utc]
