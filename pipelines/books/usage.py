"""How coupons were used on each day (UTC), of one book and of everything in a scope."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.read import book_rules

DAYS_MAX = 366
DAYS_SHOWN = 30

_SUMS = """
SELECT day, CAST(sum(assigned) AS bigint) AS assigned, CAST(sum(released) AS bigint) AS released,
    CAST(sum(redeemed) AS bigint) AS redeemed, CAST(sum(voided) AS bigint) AS voided
FROM coupon_usage WHERE day BETWEEN :first AND :last
"""
_OF_BOOK = text(_SUMS + "AND book_id = :book GROUP BY day")
_OF_SCOPE = text(_SUMS + "GROUP BY day")


@dataclass(frozen=True, slots=True)
class Usage:
    """How many coupons were moved; one that is redeemed more than once counts each time."""

    assigned: int = 0
    released: int = 0
    redeemed: int = 0
    voided: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.assigned + other.assigned,
            self.released + other.released,
            self.redeemed + other.redeemed,
            self.voided + other.voided,
        )


#: Every day of a period, the oldest first.
UsageByDay = dict[date, Usage]


def usage_of_book(
    session: Session, book_id: UUID, *, today: date, days: int = DAYS_SHOWN
) -> UsageByDay:
    """The last days of one book, today (UTC) included; `NotFound` if this scope cannot see it."""
    book_rules(session, book_id)
    period = _period(today, days)
    return _each_day(session.execute(_OF_BOOK, period | {"book": book_id}).all(), **period)


def usage_of_scope(session: Session, *, today: date, days: int = DAYS_SHOWN) -> UsageByDay:
    """The last days of all books in this scope, today (UTC) included."""
    period = _period(today, days)
    return _each_day(session.execute(_OF_SCOPE, period).all(), **period)


def in_all(usage: UsageByDay) -> Usage:
    return sum(usage.values(), start=Usage())


def usage_json(usage: UsageByDay) -> dict[str, Any]:
    return {
        "data": [{"day": day.isoformat()} | asdict(one) for day, one in usage.items()],
        "totals": asdict(in_all(usage)),
    }


def _period(today: date, days: int) -> dict[str, date]:
    return {"first": today - timedelta(days=days - 1), "last": today}


def _each_day(rows: Sequence[Row[Any]], *, first: date, last: date) -> UsageByDay:
    found = {row.day: Usage(*row[1:]) for row in rows}
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return {day: found.get(day, Usage()) for day in days}
