"""A vendor's statement of a day against our orders there (S4-081)."""

import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from ops.bootstrap import database_url
from pipelines.errors import ValidationFailed
from pipelines.limits import DEFAULTS as LIMITS
from pipelines.provisioning.orders import PoolInHand, create_pool_orders
from pipelines.provisioning.waterfall import Route
from pipelines.reconciliation import vendor_statement
from pipelines.reconciliation.vendor_statement import (
    all_findings,
    list_statements,
    statement,
    take_statement,
)
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import recipients_csv, rows, submit
from tests.pipelines.test_vendor_orders import settle
from tests.seeding import ACTOR, seed
from tests.vendor import Sandbox

HEAD = "reference,vendor_order_id,amount,currency,card"


ORDERS = 400
#: Once by id, once by number, once for what they do not tell, and what each of these hands on.
READS_PER_ORDER_MAX = 40
_SUCCEEDED = """
WITH o AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM provider_orders)
UPDATE provider_orders p SET state = 'succeeded', sends = 1, sent_at = now(), settled_at = now(),
    vendor_order_id = 'V' || o.place
FROM o WHERE o.id = p.id RETURNING p.id, o.place
"""


def read_by(node: dict[str, Any]) -> int:
    """Rows that the nodes of a plan looked at, all together."""
    removed = sum(node[name] for name in node if name.startswith("Rows Removed by"))
    own = node["Actual Loops"] * (node["Actual Rows"] + removed)
    return int(own) + sum(read_by(below) for below in node.get("Plans", ()))


def take(house: House, lines: list[str], *, days: int = 0) -> tuple[date, dict[str, Any]]:
    """Take a statement of today, or of a day before it, once today is over."""
    content = io.BytesIO("\n".join([HEAD, *lines]).encode())
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        day = now.date() - timedelta(days=days)
        later = now + timedelta(days=1)
        take_statement(
            session, "reloadly", day, content, actor_id=ACTOR, now=later, limits=house.limits
        )
        return day, statement(session, "reloadly", day)


def kept(house: House) -> list[tuple[int, int]]:
    """Rows and findings of the statements that were taken."""
    with scoped_transaction(house.sessions, PLATFORM) as session:
        return [(one.rows, one.findings) for one in list_statements(session, "reloadly", limit=9)]


def findings(told: dict[str, Any]) -> set[tuple[Any, ...]]:
    return {
        (one["kind"], one["row"], one["order_id"], one["ours_minor"], one["theirs_minor"])
        for one in told["findings"]
    }


def signals(house: House) -> list[bool]:
    statement = "SELECT is_over FROM alert_signals WHERE kind = 'statement_differs' ORDER BY id"
    return [row.is_over for row in rows(house, statement)]


@pytest.fixture
def bought(vendor_house: House, sandbox: Sandbox) -> list[Any]:
    """Three cards at 2363 each."""
    seeded = seed(vendor_house)
    settle(vendor_house, submit(vendor_house, seeded, recipients_csv(3)))
    return rows(vendor_house, "SELECT id, vendor_order_id FROM provider_orders ORDER BY id")


def test_a_statement_that_agrees_has_no_findings(vendor_house: House, bought: list[Any]) -> None:
    """By our reference, or by the vendor's own number; other columns are not looked at."""
    first, second, third = bought
    lines = [f"{one.id.hex},,23.63,USD,SECRET" for one in (first, second)]
    lines.append(f",{third.vendor_order_id},23.63,USD,SECRET")

    _day, told = take(vendor_house, lines)

    assert (told["rows"], told["agree"], told["counts"], told["findings"]) == (3, 3, {}, [])
    assert signals(vendor_house) == [True]


def test_what_differs_is_a_finding_with_ids_and_numbers_and_a_day_is_taken_once(
    vendor_house: House, bought: list[Any]
) -> None:
    first, second, third = bought
    lines = [
        f"{first.id.hex},,23.63,USD,",
        f"{second.id.hex},,24.00,USD,",
        f"{UUID(int=7).hex},77,10.00,USD,",
    ]

    _day, told = take(vendor_house, lines)
    again = take(vendor_house, lines)[1]

    assert findings(told) == {
        ("amount_differs", 2, second.id, 2363, 2400),
        ("missing_here", 3, None, None, 1000),
        ("missing_there", None, third.id, 2363, None),
    }
    assert findings(again) == findings(told)
    assert (again["rows"], again["agree"]) == (3, 1)
    assert kept(vendor_house) == [(3, 3)]
    assert signals(vendor_house) == [False, False]


