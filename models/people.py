"""People and their credentials; only hashes of secrets are kept."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from models.base import Base, Id, Utc, of_agency, states


class Role(StrEnum):
    PLATFORM_ADMIN = "platform_admin"
    PLATFORM_SUPPORT = "platform_support"
    AGENCY_ADMIN = "agency_admin"
    AGENCY_VIEWER = "agency_viewer"
    CLIENT_ADMIN = "client_admin"
    CAMPAIGN_MANAGER = "campaign_manager"
    CLIENT_VIEWER = "client_viewer"
    STOREFRONT_KEY = "storefront_key"
    END_USER = "end_user"


#: A role belongs to one tier of the hierarchy; end users come with what they were given.
_PLACE = """CASE
    WHEN role IN ('platform_admin', 'platform_support')
      THEN agency_id IS NULL AND client_id IS NULL
    WHEN role IN ('agency_admin', 'agency_viewer')
      THEN agency_id IS NOT NULL AND client_id IS NULL
    WHEN role IN ('client_admin', 'campaign_manager', 'client_viewer')
      THEN agency_id IS NOT NULL AND client_id IS NOT NULL
    ELSE role = 'end_user' END"""


def _listed(name: str, where: str) -> tuple[Index, Index]:
    """Indexes for a tenant's list of some of its people, by tenant and id (decision 0031)."""
    by_agency = Index(f"ix_users_{name}_agency_id", "agency_id", "id", postgresql_where=text(where))
    by_client = Index(f"ix_users_{name}_client_id", "client_id", "id", postgresql_where=text(where))
    return by_agency, by_client


class User(Base):
    """A person, with or without credentials; the e-mail is unique after normalisation.

    Whoever came by a client's own id alone has none.
    """

    __tablename__ = "users"
    __table_args__ = (
        of_agency(),
        states("role", Role, "role"),
        CheckConstraint(_PLACE, name="place"),
        CheckConstraint(
            "(email IS NULL) = (email_normalised IS NULL) "
            "AND (email IS NOT NULL OR role = 'end_user')",
            name="address",
        ),
        *_listed("staff", "role <> 'end_user'"),
        Index("ix_users_staff", "id", postgresql_where=text("role <> 'end_user'")),
        *_listed("end_users", "role = 'end_user'"),
        *_listed("disabled", "disabled_at IS NOT NULL"),
        Index("ix_users_disabled", "id", postgresql_where=text("disabled_at IS NOT NULL")),
    )

    id: Mapped[Id]
    email: Mapped[str | None]
    email_normalised: Mapped[str | None] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(server_default=text("''"))
    password_hash: Mapped[str | None]
    role: Mapped[str]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Since when it is certain that the address is theirs; None while another chose the password.
    proven_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class SignIn(Base):
    """One place where a person is signed in: a browser's session, or a program's refresh tokens.

    A session has the hash of its token; refresh tokens are derived, and only counted.
    """

    __tablename__ = "sign_ins"
    __table_args__ = (
        Index(None, "user_id"),
        Index(
            "ix_sign_ins_impersonator_id",
            "impersonator_id",
            postgresql_where=text("impersonator_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str]
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    generation: Mapped[int] = mapped_column(server_default=text("0"))
    rotated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    proven_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Who looks through this person's eyes; None for the person.
    impersonator_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    expires_at: Mapped[Utc]
    last_used_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Authenticator(Base):
    """A person's second factor: its sealed secret, and the last time step that was accepted."""

    __tablename__ = "authenticators"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret_sealed: Mapped[bytes | None]
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pending_sealed: Mapped[bytes | None]
    pending_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RecoveryCode(Base):
    """A code that stands in for a lost second factor, once."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class SignInFailures(Base):
    """Wrong passwords in a row for one address, which is kept as a digest."""

    __tablename__ = "sign_in_failures"

    account: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    rests_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    tried_at: Mapped[Utc] = mapped_column(server_default=text("now()"), index=True)


class ApiKey(Base):
    """A storefront's key: bound to one client, scoped, shown once."""

    __tablename__ = "api_keys"
    __table_args__ = (
        of_agency(),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "id"),
        Index(None, "replaces", postgresql_where=text("replaces IS NOT NULL")),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    allowed_cidrs: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    replaces: Mapped[UUID | None]
    expires_at: Mapped[Utc]
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
