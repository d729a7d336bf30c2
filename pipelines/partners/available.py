"""What a visitor may claim now: filtered by the database, never by the page (S0-22..24, EC-111)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.deck import free_parts
from pipelines.partners.months import THIS_MONTH
from pipelines.partners.sessions import Visitor

# A book that is over, that gave all it gives or that gave the visitor all it gives one person, is
# not offered; the claim decides once more.
_OFFERS = text("""
SELECT o.id, o.book_id, o.title, o.description, o.place, b.expires_at
FROM partner_offers o JOIN books b ON b.id = o.book_id
LEFT JOIN coupon_counts w ON w.book_id = b.id AND w.user_id = CAST(:whole AS uuid)
LEFT JOIN coupon_counts u ON u.book_id = b.id AND u.user_id = :user
WHERE o.partner_id = :partner AND o.ended_at IS NULL AND b.closed_at IS NULL
  AND coalesce(b.expires_at > :now, true)
  AND coalesce(w.assigned < b.max_assignments, b.max_assignments IS NULL OR w.assigned IS NULL)
  AND coalesce(u.assigned < b.max_assignments_per_user,
               b.max_assignments_per_user IS NULL OR u.assigned IS NULL)
ORDER BY o.place
""")
_MAY = text(f"""
SELECT NOT EXISTS (SELECT FROM claims c WHERE c.partner_id = p.id AND c.user_id = :user
                   AND c.claim_month = {THIS_MONTH})
       AND u.disabled_at IS NULL AND l.suspended_at IS NULL
FROM partners p JOIN clients l ON l.id = p.client_id
JOIN client_users u ON u.client_id = p.client_id AND u.user_id = :user
WHERE p.id = :partner
""")
# In the order of the deck, above the place of the last one that was shown.
_COUPONS = text("""
SELECT c.id, c.draw_key FROM coupons c
WHERE c.book_id = :book AND c.state = 'unassigned' AND c.draw_key > :low AND c.draw_key <= :high
  AND NOT EXISTS (SELECT FROM claims x WHERE x.coupon_id = c.id)
ORDER BY c.draw_key LIMIT :limit
""")
_AFTER = text("""
SELECT c.book_id, c.draw_key, o.place FROM partner_offers o
JOIN coupons c ON c.book_id = o.book_id AND c.id = :coupon
WHERE o.partner_id = :partner ORDER BY o.ended_at DESC NULLS FIRST LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Available:
    """A coupon that may be claimed, with the offer that it is of; its code is told to who claims it."""

    id: UUID
    offer: Row[Any]


def may_claim(session: Session, visitor: Visitor, *, now: datetime) -> bool:
    """Whether the visitor has none of this month yet, and may be given anything."""
    values = {"partner": visitor.partner_id, "user": visitor.user_id, "now": now}
    return bool(session.execute(_MAY, values).scalar_one_or_none())


def offers_for(session: Session, visitor: Visitor, *, now: datetime) -> list[Row[Any]]:
    """The offers that may have a coupon for the visitor, in their order."""
    values = {"partner": visitor.partner_id, "user": visitor.user_id, "whole": UUID(int=0)}
    return list(session.execute(_OFFERS, values | {"now": now}))


def list_available(
    session: Session,
    visitor: Visitor,
    *,
    after: UUID | None,
    limit: int,
    now: datetime,
    one_per_offer: bool = False,
) -> list[Available]:
    """Coupons that the visitor may claim, offer by offer; none for who has claimed this month.

    `after`: the last one that was shown before. `one_per_offer`: of each offer the first alone.
    """
    if not may_claim(session, visitor, now=now):
        return []
    found: list[Available] = []
    for offer, low in _from(session, visitor, offers_for(session, visitor, now=now), after):
        if one_per_offer and low >= 0:
            continue
        found += _of_offer(session, offer, low, 1 if one_per_offer else limit - len(found))
        if len(found) == limit:
            break
    return found


def _from(
    session: Session, visitor: Visitor, offers: list[Row[Any]], after: UUID | None
) -> Iterator[tuple[Row[Any], int]]:
    """The offers that are still to be shown, each with the place in its deck above which."""
    last = None
    if after is not None:
        values = {"partner": visitor.partner_id, "coupon": after}
        last = session.execute(_AFTER, values).one_or_none()
    for offer in offers:
        if last is None or offer.place > last.place:
            yield offer, -1
        elif offer.place == last.place:
            yield offer, last.draw_key


def _of_offer(session: Session, offer: Row[Any], after: int, limit: int) -> list[Available]:
    found: list[Available] = []
    for low, high in free_parts(session, offer.book_id):
        if high <= after:
            continue
        values = {"book": offer.book_id, "low": max(low, after), "high": high}
        rows = session.execute(_COUPONS, values | {"limit": limit - len(found)})
        found += [Available(row.id, offer) for row in rows]
        if len(found) == limit:
            break
    return found
