"""Visits of partners' users: found by their token, ended by their partner (SEC-07, EC-113)."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.partners.origins import OPAQUE
from pipelines.partners.refusals import OriginNotAllowed, SessionExpired

SESSION_LIFETIME = timedelta(days=7)
#: `used_at` is written at most this often.
USED_EVERY = timedelta(minutes=1)
TOKEN_PREFIX = "lgw_"
_SHAPE = re.compile(r"lgw_[\w-]{43}", re.ASCII)

_FIND = text("""
SELECT s.id, s.agency_id, s.client_id, s.partner_id, s.user_id, s.origin, s.is_direct, s.used_at,
    p.origins
FROM widget_sessions s JOIN partners p ON p.id = s.partner_id
WHERE s.token_hash = :hash AND s.revoked_at IS NULL AND s.expires_at > :now
  AND p.disabled_at IS NULL
""")
_USED = text("UPDATE widget_sessions SET used_at = :now WHERE id = :id")
_REVOKE = text("""
UPDATE widget_sessions SET revoked_at = :now
WHERE partner_id = :partner AND revoked_at IS NULL AND expires_at > :now
""")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose visit it is: a person, at a partner of a client."""

    session_id: UUID
    agency_id: UUID
    client_id: UUID
    partner_id: UUID
    user_id: UUID

    @property
    def actor_id(self) -> UUID:
        """Who acts, as idempotency keys and the audit name them."""
        return self.user_id


def new_token() -> str:
    """What proves a visit: 256 bits, shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def find_visitor(session: Session, token: str, asking: str | None, *, now: datetime) -> Visitor:
    """Whose visit a token proves, in the SYSTEM scope. Raises `SessionExpired`, `OriginNotAllowed`.

    `asking`: the site that asks, as its browser says it; None where no page asks, or one of ours. A
    visit is bound to the site it was opened for: it is refused while that is off the partner's list,
    and no other site uses its token.
    """
    if not _SHAPE.fullmatch(token):
        raise SessionExpired
    row = session.execute(_FIND, {"hash": digest_of(token), "now": now}).one_or_none()
    if row is None:
        raise SessionExpired
    _check_place(row, asking)
    if row.used_at < now - USED_EVERY:
        session.execute(_USED, {"id": row.id, "now": now})
    return Visitor(row.id, row.agency_id, row.client_id, row.partner_id, row.user_id)


def revoke_sessions(session: Session, partner_id: UUID, *, now: datetime) -> int:
    """End every visit of the partner's users; the caller has locked the partner."""
    ended = session.execute(_REVOKE, {"partner": partner_id, "now": now})
    return ended.rowcount  # type: ignore[attr-defined,no-any-return]


def refuse_origin(origin: str | None, origins: list[str]) -> None:
    """Raises `OriginNotAllowed` for a page that is not on the list; no page at all is no such."""
    if origin is not None and (origin == OPAQUE or origin not in origins):
        raise OriginNotAllowed


def _check_place(row: Row[Any], asking: str | None) -> None:
    if row.origin is not None and row.origin not in row.origins:
        raise OriginNotAllowed
    if row.is_direct and asking != row.origin:
        raise OriginNotAllowed
    if row.origin is not None and not row.is_direct and asking is not None:
        # The frame asks from here, whatever site it is in.
        raise OriginNotAllowed
    refuse_origin(asking, row.origins)
