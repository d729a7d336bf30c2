"""The work of PUBLISH_EVENTS: make deliveries of what happened, for each endpoint that is told.

In the system's scope. An event has its number among those of its object from here, so that no
cause waits for another one's (decision 0032); what nobody is told of has none.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.locks import Namespace, wait_for_lock
from models.webhooks import WebhookDelivery
from pipelines.queue.kinds import SEND_EVENTS
from pipelines.queue.waking import wake

#: A pass takes this many facts; one that was full is followed by another.
FACTS_PER_PASS = 1_000

# An agency's endpoint is told of its clients too, the platform's of everybody.
_TAKE = text("""
WITH taken AS (
    DELETE FROM webhook_facts
    WHERE number = ANY (ARRAY(SELECT number FROM webhook_facts ORDER BY number LIMIT :limit))
    RETURNING *
)
SELECT t.*, e.id AS endpoint_id, e.agency_id AS teller_agency_id, e.client_id AS teller_client_id
FROM taken t JOIN webhook_endpoints e ON e.state = 'enabled'
    AND (e.events IS NULL OR t.type = ANY(e.events))
    AND (e.agency_id IS NULL OR e.agency_id = t.agency_id)
    AND (e.client_id IS NULL OR e.client_id = t.client_id)
ORDER BY t.number, e.id
""")
_COUNT = text("""
INSERT INTO webhook_sequences AS s (object_id, last, at)
SELECT object_id, events, :now
FROM unnest(CAST(:objects AS uuid[]), CAST(:events AS bigint[])) AS u (object_id, events)
ORDER BY object_id
ON CONFLICT (object_id) DO UPDATE SET last = s.last + excluded.last, at = excluded.at
RETURNING object_id, last
""")
_WAITING = text("SELECT count(*) FROM (SELECT FROM webhook_facts LIMIT 1) f")


def publish(session: Session, now: datetime) -> bool:
    """One pass over the facts; True if more of them wait. Publishers take turns."""
    wait_for_lock(session, Namespace.WEBHOOK_FACTS, "publish")
    rows = session.execute(_TAKE, {"limit": FACTS_PER_PASS}).all()
    if rows:
        numbers = _sequence_numbers(session, rows, now)
        made = [_delivery(row, now) | {"sequence": numbers[row.number]} for row in rows]
        session.execute(insert(WebhookDelivery), made)
        owners = {r.endpoint_id: r.teller_client_id or r.teller_agency_id for r in rows}
        wake_endpoints(session, owners, now=now)
    more: int = session.execute(_WAITING).scalar_one()
    return more > 0


def _sequence_numbers(session: Session, rows: Sequence[Row[Any]], now: datetime) -> dict[int, int]:
    """By fact, its number among the events of its object: one, however many are told of it."""
    facts: dict[UUID, list[int]] = {}
    for number, object_id in sorted({(row.number, row.object_id) for row in rows}):
        facts.setdefault(object_id, []).append(number)
    counts = [len(numbers) for numbers in facts.values()]
    values = {"objects": list(facts), "events": counts, "now": now}
    last = {row.object_id: row.last for row in session.execute(_COUNT, values)}
    return {
        number: last[object_id] - len(numbers) + place
        for object_id, numbers in facts.items()
        for place, number in enumerate(numbers, start=1)
    }


def wake_endpoints(session: Session, owners: Mapping[UUID, UUID | None], *, now: datetime) -> None:
    """Have what waits for these endpoints sent, after it was written; each in its owner's lane.

    An owner is a client, else an agency, else the platform: None.
    """
    args = {str(endpoint): {"endpoint_id": str(endpoint)} for endpoint in owners}
    lanes = {str(endpoint): str(owner) for endpoint, owner in owners.items() if owner}
    wake(session, SEND_EVENTS, args, now=now, lanes=lanes)


def _delivery(row: Row[Any], now: datetime) -> dict[str, object]:
    return {
        "id": new_id(),
        "agency_id": row.teller_agency_id,
        "client_id": row.teller_client_id,
        "endpoint_id": row.endpoint_id,
        "event_id": row.event_id,
        "type": row.type,
        "object_kind": row.object_kind,
        "object_id": row.object_id,
        "object_agency_id": row.agency_id,
        "object_client_id": row.client_id,
        "data": row.data,
        "happened_at": row.at,
        "next_at": now,
    }
