"""Card pools, cards (sealed), provisions and the orders placed at vendors."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import (
    Base,
    Currency,
    Id,
    MinorUnits,
    Utc,
    of_same_tenant,
    states,
)


class PoolKind(StrEnum):
    CSV = "csv"
    BUFFER = "buffer"


class Source(StrEnum):
    """Where a card came from, in the order of the waterfall."""

    CSV = "csv"
    BUFFER = "buffer"
    API = "api"


class CardState(StrEnum):
    AVAILABLE = "available"
    ISSUED = "issued"
    QUARANTINED = "quarantined"
    VOID = "void"
    DEFECTIVE = "defective"


class OrderState(StrEnum):
    CREATED = "created"
    CANCELLED = "cancelled"
    SENT = "sent"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class CardPool(Base):
    """The cards of one brand, denomination, currency and kind; the platform's or a client's."""

    __tablename__ = "card_pools"
    __table_args__ = (
        states("kind", PoolKind, "kind"),
        CheckConstraint("denomination_minor > 0", name="denomination"),
        Index(
            "uq_card_pools_identity",
            "brand_id",
            "denomination_minor",
            "currency",
            "kind",
            "client_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    brand_id: Mapped[UUID] = mapped_column(ForeignKey("brands.id"))
    denomination_minor: Mapped[MinorUnits]
    currency: Mapped[Currency]
    kind: Mapped[str]
    cost_per_card_minor: Mapped[int | None] = mapped_column(BigInteger)
    low_watermark: Mapped[int] = mapped_column(server_default=text("0"))
    #: Claims pass it over while this is set; its cards stay where they are.
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Since when a person wants nothing bought ahead for it.
    refill_paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Cards it is filled up to, what may be spent on it in a day, and since when it is being filled.
    refill_target: Mapped[int | None]
    refill_ceiling_minor: Mapped[int | None] = mapped_column(BigInteger)
    refill_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Card(Base):
    """A bearer card: number, PIN and link sealed, found by blind index, shown by last four."""

    __tablename__ = "cards"
    __table_args__ = (
        states("state", CardState),
        states("source", Source, "source"),
        UniqueConstraint("brand_id", "blind_index"),
        Index(
            # A claim's order: of one day the cheapest first, and what is too dear is passed over here.
            "ix_cards_claimable",
            "brand_id",
            "denomination_minor",
            "currency",
            "source",
            "expires_on",
            text("known_cost(cost_minor, cost_currency, currency)"),
            "id",
            postgresql_where=text("state = 'available'"),
        ),
        Index(None, "import_job_id"),
        Index("ix_cards_pool_state", "pool_id", "state"),
        Index(
            "ix_cards_pool_available",
            "pool_id",
            "expires_on",
            postgresql_include=["cost_minor"],
            postgresql_where=text("state = 'available'"),
        ),
        Index(
            "ix_cards_pool_issued",
            "pool_id",
            "issued_at",
            postgresql_where=text("state = 'issued'"),
        ),
        Index(
            "ix_cards_batch_state",
            "import_job_id",
            "state",
            "id",
            postgresql_where=text("import_job_id IS NOT NULL"),
        ),
        Index(
            # What an undo gave back, or a vendor sent wrongly, and no pool holds.
            "ix_cards_without_pool",
            "id",
            postgresql_include=["brand_id", "denomination_minor", "currency", "provider_order_id"],
            postgresql_where=text("pool_id IS NULL AND state = 'quarantined'"),
        ),
    )

    id: Mapped[Id]
    pool_id: Mapped[UUID | None] = mapped_column(ForeignKey("card_pools.id"))
    client_id: Mapped[UUID | None]
    brand_id: Mapped[UUID]
    denomination_minor: Mapped[MinorUnits]
    currency: Mapped[Currency]
    source: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'available'"))
    #: By a word on this card, and not on its batch: it is given back by one as well.
    set_aside_alone: Mapped[bool] = mapped_column(server_default=text("false"))
    sealed_number: Mapped[bytes]
    sealed_pin: Mapped[bytes | None]
    sealed_url: Mapped[bytes | None]
    blind_index: Mapped[bytes]
    last4: Mapped[str]
    #: `infinity` never happens; cards without a date sort last by this far day.
    expires_on: Mapped[date] = mapped_column(server_default=text("'2099-12-31'"))
    cost_minor: Mapped[int | None] = mapped_column(BigInteger)
    cost_currency: Mapped[str | None]
    import_job_id: Mapped[UUID | None]
    #: Its row in that file, counted without the header.
    import_row: Mapped[int | None]
    provider_order_id: Mapped[UUID | None] = mapped_column(unique=True)
    #: When a pool gave it out last.
    issued_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Provision(Base):
    """One card given to one recipient: the product's effect, at most one per item and, unless undone, card."""

    __tablename__ = "provisions"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "position"], ["items.job_id", "items.position"]),
        of_same_tenant("jobs", "job_id"),
        UniqueConstraint("job_id", "position"),
        Index(
            "uq_provisions_card_id",
            "card_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
        states("source", Source, "source"),
        Index(None, "campaign_id", "person_key"),
        Index(None, "transfer_id"),
        Index(
            "ix_provisions_undo_transfer_id",
            "undo_transfer_id",
            postgresql_where=text("undo_transfer_id IS NOT NULL"),
        ),
        Index(
            "uq_provisions_replacement_job_id",
            "replacement_job_id",
            unique=True,
            postgresql_where=text("replacement_job_id IS NOT NULL"),
        ),
        Index(
            "ix_provisions_undone_job_id_undone_at",
            "undone_job_id",
            "undone_at",
            postgresql_where=text("undone_job_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    job_id: Mapped[UUID]
    position: Mapped[int]
    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.id"))
    brand_id: Mapped[UUID]
    source: Mapped[str]
    currency: Mapped[Currency]
    face_value_minor: Mapped[MinorUnits]
    charge_minor: Mapped[MinorUnits]
    cost_minor: Mapped[int | None] = mapped_column(BigInteger)
    cost_currency: Mapped[str | None]
    transfer_id: Mapped[UUID]
    person_key: Mapped[bytes | None]
    last4: Mapped[str]
    delivery_method: Mapped[str]
    #: Reveal links are HMAC(key, id, version): raising the version kills every link.
    reveal_version: Mapped[int] = mapped_column(server_default=text("1"))
    revealed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Taken back by an undo job before anybody saw it; the row stays as history.
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    undone_job_id: Mapped[UUID | None]
    undo_transfer_id: Mapped[UUID | None]
    #: Reported not to work; the job that gives another card for it, and the charge it takes along.
    replaced_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    replacement_job_id: Mapped[UUID | None]
    replacement_transfer_id: Mapped[UUID | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class ProviderOrder(Base):
    """An order for one card at a vendor, committed before the call; its id is the reference.

    It is for an item of a job, or for a pool that is filled ahead; a pool's is the platform's.
    """

    __tablename__ = "provider_orders"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "position"], ["items.job_id", "items.position"]),
        of_same_tenant("jobs", "job_id"),
        states("state", OrderState),
        CheckConstraint(
            "num_nonnulls(agency_id, client_id, job_id, position)"
            " = CASE WHEN pool_id IS NULL THEN 4 ELSE 0 END",
            name="purpose",
        ),
        Index(
            "uq_provider_orders_live",
            "job_id",
            "position",
            unique=True,
            postgresql_where=text("state IN ('created','sent','accepted','unknown','succeeded')"),
        ),
        Index(
            "ix_provider_orders_open",
            "job_id",
            "state",
            postgresql_where=text("state IN ('created','sent','accepted','unknown')"),
        ),
        Index(None, "job_id", "position"),
        Index(
            # Orders that keep a card's place in the pool: open, or until a person has looked.
            "ix_provider_orders_pool_held",
            "pool_id",
            postgresql_where=text(
                "pool_id IS NOT NULL AND (state IN ('created','sent','accepted','unknown')"
                " OR state = 'succeeded' AND review_since IS NOT NULL)"
            ),
        ),
        Index(
            "ix_provider_orders_pool_created_at",
            "pool_id",
            "created_at",
            postgresql_where=text("pool_id IS NOT NULL"),
        ),
        Index(
            # What a pool bought last by a route.
            "ix_provider_orders_pool_bought",
            "pool_id",
            "vendor",
            "product",
            "id",
            postgresql_where=text("pool_id IS NOT NULL AND state = 'succeeded'"),
        ),
        Index(
            "ix_provider_orders_pool_sent_at",
            "pool_id",
            "sent_at",
            postgresql_where=text("pool_id IS NOT NULL"),
        ),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "state", "id"),
        Index(None, "agency_id", "state", "id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    position: Mapped[int | None]
    pool_id: Mapped[UUID | None] = mapped_column(ForeignKey("card_pools.id"))
    brand_id: Mapped[UUID]
    vendor: Mapped[str]
    product: Mapped[str]
    face_value_minor: Mapped[MinorUnits]
    currency: Mapped[Currency]
    #: What it was expected to cost when it was written, if that was known.
    expected_cost_minor: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default=text("'created'"))
    vendor_order_id: Mapped[str | None]
    #: Our code for a refusal or for what is unknown; the vendor's own beside it.
    code: Mapped[str | None]
    vendor_code: Mapped[str | None]
    #: The item's round: a retry may try every route again.
    round: Mapped[int] = mapped_column(server_default=text("1"))
    sends: Mapped[int] = mapped_column(server_default=text("0"))
    lookups: Mapped[int] = mapped_column(server_default=text("0"))
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Since when a person must look: nobody asks the vendor about it any more.
    review_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
