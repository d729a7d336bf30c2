"""Claims as their claimants and as the partner's managers read them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.reveal_code import reveal_code
from pipelines.partners.months import NEXT_MONTH_AT, THIS_MONTH
from pipelines.partners.sessions import Visitor
from pipelines.sealing import Keyring

_OWN = """
SELECT x.id, x.coupon_id, x.offer_id, x.book_id, x.claim_month, x.claimed_at, c.code, c.state,
    c.user_id IS NOT DISTINCT FROM x.user_id AS is_kept, s.last4, o.title, o.description, b.expires_at
FROM claims x JOIN coupons c ON c.book_id = x.book_id AND c.id = x.coupon_id
LEFT JOIN coupon_codes s ON s.id = x.coupon_id
JOIN partner_offers o ON o.id = x.offer_id JOIN books b ON b.id = x.book_id
WHERE x.partner_id = :partner AND x.user_id = :user
"""
_OWN_ONE = text(_OWN + "AND x.id = :claim")
_OWN_LIST = text(
    _OWN
    + """AND (CAST(:before AS uuid) IS NULL OR x.id < :before)
ORDER BY x.id DESC LIMIT :limit"""
)
_OF_MONTH = text(f"""
SELECT x.id, {NEXT_MONTH_AT} AS next_at FROM partners p JOIN claims x ON x.partner_id = p.id
WHERE p.id = :partner AND x.user_id = :user AND x.claim_month = {THIS_MONTH}
""")
_MANAGED = """
SELECT x.id, x.partner_id, x.user_id, u.external_id, x.offer_id, o.title, x.book_id, x.coupon_id,
    x.claim_month, x.claimed_at, c.code, s.last4, c.state, c.user_id = x.user_id AS is_kept
FROM claims x JOIN coupons c ON c.book_id = x.book_id AND c.id = x.coupon_id
LEFT JOIN coupon_codes s ON s.id = x.coupon_id
JOIN partner_offers o ON o.id = x.offer_id LEFT JOIN partner_users u ON u.user_id = x.user_id
WHERE x.partner_id = :partner AND (CAST(:month AS date) IS NULL OR x.claim_month = :month)
"""
_PAGE = """AND (CAST(:before AS uuid) IS NULL OR x.id < :before)
ORDER BY x.id DESC LIMIT :limit"""
_LIST = text(_MANAGED + _PAGE)
# Found by the user's own claims, however many the partner has.
_LIST_OF_USER = text(
    _MANAGED
    + """AND x.user_id = (SELECT user_id FROM partner_users
                   WHERE partner_id = :partner AND external_id = :external) """
    + _PAGE
)


@dataclass(frozen=True, slots=True)
class ClaimsWanted:
    """Which claims of a partner a list shows; None is any."""

    partner_id: UUID
    month: date | None = None
    external_id: str | None = None


def own_claim(
    session: Session, visitor: Visitor, claim_id: UUID, *, keyring: Keyring
) -> tuple[Row[Any], str | None]:
    """The visitor's claim and the whole code of its coupon; of a sealed one the opening is audited.

    None for a coupon that was taken back: it may be somebody else's by now.
    """
    who = {"partner": visitor.partner_id, "user": visitor.user_id}
    row = session.execute(_OWN_ONE, who | {"claim": claim_id}).one()
    return row, _code(session, row, visitor, keyring)


def claim_of_month(
    session: Session, visitor: Visitor, *, now: datetime
) -> tuple[UUID, datetime] | None:
    """This month's claim of the visitor, and from when there may be another; None without one."""
    values = {"partner": visitor.partner_id, "user": visitor.user_id, "now": now}
    row = session.execute(_OF_MONTH, values).one_or_none()
    return None if row is None else (row.id, row.next_at)


def own_claims(
    session: Session, visitor: Visitor, *, before: UUID | None, limit: int, keyring: Keyring
) -> list[tuple[Row[Any], str | None]]:
    """The visitor's claims at this partner, newest first, with their codes; one more than `limit` comes without."""
    who = {"partner": visitor.partner_id, "user": visitor.user_id}
    rows = session.execute(_OWN_LIST, who | {"before": before, "limit": limit + 1}).all()
    shown = [(row, _code(session, row, visitor, keyring)) for row in rows[:limit]]
    # One more says that there are more; what is not shown is not opened.
    return [*shown, *((row, None) for row in rows[limit:])]


def list_claims(
    session: Session, wanted: ClaimsWanted, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """Claims of a partner in sight, newest first; codes of sealed books by their last characters."""
    values = {"before": before, "limit": limit, "partner": wanted.partner_id}
    asked = {"month": wanted.month, "external": wanted.external_id}
    statement = _LIST if wanted.external_id is None else _LIST_OF_USER
    return list(session.execute(statement, values | asked))


def _code(session: Session, row: Row[Any], visitor: Visitor, keyring: Keyring) -> str | None:
    if not row.is_kept:
        return None
    code = reveal_code(
        session, row.book_id, row.coupon_id, actor_id=visitor.user_id, keyring=keyring
    )
    return code.reveal()
