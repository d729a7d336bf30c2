"""Open, rotate, list, look up and end sign-ins: where a person is signed in, each one revocable."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, or_, select, text, update
from sqlalchemy.orm import Session

from models.base import new_id
from models.people import Role, SignIn, User
from pipelines.access.devices import UNKNOWN, Device
from pipelines.access.principals import Principal
from pipelines.access.refresh_tokens import RefreshClaims, Standing, standing_of
from pipelines.audit.record import Detail, record
from pipelines.errors import NotFound
from pipelines.limits import Limits


class SignInKind(StrEnum):
    """A program's refresh tokens, a browser's session, one that still owes its code, a look."""

    REFRESH = "refresh"
    CONSOLE = "console"
    HALFWAY = "halfway"
    #: Somebody of the platform who looks through this person's eyes.
    IMPERSONATION = "impersonation"


@dataclass(frozen=True, slots=True)
class Rotated:
    """What became of a refresh token: the claims of its successor, or None."""

    successor: RefreshClaims | None
    user_id: UUID | None = None
    was_reused: bool = False


REFUSED = Rotated(None)

_BY_ID = text("""
SELECT u.id, u.role, u.agency_id, u.client_id, s.id AS sign_in_id,
    extract(epoch FROM CAST(:now AS timestamptz) - s.proven_at) AS proof_age,
    EXISTS (SELECT FROM authenticators f
            WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_factor,
    i.id AS impersonator_id, i.role AS impersonator_role
FROM sign_ins s JOIN users u ON u.id = s.user_id LEFT JOIN users i ON i.id = s.impersonator_id
WHERE s.kind IN ('refresh', 'impersonation') AND s.revoked_at IS NULL AND s.expires_at > :now
  AND u.disabled_at IS NULL AND i.disabled_at IS NULL
  AND s.id = :sign_in AND s.user_id = :user
""")
# Locked: of two that offer the same token at once the second sees that it was used.
_LIVE_REFRESH = text("""
SELECT s.user_id, s.generation, s.created_at,
    extract(epoch FROM CAST(:now AS timestamptz) - s.rotated_at) AS since_rotation
FROM sign_ins s JOIN users u ON u.id = s.user_id
WHERE s.id = :id AND s.kind = 'refresh' AND s.revoked_at IS NULL AND s.expires_at > :now
  AND u.disabled_at IS NULL
FOR UPDATE OF s
""")
_ADVANCE = text("""
UPDATE sign_ins SET generation = generation + 1, rotated_at = :now, last_used_at = :now,
    expires_at = :expires_at
WHERE id = :id
""")
# An idle session of a browser is over, though nothing has written so yet.
_LIVING = text("""
SELECT id, kind, created_at, last_used_at, expires_at, address, user_agent FROM sign_ins
WHERE user_id = :user AND kind IN ('refresh', 'console') AND revoked_at IS NULL
  AND expires_at > CAST(:now AS timestamptz)
  AND (kind = 'refresh' OR last_used_at > CAST(:idle_since AS timestamptz))
ORDER BY last_used_at DESC LIMIT :limit
""")


def open_sign_in(
    session: Session,
    user_id: UUID,
    kind: SignInKind,
    *,
    seconds: int,
    now: datetime,
    device: Device = UNKNOWN,
    token_hash: bytes | None = None,
    impersonator_id: UUID | None = None,
) -> UUID:
    """Begin a sign-in of somebody just proven that lives `seconds`, in the SYSTEM scope."""
    identity = new_id()
    session.execute(
        insert(SignIn).values(
            id=identity,
            user_id=user_id,
            kind=kind.value,
            token_hash=token_hash,
            proven_at=now,
            last_used_at=now,
            expires_at=now + timedelta(seconds=seconds),
            address=device.network,
            user_agent=device.user_agent,
            impersonator_id=impersonator_id,
        )
    )
    if kind in {SignInKind.REFRESH, SignInKind.CONSOLE}:
        _audit(session, "sign_in.opened", user_id, identity)
    return identity


def rotate(session: Session, claims: RefreshClaims, *, limits: Limits, now: datetime) -> Rotated:
    """Exchange a genuine refresh token for its successor, in the SYSTEM scope.

    The token before, shortly after, gets the same successor again: its answer was lost on the way.
    An older one ends the sign-in, for somebody else holds what only one should (SEC-01).
    """
    values: dict[str, Any] = {"id": claims.sign_in_id, "now": now}
    row = session.execute(_LIVE_REFRESH, values).one_or_none()
    if row is None:
        return REFUSED
    since = None if row.since_rotation is None else float(row.since_rotation)
    standing = standing_of(claims.generation, row.generation, seconds_since_rotation=since)
    if standing is Standing.REUSED:
        _end(session, claims.sign_in_id, now=now)
        _audit(session, "sign_in.token_reused", row.user_id, claims.sign_in_id)
        return Rotated(None, row.user_id, was_reused=True)
    if standing is Standing.NEWEST:
        longest = row.created_at + timedelta(seconds=limits.refresh_absolute_seconds)
        until = min(now + timedelta(seconds=limits.refresh_token_seconds), longest)
        session.execute(_ADVANCE, values | {"expires_at": until})
    return Rotated(RefreshClaims(claims.sign_in_id, claims.generation + 1), row.user_id)


def holder(session: Session, sign_in_id: UUID, user_id: UUID, *, now: datetime) -> Principal | None:
    """Who holds a live sign-in of a program; role and tenant are read each time, so that changes
    hold at once."""
    values = {"sign_in": sign_in_id, "user": user_id, "now": now}
    row = session.execute(_BY_ID, values).one_or_none()
    return None if row is None else principal_of(row)


def principal_of(row: Row[Any]) -> Principal:
    """The principal of a row with a user's place, the sign-in's, and who looks through it."""
    is_look = row.impersonator_id is not None
    return Principal(
        actor_id=row.impersonator_id if is_look else row.id,
        acting_for=row.id if is_look else None,
        own_role=Role(row.impersonator_role) if is_look else None,
        role=Role(row.role),
        agency_id=row.agency_id,
        client_id=row.client_id,
        sign_in_id=row.sign_in_id,
        proof_age_seconds=None if row.proof_age is None else float(row.proof_age),
        has_second_factor=row.has_factor,
    )


def list_sign_ins(
    session: Session, user_id: UUID, *, now: datetime, limits: Limits
) -> list[Row[Any]]:
    """Where a person is signed in now, last used first; at most as many as a page has."""
    idle_since = now - timedelta(seconds=limits.session_idle_seconds)
    values = {"user": user_id, "now": now, "idle_since": idle_since}
    return list(session.execute(_LIVING, values | {"limit": limits.page_size_max}))


def prove(session: Session, sign_in_id: UUID, *, now: datetime) -> None:
    """Note that the holder was proven just now."""
    session.execute(update(SignIn).where(SignIn.id == sign_in_id).values(proven_at=now))


def end_sign_ins(
    session: Session, user_id: UUID, *, now: datetime, keep: UUID | None = None
) -> None:
    """End a person's sign-ins everywhere, but for `keep`, and what they look at as others.

    The caller's act is what is audited.
    """
    theirs = or_(SignIn.user_id == user_id, SignIn.impersonator_id == user_id)
    ended = update(SignIn).where(theirs, SignIn.revoked_at.is_(None))
    if keep is not None:
        ended = ended.where(SignIn.id != keep)
    session.execute(ended.values(revoked_at=now))


def end_other_sign_ins(session: Session, caller: Principal, *, now: datetime) -> None:
    """End the caller's own sign-ins everywhere but here."""
    end_sign_ins(session, caller.actor_id, now=now, keep=caller.sign_in_id)
    record(
        session,
        "sign_in.others_ended",
        object_kind="user",
        object_id=caller.actor_id,
        actor_id=caller.actor_id,
        agency_id=caller.agency_id,
        client_id=caller.client_id,
    )


def end_sign_in(session: Session, sign_in_id: UUID, *, user_id: UUID, now: datetime) -> None:
    """End one of a person's sign-ins; every token that rests on it is dead at once.

    `NotFound` for one that is another's or never was; one that has ended stays as it ended.
    """
    owner = session.execute(
        text("SELECT user_id FROM sign_ins WHERE id = :id"), {"id": sign_in_id}
    ).scalar_one_or_none()
    if owner != user_id:
        raise NotFound
    if _end(session, sign_in_id, now=now):
        _audit(session, "sign_in.ended", user_id, sign_in_id)


def _end(session: Session, sign_in_id: UUID, *, now: datetime) -> bool:
    result = session.execute(
        update(SignIn)
        .where(SignIn.id == sign_in_id, SignIn.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _audit(session: Session, action: str, user_id: UUID, sign_in_id: UUID) -> None:
    audit_own(session, action, user_id, {"sign_in_id": str(sign_in_id)})


def audit_own(session: Session, action: str, user_id: UUID, detail: Detail | None = None) -> None:
    """What a person did with their own sign-ins, told in the log of their tenant."""
    of_user = select(User.agency_id, User.client_id).where(User.id == user_id)
    tenant = session.execute(of_user).one()
    record(
        session,
        action,
        object_kind="user",
        object_id=user_id,
        actor_id=user_id,
        agency_id=tenant.agency_id,
        client_id=tenant.client_id,
        detail=detail,
    )
