"""Ask Stripe for the events that nobody told us of, and take them in as if it had (EC-131).

Stripe gives up telling after three days, and lists events for thirty. What is found is handled like
any other event: the same one twice is one.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from pipelines.alerts.payment_kinds import WEBHOOK_GAP
from pipelines.alerts.raise_alert import raise_alert
from pipelines.payments.inbox import InvalidPayload, Reading, event_of, take_pulled_event
from pipelines.providers.stripe_answers import ToldMany
from pipelines.providers.stripe_door import StripeDoor
from pipelines.queue.work import Postpone, TaskInHand, fence, finish
from pipelines.telemetry import get_logger

log = get_logger(__name__)

NAME = "events"
#: The first pull looks so far back; Stripe lists no more.
FIRST_LOOK = timedelta(days=29)
#: An event is told within this, or it is missed; what is younger may be on its way.
ON_ITS_WAY = timedelta(minutes=10)
#: Looked at again each time: Stripe's clock is another than ours.
OVERLAP = timedelta(minutes=30)
LOOK_AGAIN = timedelta(minutes=5)
PAGES_MAX = 1_000

_PULLED_TO = text("SELECT pulled_to FROM stripe_pulls WHERE name = :name")
_NOTE = text("""
INSERT INTO stripe_pulls (name, pulled_to, ran_at, found) VALUES (:name, :to, :now, :found)
ON CONFLICT (name) DO UPDATE SET pulled_to = greatest(stripe_pulls.pulled_to, excluded.pulled_to),
    ran_at = excluded.ran_at, found = excluded.found
""")


def pull_events(
    sessions: Sessions,
    task: TaskInHand,
    *,
    door: StripeDoor | None,
    reading: Reading,
    draw: Callable[[], float],
) -> None:
    """The work of PULL_EVENTS: page after page, each taken in by a transaction of its own.

    Raises `Postpone` while Stripe cannot be asked.
    """
    with transaction(sessions) as session:
        now = clock.now(session)
        since = pulled_to(session) or now - FIRST_LOOK
    found, after, is_whole = 0, None, False
    for _ in range(PAGES_MAX if door is not None else 0):
        assert door is not None
        page = door.events(since - OVERLAP, after=after)
        if not isinstance(page, ToldMany):
            raise Postpone(now + LOOK_AGAIN * (0.5 + draw() / 2), "payment_provider")
        with transaction(sessions) as session:
            fence(session, task)
            found += _take(session, page, reading)
        if not page.has_more or not page.things:
            is_whole = True
            break
        after = page.things[-1]["id"]
    with transaction(sessions) as session:
        fence(session, task)
        if is_whole:
            _note(session, to=now, found=found, now=clock.now(session))
        finish(session, task)


def pulled_to(session: Session) -> datetime | None:
    """Until when events were pulled; None before the first time."""
    found: datetime | None = session.execute(_PULLED_TO, {"name": NAME}).scalar_one_or_none()
    return found


def _take(session: Session, page: ToldMany, reading: Reading) -> int:
    """How many of a page nobody had told us of, though they had the time."""
    now, missed = clock.now(session), 0
    for told in page.things:
        try:
            event = event_of(told, reading)
        except InvalidPayload:
            continue
        is_new = take_pulled_event(session, event, now)
        if is_new and event.happened_at < now - ON_ITS_WAY:
            missed += 1
    if missed:
        # Told at once: what is taken in is not new when the rest is asked for again.
        raise_alert(session, WEBHOOK_GAP, subject_id=None, detail={"events": missed}, now=now)
        log.error("stripe.events_missed", events=missed)
    return missed


def _note(session: Session, *, to: datetime, found: int, now: datetime) -> None:
    session.execute(_NOTE, {"name": NAME, "to": to, "now": now, "found": found})
