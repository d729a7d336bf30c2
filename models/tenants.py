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

from models.base import Base, Currency, Id, Utc, in_campaign, of_agency, states


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
        CheckConstraint("ends_at > starts_at", name="window"),
        CheckConstraint("max_rewards > 0", name="max_rewards"),
        CheckConstraint("max_rewards_per_recipient > 0", name="max_rewards_per_recipient"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID] = mapped_column(index=True)
    client_id: Mapped[UUID]
    name: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    pause_reason: Mapped[str | None]
    budget_mode: Mapped[str] = mapped_column(server_default=text("'shared'"))
    #: Rewards are given from the one moment until before the other; none: at any time.
    starts_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    max_rewards: Mapped[int | None]
    max_rewards_per_recipient: Mapped[int | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class RewardCount(Base):
    """How many rewards count towards a campaign's limits, in all and for one recipient.

    A reward counts while its item is open and while its card is given; triggers on `items` and
    `provisions` keep the count. A campaign without a limit has no row.
    """

    __tablename__ = "reward_counts"
    __table_args__ = (in_campaign(),)

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    #: Empty in the row of the whole campaign.
    person_key: Mapped[bytes] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    counted: Mapped[int]


class Brand(Base):
    """A seller of cards, in one currency; routes say which vendors can sell it."""

    __tablename__ = "brands"
    __table_args__ = (UniqueConstraint("name", "currency"),)

    id: Mapped[Id]
    name: Mapped[str]
    currency: Mapped[Currency]
    #: Where its cards are used, ISO 3166-1; none: anywhere.
    country: Mapped[str | None]
    #: What is charged for a card must be this much above its cost; none: no floor.
    min_margin_minor: Mapped[int | None] = mapped_column(BigInteger, server_default=text("0"))
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
    #: Where the product's cards are used, ISO 3166-1.
    country: Mapped[str | None]
    #: What a card is known to cost in the brand's currency: a share of its face value, and a flat part.
    cost_bp: Mapped[int | None]
    cost_flat_minor: Mapped[int | None] = mapped_column(BigInteger)


class ClientBrand(Base):
    """A restriction: a client with any such row may draw on these brands only."""

    __tablename__ = "client_brands"
    __table_args__ = (of_agency(),)

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    brand_id: Mapped[UUID] = mapped_column(ForeignKey("brands.id"), primary_key=True)
    agency_id: Mapped[UUID] = mapped_column(index=True)
