"""Agencies, clients, campaigns, and the brands they may draw on."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, Id, Utc, of_agency, states


class CampaignState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"


class BudgetMode(StrEnum):
    SHARED = "shared"
    ISOLATED = "isolated"


class Agency(Base):
    __tablename__ = "agencies"

    id: Mapped[Id]
    #: Tenant columns stand on the tenant rows too, so that one policy shape serves all tables.
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(unique=True)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("agency_id = id", name="own_agency"),)


class Client(Base):
    __tablename__ = "clients"
    __table_args__ = (
        UniqueConstraint("agency_id", "name"),
        UniqueConstraint("agency_id", "id"),
        CheckConstraint("client_id = id", name="own_client"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID] = mapped_column(ForeignKey("agencies.id"))
    client_id: Mapped[UUID] = mapped_column(index=True)
    name: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    suspended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Campaign(Base):
    __tablename__ = "campaigns"
    __table_args__ = (
        of_agency(),
        UniqueConstraint("client_id", "name"),
        UniqueConstraint("client_id", "id"),
        Index("uq_campaigns_tenant", "agency_id", "client_id", "id", unique=True),
        states("state", CampaignState),
        states("budget_mode", BudgetMode, "budget_mode"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID] = mapped_column(index=True)
    client_id: Mapped[UUID]
    name: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    pause_reason: Mapped[str | None]
    budget_mode: Mapped[str] = mapped_column(server_default=text("'shared'"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Brand(Base):
    """A seller of cards, in one currency; routes say which vendors can sell it."""

    __tablename__ = "brands"
    __table_args__ = (UniqueConstraint("name", "currency"),)

    id: Mapped[Id]
    name: Mapped[str]
    currency: Mapped[Currency]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class BrandRoute(Base):
    """One way to buy a brand's card at a vendor: tried by priority, then cost."""

    __tablename__ = "brand_routes"
    __table_args__ = (
        UniqueConstraint("brand_id", "vendor", "product"),
        Index(None, "brand_id", "priority"),
    )

    id: Mapped[Id]
    brand_id: Mapped[UUID] = mapped_column(ForeignKey("brands.id"))
    vendor: Mapped[str]
    product: Mapped[str]
    priority: Mapped[int] = mapped_column(server_default=text("100"))
    min_minor: Mapped[int | None] = mapped_column(BigInteger)
    max_minor: Mapped[int | None] = mapped_column(BigInteger)


class ClientBrand(Base):
    """A restriction: a client with any such row may draw on these brands only."""

    __tablename__ = "client_brands"
    __table_args__ = (of_agency(),)

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    brand_id: Mapped[UUID] = mapped_column(ForeignKey("brands.id"), primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(index=True)
