"""People as a client knows them, and the pools that it puts them in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, of_same_tenant


class ClientUser(Base):
    """One person as one client knows them: what it said of them, and whether they are active.

    A trigger adds whoever is made for a client, and copies when somebody is disabled.
    """

    __tablename__ = "client_users"
    __table_args__ = (
        of_agency(),
        CheckConstraint("length(external_id) BETWEEN 1 AND 255", name="external_id"),
        Index(None, "user_id"),
        Index(None, "agency_id", "user_id"),
        Index(
            "uq_client_users_email",
            "client_id",
            "email_normalised",
            unique=True,
            postgresql_where=text("email_normalised IS NOT NULL"),
        ),
        Index(
            "uq_client_users_external_id",
            "client_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    agency_id: Mapped[UUID]
    email: Mapped[str | None]
    email_normalised: Mapped[str | None]
    name: Mapped[str] = mapped_column(server_default=text("''"))
    #: The client's own id of the person: exact bytes.
    external_id: Mapped[str | None]
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class UserPool(Base):
    """A named group of a client's people; triggers keep `members` and `members_version`.

    `version` numbers the edits of the pool itself, `members_version` those of who is in it.
    """

    __tablename__ = "user_pools"
    __table_args__ = (
        of_agency(),
        CheckConstraint("members >= 0", name="members"),
        Index("uq_user_pools_tenant", "id", "agency_id", "client_id", unique=True),
        Index(
            "uq_user_pools_name",
            "client_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=text("archived_at IS NULL"),
        ),
        Index(None, "client_id", "id"),
        Index(None, "agency_id", "id"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default=text("''"))
    members: Mapped[int] = mapped_column(server_default=text("0"))
    members_version: Mapped[int] = mapped_column(server_default=text("1"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    archived_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_by: Mapped[UUID]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class UserPoolMember(Base):
    """A person in a pool, once."""

    __tablename__ = "user_pool_members"
    __table_args__ = (
        of_same_tenant("user_pools", "pool_id"),
        ForeignKeyConstraint(
            ["client_id", "user_id"], ["client_users.client_id", "client_users.user_id"]
        ),
        Index(None, "user_id"),
    )

    pool_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    agency_id: Mapped[UUID]
    client_id: Mapped[UUID]
    added_by: Mapped[UUID]
    added_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
