"""Invite somebody by mail: made, listed, withdrawn by those above; accepted once by whose mail it is."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, insert, select, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import Sessions, scoped_transaction
from models.mails import Invitation, OutgoingMail
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.authenticate import account_of, let_try_again
from pipelines.access.delegation import may_manage
from pipelines.access.links import draw_token, token_hash
from pipelines.access.manage_users import NotYoursToManage
from pipelines.access.passwords import hash_chosen
from pipelines.access.permissions import Permission, may
from pipelines.access.principals import Principal
from pipelines.access.users import (
    OF_AGENCIES,
    OF_CLIENTS,
    EmailTaken,
    NewUser,
    RoleWithoutTenant,
    add_user,
    credentials_of,
    prove_address,
)
from pipelines.access.welcome import welcome
from pipelines.audit.record import record
from pipelines.errors import NotFound, Refusal
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.sealing import Keyring, Purpose

LINK_LIVES = timedelta(days=7)
_TABLE, _COLUMN = "invitations", "sealed_guest"

_INVITATIONS: Select[*tuple[Any, ...]] = select(
    Invitation.id,
    Invitation.agency_id,
    Invitation.client_id,
    Invitation.role,
    Invitation.sealed_guest,
    Invitation.mail_id,
    Invitation.invited_by,
    Invitation.expires_at,
    Invitation.ended_at,
    Invitation.user_id,
    Invitation.created_at,
)
_NAMES = text("""
SELECT coalesce((SELECT nullif(name, '') FROM users WHERE id = :inviter), 'An administrator')
        AS inviter,
    coalesce((SELECT name FROM clients WHERE id = :client),
        (SELECT name FROM agencies WHERE id = :agency), '') AS place
""")
# What has ended keeps neither address nor name.
_FOLLOW = text("""
UPDATE invitations SET ended_at = :now, sealed_guest = NULL
WHERE account = :account AND ended_at IS NULL
  AND agency_id IS NOT DISTINCT FROM :agency AND client_id IS NOT DISTINCT FROM :client
""")
_WITHDRAW = text("""
UPDATE invitations SET ended_at = :now, sealed_guest = NULL WHERE id = :id AND ended_at IS NULL
""")
# An invitation is good while who sent it may still come in.
_LIVE = """
SELECT i.id, i.sealed_guest, i.role, i.agency_id, i.client_id, i.invited_by, u.role AS inviter_role
FROM invitations i JOIN users u ON u.id = i.invited_by
WHERE i.token_hash = :hash AND i.ended_at IS NULL AND i.expires_at > :now
  AND u.disabled_at IS NULL
