"""Console sessions: an opaque token for the browser, its SHA-256 here, idle and absolute ends."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.access.devices import UNKNOWN, Device
from pipelines.access.links import draw_token, token_hash
from pipelines.access.principals import Principal
from pipelines.access.proofs import ADMINISTRATORS
from pipelines.access.sign_ins import SignInKind, audit_own, open_sign_in, principal_of
from pipelines.limits import Limits

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


# The ends of a session go by what its holder may do now.
_LIVE = text("""
SELECT u.id, u.role, u.agency_id, u.client_id, u.email, u.name, s.id AS sign_in_id,
    a.name AS agency, c.name AS client,
    extract(epoch FROM CAST(:now AS timestamptz) - s.last_used_at) AS idle,
    extract(epoch FROM CAST(:now AS timestamptz) - s.created_at) AS age,
    extract(epoch FROM CAST(:now AS timestamptz) - s.proven_at) AS proof_age,
    f.confirmed_at IS NOT NULL AS has_factor,
    i.id AS impersonator_id, i.role AS impersonator_role
FROM sign_ins s JOIN users u ON u.id = s.user_id
LEFT JOIN agencies a ON a.id = u.agency_id LEFT JOIN clients c ON c.id = u.client_id
LEFT JOIN authenticators f ON f.user_id = u.id
LEFT JOIN users i ON i.id = s.impersonator_id
WHERE s.token_hash = :hash AND s.kind IN ('console', 'impersonation') AND s.revoked_at IS NULL
  AND s.expires_at > CAST(:now AS timestamptz) AND u.disabled_at IS NULL AND i.disabled_at IS NULL
""")
_HALFWAY = text("""
SELECT u.id FROM sign_ins s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = :hash AND s.kind = 'halfway' AND s.revoked_at IS NULL
  AND s.expires_at > CAST(:now AS timestamptz) AND u.disabled_at IS NULL
""")
_TOUCH = text("UPDATE sign_ins SET last_used_at = :now WHERE id = :id")
_REVOKE = text("""
UPDATE sign_ins SET revoked_at = :now WHERE token_hash = :hash AND kind <> 'refresh'
  AND revoked_at IS NULL RETURNING user_id, kind
""")


def open_session(
    session: Session, user_id: UUID, *, now: datetime, limits: Limits, device: Device = UNKNOWN
) -> str:
    """Begin a session of a person who was wholly proven; the token is shown this once."""
    seconds = limits.session_absolute_seconds
    return _open(session, user_id, SignInKind.CONSOLE, seconds=seconds, now=now, device=device)


def open_halfway(
    session: Session, user_id: UUID, *, now: datetime, limits: Limits, device: Device = UNKNOWN
) -> str:
    """Remember in a browser whose password was right; the code is still owed."""
    seconds = limits.halfway_seconds
    return _open(session, user_id, SignInKind.HALFWAY, seconds=seconds, now=now, device=device)


def halfway_user(session: Session, token: str, *, now: datetime) -> UUID | None:
    """Whose password was right in this browser shortly ago; None for every other token."""
    if not token or len(token) > TOKEN_CHARACTERS_MAX:
        return None
    found = session.execute(_HALFWAY, {"hash": token_hash(token), "now": now})
    user_id: UUID | None = found.scalar_one_or_none()
    return user_id


def session_of(
    session: Session, token: str, *, now: datetime, limits: Limits
) -> ConsoleSession | None:
    """The live session of a token, noted as used; None for unknown, idle, ended or disabled."""
    if not token or len(token) > TOKEN_CHARACTERS_MAX:
        return None
    row = session.execute(_LIVE, {"hash": token_hash(token), "now": now}).one_or_none()
    if row is None or not _is_within(row, limits):
        return None
    if row.idle >= TOUCH_SECONDS:
        session.execute(_TOUCH, {"now": now, "id": row.sign_in_id})
    principal = principal_of(row)
    return ConsoleSession(row.sign_in_id, principal, row.email, row.name, row.agency, row.client)


def _open(
    session: Session,
    user_id: UUID,
    kind: SignInKind,
    *,
    seconds: int,
    now: datetime,
    device: Device,
) -> str:
    token = draw_token()
    open_sign_in(
        session,
        user_id,
        kind,
        seconds=seconds,
        now=now,
        device=device,
        token_hash=token_hash(token),
    )
    return token


def _is_within(row: Row[Any], limits: Limits) -> bool:
    """Whether a session is neither idle nor old; administrators' are shorter (SEC-01)."""
    idle, absolute = limits.session_idle_seconds, limits.session_absolute_seconds
    if row.role in ADMINISTRATORS:
        idle, absolute = limits.admin_session_idle_seconds, limits.admin_session_absolute_seconds
    return bool(row.idle < idle and row.age < absolute)


def close_session(session: Session, token: str, *, now: datetime) -> bool:
    """End a session at once, whole or halfway; False if there was none to end."""
    row = session.execute(_REVOKE, {"hash": token_hash(token), "now": now}).one_or_none()
    if row is not None and row.kind == SignInKind.CONSOLE:
        audit_own(session, "session.closed", row.user_id)
    return row is not None
