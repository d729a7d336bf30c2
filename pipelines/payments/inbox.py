"""Take an event of Stripe's in: checked, written once, and handled later (EC-008, EC-031, EC-127).

Of an event we keep what we act on; names, addresses and cards of payers stay at Stripe, which gives
the whole again for thirty days.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.payments import EventState
from pipelines.alerts.payment_kinds import (
    EVENT_MODE_MISMATCH,
    EVENT_UNREADABLE,
    WEBHOOK_SECRET_OLD,
)
from pipelines.alerts.raise_alert import raise_alert
from pipelines.errors import Kind, Refusal
from pipelines.payments.news import Blind, news_of_event
from pipelines.queue.defer import defer
from pipelines.queue.kinds import HANDLE_EVENT
from pipelines.telemetry import get_logger

log = get_logger(__name__)

KEPT = timedelta(days=90)
FORGOTTEN_AT_ONCE = 5_000
_NAME_CHARACTERS_MAX = 255

_TAKE = text("""
INSERT INTO stripe_events AS e (id, own_id, type, object_id, news, state, livemode, account, happened_at,
                                received_at, was_pulled, secret_place)
VALUES (:id, :own, :type, :object, CAST(:news AS jsonb), :state, :livemode, :account, :happened_at, :now,
        :was_pulled, :place)
ON CONFLICT (id) DO UPDATE SET deliveries = e.deliveries + 1
RETURNING deliveries, own_id
""")
# A pulled event that is here already is not told again.
_TAKE_PULLED = text(
    _TAKE.text.partition("ON CONFLICT")[0] + "ON CONFLICT DO NOTHING RETURNING own_id"
)
_ANEW = text("""
UPDATE stripe_events SET news = CAST(:news AS jsonb), object_id = :object WHERE id = :id
""")
_FORGET = text("""
DELETE FROM stripe_events WHERE id = ANY (ARRAY(
    SELECT id FROM stripe_events
    WHERE received_at < :before AND state IN ('handled', 'stale', 'unhandled', 'mode_mismatch')
    ORDER BY received_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


class InvalidPayload(Refusal):
    """It is signed by Stripe, and no event."""

    code = "invalid_payload"
    kind = Kind.MALFORMED
    detail = "The body is no event that can be read."


@dataclass(frozen=True, slots=True)
class Reading:
    """How events are read: whose money ours is, and how cards are told apart."""

    is_live: bool
    blind: Blind


@dataclass(frozen=True, slots=True)
class TypedEvent:
    """One event as it is kept."""

    id: str
    type: str
    object_id: str | None
    news: Mapping[str, Any]
    state: EventState
    livemode: bool
    account: str | None
    happened_at: datetime


def read_event(body: bytes, reading: Reading) -> TypedEvent:
    """What a delivered body says; raises `InvalidPayload`."""
    try:
        told = json.loads(body)
    except ValueError:
        raise InvalidPayload from None
    return event_of(told, reading)


def event_of(told: Any, reading: Reading) -> TypedEvent:
    """What an event says that was delivered or pulled; raises `InvalidPayload`."""
    if not isinstance(told, dict) or not _is_event(told):
        raise InvalidPayload
    thing = told["data"]["object"]
    livemode, account = told.get("livemode") is True, _name(told.get("account"))
    state, news = EventState.RECEIVED, {}
    if livemode != reading.is_live or account is not None:
        state = EventState.MODE_MISMATCH
    else:
        try:
            found = news_of_event(told["type"], thing, reading.blind, told["created"])
        except (ValueError, TypeError, KeyError, AttributeError):
            # A shape of another version of Stripe's: kept, to be looked at.
            log.error("stripe.event_unreadable", event_id=told["id"], type=told["type"])
            found, state = None, EventState.NEEDS_REVIEW
        if found is None and state is EventState.RECEIVED:
            state = EventState.UNHANDLED
        news = {} if found is None else found.as_json()
        news.pop("session_url", None)
    return TypedEvent(
        id=told["id"],
        type=told["type"],
        object_id=_name(thing.get("id")),
        news=news,
        state=state,
        livemode=livemode,
        account=account,
        happened_at=datetime.fromtimestamp(told["created"], UTC),
    )


def take_event(session: Session, event: TypedEvent, *, secret_place: int, now: datetime) -> bool:
    """Write down an event that was delivered, with the task that handles it; False if it was here.

    Works in the system's scope.
    """
    kept = session.execute(_TAKE, _values(event, now, place=secret_place)).one()
    if kept.deliveries > 1:
        return False
    if secret_place > 0:
        _alert(session, WEBHOOK_SECRET_OLD, event, now)
    _go_on(session, event, kept.own_id, now)
    return True


def take_pulled_event(session: Session, event: TypedEvent, now: datetime) -> bool:
    """The same for an event that nobody told us of (EC-131)."""
    values = _values(event, now, was_pulled=True)
    own_id = session.execute(_TAKE_PULLED, values).scalar_one_or_none()
    if own_id is None:
        return False
    _go_on(session, event, own_id, now)
    return True


def take_anew(session: Session, event: TypedEvent) -> None:
    """What an event says by this release's reading, in place of an earlier one's."""
    values = {"id": event.id, "news": json.dumps(event.news), "object": event.object_id}
    session.execute(_ANEW, values)


def forget_events(session: Session, now: datetime, *, limit: int = FORGOTTEN_AT_ONCE) -> bool:
    """Drop what was done long ago, a bounded piece; True if it was full."""
    result = session.execute(_FORGET, {"limit": limit, "before": now - KEPT})
    return bool(result.rowcount >= limit)  # type: ignore[attr-defined]


def _go_on(session: Session, event: TypedEvent, own_id: UUID, now: datetime) -> None:
    match event.state:
        case EventState.MODE_MISMATCH:
            _alert(session, EVENT_MODE_MISMATCH, event, now)
        case EventState.NEEDS_REVIEW:
            _alert(session, EVENT_UNREADABLE, event, now)
        case EventState.RECEIVED:
            defer(session, HANDLE_EVENT, args={"event": str(own_id)}, now=now)


def _alert(session: Session, kind: Any, event: TypedEvent, now: datetime) -> None:
    detail = {"event_id": event.id, "type": event.type}
    raise_alert(session, kind, subject_id=None, detail=detail, now=now)


def _values(
    event: TypedEvent, now: datetime, *, place: int | None = None, was_pulled: bool = False
) -> dict[str, Any]:
    return {
        "id": event.id,
        "own": new_id(),
        "type": event.type,
        "object": event.object_id,
        "news": json.dumps(event.news),
        "state": event.state.value,
        "livemode": event.livemode,
        "account": event.account,
        "happened_at": event.happened_at,
        "now": now,
        "was_pulled": was_pulled,
        "place": place,
    }


def _is_event(told: dict[str, Any]) -> bool:
    """Snapshot events; thin ones tell of no object, and have other fields."""
    data = told.get("data")
    return (
        told.get("object") == "event"
        and _name(told.get("id")) is not None
        and _name(told.get("type")) is not None
        and type(told.get("created")) is int
        and 0 <= told["created"] < 2**33
        and isinstance(data, dict)
        and isinstance(data.get("object"), dict)
    )


def _name(value: object) -> str | None:
    is_name = isinstance(value, str) and 0 < len(value) <= _NAME_CHARACTERS_MAX
    return value if is_name and "\0" not in value else None  # type: ignore[operator, return-value]
