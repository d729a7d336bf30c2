"""Open, rotate, look up and end sign-ins: opaque tokens outside, their hashes here."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session

from models.base import new_id
from models.people import Role, SignIn
from pipelines.access.principals import Principal
from pipelines.audit.record import record


class SignInKind(StrEnum):
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Opened:
    """A sign-in just opened or rotated; the token is shown once and kept as a hash only."""

    sign_in_id: UUID
    user_id: UUID
    token: str


_HOLDER = """
SELECT u.id, u.role, u.agency_id, u.client_id, s.id AS sign_in_id
FROM sign_ins s JOIN users u ON u.id = s.user_id
WHERE s.kind = :kind AND s.revoked_at IS NULL AND s.expires_at > :now AND u.disabled_at IS NULL
"""
_BY_ID = text(_HOLDER + "AND s.id = :sign_in AND s.user_id = :user")
_ROTATE = text("""
UPDATE sign_ins s SET token_hash = :new_hash, last_used_at = :now, expires_at = :expires_at
FROM users u
WHERE s.token_hash = :old_hash AND s.kind = :kind AND s.revoked_at IS NULL
  AND s.expires_at > :now AND u.id = s.user_id AND u.disabled_at IS NULL
RETURNING s.id, s.user_id
""")


def token_hash(token: str) -> bytes:
    """What is kept of a token: its 256 bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def open_sign_in(
    session: Session, user_id: UUID, kind: SignInKind, *, seconds: int, now: datetime
) -> Opened:
    """Begin a sign-in that lives `seconds`, in the SYSTEM scope."""
    identity, token = new_id(), secrets.token_urlsafe(32)
    session.execute(
        insert(SignIn).values(
            id=identity,
            user_id=user_id,
            kind=kind.value,
            token_hash=token_hash(token),
            expires_at=now + timedelta(seconds=seconds),
        )
    )
    record(session, "sign_in.opened", object_kind="user", object_id=user_id, actor_id=user_id)
    return Opened(identity, user_id, token)


def rotate(session: Session, token: str, *, seconds: int, now: datetime) -> Opened | None:
    """Exchange a refresh token for its successor; None if it is not (or no longer) good."""
    fresh = secrets.token_urlsafe(32)
    row = session.execute(
        _ROTATE,
        {
            "old_hash": token_hash(token),
            "new_hash": token_hash(fresh),
            "kind": SignInKind.REFRESH.value,
            "expires_at": now + timedelta(seconds=seconds),
            "now": now,
        },
    ).one_or_none()
    return None if row is None else Opened(row.id, row.user_id, fresh)


def holder(
    session: Session, sign_in_id: UUID, user_id: UUID, kind: SignInKind, *, now: datetime
) -> Principal | None:
    """Who holds a live sign-in; the role and tenant are read each time, so changes hold at once."""
    values = {"sign_in": sign_in_id, "user": user_id, "kind": kind.value, "now": now}
    row = session.execute(_BY_ID, values).one_or_none()
    return None if row is None else Principal(row.id, Role(row.role), row.agency_id, row.client_id)


def end_sign_ins(
    session: Session, user_id: UUID, *, now: datetime, keep: UUID | None = None
) -> None:
    """End a person's sign-ins everywhere, but for `keep`; the caller's act is what is audited."""
    ended = update(SignIn).where(SignIn.user_id == user_id, SignIn.revoked_at.is_(None))
    if keep is not None:
        ended = ended.where(SignIn.id != keep)
    session.execute(ended.values(revoked_at=now))


def end_sign_in(session: Session, sign_in_id: UUID, *, user_id: UUID, now: datetime) -> None:
    """End one sign-in; every token that rests on it is dead at once."""
    session.execute(
        update(SignIn)
        .where(SignIn.id == sign_in_id, SignIn.user_id == user_id, SignIn.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    record(session, "sign_in.ended", object_kind="user", object_id=user_id, actor_id=user_id)
