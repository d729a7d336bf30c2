"""What a person may have sent: an event once more, or a test of an endpoint."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.webhooks import EndpointState, WebhookDelivery
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.webhooks.catalogue import TEST
from pipelines.webhooks.endpoints import endpoint_row
from pipelines.webhooks.publish import wake_endpoints

_SHOWN = """
SELECT d.id, d.agency_id, d.client_id, d.endpoint_id, d.event_id, d.type, d.object_kind,
    d.object_id, d.sequence, d.object_agency_id, d.object_client_id, d.data, d.happened_at,
    d.is_test, d.state, d.attempts, d.tries, d.outcome, d.next_at, d.ended_at, d.created_at
FROM webhook_deliveries d
"""
_LIST = text(f"""{_SHOWN} WHERE (CAST(:before AS uuid) IS NULL OR d.id < :before)
  AND (CAST(:endpoint AS uuid) IS NULL OR d.endpoint_id = :endpoint)
  AND (CAST(:state AS text) IS NULL OR d.state = :state)
ORDER BY d.id DESC LIMIT :limit
""")
_ONE = text(f"{_SHOWN} WHERE d.id = :id")
_AGAIN = text("""
UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, next_at = :now, ended_at = NULL
WHERE id = :id
""")


class EndpointNotEnabled(Refusal):
    """Nothing is sent to an endpoint that is disabled or deleted."""

    code = "endpoint_not_enabled"
    kind = Kind.CONFLICT
    detail = "The endpoint is disabled or deleted. Enable it first, then send the event again."


def redeliver(session: Session, delivery_id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Send an event again, under its old `event_id`, with all its tries before it.

    Raises `NotFound`, `EndpointNotEnabled`.
    """
    row = delivery_row(session, delivery_id)
    try:
        endpoint = endpoint_row(session, row.endpoint_id)
    except NotFound:
        raise EndpointNotEnabled from None
    if endpoint.state != EndpointState.ENABLED:
        raise EndpointNotEnabled
    # First, as the lock order wants: the task that may have this delivery in hand.
    owner = endpoint.client_id or endpoint.agency_id
    wake_endpoints(session, {row.endpoint_id: owner}, now=now)
    session.execute(_AGAIN, {"id": delivery_id, "now": now})
    _audit(session, "webhook_delivery.sent_again", "webhook_delivery", row, actor_id)


def send_test(session: Session, endpoint_id: UUID, *, actor_id: UUID, now: datetime) -> UUID:
    """Have a test sent, once; nothing is concluded from what comes of it. Raises `NotFound`."""
    endpoint = endpoint_row(session, endpoint_id)
    owner = endpoint.client_id or endpoint.agency_id
    wake_endpoints(session, {endpoint_id: owner}, now=now)
    identity = new_id()
    session.execute(
        insert(WebhookDelivery).values(
            id=identity,
            agency_id=endpoint.agency_id,
            client_id=endpoint.client_id,
            endpoint_id=endpoint_id,
            event_id=new_id(),
            type=TEST.name,
            object_kind=TEST.object,
            object_id=endpoint_id,
            sequence=0,
            object_agency_id=endpoint.agency_id,
            object_client_id=endpoint.client_id,
            data={},
            happened_at=now,
            is_test=True,
            next_at=now,
        )
    )
    _audit(session, "webhook_endpoint.tested", "webhook_endpoint", endpoint, actor_id)
    return identity


def list_deliveries(
    session: Session,
    *,
    endpoint_id: UUID | None,
    state: str | None,
    before: UUID | None,
    limit: int,
) -> list[Row[Any]]:
    """Deliveries to endpoints of the scope, newest first."""
    values = {"endpoint": endpoint_id, "state": state, "before": before, "limit": limit}
    return list(session.execute(_LIST, values))


def delivery_row(session: Session, delivery_id: UUID) -> Row[Any]:
    """One of them; `NotFound` otherwise."""
    row = session.execute(_ONE, {"id": delivery_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def _audit(session: Session, action: str, kind: str, row: Row[Any], actor_id: UUID) -> None:
    record(
        session,
        action,
        object_kind=kind,
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
    )
