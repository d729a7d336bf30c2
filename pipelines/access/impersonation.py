"""Look through a tenant person's eyes to help them: for half an hour, read-only, told (SEC-30)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models.people import Role, User
from pipelines.access.devices import UNKNOWN, Device
from pipelines.access.principals import Principal
from pipelines.access.sign_ins import SignInKind, open_sign_in
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.limits import Limits

_PLATFORM = frozenset({Role.PLATFORM_ADMIN, Role.PLATFORM_SUPPORT})
_END = text("""
UPDATE sign_ins SET revoked_at = :now
WHERE id = :id AND kind = 'impersonation' AND impersonator_id = :actor AND revoked_at IS NULL
RETURNING user_id
""")


class NotToBeImpersonated(Refusal):
    """Only an enabled person of a tenant can be looked through."""

    code = "not_to_be_impersonated"
    kind = Kind.FORBIDDEN
    detail = "You can look as people of agencies and clients who may sign in themselves."


@dataclass(frozen=True, slots=True)
class Look:
    """Through whose eyes, why, and the ticket that asked for it."""

    user_id: UUID
    reason: str
    ticket: str


def begin_look(
    session: Session,
    caller: Principal,
    look: Look,
    *,
    limits: Limits,
    now: datetime,
    device: Device = UNKNOWN,
    token_hash: bytes | None = None,
) -> UUID:
    """A sign-in in which the caller sees what the person sees, in the SYSTEM scope.

    It is told in the person's own audit log. Raises `NotFound`, `NotToBeImpersonated`.
    """
    person = session.execute(
        select(User.role, User.agency_id, User.client_id, User.disabled_at).where(
            User.id == look.user_id
        )
    ).one_or_none()
    if person is None:
        raise NotFound
    if not may_be_looked_through(person):
        raise NotToBeImpersonated
    identity = open_sign_in(
        session,
        look.user_id,
        SignInKind.IMPERSONATION,
        seconds=limits.impersonation_seconds,
        now=now,
        device=device,
        token_hash=token_hash,
        impersonator_id=caller.actor_id,
    )
    record(
        session,
        "impersonation.began",
        object_kind="user",
        object_id=look.user_id,
        actor_id=caller.actor_id,
        agency_id=person.agency_id,
        client_id=person.client_id,
        detail={"reason": look.reason, "ticket": look.ticket, "sign_in_id": str(identity)},
    )
    return identity


def may_be_looked_through(person: Any) -> bool:
    """Whether it is an enabled person of a tenant."""
    return Role(person.role) not in _PLATFORM and person.disabled_at is None


def end_look(session: Session, caller: Principal, *, now: datetime) -> None:
    """Stop looking: the sign-in is dead at once, in the SYSTEM scope."""
    values = {"id": caller.sign_in_id, "actor": caller.actor_id, "now": now}
    user_id = session.execute(_END, values).scalar_one_or_none()
    if user_id is None:
        return
    record(
        session,
        "impersonation.ended",
        object_kind="user",
        object_id=user_id,
        actor_id=caller.actor_id,
        agency_id=caller.agency_id,
        client_id=caller.client_id,
        detail={"sign_in_id": str(caller.sign_in_id)},
    )
