"""Idempotency keys: the same request twice makes one thing (EC-035)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.locks import Namespace, try_lock
from models.tasks import IdempotencyKey
from pipelines.errors import Kind, Refusal

#: Keys forgotten in one transaction.
PURGED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's name for a request, with the digest of what was asked."""

    actor_id: UUID
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """What a request made, and the status that tells it."""

    resource_id: UUID
    status: int
    resource_kind: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a request made or moved, and whether an earlier one with its key had done so."""

    resource_id: UUID
    is_replay: bool
    status: int
    resource_kind: str


class KeyReused(Refusal):
    """The key was used for another request."""

    code = "idempotency_key_reuse"
    detail = "This Idempotency-Key was used for a different request. Use a new key."


class RequestInProgress(Refusal):
    """The first request with this key has not committed yet."""

    code = "request_in_progress"
    kind = Kind.CONFLICT
    detail = "A request with this Idempotency-Key is being processed. Ask again in a moment."


def once(
    session: Session,
    request: RequestKey | None,
    make: Callable[[], UUID],
    *,
    status: int,
    resource_kind: str,
) -> Done:
    """Do `make` unless an earlier request with this key did it; without a key, do it.

    The key is written in the transaction of what it names: a refused or lost request leaves none.
    Raises `KeyReused`, `RequestInProgress` and whatever `make` raises.
    """
    return once_made(session, request, lambda: Made(make(), status, resource_kind))


def once_made(session: Session, request: RequestKey | None, make: Callable[[], Made]) -> Done:
    """As `once`, where only doing it shows what is made of a request."""
    if request is not None and (earlier := _first(session, request)) is not None:
        return Done(earlier.resource_id, True, earlier.status, earlier.resource_kind)
    made = make()
    if request is not None:
        remember(
            session,
            request,
            status=made.status,
            resource_kind=made.resource_kind,
            resource_id=made.resource_id,
        )
    return Done(made.resource_id, False, made.status, made.resource_kind)


def first_result(session: Session, request: RequestKey) -> UUID | None:
    """What the first request with this key made, or None if this is the first.

    Raises `RequestInProgress` while another transaction works on the same key, and `KeyReused`
    if the key was used for another request.
    """
    first = _first(session, request)
    return None if first is None else first.resource_id


def made_at(session: Session, request: RequestKey) -> datetime:
    """When the transaction of the first request with this key began; there was one."""
    query = select(IdempotencyKey.created_at).where(
        IdempotencyKey.actor_id == request.actor_id, IdempotencyKey.key == request.key
    )
    return session.execute(query).scalar_one()


def _first(session: Session, request: RequestKey) -> Made | None:
    if not try_lock(session, Namespace.IDEMPOTENCY_KEY, f"{request.actor_id}:{request.key}"):
        raise RequestInProgress(retry_after_seconds=1)
    row = session.execute(
        select(
            IdempotencyKey.fingerprint,
            IdempotencyKey.resource_id,
            IdempotencyKey.status,
            IdempotencyKey.resource_kind,
        ).where(IdempotencyKey.actor_id == request.actor_id, IdempotencyKey.key == request.key)
    ).one_or_none()
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise KeyReused
    return Made(row.resource_id, row.status, row.resource_kind)


def remember(
    session: Session, request: RequestKey, *, status: int, resource_kind: str, resource_id: UUID
) -> None:
    """Note what the request made, in the transaction that makes it; never a body."""
    session.execute(
        insert(IdempotencyKey).values(
            id=new_id(),
            actor_id=request.actor_id,
            key=request.key,
            fingerprint=request.fingerprint,
            status=status,
            resource_kind=resource_kind,
            resource_id=resource_id,
        )
    )


#: Two passes at once forget different keys.
_PURGE = text("""
DELETE FROM idempotency_keys WHERE id = ANY (ARRAY(
    SELECT id FROM idempotency_keys
    WHERE created_at < CAST(:now AS timestamptz) - make_interval(days => :days)
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


def purge(session: Session, *, now: datetime, days: int) -> bool:
    """Forget keys older than `days`, at most `PURGED_AT_ONCE`; whether there may be more."""
    result = session.execute(_PURGE, {"now": now, "days": days, "limit": PURGED_AT_ONCE})
    return result.rowcount == PURGED_AT_ONCE  # type: ignore[attr-defined,no-any-return]
