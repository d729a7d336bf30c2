"""Books of coupons, the coupons with their states, and what was done to each of them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, of_same_tenant, states

#: Stands for the book as a whole among the people that `coupon_counts` counts.
WHOLE_BOOK = UUID(int=0)


class CouponState(StrEnum):
    UNASSIGNED = "unassigned"
    ASSIGNED = "assigned"
    LOCKED = "locked"
    REDEEMED = "redeemed"
    VOID = "void"


class CouponMove(StrEnum):
    """What can be done to a coupon, as its history says it."""

    ASSIGNED = "assigned"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    LOCK_EXPIRED = "lock_expired"
    REDEEMED = "redeemed"
    RELEASED = "released"
    VOIDED = "voided"


class Book(Base):
    """A supply of coupons with one set of rules; `version` numbers its edits."""

    __tablename__ = "books"
    __table_args__ = (
        of_agency(),
        Index("uq_books_tenant", "id", "agency_id", "client_id", unique=True),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
        Index("ix_books_expires_at", "expires_at", postgresql_where=text("closed_at IS NULL")),
        CheckConstraint("(random_length IS NULL) = (alphabet IS NULL)", name="pattern"),
        CheckConstraint("random_length BETWEEN 1 AND 64", name="random_length"),
        CheckConstraint("expires_at > starts_at", name="window"),
        *(
            CheckConstraint(f"{limit} > 0", name=limit)
            for limit in (
                "max_redemptions_per_coupon",
                "max_redemptions_per_user",
                "max_redemptions",
                "max_assignments_per_user",
                "max_assignments",
            )
        ),
        CheckConstraint(
            "allow_multi_redemption OR max_redemptions_per_coupon IS NULL "
            "OR max_redemptions_per_coupon = 1",
            name="multi",
        ),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    name: Mapped[str]
    #: The pattern `{prefix}-{random}-{suffix}` of codes made here; without one codes are loaded.
    prefix: Mapped[str] = mapped_column(server_default=text("''"))
    random_length: Mapped[int | None] = mapped_column(SmallInteger)
    alphabet: Mapped[str | None]
    suffix: Mapped[str] = mapped_column(server_default=text("''"))
    #: Whether its codes are worth money to whoever holds them, and kept sealed.
    seals_codes: Mapped[bool] = mapped_column(server_default=text("false"))
    allow_multi_redemption: Mapped[bool] = mapped_column(server_default=text("false"))
    max_redemptions_per_coupon: Mapped[int | None]
    max_redemptions_per_user: Mapped[int | None]
    max_redemptions: Mapped[int | None]
    max_assignments_per_user: Mapped[int | None]
    max_assignments: Mapped[int | None]
    starts_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Whether its holders are told by mail when their coupon is redeemed.
    tells_holder: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    #: How many distributions drew from it: the number of a draw is part of its seed.
    draws: Mapped[int] = mapped_column(server_default=text("0"))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Coupon(Base):
    """A code with a state. Triggers hold its moves, its past, and that its book is its tenant's.

    It names a person without a foreign key: who gets coupons was looked up, and nobody is removed.
    """

    __tablename__ = "coupons"
    __table_args__ = (
        states("state", CouponState),
        CheckConstraint(
            "CASE state WHEN 'unassigned' THEN user_id IS NULL "
            "WHEN 'void' THEN true ELSE user_id IS NOT NULL END",
            name="holder",
        ),
        CheckConstraint("(state = 'locked') = (locked_until IS NOT NULL)", name="locked"),
        CheckConstraint("redemptions >= 0", name="redemptions"),
        Index(
            "uq_coupons_deck",
            "book_id",
            "draw_key",
            unique=True,
            postgresql_where=text("state = 'unassigned'"),
        ),
        Index("ix_coupons_holder", "user_id", "id", postgresql_where=text("user_id IS NOT NULL")),
        Index(
            "uq_coupons_item",
            "assigned_job_id",
            "assigned_position",
            unique=True,
            postgresql_where=text("assigned_job_id IS NOT NULL"),
        ),
        # For lists by state; those that nobody has are the most, and pay for none.
        Index(
            "ix_coupons_state",
            "book_id",
            "state",
            "id",
            postgresql_where=text("state <> 'unassigned'"),
        ),
        Index("ix_coupons_locked", "locked_until", postgresql_where=text("state = 'locked'")),
    )

    book_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    #: The text; None where the book seals its codes.
    code: Mapped[str | None]
    #: Its place in the deck, drawn at random when it came in or came back: 63 bits.
    draw_key: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default=text("'unassigned'"))
    user_id: Mapped[UUID | None]
    assigned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: The item that gave it to its holder.
    assigned_job_id: Mapped[UUID | None]
    assigned_position: Mapped[int | None]
    locked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    redemptions: Mapped[int] = mapped_column(server_default=text("0"))
    #: How often it was moved; each move is an event with this number.
    version: Mapped[int] = mapped_column(server_default=text("0"))
    #: The job that made or loaded it.
    load_job_id: Mapped[UUID]


class CodeIndex(Base):
    """Which coupon a code is; the client is part of what is indexed (EC-024, EC-101).

    A trigger holds that the book is its tenant's, statement by statement.
    """

    __tablename__ = "code_index"

    blind_index: Mapped[bytes] = mapped_column(primary_key=True)
    book_id: Mapped[UUID]
    coupon_id: Mapped[UUID]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]


class CouponCode(Base):
    """The text of a code of a book that seals them; the id is its coupon's."""

    __tablename__ = "coupon_codes"

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    code_sealed: Mapped[bytes]
    last4: Mapped[str]


