"""How discount codes were used over time: of one code, and of all in a scope (S2-062, S2-064).

A reservation belongs to the day on which it was made, and is told as it stands now. Its revenue is what
was paid for it in its currency, less what went back since. Each code of a cart has its own use; over all
codes a cart is one reservation, and its revenue is counted once. Days are those of a time zone. Ids are
ordered by time: a period is a range of them in an index, an hour wider at both ends because the front's
clock makes them, and times decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import first_id
from pipelines.discounts.outcomes import Amounts, Outcomes, added_up, outcomes_of
from pipelines.discounts.read import CODE_SHOWN
from pipelines.discounts.refused import Refused, refused_for
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.tenants.time_zones import first_moment

DAYS_MAX = 366
DAYS_SHOWN = 30
CODES_SHOWN = 20
#: More than clocks of fronts and the database differ by.
CLOCKS_APART_MAX = timedelta(hours=1)
COLUMNS = (
    *("day", "currency", "made", "confirmed", "refunded", "live", "released", "abandoned"),
    *("discount_minor", "revenue_minor"),
)

_OF_USAGES = """
FROM discount_usages u
"""
#: What pays for what is confirmed; a part of it that went back leaves it so.
_WITH_PAYMENT = (
    _OF_USAGES
    + "LEFT JOIN payments m ON m.id = u.purchase_id AND u.state = 'confirmed'"
    + " AND m.paid_currency = u.currency"
)
_IN_PERIOD = """
WHERE u.id >= :low AND u.id < :high AND u.created_at >= :begins AND u.created_at < :ends
"""
_CELLS = f"""
SELECT width_bucket(u.created_at, CAST(:starts AS timestamptz[])) AS place, u.currency, u.state, u.release_reason,
    {{counted}}
{_WITH_PAYMENT}{_IN_PERIOD}"""
_KEPT = "m.paid_minor - m.refunded_minor"
_EACH = f"""count(*) AS uses, CAST(sum(u.discount_minor) AS bigint) AS discount_minor,
    CAST(coalesce(sum({_KEPT}), 0) AS bigint) AS revenue_minor"""
_OF_CARTS = f"""count(*) FILTER (WHERE u.stacked_on IS NULL) AS uses,
    CAST(sum(u.discount_minor) AS bigint) AS discount_minor,
    CAST(coalesce(sum({_KEPT}) FILTER (WHERE u.stacked_on IS NULL), 0) AS bigint) AS revenue_minor"""
_GROUPED = " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
# A code that was taken off a cart was part of its reservation, which is counted.
_CARTS = _CELLS.format(counted=_OF_CARTS) + "AND u.release_reason IS DISTINCT FROM 'code_removed' "
_OF_CODE = text(_CELLS.format(counted=_EACH) + "AND u.code_id = :code" + _GROUPED)
_OF_CLIENT = text(_CARTS + "AND u.client_id = :client" + _GROUPED)
_OF_SCOPE = text(_CARTS + _GROUPED)
_MOST_USED = f"""
SELECT c.id, {CODE_SHOWN} AS code, c.client_id, f.made, f.paid, f.live FROM (
    SELECT u.code_id, count(*) AS made,
        count(*) FILTER (WHERE u.state IN ('confirmed', 'refunded')) AS paid,
        count(*) FILTER (WHERE u.state = 'reserved') AS live
    {{period}}
    GROUP BY u.code_id ORDER BY paid DESC, made DESC, u.code_id LIMIT :limit) f
