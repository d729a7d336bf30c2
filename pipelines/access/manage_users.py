"""See and change the people of one's own tenant, in the SYSTEM scope: people have no policy."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select, update
from sqlalchemy.orm import Session

from models.people import Role, SignInFailures, User
from pipelines.access.authenticate import account_of, let_try_again
from pipelines.access.delegation import is_same_tier, may_manage
from pipelines.access.principals import Principal
from pipelines.access.second_factor import remove_second_factor
from pipelines.access.sign_ins import end_sign_ins
from pipelines.access.users import NewUser, create_user
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal

_PEOPLE: Select[*tuple[Any, ...]] = select(
    User.id,
    User.email,
    User.name,
    User.role,
    User.agency_id,
    User.client_id,
    User.disabled_at,
    User.created_at,
)


class NotYoursToManage(Refusal):
    """The person is within the caller's tenant, and not below the caller."""

    code = "not_yours_to_manage"
    kind = Kind.FORBIDDEN
    detail = "You may make and change people whose role is below yours, and not yourself."


class RoleOfAnotherTier(Refusal):
    """The role is one of another tier of the hierarchy."""

    code = "role_of_another_tier"
    detail = (
        "A person keeps their place: a client's people have roles of clients, an agency's of "
        "agencies. Make a new user instead."
    )


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to be changed; None leaves it as it is."""

    name: str | None = None
    role: Role | None = None
    is_disabled: bool | None = None


def list_users(
    session: Session, caller: Principal, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """The people of the caller's tenant and below, newest first."""
    query = _PEOPLE.where(*_own(caller))
    if before is not None:
        query = query.where(User.id < before)
    return list(session.execute(query.order_by(User.id.desc()).limit(limit)))


def user_row(session: Session, caller: Principal, user_id: UUID) -> Row[Any]:
    """One of them; `NotFound` for everybody else, whether or not there is such a person."""
    row = session.execute(_PEOPLE.where(User.id == user_id, *_own(caller))).one_or_none()
    if row is None:
        raise NotFound
    return row


def rests_until(session: Session, email: str) -> datetime | None:
    """Until when the address takes no password, after too many wrong ones."""
    return session.execute(
        select(SignInFailures.rests_until).where(
            SignInFailures.account == account_of(email), SignInFailures.rests_until > func.now()
        )
    ).scalar_one_or_none()


def make_user(session: Session, caller: Principal, person: NewUser) -> UUID:
    """Make a person below the caller. Raises `NotYoursToManage` and what `create_user` raises."""
    if not may_manage(caller.role, person.role):
        raise NotYoursToManage
    user_id = create_user(session, person, actor_id=caller.actor_id)
    let_try_again(session, person.email)  # nobody is kept out by what was tried before
    return user_id


def change_user(
    session: Session, caller: Principal, user_id: UUID, change: UserChange, *, now: datetime
) -> None:
    """Change a person below the caller; who is disabled is signed out everywhere at once.

    Raises `NotFound`, `NotYoursToManage`, `RoleOfAnotherTier`.
    """
    row = _managed(session, caller, user_id)
    values: dict[str, Any] = {}
    if change.name is not None:
        values["name"] = change.name
    if change.role is not None and change.role is not Role(row.role):
        if not is_same_tier(Role(row.role), change.role):
            raise RoleOfAnotherTier
        if not may_manage(caller.role, change.role):
            raise NotYoursToManage
        values["role"] = change.role.value
    if change.is_disabled is not None and change.is_disabled != (row.disabled_at is not None):
        values["disabled_at"] = now if change.is_disabled else None
    if not values:
        return
    session.execute(update(User).where(User.id == user_id).values(**values))
    if values.get("disabled_at") is not None:
        end_sign_ins(session, user_id, now=now)  # and they do not come back when it is lifted
    _audit(session, "user.changed", caller, row, _changes(row, values))


def allow_tries(session: Session, caller: Principal, user_id: UUID) -> None:
    """Let a person below the caller try passwords again. `NotFound`, `NotYoursToManage`."""
    row = _managed(session, caller, user_id)
    let_try_again(session, row.email)
    _audit(session, "user.tries_allowed", caller, row, {})


def sign_out(session: Session, caller: Principal, user_id: UUID, *, now: datetime) -> None:
    """End the sign-ins of a person below the caller. `NotFound`, `NotYoursToManage`."""
    row = _managed(session, caller, user_id)
    end_sign_ins(session, user_id, now=now)
    _audit(session, "user.signed_out", caller, row, {})


def reset_second_factor(
    session: Session, caller: Principal, user_id: UUID, *, now: datetime
) -> None:
    """Take a lost second factor away from a person below the caller, who is signed out.

    `NotFound`, `NotYoursToManage`.
    """
    row = _managed(session, caller, user_id)
    if remove_second_factor(session, user_id, actor_id=caller.actor_id):
        end_sign_ins(session, user_id, now=now)
        _audit(session, "user.second_factor_reset", caller, row, {})


def _managed(session: Session, caller: Principal, user_id: UUID) -> Row[Any]:
    """The person, locked: of two changes at once the second sees the first."""
    query = _PEOPLE.where(User.id == user_id, *_own(caller)).with_for_update(key_share=True)
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound
    if row.id == caller.actor_id or not may_manage(caller.role, Role(row.role)):
        raise NotYoursToManage
    return row


def _own(caller: Principal) -> list[ColumnElement[bool]]:
    if caller.client_id is not None:
        return [User.client_id == caller.client_id]
    return [User.agency_id == caller.agency_id] if caller.agency_id is not None else []


def _changes(row: Row[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Before and after of each field; a name is personal, and only said to have changed."""
    told: dict[str, Any] = {}
    if "role" in values:
        told["role"] = [row.role, values["role"]]
    if "disabled_at" in values:
        told["disabled"] = [row.disabled_at is not None, values["disabled_at"] is not None]
    if "name" in values:
        told["name"] = "changed"
    return told


def _audit(
    session: Session, action: str, caller: Principal, row: Row[Any], detail: dict[str, Any]
) -> None:
    record(
        session,
        action,
        object_kind="user",
        object_id=row.id,
        actor_id=caller.actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
