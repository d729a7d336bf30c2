"""The coupons of a book, newest first: as they stand now, sealed codes by their last characters alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from models.books import CouponState

#: SQL: the state of coupon `c` at `:now`: a lock that ran out is none (EC-086).
STANDING = """CASE WHEN c.state = 'locked' AND c.locked_until <= :now THEN 'assigned'
    ELSE c.state END"""
_PAGE = """
SELECT * FROM coupons
WHERE book_id = :book AND (CAST(:before AS uuid) IS NULL OR id < :before)
  AND (CAST(:user AS uuid) IS NULL OR user_id = :user) AND {standing}
ORDER BY id DESC LIMIT :limit"""
# Those in one state are a range of an index, the newest first; nobody's are read from all of the book.
_STANDS: Mapping[CouponState | None, tuple[str, ...]] = {
    None: ("true",),
    **{state: (f"state = '{state}'",) for state in CouponState},
    CouponState.ASSIGNED: ("state = 'assigned'", "state = 'locked' AND locked_until <= :now"),
    CouponState.LOCKED: ("state = 'locked' AND locked_until > :now",),
}


def page_of_coupons(columns: str) -> Mapping[CouponState | None, TextClause]:
    """For each state that is asked for, or any: these columns of coupons `c` and sealed codes `k`.

    One page of a book, after the last id of the page before.
    """
    pages = {
        state: " UNION ALL ".join(f"({_PAGE.format(standing=one)})" for one in standing)
        for state, standing in _STANDS.items()
    }
    return {
        state: text(f"""SELECT {columns} FROM ({page}) c LEFT JOIN coupon_codes k ON k.id = c.id
            ORDER BY c.id DESC LIMIT :limit""")
        for state, page in pages.items()
    }


_LIST = page_of_coupons(f"""c.id, c.code, k.last4, {STANDING} AS state, c.user_id, c.assigned_at,
    CASE WHEN c.locked_until > :now THEN c.locked_until END AS locked_until, c.redemptions,
    c.load_job_id""")


@dataclass(frozen=True, slots=True)
class CouponsWanted:
    """Which coupons of a book; None asks for any."""

    state: CouponState | None = None
    user_id: UUID | None = None

    def values(self, book_id: UUID, now: datetime) -> dict[str, Any]:
        """The parameters of a page, without its place and its length."""
        return {"book": book_id, "user": self.user_id, "now": now}


def list_coupons(
    session: Session,
    book_id: UUID,
    wanted: CouponsWanted,
    *,
    now: datetime,
    before: UUID | None,
    limit: int,
) -> list[Row[Any]]:
    """One page; the caller has seen that the book is in its scope."""
    values = wanted.values(book_id, now)
    return list(session.execute(_LIST[wanted.state], values | {"before": before, "limit": limit}))


def coupon_json(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "code": shown_code(row.code, row.last4),
        "state": row.state,
        "user_id": row.user_id,
        "assigned_at": row.assigned_at,
        "locked_until": row.locked_until,
        "redemptions": row.redemptions,
        "created_at": created_at(row.id),
        "job_id": row.load_job_id,
    }


def shown_code(code: str | None, last4: str | None) -> str:
    """The code, or `****1234` where its book seals it."""
    return code if code is not None else f"****{last4}"


def created_at(coupon_id: UUID) -> datetime:
    """When the coupon was made: its id is a UUIDv7."""
    return datetime.fromtimestamp((coupon_id.int >> 80) / 1000, UTC)
