"""Console sessions: an opaque token for the browser, its SHA-256 here, idle and absolute ends."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.people import Role, SignIn
from pipelines.access.principals import Principal
from pipelines.audit.record import record
from pipelines.limits import Limits

KIND = "console"
TOKEN_BYTES = 32
#: Longer cookies are not looked up.
TOKEN_CHARACTERS_MAX = 64
#: The last use is written at most this often, so that polling pages do not write each time.
TOUCH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A live session, whose it is, and where in the tree its holder stands."""

    id: UUID
    principal: Principal
    email: str
    name: str
    agency: str | None
    client: str | None


_LIVE = text("""
SELECT s.id, s.last_used_at, u.id AS user_id, u.role, u.agency_id, u.client_id, u.email, u.name,
    a.name AS agency, c.name AS client
FROM sign_ins s JOIN users u ON u.id = s.user_id
LEFT JOIN agencies a ON a.id = u.agency_id LEFT JOIN clients c ON c.id = u.client_id
WHERE s.token_hash = :hash AND s.kind = 'console' AND s.revoked_at IS NULL
  AND s.expires_at > CAST(:now AS timestamptz) AND s.last_used_at > CAST(:idle_since AS timestamptz)
  AND u.disabled_at IS NULL
""")
_TOUCH = text("UPDATE sign_ins SET last_used_at = :now WHERE id = :id")
_REVOKE = text("""
UPDATE sign_ins SET revoked_at = :now WHERE token_hash = :hash AND kind = 'console'
  AND revoked_at IS NULL RETURNING user_id
""")


def open_session(session: Session, user_id: UUID, *, now: datetime, limits: Limits) -> str:
    """Begin a session for a person whose password was right; the token is shown this once."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.execute(
        insert(SignIn).values(
            id=new_id(),
            user_id=user_id,
            kind=KIND,
            token_hash=_hash(token),
            expires_at=now + timedelta(seconds=limits.session_absolute_seconds),
            last_used_at=now,
        )
    )
    _record(session, "session.opened", user_id)
    return token


def session_of(
    session: Session, token: str, *, now: datetime, limits: Limits
) -> ConsoleSession | None:
    """The live session of a token, noted as used; None for unknown, idle, ended or disabled."""
    if not token or len(token) > TOKEN_CHARACTERS_MAX:
        return None
    idle_since = now - timedelta(seconds=limits.session_idle_seconds)
    values = {"hash": _hash(token), "now": now, "idle_since": idle_since}
    row = session.execute(_LIVE, values).one_or_none()
    if row is None:
        return None
    if (now - row.last_used_at).total_seconds() >= TOUCH_SECONDS:
        session.execute(_TOUCH, {"now": now, "id": row.id})
    return ConsoleSession(row.id, _principal(row), row.email, row.name, row.agency, row.client)


def close_session(session: Session, token: str, *, now: datetime) -> bool:
    """End a session at once; False if there was none to end."""
    user_id = session.execute(_REVOKE, {"hash": _hash(token), "now": now}).scalar_one_or_none()
    if user_id is not None:
        _record(session, "session.closed", user_id)
    return user_id is not None


def _principal(row: Row[Any]) -> Principal:
    return Principal(
        actor_id=row.user_id,
        role=Role(row.role),
        agency_id=row.agency_id,
        client_id=row.client_id,
    )


def _record(session: Session, action: str, user_id: UUID) -> None:
    record(session, action, object_kind="user", object_id=user_id, actor_id=user_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