def test_an_order_on_the_next_days_statement_is_not_missing(
    vendor_house: House, bought: list[Any]
) -> None:
    third = bought[2]
    lines = [f"{one.id.hex},,23.63,USD," for one in bought]

    _day, today = take(vendor_house, lines[:2])
    take(vendor_house, lines[2:], days=1)
    with scoped_transaction(vendor_house.sessions, PLATFORM) as session:
        later = statement(session, "reloadly", _day)

    assert findings(today) == {("missing_there", None, third.id, 2363, None)}
    assert later["findings"] == []


def test_what_we_did_not_buy_or_was_told_twice_is_a_finding(
    vendor_house: House, bought: list[Any]
) -> None:
    first, second, third = bought
    rows(
        vendor_house,
        "UPDATE provider_orders SET state = 'unknown' WHERE id = :id RETURNING 1",
        id=first.id,
    )
    lines = [f"{one.id.hex},,23.63,USD," for one in (first, second, third, third)]

    told = take(vendor_house, lines)[1]

    assert told["counts"] == {"not_bought_here": 1, "told_twice": 2}


def code_of_day(house: House, day: date, now: datetime) -> list[tuple[str, str | None]]:
    """What is said of a statement of that day, which is not taken."""
    seed(house)
    sheet = io.BytesIO(f"{HEAD}\n,77,23.63,USD,".encode())

    with (
        pytest.raises(ValidationFailed) as refused,
        scoped_transaction(house.sessions, PLATFORM) as session,
    ):
        take_statement(session, "reloadly", day, sheet, actor_id=ACTOR, now=now, limits=LIMITS)
    assert kept(house) == []
    return [(one.code, one.pointer) for one in refused.value.errors]


@pytest.mark.parametrize("day", [date(26, 11, 27), date(1969, 12, 31)])
def test_a_statement_of_a_mistyped_year_is_refused(house: House, day: date) -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)

    assert code_of_day(house, day, now) == [("day_too_early", "/day")]


@pytest.mark.parametrize(
    ("day", "code"), [(date(2026, 11, 27), "day_not_over"), (date(2026, 11, 28), "day_ahead")]
)
def test_s4_081_a_statement_of_a_day_that_still_runs_is_refused(
    house: House, day: date, code: str
) -> None:
    """S4-081: a day ends at midnight UTC, to the last second."""
    last_second = datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)

    assert code_of_day(house, day, last_second) == [(code, "/day")]


def test_what_a_comparison_reads_grows_with_the_day_whatever_the_planner_believes(
    house: House, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each order and each sale is looked at a few times, never each with each (decision 0019)."""
    seeded = seed(house)
    pool = PoolInHand(seeded.buffer_pool, seeded.brand_id, 2500, "USD")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        create_pool_orders(
            session, pool, Route("reloadly", "120", 100), ORDERS, now=clock.now(session)
        )
    sales = [
        f"{one.id.hex},,1.00,USD," if one.place % 2 else f",V{one.place},1.00,USD,"
        for one in rows(house, _SUCCEEDED)
    ]
    day, told = take(house, [*sales[1:], ",77,1.00,USD,"])
    sql = vendor_statement._FINDINGS.text
    monkeypatch.setattr(
        vendor_statement, "_FINDINGS", text(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
    )

    reads = []
    for _statistics in ("none", "of now"):
        with scoped_transaction(house.sessions, PLATFORM) as session:
            ((plan,),) = all_findings(session, "reloadly", day)
        reads.append(read_by(plan[0]["Plan"]))
        with psycopg.connect(
            database_url(database.admin_url, database.name), autocommit=True
        ) as admin:
            admin.execute("ANALYZE provider_orders, vendor_statement_rows, cards")

    assert told["counts"] == {
        "missing_here": 1,
        "missing_there": 1,
        "amount_differs": ORDERS - 1,
    }
    assert [most for most in reads if most > READS_PER_ORDER_MAX * ORDERS] == []


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (",,23.63,USD,", "vendor_order_id"),
        (",77,23.633,USD,", "amount"),
        (",77,23.63,ZZZ,", "currency"),
    ],
)
def test_a_row_that_cannot_be_read_leaves_nothing_behind(
    house: House, line: str, field: str
) -> None:
    seed(house)

    with pytest.raises(ValidationFailed) as refused:
        take(house, [line])

    assert [(error.row, error.field) for error in refused.value.errors] == [(1, field)]
    assert kept(house) == []
