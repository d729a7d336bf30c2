"""Tokens of mailed links: drawn here, kept as hashes, forgotten when they are of no more use."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Resets and registrations end within a day; who invites looks at what became of it for longer.
LINKS_KEPT = timedelta(days=1)
INVITATIONS_KEPT = timedelta(days=30)
FORGOTTEN_AT_ONCE = 5_000

_FORGET_SQL = """
DELETE FROM {table} WHERE id = ANY (ARRAY(
    SELECT id FROM {table} WHERE expires_at < :before
    ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED))
"""
_FORGET = (
    (text(_FORGET_SQL.format(table="password_resets")), LINKS_KEPT),
    (text(_FORGET_SQL.format(table="registrations")), LINKS_KEPT),
    (text(_FORGET_SQL.format(table="invitations")), INVITATIONS_KEPT),
)


def draw_token() -> str:
    """256 bits that nobody guesses."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is kept of a token: its 256 bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def forget_links(session: Session, now: datetime) -> int:
    """Forget links whose time was over long ago, a bounded piece of each kind; returns how many."""
    forgotten = 0
    for statement, kept in _FORGET:
        values = {"before": now - kept, "limit": FORGOTTEN_AT_ONCE}
        result = session.execute(statement, values)
        forgotten += result.rowcount  # type: ignore[attr-defined]
    return forgotten
