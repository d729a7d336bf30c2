"""Make people who can sign in, and find them by their address."""

import unicodedata
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.base import new_id
from models.people import Authenticator, Role, User
from pipelines.access.passwords import hash_chosen
from pipelines.access.principals import Principal
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal

_ADOPT = text("""
SELECT adopt_person(:email, :email_normalised, :name, :password_hash, :role, :agency_id, :client_id)
""")


class EmailTaken(Refusal):
    """A person with this address exists, here or in another tenant.

    Whoever may make people learns this much of strangers (decision 0031).
    """

    code = "email_taken"
    kind = Kind.CONFLICT
    detail = "There is a user with this address already."


class UserNotFound(NotFound):
    """Nobody whom the caller may see or give to: a stranger is as unknown as nobody."""

    code = "user_not_found"
    detail = "User not found"


class RoleWithoutTenant(Refusal):
    """The role belongs to an agency or a client, and none was named."""

    code = "tenant_required"
    detail = "This role needs its agency, and a client role its client too."


class TenantNotOfRole(Refusal):
    """A tenant was named that people of the role do not belong to."""

    code = "tenant_not_of_role"
    detail = "Name `client_id` for a role of clients, `agency_id` for one of agencies, else none."


@dataclass(frozen=True, slots=True)
class NewUser:
    """A person to be made; the tenant ids say where the role holds."""

    email: str
    password: str
    role: Role
    name: str = ""
    agency_id: UUID | None = None
    client_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is checked against."""

    user_id: UUID
    email: str
    password_hash: str | None
    is_disabled: bool
    agency_id: UUID | None
    client_id: UUID | None
    has_second_factor: bool
    #: Somebody whom clients gave something to, and nobody's account: see `add_user`.
    is_unclaimed: bool

    @property
    def may_be_adopted(self) -> bool:
        """Whether the address can still become somebody's account."""
        return self.is_unclaimed and not self.is_disabled


OF_AGENCIES = frozenset({Role.AGENCY_ADMIN, Role.AGENCY_VIEWER})
OF_CLIENTS = frozenset({Role.CLIENT_ADMIN, Role.CAMPAIGN_MANAGER, Role.CLIENT_VIEWER})
_IS_UNCLAIMED = (
    User.role == Role.END_USER.value,
    User.password_hash.is_(None),
    User.agency_id.is_(None),
    User.client_id.is_(None),
)


def normalised(email: str) -> str:
    """The form in which addresses are compared."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def create_user(session: Session, person: NewUser, *, actor_id: UUID | None) -> UUID:
    """Make a person, in the SYSTEM scope or in that of who makes them.

    Raises `EmailTaken`, `RoleWithoutTenant`, and `ValidationFailed` for a password that will not
    do.
    """
    fresh = hash_chosen(person.password, words=(person.email, person.name))
    return add_user(session, person, password_hash=fresh, actor_id=actor_id)


def add_user(
    session: Session, person: NewUser, *, password_hash: str | None, actor_id: UUID | None
) -> UUID:
    """As `create_user`, with a hash that was made before, or none yet.

    Somebody whom clients know and who has neither credentials nor tenant becomes this person, and
    keeps what they were given. Who is disabled is not brought back: `EmailTaken`, as for everybody
    who has an account.
    """
    if person.role in OF_AGENCIES | OF_CLIENTS and person.agency_id is None:
        raise RoleWithoutTenant
    if person.role in OF_CLIENTS and person.client_id is None:
        raise RoleWithoutTenant
    values = {
        "email": person.email.strip(),
        "email_normalised": normalised(person.email),
        "name": person.name,
        "password_hash": password_hash,
        "role": person.role.value,
        "agency_id": person.agency_id,
        "client_id": person.client_id,
    }
    identity = _inserted(session, values) or session.execute(_ADOPT, values).scalar_one()
    if identity is None:
        raise EmailTaken
    record(
        session,
        "user.created",
        object_kind="user",
        object_id=identity,
        actor_id=actor_id,
        agency_id=person.agency_id,
        client_id=person.client_id,
        detail={"role": person.role.value},
    )
    return identity


def _inserted(session: Session, values: dict[str, Any]) -> UUID | None:
    """A new row; None if the address is one already, of whomever."""
    identity = new_id()
    try:
        with session.begin_nested():
            session.execute(insert(User).values(id=identity, **values))
    except IntegrityError as error:
        if "uq_users_email_normalised" not in str(error.orig):
            raise
        return None
    return identity


def prove_address(session: Session, user_id: UUID) -> None:
    """Note that the address is the person's, who got a mail there; in the SYSTEM scope."""
    proven = update(User).where(User.id == user_id, User.proven_at.is_(None))
    session.execute(proven.values(proven_at=func.now()))


def has_proven_address(session: Session, user_id: UUID) -> bool:
    """Whether the person is who the address says, in the SYSTEM scope."""
    proven = select(User.id).where(User.id == user_id, User.proven_at.is_not(None))
    return session.execute(proven).one_or_none() is not None


def credentials_of(session: Session, email: str) -> Credentials | None:
    """The credentials kept for an address, in the SYSTEM scope."""
    return _credentials(session, User.email_normalised == normalised(email))


def credentials_by_id(session: Session, user_id: UUID) -> Credentials:
    """The credentials of somebody who is signed in, in the SYSTEM scope."""
    found = _credentials(session, User.id == user_id)
    assert found is not None, "a sign-in has a user"
    return found


def _credentials(session: Session, condition: ColumnElement[bool]) -> Credentials | None:
    has_factor = exists().where(
        Authenticator.user_id == User.id, Authenticator.confirmed_at.is_not(None)
    )
    row = session.execute(
        select(
            User.id,
            User.email,
            User.password_hash,
            User.disabled_at.is_not(None),
            User.agency_id,
            User.client_id,
            has_factor,
            and_(*_IS_UNCLAIMED),
        ).where(condition)
    ).one_or_none()
    # Whoever came by a client's own id of them has no address, and cannot sign in.
    if row is None or row.email is None:
        return None
    return Credentials(
        row.id, row.email, row.password_hash, row[3], row.agency_id, row.client_id, row[6], row[7]
    )


def has_platform_admin(session: Session) -> bool:
    """Whether anybody can look after this installation, in the SYSTEM scope."""
    is_one = (User.role == Role.PLATFORM_ADMIN.value, User.disabled_at.is_(None))
    return session.execute(select(User.id).where(*is_one).limit(1)).scalar_one_or_none() is not None


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the user sees itself."""

    id: UUID
    email: str
    name: str
    role: str
    agency_id: UUID | None
    client_id: UUID | None


def person(session: Session, caller: Principal) -> Person | None:
    """The user behind a principal, in the SYSTEM scope; None for an API key."""
    row = session.execute(
        select(User.id, User.email, User.name, User.role, User.agency_id, User.client_id).where(
            User.id == (caller.acting_for or caller.actor_id)
        )
    ).one_or_none()
    if row is None:
        return None
    return Person(row.id, row.email or "", row.name, row.role, row.agency_id, row.client_id)
