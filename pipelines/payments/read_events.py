"""The inbox of Stripe's events as operators see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.payments import EventState
from pipelines.errors import NotFound

_EVENTS = """
SELECT e.id, e.type, e.object_id, e.state, e.payment_id, m.purpose, e.livemode, e.account,
    e.happened_at, e.received_at, e.was_pulled, e.secret_place, e.deliveries, e.tries, e.handled_at
FROM stripe_events e LEFT JOIN payments m ON m.id = e.payment_id
"""
_ONE = text(_EVENTS + "WHERE e.id = :id")
_LIST = text(
    _EVENTS
    + """
WHERE (CAST(:before AS text) IS NULL
       OR (e.received_at, e.id) < (CAST(:before_at AS timestamptz), :before))
  AND (CAST(:state AS text) IS NULL OR e.state = :state)
  AND (CAST(:type AS text) IS NULL OR e.type = :type)
ORDER BY e.received_at DESC, e.id DESC LIMIT :limit
"""
)
_COUNTS = text("""
SELECT count(*) FILTER (WHERE state = 'received') AS waiting,
    count(*) FILTER (WHERE state = 'unmatched') AS unmatched,
    count(*) FILTER (WHERE state = 'needs_review') AS needs_review,
    count(*) FILTER (WHERE state = 'mode_mismatch') AS mode_mismatch
FROM stripe_events WHERE state NOT IN ('handled', 'stale', 'unhandled')
""")
# What was told within ten minutes of it may have been on its way when we asked.
_HEARD = text("""
SELECT told.told_at, p.ran_at AS pulled_at, p.found AS missed_last,
    (SELECT count(*) FROM stripe_events e
     WHERE e.was_pulled AND e.deliveries = 1 AND e.received_at > coalesce(told.told_at, '-infinity')
       AND e.happened_at < e.received_at - interval '10 minutes') AS untold
FROM (SELECT max(received_at) AS told_at FROM stripe_events WHERE NOT was_pulled) told
LEFT JOIN stripe_pulls p ON p.name = 'events'
""")


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where a page of events ended; the event itself may be forgotten before the next one is read."""

    received_at: datetime
    event_id: str

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        return cls(row.received_at, row.id)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that `str` wrote; raises `ValueError` for any other text."""
        stamp, _space, event_id = text.partition(" ")
        at = datetime.fromisoformat(stamp)
        if at.tzinfo is None or not event_id.isprintable() or not event_id:
            raise ValueError("no place in a list of events")
        return cls(at, event_id)

    def __str__(self) -> str:
        return f"{self.received_at.isoformat()} {self.event_id}"


def list_events(
    session: Session,
    *,
    state: EventState | None,
    kind: str | None,
    before: EventPlace | None,
    limit: int,
) -> list[Row[Any]]:
    """Events, youngest first, from the place `before` on. In the system's scope."""
    values = {
        "before": before and before.event_id,
        "before_at": before and before.received_at,
        "state": state,
        "type": kind,
        "limit": limit,
    }
    return list(session.execute(_LIST, values))


def read_event_row(session: Session, event_id: str) -> Row[Any]:
    """One event; `NotFound` if there is none."""
    row = session.execute(_ONE, {"id": event_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def count_open_events(session: Session) -> dict[str, int]:
    """How many events wait, and for what."""
    return dict(session.execute(_COUNTS).one()._mapping)


def last_heard(session: Session) -> Row[Any]:
    """When Stripe last told us of an event, when we last asked, and what it did not tell since."""
    return session.execute(_HEARD).one()
