"""Compare Stripe's pages of the last three days with our payments, both ways (EC-023).

What Stripe says of a page that we have is learned, as an event of it would be: so nothing rests on
events alone. What one side has and the other has not is found, and told to a person.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from pipelines.alerts.payment_kinds import PAYMENTS_DO_NOT_AGREE
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.payments.learn import Followers, learn
from pipelines.payments.news import news_of_session
from pipelines.providers.stripe_answers import ToldMany
from pipelines.providers.stripe_door import StripeDoor
from pipelines.queue.work import TaskInHand, fence, finish, postpone
from pipelines.telemetry import get_logger

log = get_logger(__name__)

NAME = "sessions"
LOOK_BACK = timedelta(hours=72)
#: What is younger may be on its way from one side to the other.
ON_ITS_WAY = timedelta(minutes=10)
LOOK_AGAIN = timedelta(minutes=10)
#: Ids that are told of; the rest is counted.
NAMED_MAX = 20

_OURS = text("SELECT id, session_id FROM payments WHERE session_id = ANY(:sessions)")
_MISSING = text("""
SELECT id FROM payments
WHERE created_at > :since AND created_at < :until AND payment <> 'not_required'
  AND session_id IS NOT NULL AND NOT session_id = ANY(:sessions)
ORDER BY id
""")
_NOTE = text("""
INSERT INTO stripe_pulls (name, pulled_to, ran_at, found) VALUES (:name, :to, :now, :found)
ON CONFLICT (name) DO UPDATE SET pulled_to = excluded.pulled_to, ran_at = excluded.ran_at,
    found = excluded.found
""")


class _AwayNow(Exception):
    """Stripe gives no answer; the look is taken again later."""


@dataclass(slots=True)
class Findings:
    """What does not agree: Stripe's pages that we do not know, and ours that Stripe does not."""

    strangers: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.strangers) + len(self.missing)

    def as_detail(self) -> dict[str, str | int | None]:
        return {
            "unknown_here": len(self.strangers),
            "unknown_at_stripe": len(self.missing),
            "which": " ".join((*self.strangers, *self.missing)[:NAMED_MAX]),
        }


def reconcile_payments(
    sessions: Sessions,
    task: TaskInHand,
    *,
    door: StripeDoor | None,
    followers: Followers,
    draw: Callable[[], float],
) -> None:
    """The work of RECONCILE_PAYMENTS; without an account there is nothing to compare."""
    with transaction(sessions) as session:
        now = clock.now(session)
    try:
        found = None if door is None else _compared(sessions, task, door, followers, now)
    except _AwayNow:
        with transaction(sessions) as session:
            fence(session, task)
            until = now + LOOK_AGAIN * (0.5 + draw() / 2)
            postpone(session, task, until=until, reason="payment_provider")
        return
    with transaction(sessions) as session:
        fence(session, task)
        if found is not None:
            _tell(session, found, now)
        finish(session, task)


def _compared(
    sessions: Sessions, task: TaskInHand, door: StripeDoor, followers: Followers, now: datetime
) -> Findings:
    since, found, seen = now - LOOK_BACK, Findings(), list[str]()
    for things in _pages(door, since - ON_ITS_WAY):
        seen += [thing["id"] for thing in things]
        with transaction(sessions) as session:
            fence(session, task)
            found.strangers += _learn_page(session, things, followers, now)
    with transaction(sessions) as session:
        values = {"since": since, "until": now - ON_ITS_WAY, "sessions": seen}
        found.missing += [str(one) for one in session.execute(_MISSING, values).scalars()]
    return found


def _pages(door: StripeDoor, since: datetime) -> Iterator[list[Mapping[str, Any]]]:
    after: str | None = None
    while True:
        page = door.sessions(since, after=after)
        if not isinstance(page, ToldMany):
            raise _AwayNow
        yield list(page.things)
        if not page.has_more or not page.things:
            return
        after = page.things[-1]["id"]


def _learn_page(
    session: Session, things: list[Mapping[str, Any]], followers: Followers, now: datetime
) -> list[str]:
    """Learn what is ours; which of those that name a payment of ours are not here."""
    ids = [thing["id"] for thing in things]
    ours: dict[str, UUID] = {
        row.session_id: row.id for row in session.execute(_OURS, {"sessions": ids})
    }
    strangers = []
    for thing in sorted(things, key=lambda one: str(ours.get(one["id"], ""))):
        payment_id = ours.get(thing["id"])
        if payment_id is not None:
            learn(session, payment_id, news_of_session(thing), followers=followers, now=now)
        elif _is_missed(thing, now):
            strangers.append(str(thing["id"]))
    return strangers


def _is_missed(thing: Mapping[str, Any], now: datetime) -> bool:
    """Whether it was made by us, and is old enough that we should know of it."""
    is_ours = "payment_id" in (thing.get("metadata") or {})
    return is_ours and thing["created"] < (now - ON_ITS_WAY).timestamp()


def _tell(session: Session, found: Findings, now: datetime) -> None:
    values = {"name": NAME, "to": now, "now": now, "found": len(found)}
    session.execute(_NOTE, values)
    if not found:
        settle_alert(session, PAYMENTS_DO_NOT_AGREE, subject_id=None, now=now)
        return
    log.error("payments.do_not_agree", strangers=len(found.strangers), missing=len(found.missing))
    raise_alert(session, PAYMENTS_DO_NOT_AGREE, subject_id=None, detail=found.as_detail(), now=now)