"""
_LOOK = text(_LIVE)
_TAKE = text(_LIVE + "FOR UPDATE OF i")
_ACCEPT = text("""
UPDATE invitations SET ended_at = :now, sealed_guest = NULL, user_id = :user WHERE id = :id
""")


class InvalidInvitation(Refusal):
    """The link is unknown, used, withdrawn, or too old: one answer for all."""

    code = "invalid_invitation"
    detail = "This invitation is not good any more. Ask whoever invited you for a new one."


class InvitationState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is to be invited, to which role, and where it holds."""

    email: str = field(repr=False)
    role: Role
    name: str = field(default="", repr=False)
    agency_id: UUID | None = None
    client_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation as those above see it; what has ended has no address any more."""

    id: UUID
    email: str | None = field(repr=False)
    name: str | None = field(repr=False)
    role: str
    agency_id: UUID | None
    client_id: UUID | None
    state: InvitationState
    mail_id: UUID
    invited_by: UUID
    user_id: UUID | None
    expires_at: datetime
    created_at: datetime
    #: How far the mail with the link has come; None once that is forgotten.
    mail: str | None = None


def invite(
    session: Session, caller: Principal, guest: Guest, *, keyring: Keyring, now: datetime
) -> UUID:
    """Mail a link, in the SYSTEM scope; an earlier one of this tenant to this address ends.

    Raises `NotYoursToManage`, `RoleWithoutTenant`, `EmailTaken`.
    """
    if not may_manage(caller.role, guest.role):
        raise NotYoursToManage
    if guest.role in OF_AGENCIES | OF_CLIENTS and guest.agency_id is None:
        raise RoleWithoutTenant
    kept = credentials_of(session, guest.email)
    if kept is not None and not kept.may_be_adopted:
        raise EmailTaken
    identity, token, account = new_id(), draw_token(), account_of(guest.email)
    place = {"agency": guest.agency_id, "client": guest.client_id}
    session.execute(_FOLLOW, place | {"account": account, "now": now})
    names = session.execute(_NAMES, place | {"inviter": caller.actor_id}).one()
    values = {"token": token, "name": guest.name, "inviter": names.inviter, "place": names.place}
    letter = Letter(Template.INVITATION, address=guest.email, values=values)
    session.execute(
        insert(Invitation).values(
            id=identity,
            agency_id=guest.agency_id,
            client_id=guest.client_id,
            role=guest.role.value,
            sealed_guest=_sealed(keyring, identity, guest),
            account=account,
            token_hash=token_hash(token),
            mail_id=post(session, letter, keyring=keyring, now=now),
            invited_by=caller.actor_id,
            expires_at=now + LINK_LIVES,
        )
    )
    _audit(session, "invitation.made", identity, caller.actor_id, guest)
    return identity


def list_invitations(
    session: Session,
    *,
    keyring: Keyring,
    now: datetime,
    before: UUID | None,
    limit: int,
    only: UUID | None = None,
) -> list[InvitationView]:
    """The invitations that the scope shows, newest first."""
    query = _INVITATIONS
    if before is not None:
        query = query.where(Invitation.id < before)
    if only is not None:
        query = query.where(Invitation.id == only)
    rows = session.execute(query.order_by(Invitation.id.desc()).limit(limit))
    return [_view(row, keyring=keyring, now=now) for row in rows]


def with_mails(session: Session, views: list[InvitationView]) -> list[InvitationView]:
    """The same, each with how far its mail has come: only the SYSTEM scope sees mails."""
    found = session.execute(
        select(OutgoingMail.id, OutgoingMail.state).where(
            OutgoingMail.id.in_([view.mail_id for view in views])
        )
    )
    states = {row.id: row.state for row in found}
    return [replace(view, mail=states.get(view.mail_id)) for view in views]


def withdraw(session: Session, caller: Principal, identity: UUID, *, now: datetime) -> None:
    """End an invitation in the caller's own scope; one that has ended stays as it is.

    Raises `NotFound`, `NotYoursToManage`.
    """
    row = session.execute(
        select(Invitation.role, Invitation.agency_id, Invitation.client_id, Invitation.ended_at)
        .where(Invitation.id == identity)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound
    role = Role(row.role)
    if not may_manage(caller.role, role):
        raise NotYoursToManage
    if row.ended_at is None:
        session.execute(_WITHDRAW, {"id": identity, "now": now})
        guest = Guest("", role, "", row.agency_id, row.client_id)
        _audit(session, "invitation.withdrawn", identity, caller.actor_id, guest)


def is_invitation(session: Session, token: str, *, now: datetime) -> bool:
    """Whether the link would work now, in the SYSTEM scope; looking does not use it."""
    return _good(session.execute(_LOOK, {"hash": token_hash(token), "now": now}).one_or_none())


def accept(
    sessions: Sessions, token: str, password: str, *, name: str | None, keyring: Keyring
) -> UUID:
    """Make the user whose invitation it is, of nobody or of whom clients have given something to.

    Raises `InvalidInvitation`, `EmailTaken`, and `ValidationFailed` for a password that will not
    do, which leaves the link good.
    """
    with scoped_transaction(sessions, SYSTEM) as session:
        guest = _guest(session, token, keyring=keyring)
    chosen = guest.name if name is None else name
    fresh = hash_chosen(password, words=(guest.email, chosen))
    with scoped_transaction(sessions, SYSTEM) as session:
        now = clock.now(session)
        row = session.execute(_TAKE, {"hash": token_hash(token), "now": now}).one_or_none()
        if row is None or not _good(row):
            raise InvalidInvitation
        place = (guest.agency_id, guest.client_id)
        person = NewUser(guest.email, "", guest.role, chosen, *place)
        user_id = add_user(session, person, password_hash=fresh, actor_id=row.invited_by)
        prove_address(session, user_id)
        session.execute(_ACCEPT, {"id": row.id, "user": user_id, "now": now})
        let_try_again(session, guest.email)  # nobody is kept out by what was tried before
        welcome(session, user_id, keyring=keyring, now=now)
        _audit(session, "invitation.accepted", row.id, user_id, guest)
    return user_id


def _guest(session: Session, token: str, *, keyring: Keyring) -> Guest:
    values = {"hash": token_hash(token), "now": clock.now(session)}
    row = session.execute(_LOOK, values).one_or_none()
    if row is None or not _good(row):
        raise InvalidInvitation
    email, name = _opened(keyring, row.id, row.sealed_guest)
    return Guest(email, Role(row.role), name, row.agency_id, row.client_id)


def _good(row: Row[Any] | None) -> bool:
    """Who invited may have lost the role that allowed it."""
    if row is None or not may(Role(row.inviter_role), Permission.USERS_MANAGE):
        return False
    return may_manage(Role(row.inviter_role), Role(row.role))


def _view(row: Row[Any], *, keyring: Keyring, now: datetime) -> InvitationView:
    email = name = None
    if row.sealed_guest is not None:
        email, name = _opened(keyring, row.id, row.sealed_guest)
    state = InvitationState.OPEN if row.expires_at > now else InvitationState.EXPIRED
    if row.ended_at is not None:
        accepted = row.user_id is not None
        state = InvitationState.ACCEPTED if accepted else InvitationState.ENDED
    return InvitationView(
        row.id,
        email,
        name,
        row.role,
        row.agency_id,
        row.client_id,
        state,
        row.mail_id,
        row.invited_by,
        row.user_id,
        row.expires_at,
        row.created_at,
    )


def _sealed(keyring: Keyring, identity: UUID, guest: Guest) -> bytes:
    content = json.dumps({"email": guest.email, "name": guest.name})
    return keyring.seal(Purpose.PII, content, table=_TABLE, row_id=identity, column=_COLUMN)


def _opened(keyring: Keyring, identity: UUID, sealed: bytes) -> tuple[str, str]:
    secret = keyring.open_sealed(Purpose.PII, sealed, table=_TABLE, row_id=identity, column=_COLUMN)
    content = json.loads(secret.reveal())
    return content["email"], content["name"]


def _audit(session: Session, action: str, identity: UUID, actor_id: UUID, guest: Guest) -> None:
    record(
        session,
        action,
        object_kind="invitation",
        object_id=identity,
        actor_id=actor_id,
        agency_id=guest.agency_id,
        client_id=guest.client_id,
        detail={"role": guest.role.value},
    )
