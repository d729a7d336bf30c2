"""Endpoints of a tenant or of the platform: made, changed, disabled, and given another secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.webhooks import EndpointState, WebhookEndpoint
from pipelines.audit.record import changes, record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.webhooks.addresses import RULES, url_fault
from pipelines.webhooks.publish import wake_endpoints
from pipelines.webhooks.standing import BY_PERSON, delete, disable, settle

#: Of one tenant; more is not told but flooded.
ENDPOINTS_MAX = 20
DESCRIPTION_CHARACTERS_MAX = 200
#: So long the secret before signs too.
OVERLAP = timedelta(hours=24)

_SHOWN = """
SELECT id, agency_id, client_id, url, description, events, state, disabled_for, disabled_at,
    secret_version, old_secret_until, succeeded_at, failing_since, told_level, created_by, created_at
FROM webhook_endpoints WHERE state <> 'deleted'
"""
_LIST = text(f"""{_SHOWN} AND (CAST(:before AS uuid) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")
_ONE = text(f"{_SHOWN} AND id = :id")
_HOLD = text(f"{_SHOWN} AND id = :id FOR NO KEY UPDATE")
_COUNT = text("""
SELECT count(*) FROM webhook_endpoints WHERE state <> 'deleted'
  AND agency_id IS NOT DISTINCT FROM :agency AND client_id IS NOT DISTINCT FROM :client
""")
# Nobody knows how another address answers, nor whether it wants to be left alone.
_CHANGE = text("""
UPDATE webhook_endpoints SET url = :url, description = :description,
    events = CAST(:events AS text[]), is_slow = is_slow OR url <> :url,
    rests_until = CASE WHEN url = :url THEN rests_until END WHERE id = :id
""")
# Whatever waits for its receiver, because the one before did not take it.
_DUE_NOW = text("""
UPDATE webhook_deliveries SET next_at = :now
WHERE endpoint_id = :id AND state = 'waiting' AND next_at > :now
""")
_ENABLE = text("""
UPDATE webhook_endpoints SET state = 'enabled', disabled_at = NULL, disabled_for = NULL,
    failing_since = NULL, told_level = 0, rests_until = NULL WHERE id = :id
""")
_ROTATE = text("""
UPDATE webhook_endpoints SET secret_version = secret_version + 1, old_secret_until = :until
WHERE id = :id
""")


class UrlForbidden(Refusal):
    """The address may not be an endpoint's; `rule` names why."""

    code = "webhook_url_forbidden"

    def __init__(self, rule: str) -> None:
        super().__init__(RULES[rule], extra={"rule": rule})


class TooManyEndpoints(Refusal):
    """The tenant has as many as it may."""

    code = "too_many_endpoints"
    kind = Kind.CONFLICT
    detail = f"There are {ENDPOINTS_MAX} endpoints already. Delete one, or let one take more types."


class SecretRotating(Refusal):
    """The secret before the present one still signs."""

    code = "rotation_under_way"
    kind = Kind.CONFLICT
    detail = "The secret before still signs beside this one. Rotate again when it has ended."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an endpoint is to be; `events` None: told of every type."""

    url: str
    description: str
    events: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Place:
    """Whose it is: a client's, an agency's, or with neither the platform's."""

    agency_id: UUID | None
    client_id: UUID | None


def make_endpoint(
    session: Session, wanted: Wanted, place: Place, *, actor_id: UUID, anywhere: bool
) -> UUID:
    """Make one at a place in the caller's scope. Raises `UrlForbidden`, `TooManyEndpoints`.

    `anywhere`: not in production, where it may be of plain http and lead to any address.
    """
    _check(wanted.url, anywhere=anywhere)
    whose = {"agency": place.agency_id, "client": place.client_id}
    if session.execute(_COUNT, whose).scalar_one() >= ENDPOINTS_MAX:
        raise TooManyEndpoints
    identity = new_id()
    session.execute(
        insert(WebhookEndpoint).values(
            id=identity,
            agency_id=place.agency_id,
            client_id=place.client_id,
            url=wanted.url,
            description=wanted.description,
            events=None if wanted.events is None else list(wanted.events),
            # Until its first answer has shown that it is not.
            is_slow=True,
            created_by=actor_id,
        )
    )
    row = endpoint_row(session, identity)
    _audit(session, "webhook_endpoint.made", row, actor_id, {"host": host_of(row.url)})
    return identity


def change_endpoint(
    session: Session,
    endpoint_id: UUID,
    wanted: Wanted,
    *,
    actor_id: UUID,
    anywhere: bool,
    now: datetime,
) -> None:
    """Make it as `wanted`; another address is told at once whatever waits for the one before.

    Raises `NotFound`, `UrlForbidden`.
    """
    _check(wanted.url, anywhere=anywhere)
    row = held_for_change(session, endpoint_id, now=now)
    events = None if wanted.events is None else list(wanted.events)
    values = {"url": wanted.url, "description": wanted.description, "events": events}
    session.execute(_CHANGE, values | {"id": endpoint_id})
    if row.url != wanted.url:
        session.execute(_DUE_NOW, {"id": endpoint_id, "now": now})
    before = {"host": host_of(row.url), "events": _listed(row.events)}
    after = {"host": host_of(wanted.url), "events": _listed(events)}
    _audit(session, "webhook_endpoint.changed", row, actor_id, changes(before, after))


def disable_endpoint(session: Session, endpoint_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Stop telling it, and cancel what waits. Raises `NotFound`; a disabled one stays as it is."""
    row = held_endpoint(session, endpoint_id)
    if disable(session, endpoint_id, BY_PERSON, now=now):
        settle(session, row, now=now)
        _audit(session, "webhook_endpoint.disabled", row, actor_id)


def enable_endpoint(session: Session, endpoint_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Tell it again of what happens from now on. Raises `NotFound`."""
    row = held_for_change(session, endpoint_id, now=now)
    if row.state == EndpointState.ENABLED:
        return
    session.execute(_ENABLE, {"id": endpoint_id})
    settle(session, row, now=now)
    _audit(session, "webhook_endpoint.enabled", row, actor_id)


def delete_endpoint(session: Session, endpoint_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """End it for good; what it was sent is kept as long as all deliveries. Raises `NotFound`."""
    row = held_endpoint(session, endpoint_id)
    delete(session, endpoint_id, now=now)
    settle(session, row, now=now)
    _audit(session, "webhook_endpoint.deleted", row, actor_id)


def rotate_secret(session: Session, endpoint_id: UUID, *, actor_id: UUID, now: datetime) -> UUID:
    """Another secret from now on; the one before signs beside it for a day.

    Raises `NotFound`, and `SecretRotating` while two sign already.
    """
    row = held_endpoint(session, endpoint_id)
    if row.old_secret_until is not None and now < row.old_secret_until:
        raise SecretRotating
    session.execute(_ROTATE, {"id": endpoint_id, "until": now + OVERLAP})
    _audit(session, "webhook_endpoint.secret_rotated", row, actor_id)
    return endpoint_id


def list_endpoints(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    """Endpoints that the scope shows, newest first."""
    return list(session.execute(_LIST, {"before": before, "limit": limit}))


def endpoint_row(session: Session, endpoint_id: UUID) -> Row[Any]:
    """One of them; `NotFound` otherwise."""
    return _found(session.execute(_ONE, {"id": endpoint_id}).one_or_none())


def held_endpoint(session: Session, endpoint_id: UUID) -> Row[Any]:
    """As `endpoint_row`, locked."""
    return _found(session.execute(_HOLD, {"id": endpoint_id}).one_or_none())


def held_for_change(session: Session, endpoint_id: UUID, *, now: datetime) -> Row[Any]:
    """As `held_endpoint`, and its task looks again once the caller has committed."""
    row = endpoint_row(session, endpoint_id)
    # First, as the lock order wants.
    wake_endpoints(session, {endpoint_id: row.client_id or row.agency_id}, now=now)
    return held_endpoint(session, endpoint_id)


def host_of(url: str) -> str:
    """What may be told of an address: its path may be a secret of the receiver's."""
    return urlsplit(url).hostname or ""


def _found(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise NotFound
    return row


def _check(url: str, *, anywhere: bool) -> None:
    rule = url_fault(url, anywhere=anywhere)
    if rule is not None:
        raise UrlForbidden(rule)


def _listed(events: Sequence[str] | None) -> str:
    return "all" if events is None else " ".join(sorted(events))


def _audit(
    session: Session,
    action: str,
    row: Row[Any],
    actor_id: UUID,
    detail: Any = None,
) -> None:
    record(
        session,
        action,
        object_kind="webhook_endpoint",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