class CouponEvent(Base):
    """One move of a coupon: written with it, and never changed."""

    __tablename__ = "coupon_events"
    __table_args__ = (states("move", CouponMove, "move"),)

    coupon_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[UUID]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    move: Mapped[str]
    #: Whose it is, or was until then.
    user_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    position: Mapped[int | None]
    at: Mapped[Utc]
    reason: Mapped[str | None]


class CouponCount(Base):
    """How many coupons of a book one person holds and has redeemed, where a limit asks for it.

    A trigger holds that the book is its tenant's, statement by statement.
    """

    __tablename__ = "coupon_counts"
    __table_args__ = (CheckConstraint("assigned >= 0 AND redeemed >= 0", name="counted"),)

    book_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    assigned: Mapped[int] = mapped_column(server_default=text("0"))
    redeemed: Mapped[int] = mapped_column(server_default=text("0"))


class OpenRedemption(Base):
    """A redemption that was accepted and is not settled: a coupon has one at a time (EC-085)."""

    __tablename__ = "open_redemptions"
    __table_args__ = (
        ForeignKeyConstraint(["book_id", "coupon_id"], ["coupons.book_id", "coupons.id"]),
        of_same_tenant("jobs", "job_id", ondelete="CASCADE"),
        Index(None, "job_id"),
    )

    coupon_id: Mapped[UUID] = mapped_column(primary_key=True)
    book_id: Mapped[UUID]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    job_id: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class BookDelta(Base):
    """By how much one statement changed a book's stock; a trigger writes it, a duty adds it up."""

    __tablename__ = "book_deltas"
    __table_args__ = (Index(None, "book_id"),)

    id: Mapped[Id] = mapped_column(server_default=text("gen_random_uuid()"))
    book_id: Mapped[UUID]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    unassigned: Mapped[int]
    assigned: Mapped[int]
    locked: Mapped[int]
    redeemed: Mapped[int]
    void: Mapped[int]
    redemptions: Mapped[int]


class BookSum(Base):
    """The sums of the deltas that were added up already; the view `book_stock` is both."""

    __tablename__ = "book_sums"
    __table_args__ = (of_same_tenant("books", "book_id"),)

    book_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    unassigned: Mapped[int] = mapped_column(BigInteger)
    assigned: Mapped[int] = mapped_column(BigInteger)
    locked: Mapped[int] = mapped_column(BigInteger)
    redeemed: Mapped[int] = mapped_column(BigInteger)
    void: Mapped[int] = mapped_column(BigInteger)
    redemptions: Mapped[int] = mapped_column(BigInteger)