JOIN discount_codes c ON c.id = f.code_id ORDER BY f.paid DESC, f.made DESC, f.code_id
"""
_CODES_OF_CLIENT = text(
    _MOST_USED.format(period=_OF_USAGES + _IN_PERIOD + "AND u.client_id = :client")
)
_CODES_OF_SCOPE = text(_MOST_USED.format(period=_OF_USAGES + _IN_PERIOD))


@dataclass(frozen=True, slots=True)
class Period:
    """From the first moment of one day to the last of another, by the clocks of a zone."""

    first: date
    last: date
    zone: str

    @property
    def days(self) -> list[date]:
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=offset) for offset in range(count)]

    def bounds(self) -> dict[str, Any]:
        """When each day begins, by our own table of zones: the database has another."""
        starts = [first_moment(day, self.zone) for day in self.days]
        ends = first_moment(self.last + timedelta(days=1), self.zone)
        low, high = first_id(starts[0] - CLOCKS_APART_MAX), first_id(ends + CLOCKS_APART_MAX)
        return {"starts": starts, "begins": starts[0], "ends": ends, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Slice:
    """The reservations of one day and currency."""

    day: date
    currency: str
    outcomes: Outcomes
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Analytics:
    """What was found in a period; days without anything have no slice."""

    period: Period
    slices: Sequence[Slice]
    #: Why codes were refused, what was most first.
    refused: Sequence[Refused] = ()

    @property
    def totals(self) -> Outcomes:
        return added_up(one.outcomes for one in self.slices)

    def by_day(self) -> dict[date, Outcomes]:
        """Every day, the oldest first."""
        found = dict.fromkeys(self.period.days, Outcomes())
        for one in self.slices:
            found[one.day] += one.outcomes
        return found

    def by_currency(self) -> dict[str, Amounts]:
        found = dict[str, Amounts]()
        for one in self.slices:
            found[one.currency] = found.get(one.currency, Amounts()) + one.amounts
        return dict(sorted(found.items()))

    def amounts_by_day(self, currency: str) -> dict[date, Amounts]:
        """Every day, the oldest first, in one currency."""
        found = dict.fromkeys(self.period.days, Amounts())
        return found | {one.day: one.amounts for one in self.slices if one.currency == currency}

    def as_json(self) -> dict[str, Any]:
        return {
            "from": self.period.first.isoformat(),
            "to": self.period.last.isoformat(),
            "time_zone": self.period.zone,
            "totals": self.totals.as_json(),
            "released": [
                {"reason": reason, "count": count} for reason, count in self.totals.released.items()
            ],
            "refused": [one.as_json() for one in self.refused],
            "amounts": [
                {"currency": currency} | one.as_json()
                for currency, one in self.by_currency().items()
            ],
            "data": [
                {"day": day.isoformat()} | one.as_json() for day, one in self.by_day().items()
            ],
        }

    def csv(self) -> Iterator[bytes]:
        """A row for each day and currency with anything in it."""
        return csv_blocks(COLUMNS, map(_cells, self.slices))


def last_days(now: datetime, zone: str, days: int = DAYS_SHOWN) -> Period:
    """So many days there, today included."""
    today = now.astimezone(ZoneInfo(zone)).date()
    return Period(today - timedelta(days=days - 1), today, zone)


def analytics_of_code(session: Session, code_id: UUID, period: Period) -> Analytics:
    """One code; one that the scope does not see has nothing: read it before."""
    bounds = period.bounds()
    cells = session.execute(_OF_CODE, bounds | {"code": code_id}).all()
    return _found(period, cells, refused_for(session, bounds, code_id=code_id))


def analytics_of_scope(
    session: Session, period: Period, *, client_id: UUID | None = None
) -> Analytics:
    """Every code of the scope, or of one client in it."""
    statement = _OF_SCOPE if client_id is None else _OF_CLIENT
    bounds = period.bounds()
    cells = session.execute(statement, bounds | _whose(client_id)).all()
    return _found(period, cells, refused_for(session, bounds, client_id=client_id))


def most_used_codes(
    session: Session,
    period: Period,
    *,
    opens: bool,
    client_id: UUID | None = None,
    limit: int = CODES_SHOWN,
) -> list[Row[Any]]:
    """The codes with which most was paid in the period, first; `opens` as of `list_codes`."""
    statement = _CODES_OF_SCOPE if client_id is None else _CODES_OF_CLIENT
    values = period.bounds() | _whose(client_id) | {"limit": limit, "opens": opens}
    return list(session.execute(statement, values))


def _whose(client_id: UUID | None) -> dict[str, UUID]:
    return {} if client_id is None else {"client": client_id}


def _found(period: Period, cells: Sequence[Row[Any]], refused: Sequence[Refused]) -> Analytics:
    days = period.days
    outcomes = dict[tuple[date, str], Outcomes]()
    amounts = dict[tuple[date, str], Amounts]()
    for cell in cells:
        place = (days[cell.place - 1], cell.currency)
        part = outcomes_of(cell.state, cell.release_reason, cell.uses)
        outcomes[place] = outcomes.get(place, Outcomes()) + part
        if cell.state == "confirmed":
            amounts[place] = Amounts(cell.discount_minor, cell.revenue_minor)
    return Analytics(
        period,
        [Slice(*place, found, amounts.get(place, Amounts())) for place, found in outcomes.items()],
        refused,
    )


def _cells(one: Slice) -> tuple[str | int | None, ...]:
    told = one.outcomes.as_json() | one.amounts.as_json()
    told |= {"day": one.day.isoformat(), "currency": one.currency}
    return tuple(told[name] for name in COLUMNS)
