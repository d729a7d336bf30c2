"""Take a coupon for a claim: a certain one, or the next of the deck that was never claimed (EC-110).

A claimed coupon that came back to its deck is given by others, but not claimed again (S0-19).
"""

from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from pipelines.books.deck import free_parts, is_set_aside
from pipelines.books.history import Step

_FREE = """
SELECT c.id, c.version, c.draw_key FROM coupons c
WHERE c.book_id = :book AND c.state = 'unassigned' AND {which}
  AND NOT EXISTS (SELECT FROM claims x WHERE x.coupon_id = c.id)
"""
_CERTAIN = text(_FREE.format(which="c.id = :coupon") + "FOR NO KEY UPDATE OF c SKIP LOCKED")
_TOP = (
    _FREE.format(which="c.draw_key > :low AND c.draw_key <= :high")
    + "ORDER BY c.draw_key LIMIT 1 FOR NO KEY UPDATE OF c"
)
_TOP_FREE, _TOP_WAITING = text(f"{_TOP} SKIP LOCKED"), text(_TOP)


def take_certain(session: Session, book_id: UUID, coupon_id: UUID) -> Step | None:
    """The coupon, locked; None if somebody has it, or has it in hand, or a draw speaks for it.

    The caller shares the deck.
    """
    row = session.execute(_CERTAIN, {"book": book_id, "coupon": coupon_id}).one_or_none()
    if row is None or is_set_aside(session, book_id, row.draw_key):
        return None
    return Step(row.id, row.version, None)


def take_next(session: Session, book_id: UUID) -> Step | None:
    """The first of the deck, locked; what others have in hand is waited for before there is none.

    The caller shares the deck.
    """
    return _top(session, book_id, _TOP_FREE) or _top(session, book_id, _TOP_WAITING)


def _top(session: Session, book_id: UUID, statement: TextClause) -> Step | None:
    for low, high in free_parts(session, book_id):
        row = session.execute(statement, {"book": book_id, "low": low, "high": high}).one_or_none()
        if row is not None:
            return Step(row.id, row.version, None)
    return None
