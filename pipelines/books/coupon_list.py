"""The coupons of a book, newest first: as they stand now, sealed codes by their last characters alone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.books import CouponState

#: SQL: the state of coupon `c` at `:now`: a lock that ran out is none (EC-086).
STANDING = """CASE WHEN c.state = 'locked' AND c.locked_until <= :now THEN 'assigned'
    ELSE c.state END"""
#: SQL: the coupons of a book that are asked for, after the last id of the page before.
PAGE = f"""
FROM coupons c LEFT JOIN coupon_codes k ON k.id = c.id
WHERE c.book_id = :book AND (CAST(:before AS uuid) IS NULL OR c.id < :before)
  AND (CAST(:user AS uuid) IS NULL OR c.user_id = :user)
  AND (CAST(:state AS text) IS NULL OR {STANDING} = :state)
ORDER BY c.id DESC LIMIT :limit
"""
_LIST = text(f"""
SELECT c.id, c.code, k.last4, {STANDING} AS state, c.user_id, c.assigned_at, c.redemptions,
    CASE WHEN c.locked_until > :now THEN c.locked_until END AS locked_until, c.load_job_id
{PAGE}
""")


@dataclass(frozen=True, slots=True)
class CouponsWanted:
    """Which coupons of a book; None asks for any."""

    state: CouponState | None = None
    user_id: UUID | None = None

    def values(self, book_id: UUID, now: datetime) -> dict[str, Any]:
        """The parameters of `PAGE`, without its place and its length."""
        return {"book": book_id, "user": self.user_id, "state": self.state, "now": now}


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
    return list(session.execute(_LIST, values | {"before": before, "limit": limit}))


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
