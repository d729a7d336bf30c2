"""Events of Stripe's in words: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from models.payments import EventState, PaymentPurpose
from pipelines.payments.handle import LOOKS
from web.console.formats import moment, plural, span
from web.console.job_words import StateWords

STATES: Mapping[str, StateWords] = {
    EventState.RECEIVED: StateWords("Received", "clock", "info"),
    EventState.HANDLED: StateWords("Handled", "check", "good"),
    EventState.STALE: StateWords("Known already", "skip", "plain"),
    EventState.UNHANDLED: StateWords("Not for us", "skip", "plain"),
    EventState.UNMATCHED: StateWords("No payment yet", "clock", "warn"),
    EventState.MODE_MISMATCH: StateWords("Other mode or account", "alert", "bad"),
    EventState.NEEDS_REVIEW: StateWords("Needs a person", "alert", "bad"),
}
EFFECTS: Mapping[str, str] = {
    EventState.RECEIVED: "It is written down; a worker handles it in a moment.",
    EventState.HANDLED: "What it says was new, and is done.",
    EventState.STALE: "It says nothing that was not known.",
    EventState.UNHANDLED: "It is of a type that nothing here acts on, or of another system’s sale.",
    EventState.UNMATCHED: f"Its payment is not here yet. It is looked for {len(LOOKS)} times in three "
    "days.",
    EventState.MODE_MISMATCH: "It is of test mode where ours is live, or the other way round, or of "
    "another account: it has no effects here. Check which account the webhook is set up in.",
    EventState.NEEDS_REVIEW: "It could not be read, or its payment was not found in three days. Look "
    "it up in Stripe’s pages by its id.",
}
#: What waits, by the name that its count has; each leads to the list of its state.
WAITING = (
    ("waiting", EventState.RECEIVED, "wait for a worker"),
    ("unmatched", EventState.UNMATCHED, "wait for their payment"),
    ("needs_review", EventState.NEEDS_REVIEW, "need a person"),
    ("mode_mismatch", EventState.MODE_MISMATCH, "are of another mode or account"),
)
_NOT_SET_UP = (
    "Payments are not set up here: an operator sets STRIPE_API_KEY and STRIPE_WEBHOOK_SECRETS."
)
_SILENT = (
    "Stripe’s webhook does not reach us. Look at its deliveries in Stripe’s pages, and at "
    "STRIPE_WEBHOOK_SECRETS."
)
_NEVER = "No event was ever told. Point a webhook of Stripe’s to /api/v1/webhooks/stripe."


@dataclass(frozen=True, slots=True)
class EventWords:
    """One event as the pages say it."""

    id: str
    type: str
    state: StateWords
    effect: str
    object_id: str
    payment_id: UUID | None
    is_top_up: bool
    came: str
    signed: str
    tries: int
    mode: str
    account: str
    happened_at: datetime
    received_at: datetime
    handled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whether Stripe tells us of events at all."""

    state: StateWords
    words: str
    told: str
    pulled: str


def event_words(row: Row[Any]) -> EventWords:
    return EventWords(
        id=row.id,
        type=row.type,
        state=STATES[row.state],
        effect=EFFECTS[row.state],
        object_id=row.object_id or "–",
        payment_id=row.payment_id if row.purpose is not None else None,
        is_top_up=row.purpose == PaymentPurpose.TOP_UP,
        came="We asked for it" if row.was_pulled else f"Told {plural(row.deliveries, 'time')}",
        signed=_signed(row.secret_place),
        tries=row.tries,
        mode=mode_words(is_live=row.livemode),
        account=row.account or "Ours",
        happened_at=row.happened_at,
        received_at=row.received_at,
        handled_at=row.handled_at,
    )


def mode_words(*, is_live: bool) -> str:
    return "Live: real money" if is_live else "Test"


def hearing_words(row: Row[Any], *, is_set_up: bool, now: datetime) -> Hearing:
    """How the webhook stands, by when it last told us and what we had to ask for since."""
    told, pulled = "Never", "Never"
    if row.told_at is not None:
        told = f"{moment(row.told_at)}, {span((now - row.told_at).total_seconds())} ago"
    if row.pulled_at is not None:
        missed = plural(row.missed_last, "missed event")
        pulled = f"{moment(row.pulled_at)}, {missed} found"
    state, words = _hearing(row, is_set_up=is_set_up)
    return Hearing(state, words, told, pulled)


def _hearing(row: Row[Any], *, is_set_up: bool) -> tuple[StateWords, str]:
    if not is_set_up:
        return StateWords("Not set up", "stop", "plain"), _NOT_SET_UP
    if row.untold:
        came = f"{plural(row.untold, 'event')} came only because we asked"
        return StateWords("Silent", "alert", "bad"), f"{came}: {_SILENT}"
    if row.told_at is None:
        return StateWords("Never heard of", "alert", "warn"), _NEVER
    return StateWords("Works", "check", "good"), "No event is known of that it did not tell."


def _signed(place: int | None) -> str:
    if place is None:
        return "By no secret: nobody told it"
    if place == 0:
        return "With the newest secret"
    return f"With an older secret, number {place + 1} of ours"
