"""Write down that something happened, in the transaction of its cause: told if that commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from models.base import new_id
from models.webhooks import WebhookFact
from pipelines.webhooks.catalogue import EventType

Fact = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one object, and whose it is; `data` has exactly the facts of its type."""

    type: EventType
    object_id: UUID
    agency_id: UUID | None
    client_id: UUID | None
    data: Mapping[str, Fact]


def happened(session: Session, event: Event, *, now: datetime) -> None:
    """Note one event, of the tenant in scope; the platform's scopes note anybody's."""
    all_happened(session, [event], now=now)


def all_happened(session: Session, events: Sequence[Event], *, now: datetime) -> None:
    """Note many in one statement; the order of the list is that of each object's sequence."""
    if events:
        session.execute(insert(WebhookFact), [_row(event, now) for event in events])


def _row(event: Event, now: datetime) -> dict[str, object]:
    if set(event.data) != set(event.type.facts):
        raise ValueError(f"{event.type.name} has other facts than its catalogue says")
    return {
        "event_id": new_id(),
        "type": event.type.name,
        "object_kind": event.type.object,
        "object_id": event.object_id,
        "agency_id": event.agency_id,
        "client_id": event.client_id,
        "data": dict(event.data),
        "at": now,
    }
