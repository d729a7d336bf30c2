"""The inbox of Stripe's events for operators: what waits, whether we are told, and one event again."""

from typing import Any

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.payments import EventState
from models.scope import SYSTEM
from pipelines.access.permissions import Permission, is_allowed
from pipelines.payments.handle import REPLAYABLE, NotReplayable, replay_event
from pipelines.payments.read_events import (
    EventPlace,
    count_open_events,
    last_heard,
    list_events,
    read_event_row,
)
from pipelines.queue.defer import note_doorbells
from web.console.frame import go, page
from web.console.stripe_event_words import (
    STATES,
    WAITING,
    event_words,
    hearing_words,
    mode_words,
)
from web.front import front
from web.guards import permitted, principal

PAGE_SIZE = 50
TITLE = "Stripe events"


def add_pages(console: Blueprint) -> None:
    path = "/stripe-events/<event_id>"
    console.add_url_rule("/stripe-events", "stripe_events", show)
    console.add_url_rule(path, "stripe_event", show_one)
    console.add_url_rule(f"{path}/replay", "stripe_event_replay", replay, methods=["POST"])


@permitted(Permission.QUEUES_READ)
def show() -> Response:
    """Events, youngest first, below what waits and when Stripe last told us."""
    asked, before = request.args.get("state", ""), request.args.get("before")
    chosen = EventState(asked) if asked in STATES else None
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        counts, heard = count_open_events(session), last_heard(session)
        last = _place(before)
        rows = list_events(session, state=chosen, kind=None, before=last, limit=PAGE_SIZE + 1)
    shown, older = rows[:PAGE_SIZE], None
    if len(rows) > PAGE_SIZE:
        older = url_for("console.stripe_events", state=chosen, before=str(EventPlace.of(shown[-1])))
    return page(
        "stripe_events.html",
        title=TITLE,
        section="stripe",
        crumbs=[(TITLE, None)],
        hearing=hearing_words(heard, is_set_up=house.paying.door is not None, now=now),
        secrets=len(house.paying.secrets),
        mode="–" if house.paying.door is None else mode_words(is_live=house.paying.door.is_live),
        waiting=[(counts[name], state, words) for name, state, words in WAITING],
        events=[event_words(row) for row in shown],
        filters=[(state, words.word) for state, words in STATES.items()],
        chosen=chosen,
        older=older,
        is_later_page=last is not None,
    )


@permitted(Permission.QUEUES_READ)
def show_one(event_id: str) -> Response:
    return _one(event_id)


@permitted(Permission.QUEUES_CONTROL)
def replay(event_id: str) -> Response:
    """Handle an event once more; what is known already changes nothing."""
    try:
        with scoped_transaction(front().house.sessions, SYSTEM) as session:
            noted, now = note_doorbells(session), clock.now(session)
            replay_event(session, event_id, actor_id=principal().actor_id, now=now)
    except NotReplayable as refusal:
        return _one(event_id, wrong=refusal.detail, status=409)
    front().broker.ring(noted.doorbells)
    return go(url_for("console.stripe_event", event_id=event_id, done="again"))


def _place(before: str | None) -> EventPlace | None:
    """Where the page before ended; what no page of ours wrote is the first one."""
    try:
        return None if before is None else EventPlace.parse(before)
    except ValueError:
        return None


def _one(event_id: str, *, wrong: str | None = None, status: int = 200) -> Response:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        row = read_event_row(session, event_id)
    return page(
        "stripe_event.html",
        title=f"Event {row.id}",
        section="stripe",
        crumbs=[(TITLE, url_for("console.stripe_events")), (row.id, None)],
        status=status,
        event=event_words(row),
        is_replayable=row.state in REPLAYABLE,
        may_control=is_allowed(principal(), Permission.QUEUES_CONTROL),
        payment=_payment_link(row),
        done=request.args.get("done") == "again",
        wrong=wrong,
    )


def _payment_link(row: Row[Any]) -> str | None:
    """Where what it is about stands, if the visitor may look there."""
    words, caller = event_words(row), principal()
    if words.payment_id is None:
        return None
    if words.is_top_up:
        is_seen = is_allowed(caller, Permission.CREDIT_READ)
        return url_for("console.top_up", top_up_id=words.payment_id) if is_seen else None
    is_seen = is_allowed(caller, Permission.PURCHASES_READ)
    return url_for("console.purchase", purchase_id=words.payment_id) if is_seen else None
