"""Act on one event: with its row locked, in one transaction, however often and in whichever order.

An event of a payment that is not there yet is looked at again for three days, as it may be ours and
only quicker than we (EC-009); then a person looks.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.payments import EventState
from pipelines.alerts.payment_kinds import UNMATCHED_EVENT
from pipelines.alerts.raise_alert import raise_alert
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.payments.inbox import TypedEvent, take_anew
from pipelines.payments.learn import Followers, learn
from pipelines.payments.news import news_from
from pipelines.payments.read import payment_named
from pipelines.queue.defer import defer
from pipelines.queue.kinds import HANDLE_EVENT
from pipelines.queue.work import TaskInHand
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Between one look for the payment of an event and the next.
LOOKS = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=24),
    timedelta(hours=41),
)
#: What may be handled once more because a person wants it.
REPLAYABLE = frozenset(EventState) - {EventState.MODE_MISMATCH}

_EVENT = text("SELECT * FROM stripe_events WHERE own_id = :own FOR UPDATE")
_NAMED = text("SELECT * FROM stripe_events WHERE id = :id FOR UPDATE")
_IS = text("""
UPDATE stripe_events SET state = :state, payment_id = coalesce(CAST(:payment AS uuid), payment_id),
    tries = tries + 1, handled_at = CASE WHEN :is_over THEN CAST(:now AS timestamptz) END
WHERE id = :id
""")
_AGAIN = text("""
UPDATE stripe_events SET state = 'received', tries = 0, handled_at = NULL WHERE id = :id
""")


class NotReplayable(Refusal):
    """An event of another mode or account has no effects here."""

    code = "not_replayable"
    kind = Kind.CONFLICT
    detail = "The event is of another mode or account than ours: it has no effects here."


def handle_event(
    session: Session, task: TaskInHand, now: datetime, *, followers: Followers
) -> None:
    """The work of HANDLE_EVENT; in the system's scope."""
    event = session.execute(_EVENT, {"own": task.args["event"]}).one_or_none()
    if event is None or event.state not in {EventState.RECEIVED, EventState.UNMATCHED}:
        return
    news = news_from(event.news)
    payment_id = payment_named(session, news)
    if payment_id is None:
        _unmatched(session, event, now, is_ours=news.is_ours)
        return
    learned = learn(session, payment_id, news, followers=followers, now=now)
    state = EventState.HANDLED if learned.is_news else EventState.STALE
    _set(session, event, state, now, payment_id=payment_id)
    log.info("stripe.event_handled", event_id=event.id, type=event.type, state=state.value)


def replay_event(
    session: Session,
    event_id: str,
    *,
    actor_id: UUID,
    now: datetime,
    anew: TypedEvent | None = None,
) -> None:
    """Handle an event once more because a person asks for it; what is known already changes nothing.

    `anew` is what Stripe says of it now, if it could be asked. Raises `NotFound` and `NotReplayable`.
    """
    event = session.execute(_NAMED, {"id": event_id}).one_or_none()
    if event is None:
        raise NotFound
    if event.state not in REPLAYABLE:
        raise NotReplayable
    if anew is not None:
        take_anew(session, anew)
    session.execute(_AGAIN, {"id": event_id})
    defer(session, HANDLE_EVENT, args={"event": str(event.own_id)}, now=now)
    record(
        session,
        "stripe_event.replayed",
        object_kind="stripe_event",
        object_id=None,
        actor_id=actor_id,
        detail={"event_id": event_id, "type": event.type},
    )


def _unmatched(session: Session, event: Row[Any], now: datetime, *, is_ours: bool) -> None:
    is_foreign = "payment_id" not in event.news
    if not is_ours or (is_foreign and event.tries >= len(LOOKS)):
        # Of the same account, and of something that another system sells.
        _set(session, event, EventState.UNHANDLED, now)
        return
    if event.tries >= len(LOOKS):
        _set(session, event, EventState.NEEDS_REVIEW, now)
        detail = {"event_id": event.id, "type": event.type}
        raise_alert(session, UNMATCHED_EVENT, subject_id=None, detail=detail, now=now)
        return
    _set(session, event, EventState.UNMATCHED, now)
    run_after = now + LOOKS[event.tries]
    args = {"event": str(event.own_id)}
    defer(session, HANDLE_EVENT, args=args, now=now, run_after=run_after)


def _set(
    session: Session,
    event: Row[Any],
    state: EventState,
    now: datetime,
    *,
    payment_id: UUID | None = None,
) -> None:
    values = {
        "id": event.id,
        "state": state.value,
        "payment": payment_id,
        "is_over": state is not EventState.UNMATCHED,
        "now": now,
    }
    session.execute(_IS, values)
