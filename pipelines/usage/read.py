"""How much was issued on each day, as dashboards draw it."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

_BY_DAY = text("""
SELECT day, currency, CAST(sum(cards) AS bigint) AS cards,
    CAST(sum(charge_minor) AS bigint) AS charge_minor
FROM issued WHERE day BETWEEN :first AND :last
GROUP BY day, currency ORDER BY day, currency
""")


@dataclass(frozen=True, slots=True)
class Issued:
    """Cards and what was charged for them, in minor units; undone ones are taken off."""

    currency: str
    cards: int
    charge_minor: int


def issued_by_day(session: Session, *, first: date, last: date) -> dict[date, list[Issued]]:
    """Of everything in this scope; days (UTC) on which nothing moved are left out."""
    days: dict[date, list[Issued]] = {}
    for row in session.execute(_BY_DAY, {"first": first, "last": last}):
        days.setdefault(row.day, []).append(Issued(row.currency, row.cards, row.charge_minor))
    return days
