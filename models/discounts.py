"""Discount codes, the versions of their rules, slots that are reserved or used, and by whom."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Currency, Id, MinorUnits, Utc, of_agency, of_same_tenant, states


class CodeState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    #: Put away: reserved by nobody any more, and kept with what was paid with it.
    ARCHIVED = "archived"


class UsageState(StrEnum):
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    REFUNDED = "refunded"


class Restores(StrEnum):
    """What a full refund gives back of a usage."""

    NOTHING = "nothing"
    SLOT = "slot"
    #: The slot, and the customer may use the code again.
    CUSTOMER = "customer"


class OnLate(StrEnum):
    """What becomes of a payment that comes after its slot was given back."""

    CONFIRM = "confirm"
    REFUND = "refund"


class DiscountBatch(Base):
    """The codes that one job generated or imported, by the job's id; `state` is what all were last told."""

    __tablename__ = "discount_batches"
    __table_args__ = (
        of_agency(),
        states("state", CodeState),
        Index("uq_discount_batches_tenant", "id", "agency_id", "client_id", unique=True),
        Index(None, "client_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class DiscountCode(Base):
    """A code of a client; `version` numbers its edits, `rules_version` those of what it does."""

    __tablename__ = "discount_codes"
    __table_args__ = (
        of_agency(),
        of_same_tenant("discount_batches", "batch_id"),
        states("state", CodeState),
        CheckConstraint("max_uses > 0", name="max_uses"),
        CheckConstraint("max_uses_per_customer > 0", name="max_uses_per_customer"),
        CheckConstraint("used >= 0 AND used <= coalesce(max_uses, used)", name="used"),
        CheckConstraint("overflow_uses >= 0", name="overflow_uses"),
        states("restore_on_refund", Restores, "restore_on_refund"),
        states("on_late", OnLate, "on_late"),
        CheckConstraint(
            "pause_reason IS NULL OR (pause_reason = 'leak_suspected' AND state = 'paused')",
            name="pause_reason",
        ),
        CheckConstraint(
            "cardinality(assignee_keys) > 0 AND (assigned_user_id IS NULL "
            "OR assignee_keys IS NOT NULL)",
            name="assignee",
        ),
        Index("uq_discount_codes_tenant", "id", "agency_id", "client_id", unique=True),
        Index("uq_discount_codes_code", "client_id", "code", unique=True),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
        Index(None, "batch_id", "id", postgresql_where=text("batch_id IS NOT NULL")),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    #: None: made one by one.
    batch_id: Mapped[UUID | None]
    #: In its one spelling (EC-024).
    code: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    rules_version: Mapped[int] = mapped_column(server_default=text("1"))
    max_uses: Mapped[int | None]
    max_uses_per_customer: Mapped[int | None]
    #: Reserved and confirmed, without those that came too late.
    used: Mapped[int] = mapped_column(server_default=text("0"))
    #: Paid after the slot was gone (EC-006).
    overflow_uses: Mapped[int] = mapped_column(server_default=text("0"))
    restore_on_refund: Mapped[str] = mapped_column(server_default=text("'nothing'"))
    on_late: Mapped[str] = mapped_column(server_default=text("'confirm'"))
    #: Whether it is paused by itself when it seems to spread (EC-017).
    watch_leaks: Mapped[bool] = mapped_column(server_default=text("true"))
    #: Why nobody reserves it, where no person paused it.
    pause_reason: Mapped[str | None]
    resumed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Whom alone it is for, by the indexes of `customer_keys`, and who that is where the client knows
    #: them (EC-017); None: for whoever knows it.
    assignee_keys: Mapped[list[bytes] | None] = mapped_column(ARRAY(LargeBinary))
    assigned_user_id: Mapped[UUID | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class DiscountRulesVersion(Base):
    """What a code does: written once, and never changed (EC-025)."""

    __tablename__ = "discount_rules"
    __table_args__ = (
        of_same_tenant("discount_codes", "code_id"),
        Index(
            "uq_discount_rules_tenant", "code_id", "version", "agency_id", "client_id", unique=True
        ),
        CheckConstraint(
            "CASE kind WHEN 'percent' THEN coalesce(percent_bp BETWEEN 1 AND 10000, false) "
            "AND amount_minor IS NULL WHEN 'fixed' THEN coalesce(amount_minor > 0, false) "
            "AND percent_bp IS NULL AND max_discount_minor IS NULL ELSE false END",
            name="kind",
        ),
        CheckConstraint(
            "currency IS NOT NULL OR (amount_minor IS NULL AND max_discount_minor IS NULL "
            "AND min_subtotal_minor IS NULL)",
            name="currency",
        ),
        # That they ascend is for whoever writes them.
        CheckConstraint(
            "CASE WHEN tiers IS NULL THEN true WHEN jsonb_typeof(tiers) <> 'array' THEN false "
            "ELSE jsonb_array_length(tiers) BETWEEN 1 AND 10 AND currency IS NOT NULL "
            "AND jsonb_array_length(tiers) = jsonb_array_length(CASE kind "
            "WHEN 'percent' THEN jsonb_path_query_array(tiers, 'strict $[*] ? (@.from_minor >= 1 "
            "&& @.percent_bp >= 1 && @.percent_bp <= 10000)') "
            "ELSE jsonb_path_query_array(tiers, 'strict $[*] ? (@.from_minor >= 1 "
            "&& @.amount_minor >= 1)') END) END",
            name="tiers",
        ),
        CheckConstraint("max_discount_minor > 0", name="max_discount_minor"),
        CheckConstraint("min_subtotal_minor > 0", name="min_subtotal_minor"),
        CheckConstraint("cardinality(products) > 0", name="products"),
        CheckConstraint("stacking_group ~ '^[a-z0-9-]{1,40}$'", name="stacking_group"),
        CheckConstraint("expires_at > starts_at", name="window"),
    )

    code_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    kind: Mapped[str]
    percent_bp: Mapped[int | None]
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None]
    max_discount_minor: Mapped[int | None] = mapped_column(BigInteger)
    min_subtotal_minor: Mapped[int | None] = mapped_column(BigInteger)
    #: SKUs; None: all products.
    products: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    first_order_only: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Codes whose groups differ may be on one cart; None: with no other code (EC-018).
    stacking_group: Mapped[str | None]
    starts_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: `{from_minor, percent_bp | amount_minor}`, ascending (S2-127); None: no tiers.
    tiers: Mapped[list[dict[str, int]] | None] = mapped_column(JSONB)
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class DiscountUsage(Base):
    """A slot of a code, kept for one cart; a trigger holds its moves.

    Of several codes of a cart the first one's is the reservation: its row is locked for all of them,
    and the others go with it. Quote, total and cart are the same in each; the discount is its own.
    """

    __tablename__ = "discount_usages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["code_id", "rules_version", "agency_id", "client_id"],
            [f"discount_rules.{name}" for name in ("code_id", "version", "agency_id", "client_id")],
            name="fk_discount_usages_code_id_rules_version_discount_rules",
        ),
        of_same_tenant("discount_usages", "stacked_on"),
        CheckConstraint("stacked_on <> id", name="stacked_on"),
        states("state", UsageState),
        CheckConstraint(
            "discount_minor BETWEEN 0 AND subtotal_minor AND total_minor >= 0", name="amounts"
        ),
        CheckConstraint("(state = 'released') = (release_reason IS NOT NULL)", name="released"),
        CheckConstraint("(state = 'reserved') = (ended_at IS NULL)", name="ended"),
        CheckConstraint(
            "restored IS NULL OR (restored IN ('slot', 'customer') AND state = 'refunded')",
            name="restored",
        ),
        Index("uq_discount_usages_tenant", "id", "agency_id", "client_id", unique=True),
        Index(
            "uq_discount_usages_cart",
            "client_id",
            "cart_reference",
            unique=True,
            postgresql_where=text("state = 'reserved' AND stacked_on IS NULL"),
        ),
        Index(
            "uq_discount_usages_stacked",
            "stacked_on",
            "code_id",
            "client_id",
            unique=True,
            postgresql_where=text("stacked_on IS NOT NULL"),
        ),
        Index(None, "code_id", "id"),
        Index(None, "code_id", "created_at"),
        Index(None, "client_id", "id"),
        Index(
            "ix_discount_usages_live",
            "code_id",
            "expires_at",
            postgresql_where=text("state = 'reserved'"),
        ),
        Index(None, "customer_keys", postgresql_using="gin"),
        Index(None, "purchase_id", postgresql_where=text("purchase_id IS NOT NULL")),
        Index(
            "ix_discount_usages_expires_at",
            "expires_at",
            postgresql_where=text("state = 'reserved'"),
        ),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    code_id: Mapped[UUID]
    #: The rules that it was priced by.
    rules_version: Mapped[int]
    #: The cart's reservation, where the code was added to it (EC-018).
    stacked_on: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(server_default=text("'reserved'"))
    #: The storefront's own id of the cart, and a digest of what was in it.
    cart_reference: Mapped[str]
    cart_digest: Mapped[str]
    quote_version: Mapped[int] = mapped_column(server_default=text("1"))
    quote: Mapped[dict[str, Any]] = mapped_column(JSONB)
    currency: Mapped[Currency]
    subtotal_minor: Mapped[MinorUnits]
    discount_minor: Mapped[MinorUnits]
    total_minor: Mapped[MinorUnits]
    #: Whom the client knows, where it said so.
    user_id: Mapped[UUID | None]
    #: What the customer is counted by; nobody reads them back.
    customer_keys: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    expires_at: Mapped[Utc]
    release_reason: Mapped[str | None]
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    is_overflow: Mapped[bool] = mapped_column(server_default=text("false"))
    #: Its purchase while it can be paid, and the one that paid it.
    purchase_id: Mapped[UUID | None]
    #: What its refund gave back: the slot, or also the customer's use.
    restored: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[UUID | None]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class DiscountCustomer(Base):
    """A customer of a client by one index of theirs: slots set aside, purchases, time-outs in a row."""

    __tablename__ = "discount_customers"
    __table_args__ = (
        of_agency(),
        CheckConstraint("live >= 0 AND purchases >= 0 AND timeouts >= 0", name="counted"),
    )

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_key: Mapped[bytes] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    live: Mapped[int] = mapped_column(server_default=text("0"))
    purchases: Mapped[int] = mapped_column(server_default=text("0"))
    timeouts: Mapped[int] = mapped_column(server_default=text("0"))


class DiscountCustomerUses(Base):
    """How often one customer has used a code, or is about to."""

    __tablename__ = "discount_customer_uses"
    __table_args__ = (
        of_same_tenant("discount_codes", "code_id"),
        CheckConstraint("uses >= 0", name="uses"),
    )

    code_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_key: Mapped[bytes] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    uses: Mapped[int] = mapped_column(server_default=text("0"))
