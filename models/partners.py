"""Partners, whose sites show the widget: their secrets and offers, their users, and what these claimed."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, of_same_tenant


def _known_to_client(*, deferred: bool = False) -> ForeignKeyConstraint:
    """The person is one whom the client knows."""
    return ForeignKeyConstraint(
        ["client_id", "user_id"],
        ["client_users.client_id", "client_users.user_id"],
        deferrable=True if deferred else None,
        initially="DEFERRED" if deferred else None,
    )


class Partner(Base):
    """A company whose site gives its users coupons of a client; the API calls it a vendor."""

    __tablename__ = "partners"
    __table_args__ = (
        of_agency(),
        Index("uq_partners_tenant", "id", "agency_id", "client_id", unique=True),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
        Index(None, "origins", postgresql_using="gin"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    name: Mapped[str]
    #: In which its months begin and end; an IANA name.
    time_zone: Mapped[str]
    #: Where the widget may be shown: `scheme://host[:port]`, as browsers write it.
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: When a token of its was last taken.
    token_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class PartnerSecret(Base):
    """A key by which a partner signs tokens; the one without an end is the present one."""

    __tablename__ = "partner_secrets"
    __table_args__ = (
        of_same_tenant("partners", "partner_id"),
        CheckConstraint("secret_sealed IS NOT NULL OR ends_at IS NOT NULL", name="text"),
        Index(
            "uq_partner_secrets_current",
            "partner_id",
            unique=True,
            postgresql_where=text("ends_at IS NULL"),
        ),
        Index(None, "partner_id", "id"),
        Index(
            "ix_partner_secrets_ends_at",
            "ends_at",
            postgresql_where=text("ends_at IS NOT NULL AND secret_sealed IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    #: Its base64 text; None once it has ended.
    secret_sealed: Mapped[bytes | None]
    last4: Mapped[str]
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class PartnerOffer(Base):
    """A book whose coupons a partner's users may claim; one that was taken back is ended, and kept."""

    __tablename__ = "partner_offers"
    __table_args__ = (
        of_same_tenant("partners", "partner_id"),
        of_same_tenant("books", "book_id"),
        Index("uq_partner_offers_tenant", "id", "agency_id", "client_id", unique=True),
        Index(
            "uq_partner_offers_book",
            "partner_id",
            "book_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    book_id: Mapped[UUID]
    title: Mapped[str]
    description: Mapped[str] = mapped_column(server_default=text("''"))
    #: In which order offers are shown, from 1.
    place: Mapped[int]
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class PartnerUser(Base):
    """Who a partner's user is here, by the partner's own id of them: exact bytes (EC-107)."""

    __tablename__ = "partner_users"
    __table_args__ = (
        of_same_tenant("partners", "partner_id"),
        _known_to_client(deferred=True),
        CheckConstraint("length(external_id) BETWEEN 1 AND 255", name="external_id"),
        Index("uq_partner_users_user_id", "user_id", unique=True),
    )

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    user_id: Mapped[UUID]
    seen_at: Mapped[Utc]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class WidgetSession(Base):
    """A user's visit to the widget; the token that proves it is kept as a digest (SEC-07)."""

    __tablename__ = "widget_sessions"
    __table_args__ = (
        of_same_tenant("partners", "partner_id"),
        _known_to_client(),
        CheckConstraint("NOT is_direct OR origin IS NOT NULL", name="direct"),
        Index("uq_widget_sessions_token_hash", "token_hash", unique=True),
        Index(
            "ix_widget_sessions_living",
            "partner_id",
            "expires_at",
            postgresql_where=text("revoked_at IS NULL"),
        ),
        Index(None, "user_id"),
        Index(None, "expires_at"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    user_id: Mapped[UUID]
    token_hash: Mapped[bytes]
    #: The site it was opened for; None for one that a server opened.
    origin: Mapped[str | None]
    #: Whether that site itself asks, and not the widget's frame in it.
    is_direct: Mapped[bool] = mapped_column(Boolean)
    expires_at: Mapped[Utc]
    used_at: Mapped[Utc]
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class SpentToken(Base):
    """A token that opened a session: each does so once, whoever sends it again (EC-103)."""

    __tablename__ = "spent_tokens"
    __table_args__ = (Index(None, "forget_at"),)

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    jti_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    forget_at: Mapped[Utc]


class PartnerRefusal(Base):
    """How often a partner's tokens were refused on a day, by the code that said so."""

    __tablename__ = "partner_refusals"
    __table_args__ = (of_same_tenant("partners", "partner_id"),)

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    times: Mapped[int] = mapped_column(server_default=text("1"))
    last_at: Mapped[Utc]


class Claim(Base):
    """A user's own taking of a coupon: once for each coupon, and once a month at each partner."""

    __tablename__ = "claims"
    __table_args__ = (
        of_same_tenant("partners", "partner_id"),
        of_same_tenant("partner_offers", "offer_id"),
        of_same_tenant("books", "book_id"),
        ForeignKeyConstraint(["book_id", "coupon_id"], ["coupons.book_id", "coupons.id"]),
        _known_to_client(),
        Index("uq_claims_coupon_id", "coupon_id", unique=True),
        Index("uq_claims_month", "partner_id", "user_id", "claim_month", unique=True),
        Index(None, "partner_id", "id"),
        Index(None, "user_id", "id"),
        Index(None, "partner_id", "claim_month"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    user_id: Mapped[UUID]
    offer_id: Mapped[UUID]
    book_id: Mapped[UUID]
    coupon_id: Mapped[UUID]
    #: What the request named; None where any coupon would do.
    asked_coupon_id: Mapped[UUID | None]
    #: The first day of the month in the partner's time zone.
    claim_month: Mapped[date] = mapped_column(Date)
    claimed_at: Mapped[Utc]
