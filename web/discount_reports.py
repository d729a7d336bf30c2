"""Analytics and files of discount codes for both doors: which days, whose, and the CSV answers."""

from collections.abc import Iterator
from datetime import date
from typing import NoReturn
from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission, is_allowed
from pipelines.discounts.analytics import (
    DAYS_MAX,
    Analytics,
    Period,
    analytics_of_code,
    analytics_of_scope,
    last_days,
)
from pipelines.discounts.export import audit_export, codes_csv
from pipelines.discounts.read import CodeView, Wanted, read_code
from pipelines.errors import FieldError, ValidationFailed
from pipelines.jobs.cells import OUT_OF_YEARS, YEARS
from pipelines.tenants.clients import client
from web.front import front
from web.guards import freshly_proven, principal

#: Whose days count where several clients' are told together.
OF_ALL = "UTC"
Days = tuple[date | None, date | None]


def report_on_code(session: Session, code_id: UUID, days: Days) -> tuple[CodeView, Analytics]:
    """A code and its use on days of its client's time zone; raises as `period_of`, and `NotFound`."""
    now = clock.now(session)
    view = read_code(session, code_id, now=now, opens=sees_codes())
    period = _period(session, days, client(session, view.row.client_id).time_zone)
    return view, analytics_of_code(session, code_id, period)


def report_on_all(session: Session, client_id: UUID | None, days: Days) -> Analytics:
    """Every code that the caller sees, or one client's; by the days of that client, or of UTC.

    Raises as `period_of`, and `NotFound`.
    """
    chosen = client_id or principal().client_id
    zone = OF_ALL if chosen is None else client(session, chosen).time_zone
    return analytics_of_scope(session, _period(session, days, zone), client_id=chosen)


def period_of(days: Days, otherwise: Period) -> Period:
    """The days that were asked for, both given or both left out; raises `ValidationFailed`."""
    first, last = days
    if first is None and last is None:
        return otherwise
    if first is None or last is None:
        _refuse("required", "from" if first is None else "to", "Give both days, or none.")
    if first.year not in YEARS or last.year not in YEARS:
        _refuse("out_of_range", "from", OUT_OF_YEARS.replace("a time", "days"))
    if last < first:
        _refuse("out_of_range", "to", "The last day is before the first one.")
    if (last - first).days >= DAYS_MAX:
        _refuse("out_of_range", "to", f"Give at most {DAYS_MAX} days.")
    return Period(first, last, otherwise.zone)


def report_file(found: Analytics, name: str) -> Response:
    return _file(found.csv(), f"{name}-{found.period.first}-{found.period.last}.csv")


def sees_codes() -> bool:
    """Whether this caller sees also codes that are worth something to whoever has them."""
    return is_allowed(principal(), Permission.DISCOUNTS_MANAGE)


def codes_file(wanted: Wanted) -> Response:
    """The codes of a list as a file, to who was freshly proven; the audit is told first."""
    house, caller = front().house, freshly_proven()
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)
        audit_export(session, caller, wanted)
    blocks = codes_csv(house.sessions, caller.scope, wanted, now=now)
    return _file(blocks, f"discounts-{now:%Y%m%dT%H%M%SZ}.csv")


def _period(session: Session, days: Days, zone: str) -> Period:
    return period_of(days, last_days(clock.now(session), zone))


def _refuse(code: str, field: str, detail: str) -> NoReturn:
    raise ValidationFailed(errors=(FieldError(code, detail, pointer=f"/{field}"),))


def _file(blocks: Iterator[bytes], name: str) -> Response:
    response = Response(blocks, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Cache-Control"] = "no-store"
    return response
