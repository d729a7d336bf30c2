"""Endpoints and deliveries in words: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from models.webhooks import EndpointState, WebhookState
from pipelines.webhooks.steps import ATTEMPTS_MAX
from web.console.formats import moment
from web.console.job_words import StateWords

STATES: Mapping[str, StateWords] = {
    WebhookState.WAITING: StateWords("Waiting", "clock", "info"),
    WebhookState.DELIVERED: StateWords("Delivered", "check", "good"),
    WebhookState.FAILED: StateWords("Failed", "cross", "bad"),
    WebhookState.CANCELLED: StateWords("Cancelled", "stop", ""),
}
_WHY = {
    "by_person": "by a person",
    "no_success": "three days without success",
    "gone": "it answered that it is gone (410)",
}
_OUTCOMES = {
    "timeout": "No whole answer within ten seconds",
    "name_not_resolved": "The name leads nowhere",
    "address_forbidden": "The name leads to an address that may not be reached",
    "tls_failed": "Its certificate is not good",
    "unreachable": "No connection, or one that was cut",
    "endpoint_disabled": "Its endpoint was disabled first",
}


@dataclass(frozen=True, slots=True)
class EndpointWords:
    """One endpoint as the pages say it."""

    id: UUID
    url: str
    description: str
    place: str
    events: str
    state: StateWords
    since: str
    is_enabled: bool
    succeeded_at: datetime | None
    old_secret_until: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryWords:
    """One delivery as the page says it."""

    id: UUID
    type: str
    event_id: UUID
    sequence: int
    about: str
    is_test: bool
    state: StateWords
    outcome: str
    took: str
    tries: str
    next_at: datetime | None
    created_at: datetime


def endpoint_words(row: Row[Any], place: str, *, now: datetime) -> EndpointWords:
    """An endpoint in words; that it fails is said before it is disabled."""
    if row.state != EndpointState.ENABLED:
        state = StateWords("Disabled", "stop", "bad")
        since = f"{_WHY.get(row.disabled_for, '')}, {moment(row.disabled_at)}"
    elif row.failing_since is not None:
        state = StateWords("Failing", "alert", "warn")
        since = f"since {moment(row.failing_since)}"
    else:
        state, since = StateWords("Works", "check", "good"), ""
        if row.succeeded_at is None:
            state = StateWords("Not called yet", "clock", "")
    is_overlapping = row.old_secret_until is not None and now < row.old_secret_until
    return EndpointWords(
        id=row.id,
        url=row.url,
        description=row.description,
        place=place,
        events="Every type" if row.events is None else ", ".join(row.events),
        state=state,
        since=since,
        is_enabled=row.state == EndpointState.ENABLED,
        succeeded_at=row.succeeded_at,
        old_secret_until=row.old_secret_until if is_overlapping else None,
    )


def delivery_words(row: Row[Any]) -> DeliveryWords:
    last = row.tries[-1] if row.tries else None
    return DeliveryWords(
        id=row.id,
        type=row.type,
        event_id=row.event_id,
        sequence=row.sequence,
        about=f"{row.object_kind.replace('_', ' ')} {row.object_id}",
        is_test=row.is_test,
        state=STATES[row.state],
        outcome=outcome_words(row.outcome),
        took=f"{last['milliseconds']} ms" if last else "",
        tries=f"{row.attempts} of {1 if row.is_test else ATTEMPTS_MAX}",
        next_at=row.next_at,
        created_at=row.created_at,
    )


def outcome_words(outcome: str | None) -> str:
    """`Answered 503`, or what hindered it."""
    if outcome is None:
        return "–"
    if outcome.startswith("http_"):
        return f"Answered {outcome.removeprefix('http_')}"
    return _OUTCOMES.get(outcome, outcome.replace("_", " "))
