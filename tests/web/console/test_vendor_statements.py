"""A vendor's statement is taken on its page and compared on a page of its own (S4-081)."""

import io
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.provisioning.orders import PoolInHand, create_pool_orders
from pipelines.provisioning.waterfall import Route
from pipelines.reconciliation import vendor_statement
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor, visitor_of
from web.console.vendor_statements import FINDINGS

HOME = "/console/vendors/reloadly"
HEAD = "reference,vendor_order_id,amount,currency"


@pytest.fixture
def operator(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN)


def orders(house: House, seeded: Seeded) -> tuple[UUID, UUID]:
    """Two orders that went out yesterday for a buffer: one succeeded, one nobody knows about."""
    pool = PoolInHand(seeded.buffer_pool, seeded.brand_id, 2500, "USD")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        route = Route("reloadly", "120", 100)
        create_pool_orders(session, pool, route, 2, now=clock.now(session))
    first, second = rows(
        house,
        "WITH o AS (SELECT id, row_number() OVER (ORDER BY id) = 1 AS is_first FROM provider_orders)"
        " UPDATE provider_orders p SET id = uuidv7(interval '-1 day'), sends = 1,"
        " sent_at = now() - interval '1 day',"
        " state = CASE WHEN o.is_first THEN 'succeeded' ELSE 'unknown' END,"
        " settled_at = CASE WHEN o.is_first THEN now() END"
        " FROM o WHERE o.id = p.id RETURNING p.id, p.state",
    )
    found = {first.state: first.id, second.state: second.id}
    return found["succeeded"], found["unknown"]


def take(visitor: Visitor, day: str, *lines: str) -> TestResponse:
    content = "\n".join([HEAD, *lines]).encode()
    return visitor.send(f"{HOME}/statements", HOME, day=day, file=(io.BytesIO(content), "s.csv"))


def yesterday(house: House) -> str:
    return str(rows(house, "SELECT CAST(now() AT TIME ZONE 'UTC' AS date) - 1 AS day")[0].day)


def test_s4_081_a_statement_is_taken_on_the_page_and_shown_beside_our_orders(
    operator: Visitor, house: House, seeded: Seeded
):
    (ours, unknown), day = orders(house, seeded), yesterday(house)

    taken = take(operator, day, f"{unknown.hex},,23.63,USD", ",=77,10.00,USD")
    where = taken.headers["Location"]
    page = operator.get(where).text
    file = operator.get(f"{where}/findings.csv")

    assert (taken.status_code, where) == (303, f"{HOME}/statements/{day}")
    assert f"{HOME}/statements/{day}" in operator.get(HOME).text
    for words in ("Missing here", "Missing there", "Not bought here", ours.hex, unknown.hex):
        assert words in page
    assert page.index("They charged for an order") < page.index("We have the card")
    lines = file.text.splitlines()
    assert (file.mimetype, len(lines)) == ("text/csv", 4)
    assert '"missing_here","2","","\'=77","","","1000","USD"' in lines
    entry = rows(house, "SELECT detail FROM audit_entries WHERE action = 'vendor_statement.taken'")
    assert [one.detail["day"] for one in entry] == [day]


def test_s4_081_what_to_act_on_first_is_listed_where_not_all_is(
    operator: Visitor, house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vendor_statement, "FINDINGS_SHOWN_MAX", 1)
    ours, _unknown = orders(house, seeded)

    taken = take(operator, yesterday(house), f"{ours.hex},,1.00,USD", ",77,10.00,USD")
    page = operator.get(taken.headers["Location"]).text

    assert "They charged for an order" in page
    assert "The first 1 of 2 are shown" in page
    assert tuple(FINDINGS) == vendor_statement.KINDS


def test_s4_081_a_statement_with_wrong_rows_names_each_and_changes_nothing(
    operator: Visitor, house: House, seeded: Seeded
):
    refused = take(operator, "2026-01-05", ",77,23.633,USD", ",78,1.00,ZZZ", ",79,1.00,USD")

    assert refused.status_code == 422
    assert "Rows to correct" in refused.text
    for words in ("Line 2: ", "Line 3: Give an ISO 4217 currency.", "Nothing was taken"):
        assert words in refused.text
    assert 'value="2026-01-05"' in refused.text
    assert rows(house, "SELECT day FROM vendor_statements") == []


def test_a_statement_of_no_day_is_refused_beside_the_field(
    operator: Visitor, house: House, seeded: Seeded
):
    for day, sentence in (
        ("yesterday", "Give the day as"),
        ("9999-01-01", "The day has not begun yet."),
        ("0026-11-27", "Give a day from 2020-01-01 on."),
        ("0001-01-01", "Give a day from 2020-01-01 on."),
    ):
        refused = take(operator, day, ",77,1.00,USD")

        assert (refused.status_code, sentence in refused.text) == (422, True)
        assert 'id="day-wrong"' in refused.text
    assert rows(house, "SELECT day FROM vendor_statements") == []


def test_support_reads_statements_and_takes_none(
    app: Flask, house: House, operator: Visitor, seeded: Seeded
):
    take(operator, "2026-01-05", ",77,1.00,USD")
    support = visitor_of(app, house, Role.PLATFORM_SUPPORT)

    assert "Missing here" in support.get(f"{HOME}/statements/2026-01-05").text
    assert "Take a statement" not in support.get(HOME).text
    assert take(support, "2026-01-06", ",77,1.00,USD").status_code == 403
    assert support.get(f"{HOME}/statements/2026-01-06").status_code == 404
    assert support.get(f"{HOME}/statements/bulk").status_code == 404
    assert [str(one.day) for one in rows(house, "SELECT day FROM vendor_statements")] == [
        "2026-01-05"
    ]


def test_s4_081_a_day_that_still_runs_is_refused_beside_the_field(
    operator: Visitor, house: House, seeded: Seeded
):
    today = str(rows(house, "SELECT CAST(now() AT TIME ZONE 'UTC' AS date) AS day")[0].day)

    refused = take(operator, today, ",77,10.00,USD")

    assert refused.status_code == 422
    assert 'id="day-wrong"' in refused.text
    assert "The day is not over yet (UTC)" in refused.text
    assert f'max="{yesterday(house)}"' in refused.text
    assert rows(house, "SELECT day FROM vendor_statements") == []
