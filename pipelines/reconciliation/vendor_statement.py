"""Take a vendor's statement of a day, and compare it with our orders there.

What differs is read anew whenever somebody looks: an order that is settled meanwhile, or stands
on the next day's statement, is a finding no more.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import first_id
from pipelines.alerts.kinds import STATEMENT_DIFFERS
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.audit.record import record
from pipelines.errors import FieldError, NotFound, ValidationFailed
from pipelines.jobs.copying import copy_rows
from pipelines.jobs.csv_reader import open_csv
from pipelines.limits import Limits
from pipelines.reconciliation.statement_rows import COLUMNS, Sale, read_sale

FINDINGS_SHOWN_MAX = 1_000
#: Findings of these kinds, those to act on first.
KINDS = ("missing_here", "not_bought_here", "told_twice", "amount_differs", "missing_there")
#: No vendor of ours sold anything before.
FIRST_DAY = date(2020, 1, 1)
#: An order may have waited so long between its row, whose id tells the time, and its call.
WAITED_MAX = timedelta(days=31)

_ACCOUNT = text("SELECT id FROM vendor_accounts WHERE vendor = :vendor")
_TAKE = text("""
INSERT INTO vendor_statements (vendor, day, rows, taken_by, taken_at)
VALUES (:vendor, :day, 0, :actor, :now)
ON CONFLICT (vendor, day) DO UPDATE SET taken_by = excluded.taken_by, taken_at = excluded.taken_at
""")
_EMPTY = text("DELETE FROM vendor_statement_rows WHERE vendor = :vendor AND day = :day")
_COPY = (
    "COPY vendor_statement_rows (vendor, day, row, order_id, vendor_order_id, amount_minor, "
    "currency) FROM STDIN"
)
_COUNTED = text("""
UPDATE vendor_statements SET rows = :rows, findings = :findings
WHERE vendor = :vendor AND day = :day
""")
# Ids of orders tell when they were written: only those of the time around the day are looked at.
# Joins are equalities, so that each side is read once; a card is looked up where it is told of.
_FINDINGS = text("""
WITH ours AS MATERIALIZED (
    SELECT o.id, o.vendor_order_id, o.state, o.sent_at FROM provider_orders o
    WHERE o.vendor = :vendor AND o.id BETWEEN :low AND :high AND o.sent_at IS NOT NULL),
numbered AS MATERIALIZED (
    SELECT DISTINCT ON (vendor_order_id) id, vendor_order_id, state FROM ours
    WHERE vendor_order_id IS NOT NULL ORDER BY vendor_order_id, id),
matched AS MATERIALIZED (
    SELECT r.row, r.vendor_order_id, r.amount_minor, r.currency,
        coalesce(o.id, n.id) AS found, coalesce(o.state, n.state) AS state
    FROM vendor_statement_rows r LEFT JOIN ours o ON o.id = r.order_id
    LEFT JOIN numbered n ON n.vendor_order_id = r.vendor_order_id
    WHERE r.vendor = :vendor AND r.day = :day),
theirs AS MATERIALIZED (
    SELECT m.*, count(*) OVER (PARTITION BY m.found) AS told,
        (SELECT c.cost_minor FROM cards c WHERE c.provider_order_id = m.found) AS cost_minor,
        (SELECT c.cost_currency FROM cards c WHERE c.provider_order_id = m.found) AS cost_currency
    FROM matched m)
SELECT * FROM (
    SELECT 'missing_here' AS kind, t.row, CAST(NULL AS uuid) AS order_id, t.vendor_order_id,
        CAST(NULL AS bigint) AS ours_minor, CAST(NULL AS text) AS ours_currency,
        t.amount_minor AS theirs_minor, t.currency AS theirs_currency
    FROM theirs t WHERE t.found IS NULL
    UNION ALL
    SELECT CASE WHEN t.state <> 'succeeded' THEN 'not_bought_here'
                WHEN t.told > 1 THEN 'told_twice' ELSE 'amount_differs' END,
        t.row, t.found, t.vendor_order_id, t.cost_minor, t.cost_currency, t.amount_minor, t.currency
    FROM theirs t WHERE t.found IS NOT NULL AND (t.state <> 'succeeded' OR t.told > 1
        OR (t.amount_minor, t.currency) IS DISTINCT FROM (t.cost_minor, t.cost_currency))
    UNION ALL
    SELECT 'missing_there', NULL, o.id, o.vendor_order_id,
        (SELECT c.cost_minor FROM cards c WHERE c.provider_order_id = o.id),
        (SELECT c.cost_currency FROM cards c WHERE c.provider_order_id = o.id), NULL, NULL
    FROM ours o WHERE o.state = 'succeeded' AND o.sent_at >= :begins AND o.sent_at < :ends
      AND NOT EXISTS (SELECT FROM vendor_statement_rows r WHERE r.vendor = :vendor
          AND r.day BETWEEN :before AND :after AND r.order_id = o.id)
      AND NOT EXISTS (SELECT FROM vendor_statement_rows r WHERE r.vendor = :vendor
          AND r.day BETWEEN :before AND :after AND r.vendor_order_id = o.vendor_order_id)) found
