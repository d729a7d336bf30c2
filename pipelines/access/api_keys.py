"""API keys of storefronts: made, listed, found by what they are, ended."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.orm import Session

from models.base import new_id
from models.people import ApiKey, Role
from models.tenants import Client
from pipelines.access.permissions import KeyScope
from pipelines.access.principals import Principal
from pipelines.audit.record import record
from pipelines.errors import NotFound

DAYS_MAX = 365
_SHAPE = re.compile(r"lg_(?:live|test)_[0-9a-f]{8}_[\w-]{43}", re.ASCII)
_PREFIX_CHARACTERS = len("lg_live_") + 8
_KEYS = select(
    ApiKey.id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.client_id,
    ApiKey.scopes,
    ApiKey.expires_at,
    ApiKey.last_used_at,
    ApiKey.revoked_at,
    ApiKey.created_at,
)
#: `last_used_at` is written at most this often.
USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DrawnKey:
    """The text of a new key: it is shown once and kept as a hash only."""

    text: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """By which it is recognised."""
        return self.text[:_PREFIX_CHARACTERS]


def draw_key(*, is_live: bool) -> DrawnKey:
    """A key that nobody can guess."""
    word = "live" if is_live else "test"
    return DrawnKey(f"lg_{word}_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}")


def client_for_key(session: Session, client_id: UUID) -> UUID:
    """The agency of a client in the caller's scope, or `NotFound`."""
    agency_id = session.execute(
        select(Client.agency_id).where(Client.id == client_id)
    ).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    return agency_id


def make_key(
    session: Session,
    drawn: DrawnKey,
    *,
    name: str,
    agency_id: UUID,
    client_id: UUID,
    scopes: frozenset[KeyScope],
    actor_id: UUID,
    now: datetime,
) -> UUID:
    """Make a drawn key a client's, in the SYSTEM scope; it lives a year."""
    identity = new_id()
    session.execute(
        insert(ApiKey).values(
            id=identity,
            agency_id=agency_id,
            client_id=client_id,
            name=name,
            prefix=drawn.prefix,
            key_hash=_hash(drawn.text),
            scopes=sorted(scope.value for scope in scopes),
            expires_at=now + timedelta(days=DAYS_MAX),
            created_by=actor_id,
        )
    )
    _audit(session, "api_key.made", identity, agency_id, client_id, actor_id)
    return identity


def find_key(session: Session, key: str, *, now: datetime) -> Principal | None:
    """Who a key stands for, in the SYSTEM scope; None for anything but a live key."""
    if not _SHAPE.fullmatch(key):
        return None
    row = session.execute(
        select(
            ApiKey.id,
            ApiKey.agency_id,
            ApiKey.client_id,
            ApiKey.key_hash,
            ApiKey.scopes,
            ApiKey.expires_at,
            ApiKey.revoked_at,
            ApiKey.last_used_at,
        ).where(ApiKey.prefix == key[:_PREFIX_CHARACTERS])
    ).one_or_none()
    kept = row.key_hash if row is not None else b"\0" * 32
    is_genuine = hmac.compare_digest(kept, _hash(key))
    if row is None or not is_genuine or row.revoked_at is not None or row.expires_at <= now:
        return None
    if row.last_used_at is None or row.last_used_at < now - USED_EVERY:
        session.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=now))
    return Principal(
        row.id, Role.STOREFRONT_KEY, row.agency_id, row.client_id, frozenset(row.scopes)
    )


def list_keys(
    session: Session, caller: Principal, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """The keys of the caller's tenant, newest first, in the SYSTEM scope."""
    query = _KEYS.where(*_own(caller))
    if before is not None:
        query = query.where(ApiKey.id < before)
    return list(session.execute(query.order_by(ApiKey.id.desc()).limit(limit)))


def key_row(session: Session, caller: Principal, key_id: UUID) -> Row[Any]:
    """One key of the caller's tenant, in the SYSTEM scope; `NotFound` otherwise."""
    found: list[Row[Any]] = list(session.execute(_KEYS.where(ApiKey.id == key_id, *_own(caller))))
    if not found:
        raise NotFound
    return found[0]


def end_key(session: Session, key_id: UUID, caller: Principal, *, now: datetime) -> None:
    """End a key of the caller's tenant at once, in the SYSTEM scope; `NotFound` otherwise.

    One that has ended keeps its time, and is not told of again.
    """
    alive = (ApiKey.id == key_id, ApiKey.revoked_at.is_(None), *_own(caller))
    change = update(ApiKey).where(*alive).values(revoked_at=now)
    row = session.execute(change.returning(ApiKey.agency_id, ApiKey.client_id)).one_or_none()
    if row is None:
        key_row(session, caller, key_id)
        return
    _audit(session, "api_key.ended", key_id, row.agency_id, row.client_id, caller.actor_id)


def _own(caller: Principal) -> list[ColumnElement[bool]]:
    """Keys have no policy of their own: what of them is the caller's."""
    if caller.client_id is not None:
        return [ApiKey.client_id == caller.client_id]
    return [ApiKey.agency_id == caller.agency_id] if caller.agency_id is not None else []


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _audit(
    session: Session,
    action: str,
    key_id: UUID,
    agency_id: UUID,
    client_id: UUID,
    actor_id: UUID,
) -> None:
    record(
        session,
        action,
        object_kind="api_key",
        object_id=key_id,
        actor_id=actor_id,
        agency_id=agency_id,
        client_id=client_id,
    )
