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
from pipelines.queue.passing import is_passing
from pipelines.queue.work import Postpone, TaskInHand, fence, finish
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
    #: Pages of ours that could not be taken in.
    unreadable: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.strangers) + len(self.missing) + len(self.unreadable)

    def as_detail(self) -> dict[str, str | int | None]:
        return {
            "unknown_here": len(self.strangers),
            "unknown_at_stripe": len(self.missing),
            "not_taken_in": len(self.unreadable),
            "which": " ".join((*self.strangers, *self.missing, *self.unreadable)[:NAMED_MAX]),
        }


def reconcile_payments(
    sessions: Sessions,
    task: TaskInHand,
    *,
    door: StripeDoor | None,
    followers: Followers,
    draw: Callable[[], float],
) -> None:
    """The work of RECONCILE_PAYMENTS; without an account there is nothing to compare.

    Raises `Postpone` while Stripe cannot be asked.
    """
    with transaction(sessions) as session:
        now = clock.now(session)
    try:
        found = None if door is None else _compared(sessions, task, door, followers, now)
    except _AwayNow:
        until = now + LOOK_AGAIN * (0.5 + draw() / 2)
        raise Postpone(until, "payment_provider") from None
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
            ours = _ours(session, things)
        for thing in things:
            payment_id = ours.get(thing["id"])
            if payment_id is None:
                found.strangers += [str(thing["id"])] if _is_missed(thing, now) else []
            elif not _learned(sessions, payment_id, thing, followers):
                found.unreadable.append(str(payment_id))
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


def _ours(session: Session, things: list[Mapping[str, Any]]) -> dict[str, UUID]:
    values = {"sessions": [thing["id"] for thing in things]}
    return {row.session_id: row.id for row in session.execute(_OURS, values)}


def _learned(
    sessions: Sessions, payment_id: UUID, thing: Mapping[str, Any], followers: Followers
) -> bool:
    """Learn one page, in a transaction of its own; False for one that stops nobody else."""
    try:
        with transaction(sessions) as session:
            now = clock.now(session)
            learn(session, payment_id, news_of_session(thing), followers=followers, now=now)
    except Exception as fault:  # whatever one of them is, the others are compared
        if is_passing(fault):
            raise
        fault_class = type(fault).__name__
        log.error("payments.not_learned", payment_id=str(payment_id), fault=fault_class)
        return False
    return True


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
    log.error("payments.do_not_agree", findings=len(found))
    raise_alert(session, PAYMENTS_DO_NOT_AGREE, subject_id=None, detail=found.as_detail(), now=now)
