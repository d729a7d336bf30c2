"""API keys of storefronts: made, replaced, ended and listed in the scope of who manages them."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.orm import Session

from models.base import new_id
from models.people import ApiKey
from models.tenants import Client
from pipelines.access.permissions import KeyScope
from pipelines.access.principals import Principal
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal

DAYS_MAX = 365
#: How long the key before may go on, for storefronts that are told of the new one by hand.
OVERLAP_SECONDS = 24 * 3600
OVERLAP_SECONDS_MAX = 30 * 24 * 3600
SHAPE = re.compile(r"lg_(?:live|test)_[0-9a-f]{8}_[\w-]{43}", re.ASCII)
_PREFIX_CHARACTERS = len("lg_live_") + 8
_KEYS = select(
    ApiKey.id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.agency_id,
    ApiKey.client_id,
    ApiKey.scopes,
    ApiKey.allowed_cidrs,
    ApiKey.replaces,
    ApiKey.expires_at,
    ApiKey.last_used_at,
    ApiKey.revoked_at,
    ApiKey.created_at,
)


class KeyEnded(Refusal):
    """The key was ended or has expired."""

    code = "key_ended"
    kind = Kind.CONFLICT
    detail = "The key has ended already. Make a new one."


class RotationUnderWay(Refusal):
    """The key has a successor, or a predecessor, that lives."""

    code = "rotation_under_way"
    kind = Kind.CONFLICT
    detail = "Two keys live in this place already. End one of them, or wait until it has expired."


@dataclass(frozen=True, slots=True)
class DrawnKey:
    """The text of a new key: it is shown once and kept as a hash only."""

    text: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """By which it is recognised."""
        return prefix_of(self.text)


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is to be: its client, what it may do, from where, and for how long."""

    name: str
    client_id: UUID
    scopes: Sequence[KeyScope]
    allowed_cidrs: Sequence[str] = ()
    days: int = DAYS_MAX


def draw_key(*, is_live: bool) -> DrawnKey:
    """A key that nobody can guess."""
    word = "live" if is_live else "test"
    return DrawnKey(f"lg_{word}_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}")


def prefix_of(key: str) -> str:
    return key[:_PREFIX_CHARACTERS]


def digest_of(key: str) -> bytes:
    """What is kept of a key: its 256 bits need no slow hash."""
    return hashlib.sha256(key.encode()).digest()


def client_for_key(session: Session, client_id: UUID) -> UUID:
    """The agency of a client in the caller's scope, or `NotFound`."""
    agency_id = session.execute(
        select(Client.agency_id).where(Client.id == client_id)
    ).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    return agency_id


def make_key(
    session: Session, drawn: DrawnKey, wanted: NewKey, *, actor_id: UUID, now: datetime
) -> UUID:
    """Make a drawn key a client's; `NotFound` if the scope does not show the client."""
    agency_id = client_for_key(session, wanted.client_id)
    return _write(session, drawn, wanted, agency_id, replaces=None, actor_id=actor_id, now=now)


def rotate_key(
    session: Session,
    key_id: UUID,
    drawn: DrawnKey,
    *,
    overlap_seconds: int,
    days: int,
    actor_id: UUID,
    now: datetime,
) -> UUID:
    """Make a key that takes this one's place; this one ends after the overlap, or when it would.

    At most two live in one place. Raises `NotFound`, `KeyEnded`, `RotationUnderWay`.
    """
    old = _one(session, _KEYS.where(ApiKey.id == key_id).with_for_update(key_share=True))
    if old.revoked_at is not None or old.expires_at <= now:
        raise KeyEnded
    if _has_living_neighbour(session, old, now=now):
        raise RotationUnderWay
    ends_at = min(old.expires_at, now + timedelta(seconds=overlap_seconds))
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(expires_at=ends_at))
    scopes = [KeyScope(scope) for scope in old.scopes]
    wanted = NewKey(old.name, old.client_id, scopes, old.allowed_cidrs, days)
    detail = {"overlap_seconds": overlap_seconds}
    _audit(session, "api_key.rotated", old, actor_id, detail)
    return _write(
        session, drawn, wanted, old.agency_id, replaces=key_id, actor_id=actor_id, now=now
    )


def end_key(session: Session, key_id: UUID, caller: Principal, *, now: datetime) -> None:
    """End a key at once; `NotFound` if the scope does not show it.

    One that has ended keeps its time, and is not told of again.
    """
    alive = (ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    change = update(ApiKey).where(*alive).values(revoked_at=now)
    ended = change.returning(ApiKey.id, ApiKey.agency_id, ApiKey.client_id)
    row = session.execute(ended).one_or_none()
    if row is None:
        key_row(session, key_id)
        return
    _audit(session, "api_key.ended", row, caller.actor_id)


def list_keys(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    """The keys that the scope shows, newest first."""
    query = _KEYS if before is None else _KEYS.where(ApiKey.id < before)
    return list(session.execute(query.order_by(ApiKey.id.desc()).limit(limit)))


def key_row(session: Session, key_id: UUID) -> Row[Any]:
    """One of them; `NotFound` otherwise."""
    return _one(session, _KEYS.where(ApiKey.id == key_id))


def _one(session: Session, query: Any) -> Row[Any]:
    row: Row[Any] | None = session.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def _has_living_neighbour(session: Session, old: Row[Any], *, now: datetime) -> bool:
    is_neighbour = or_(ApiKey.replaces == old.id, ApiKey.id == old.replaces)
    living = (is_neighbour, ApiKey.revoked_at.is_(None), ApiKey.expires_at > now)
    neighbours = select(ApiKey.id).where(*living)
    return session.execute(select(neighbours.exists())).scalar_one()


def _write(
    session: Session,
    drawn: DrawnKey,
    wanted: NewKey,
    agency_id: UUID,
    *,
    replaces: UUID | None,
    actor_id: UUID,
    now: datetime,
) -> UUID:
    identity = new_id()
    session.execute(
        insert(ApiKey).values(
            id=identity,
            agency_id=agency_id,
            client_id=wanted.client_id,
            name=wanted.name,
            prefix=drawn.prefix,
            key_hash=digest_of(drawn.text),
            scopes=sorted({scope.value for scope in wanted.scopes}),
            allowed_cidrs=list(dict.fromkeys(wanted.allowed_cidrs)),
            replaces=replaces,
            expires_at=now + timedelta(days=wanted.days),
            created_by=actor_id,
        )
    )
    _audit(session, "api_key.made", key_row(session, identity), actor_id)
    return identity


def _audit(
    session: Session,
    action: str,
    row: Any,
    actor_id: UUID,
    detail: dict[str, Any] | None = None,
) -> None:
    record(
        session,
        action,
        object_kind="api_key",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
