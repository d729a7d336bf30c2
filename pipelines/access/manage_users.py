"""Make and change the people below the caller, in the caller's scope: the rest is not there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, update
from sqlalchemy.orm import Session

from models.people import Role, User
from models.scope import current
from pipelines.access.authenticate import let_try_again
from pipelines.access.delegation import is_same_tier, may_manage
from pipelines.access.principals import Principal
from pipelines.access.read_users import locked_user
from pipelines.access.second_factor import forget_second_factor
from pipelines.access.sign_ins import end_sign_ins
from pipelines.access.users import NewUser, create_user
from pipelines.audit.record import record
from pipelines.errors import Kind, Refusal


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
    """What is to be changed; None leaves it as it is. The reason is kept in the audit log."""

    name: str | None = None
    role: Role | None = None
    is_disabled: bool | None = None
    reason: str | None = None


def make_user(session: Session, caller: Principal, person: NewUser) -> UUID:
    """Make a person below the caller. Raises `NotYoursToManage` and what `create_user` raises."""
    _refuse_other_scopes(caller)
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
    if change.name is not None and change.name != row.name:
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
    told = _changes(row, values)
    if change.reason:
        told["reason"] = change.reason
    _audit(session, "user.changed", caller, row, told)


def change_own_name(session: Session, caller: Principal, name: str) -> None:
    """Say by what name the caller is called; in the SYSTEM scope, as all of one's own account."""
    changed = update(User).where(User.id == caller.actor_id, User.name != name).values(name=name)
    row = session.execute(changed.returning(User.id, User.agency_id, User.client_id)).one_or_none()
    if row is not None:
        _audit(session, "user.changed", caller, row, {"name": "changed"})


def allow_tries(session: Session, caller: Principal, user_id: UUID) -> None:
    """Let a person below the caller try passwords again. `NotFound`, `NotYoursToManage`."""
    row = _managed(session, caller, user_id)
    if row.email is not None:
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
    if forget_second_factor(session, user_id):
        end_sign_ins(session, user_id, now=now)
        _audit(session, "user.second_factor_reset", caller, row, {})


def is_below(caller: Principal, row: Row[Any]) -> bool:
    """Whether the caller may change this person."""
    return row.id != caller.actor_id and may_manage(caller.role, Role(row.role))


def _managed(session: Session, caller: Principal, user_id: UUID) -> Row[Any]:
    _refuse_other_scopes(caller)
    row = locked_user(session, user_id)
    if not is_below(caller, row):
        raise NotYoursToManage
    return row


def _refuse_other_scopes(caller: Principal) -> None:
    """Nothing here says whose people: in a wider scope everybody would be the caller's."""
    if current() != caller.scope:
        raise RuntimeError("people are managed in the scope of who manages them")


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
    session: Session, action: str, caller: Principal, row: Any, detail: dict[str, Any]
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
