"""Mails on their way out, and the links they carry; of a link's token only the hash is kept."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Id, Utc, of_agency, states
from models.people import Role


class MailState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    BOUNCED = "bounced"
    GAVE_UP = "gave_up"


class OutgoingMail(Base):
    """One mail to one person; what it says and to which address is sealed, and erased at its end."""

    __tablename__ = "outgoing_mails"
    __table_args__ = (
        states("state", MailState),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("state = 'waiting' OR sealed_letter IS NULL", name="erased"),
        Index(None, "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    id: Mapped[Id]
    template: Mapped[str]
    #: Who gets it: at the address they have when it is sent, unless one is sealed.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    sealed_letter: Mapped[bytes | None]
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    #: Why it is not sent yet, or never will be.
    code: Mapped[str | None]
    #: After this it is worth nothing to its reader, and is not sent.
    good_until: Mapped[Utc]
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class PasswordReset(Base):
    """A link by which a new password is chosen, once; without a user it was asked for by nobody."""

    __tablename__ = "password_resets"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))

    id: Mapped[Id]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[Utc]
    #: Used, or followed by a newer one.
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Registration(Base):
    """Who wants an account and has yet to prove the address; it is all sealed."""

    __tablename__ = "registrations"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[Id]
    sealed_person: Mapped[bytes]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[Utc]
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))


class Invitation(Base):
    """An account that waits for its owner to choose a password; address and name are sealed."""

    __tablename__ = "invitations"
    __table_args__ = (
        of_agency(),
        states("role", Role, "role"),
        CheckConstraint("(ended_at IS NULL) = (sealed_guest IS NOT NULL)", name="erased"),
        Index(None, "agency_id", "id"),
        Index(None, "client_id", "id"),
        Index(None, "account"),
        Index(None, "expires_at"),
    )

    id: Mapped[Id]
    agency_id: Mapped[UUID | None]
    client_id: Mapped[UUID | None]
    role: Mapped[str]
    #: None once it has ended.
    sealed_guest: Mapped[bytes | None]
    #: The digest of the address: a newer invitation of the same tenant ends the older.
    account: Mapped[bytes]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    mail_id: Mapped[UUID]
    invited_by: Mapped[UUID]
    expires_at: Mapped[Utc]
    #: Accepted, withdrawn, or followed by a newer one.
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: Who came of it.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[Utc] = mapped_column(server_default=text("now()"))