ORDER BY array_position(CAST(:kinds AS text[]), kind), row, order_id
""")
# Where statistics do not know a statement that has just come in, the planner takes it for one row
# and would read all orders anew for each.
_NESTED_LOOPS = text("SELECT set_config('enable_nestloop', :allowed, true)")
_STILL_DIFFERS = text("""
SELECT EXISTS (SELECT FROM vendor_statements WHERE vendor = :vendor AND findings > 0)
""")
_LIST = text("""
SELECT day, rows, findings, taken_at FROM vendor_statements WHERE vendor = :vendor
ORDER BY day DESC LIMIT :limit
""")
_ONE = text("""
SELECT vendor, day, rows, taken_at FROM vendor_statements WHERE vendor = :vendor AND day = :day
""")


def take_statement(
    session: Session,
    vendor: str,
    day: date,
    stream: BinaryIO,
    *,
    actor_id: UUID,
    now: datetime,
    limits: Limits,
) -> dict[str, Any]:
    """Keep the statement in place of an earlier one of that day, and tell if it differs.

    Gives what `statement` gives, compared once. Raises `NotFound`, and `ValidationFailed` with the first rows that are wrong; nothing is
    written then.
    """
    account: UUID | None = session.execute(_ACCOUNT, {"vendor": vendor}).scalar_one_or_none()
    if account is None:
        raise NotFound
    _refuse_day(day, now)
    sales = _read(stream, limits)
    values = {"vendor": vendor, "day": day}
    session.execute(_TAKE, values | {"actor": actor_id, "now": now})
    session.execute(_EMPTY, values)
    copy_rows(session, _COPY, ((vendor, day, *_columns(sale)) for sale in sales))
    found = _found(session, vendor, day)
    counts = Counter(row.kind for row in found)
    session.execute(_COUNTED, values | {"rows": len(sales), "findings": counts.total()})
    detail: dict[str, str | int | None] = {
        "vendor": vendor,
        "day": day.isoformat(),
        "rows": len(sales),
        **counts,
    }
    if counts:
        raise_alert(session, STATEMENT_DIFFERS, subject_id=account, detail=detail, now=now)
    elif not session.execute(_STILL_DIFFERS, {"vendor": vendor}).scalar_one():
        settle_alert(session, STATEMENT_DIFFERS, subject_id=account, now=now)
    record(
        session,
        "vendor_statement.taken",
        object_kind="vendor_account",
        object_id=account,
        actor_id=actor_id,
        detail=detail,
    )
    return _view(_statement_row(session, vendor, day), found)


def list_statements(session: Session, vendor: str, *, limit: int) -> list[Row[Any]]:
    """The statements taken of a vendor, the latest day first."""
    return list(session.execute(_LIST, {"vendor": vendor, "limit": limit}))


def statement(session: Session, vendor: str, day: date) -> dict[str, Any]:
    """A statement with what differs now, counted by kind, and how many rows agree; or `NotFound`."""
    row = _statement_row(session, vendor, day)
    return _view(row, _found(session, vendor, day))


def all_findings(session: Session, vendor: str, day: date) -> list[Row[Any]]:
    """Everything that differs now, for a file; or `NotFound`."""
    _statement_row(session, vendor, day)
    return _found(session, vendor, day)


def _view(row: Row[Any], found: list[Row[Any]]) -> dict[str, Any]:
    shown = [dict(one._mapping) for one in found[:FINDINGS_SHOWN_MAX]]
    counts: Mapping[str, int] = Counter(one.kind for one in found)
    agree = row.rows - sum(one.row is not None for one in found)
    return dict(row._mapping) | {"agree": agree, "counts": dict(counts), "findings": shown}


def _refuse_day(day: date, now: datetime) -> None:
    if day > now.date():
        error = FieldError("day_ahead", "The day has not begun yet.", pointer="/day")
    elif day == now.date():
        said = "The day is not over yet (UTC): orders of it may still come. Take it tomorrow, or give a day before."
        error = FieldError("day_not_over", said, pointer="/day")
    elif day < FIRST_DAY:
        said = f"Give a day from {FIRST_DAY.isoformat()} on."
        error = FieldError("day_too_early", said, pointer="/day")
    else:
        return
    raise ValidationFailed(errors=(error,))


def _statement_row(session: Session, vendor: str, day: date) -> Row[Any]:
    row = session.execute(_ONE, {"vendor": vendor, "day": day}).one_or_none()
    if row is None:
        raise NotFound
    return row


def _read(stream: BinaryIO, limits: Limits) -> list[Sale]:
    read = [read_sale(row) for row in open_csv(stream, columns=COLUMNS, limits=limits)]
    errors = [one for one in read if isinstance(one, FieldError)]
    if errors:
        raise ValidationFailed(errors=tuple(errors[: limits.row_errors_shown_max]))
    return [one for one in read if isinstance(one, Sale)]


def _columns(sale: Sale) -> tuple[Any, ...]:
    return (sale.row, sale.order_id, sale.vendor_order_id, sale.amount_minor, sale.currency)


def _found(session: Session, vendor: str, day: date) -> list[Row[Any]]:
    begins = datetime.combine(day, time(), UTC)
    values = {
        "vendor": vendor,
        "day": day,
        "begins": begins,
        "ends": begins + timedelta(days=1),
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1),
        "low": first_id(begins - WAITED_MAX),
        "high": first_id(begins + timedelta(days=2)),
        "kinds": list(KINDS),
    }
    session.execute(_NESTED_LOOPS, {"allowed": "off"})
    found = list(session.execute(_FINDINGS, values))
    session.execute(_NESTED_LOOPS, {"allowed": "on"})
    return found
