"""Find who an API key stands for, in the SYSTEM scope, when it is used."""

import hmac
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.people import Role
from pipelines.access.api_keys import SHAPE, digest_of, prefix_of
from pipelines.access.networks import is_within
from pipelines.access.principals import Principal
from pipelines.errors import Kind, Refusal

#: `last_used_at` is written at most this often.
USED_EVERY = timedelta(minutes=1)

_KEY = text("""
SELECT id, agency_id, client_id, key_hash, scopes, allowed_cidrs, expires_at, revoked_at, last_used_at
FROM api_keys WHERE prefix = :prefix
""")
_USED = text("UPDATE api_keys SET last_used_at = :now WHERE id = :key")


class AddressNotAllowed(Refusal):
    """The key is genuine, and bound to other networks. Only its holder is told so."""

    code = "address_not_allowed"
    kind = Kind.FORBIDDEN
    detail = "This API key may not be used from your address. Use it from a network it names."


def find_key(session: Session, key: str, *, address: str | None, now: datetime) -> Principal | None:
    """Who a key stands for; None for anything but a live key. Raises `AddressNotAllowed`."""
    if not SHAPE.fullmatch(key):
        return None
    row = session.execute(_KEY, {"prefix": prefix_of(key)}).one_or_none()
    kept = row.key_hash if row is not None else b"\0" * 32
    is_genuine = hmac.compare_digest(kept, digest_of(key))
    if row is None or not is_genuine or row.revoked_at is not None or row.expires_at <= now:
        return None
    if row.allowed_cidrs and not is_within(address, row.allowed_cidrs):
        raise AddressNotAllowed
    if row.last_used_at is None or row.last_used_at < now - USED_EVERY:
        session.execute(_USED, {"key": row.id, "now": now})
    return Principal(
        row.id, Role.STOREFRONT_KEY, row.agency_id, row.client_id, frozenset(row.scopes)
    )
