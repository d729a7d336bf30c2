"""Look at people in the caller's scope: lists, one person, one address, open sign-ins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, literal_column, null, or_, select
from sqlalchemy.orm import Session

from models.people import Role, SignIn, SignInFailures, User
from models.user_pools import ClientUser
from pipelines.access.authenticate import account_of
from pipelines.access.users import UserNotFound, normalised
from pipelines.errors import NotFound, Refusal

#: What counts as having signed in: a browser's session or a program's tokens.
_KINDS = ("console", "refresh")
_LAST_SIGN_IN = (
    select(func.max(SignIn.created_at))
    .where(SignIn.user_id == User.id, SignIn.kind.in_(_KINDS))
    .correlate(User)
    .scalar_subquery()
)
_PEOPLE: Select[*tuple[Any, ...]] = select(
    User.id,
    User.email,
    User.name,
    User.role,
    User.agency_id,
    User.client_id,
    User.disabled_at,
    User.created_at,
    _LAST_SIGN_IN.label("last_sign_in_at"),
)
#: Written out, so that the planner sees that an index of just these rows will do.
_END_USER: ColumnElement[str] = literal_column(f"'{Role.END_USER.value}'")


# Whom a client knows without their being of its own: what it knows of them and no more. Of several
# clients' words an agency is told the oldest.
_KNOWN: Select[*tuple[Any, ...]] = (
    select(
        ClientUser.user_id.label("id"),
        ClientUser.email,
        ClientUser.name,
        _END_USER.label("role"),
        null().label("agency_id"),
        null().label("client_id"),
        ClientUser.disabled_at,
        ClientUser.created_at,
        null().label("last_sign_in_at"),
    )
    .order_by(ClientUser.created_at, ClientUser.client_id)
    .limit(1)
)


class SearchByAddress(Refusal):
    """End users are too many to be looked through."""

    code = "search_by_address"
    detail = "End users are found by their whole address: GET /users/search/by-email."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a list is to show; without a role, all who work here and no end users."""

    role: Role | None = None
    is_disabled: bool | None = None
    words: str = ""


def list_users(
    session: Session, wanted: Wanted, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """The people whom the scope shows, newest first. Raises `SearchByAddress`."""
    query = _PEOPLE.where(*_conditions(wanted))
    if before is not None:
        query = query.where(User.id < before)
    return list(session.execute(query.order_by(User.id.desc()).limit(limit)))


def user_row(session: Session, user_id: UUID) -> Row[Any]:
    """One of them; `NotFound` for everybody else, whether or not there is such a person."""
    return _one(session, _PEOPLE.where(User.id == user_id))


def user_of_address(session: Session, email: str) -> Row[Any]:
    """Who has the address, of the scope's people or of those its clients know; `UserNotFound`."""
    address = normalised(email)
    for query in (
        _PEOPLE.where(User.email_normalised == address),
        _KNOWN.where(ClientUser.email_normalised == address),
    ):
        row: Row[Any] | None = session.execute(query).one_or_none()
        if row is not None:
            return row
    raise UserNotFound


def locked_user(session: Session, user_id: UUID) -> Row[Any]:
    """As `user_row`, locked: of two changes at once the second sees the first."""
    query = _PEOPLE.where(User.id == user_id).with_for_update(key_share=True, of=User)
    return _one(session, query)


def rests_until(session: Session, email: str | None) -> datetime | None:
    """Until when the address takes no password, after too many wrong ones."""
    if email is None:
        return None
    return session.execute(
        select(SignInFailures.rests_until).where(
            SignInFailures.account == account_of(email), SignInFailures.rests_until > func.now()
        )
    ).scalar_one_or_none()


def open_sign_ins(session: Session, user_id: UUID, *, now: datetime) -> int:
    """In how many places the person is signed in."""
    living = (SignIn.revoked_at.is_(None), SignIn.expires_at > now, SignIn.kind.in_(_KINDS))
    found = select(func.count()).select_from(SignIn).where(SignIn.user_id == user_id, *living)
    return session.execute(found).scalar_one()


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    of_end_users = wanted.role is Role.END_USER
    conditions = [User.role == _END_USER if of_end_users else User.role != _END_USER]
    if wanted.role is not None and not of_end_users:
        conditions.append(User.role == wanted.role.value)
    if wanted.is_disabled is not None:
        is_enabled = User.disabled_at.is_(None)
        conditions.append(~is_enabled if wanted.is_disabled else is_enabled)
    words = normalised(wanted.words)
    if words and of_end_users:
        raise SearchByAddress
    if words:
        places = (User.email_normalised, func.lower(User.name))
        conditions.append(or_(*(func.strpos(place, words) > 0 for place in places)))
    return conditions


def _one(session: Session, query: Select[*tuple[Any, ...]]) -> Row[Any]:
    row: Row[Any] | None = session.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row
