"""Where a flagged use stands among those that wait for a person, and which one is next (S2-138)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.fraud.read import OF_LIST, WAITS, WantedFlagged

#: Uses that are counted one by one; of more it is told that there are so many and more.
COUNTED_MAX = 1_000
_WAITING = f"""
SELECT r.usage_id, r.score FROM usage_risks r JOIN discount_usages u ON u.id = r.usage_id
LEFT JOIN LATERAL (SELECT p.review FROM purchases p
                   WHERE p.usage_id = r.usage_id AND p.review IS NOT NULL LIMIT 1) p ON true
WHERE r.flagged_at IS NOT NULL {OF_LIST} AND {WAITS}
"""
_FIRST = "ORDER BY r.score DESC, r.usage_id DESC LIMIT 1"
# After the last one comes the first: what was left for later is not lost.
_QUEUE = text(f"""
SELECT EXISTS ({_WAITING} AND r.usage_id = :usage) AS is_waiting,
    (SELECT count(*) FROM ({_WAITING} LIMIT :most) w) AS waiting,
    (SELECT count(*) FROM ({_WAITING} AND (r.score, r.usage_id) > (:score, :usage) LIMIT :most) w)
        AS ahead,
    coalesce(
        (SELECT w.usage_id FROM ({_WAITING} AND (r.score, r.usage_id) < (:score, :usage) {_FIRST}) w),
        (SELECT w.usage_id FROM ({_WAITING} AND r.usage_id <> :usage {_FIRST}) w)
    ) AS next_id
""")


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The highest score is at place 1; None for a use that waits no more. Both counts end at a bound."""

    place: int | None
    waiting: int
    #: The one after it, or the first one after the last; None where no other waits.
    next_id: UUID | None


def place_in_queue(session: Session, wanted: WantedFlagged, row: Row[Any]) -> QueuePlace:
    """Of a use that `read_flagged` gave, among those of the wanted client and code that wait."""
    values = {
        "client": wanted.client_id,
        "code": wanted.code_id,
        "usage": row.id,
        "score": row.score,
        "most": COUNTED_MAX,
    }
    found = session.execute(_QUEUE, values).one()
    return QueuePlace(found.ahead + 1 if found.is_waiting else None, found.waiting, found.next_id)
