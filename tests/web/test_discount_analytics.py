"""Analytics of discount codes against usages that the test wrote (S2-057, S2-062, S2-064, S2-144)."""

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from models.base import first_id, new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.discounts import analytics
from pipelines.discounts.analytics import COLUMNS
from pipelines.wiring import House
from tests.discounting import make_discount
from tests.driving import change
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import Visitor, visitor_of

DAYS = "from=2027-03-27&to=2027-03-29"
_USAGE = text("""
INSERT INTO discount_usages (id, agency_id, client_id, code_id, rules_version, state,
    cart_reference, cart_digest, quote, currency, subtotal_minor, discount_minor, total_minor,
    customer_keys, expires_at, release_reason, purchase_id, ended_at, created_at)
VALUES (:id, :agency, :client, :code, 1, :state, :cart, '', CAST(:quote AS jsonb), :currency,
    :total + :discount, :discount, :total, '{}', :at, :reason,
    CASE WHEN :state IN ('confirmed', 'refunded') THEN CAST(:id AS uuid) END, CASE WHEN :state <> 'reserved' THEN CAST(:at AS timestamptz) END, :at)
""")

_PAYMENT = text("""
INSERT INTO payments (id, agency_id, client_id, purpose, state, amount_minor, currency, lines,
    reference, success_url, cancel_url, session_expires_at, payment, paid_minor, paid_currency, paid_at)
VALUES (:id, :agency, :client, 'purchase', 'succeeded', :total, :currency, '[]', :id, '', '', :at,
    'paid', :total, :currency, :at)
""")


def used(
    house: House,
    seeded: Seeded,
    code_id: UUID,
    at: str,
    state: str = "confirmed",
    *,
    reason: str | None = None,
    currency: str = "USD",
    amounts: tuple[int, int] = (1_000, 9_000),
) -> None:
    """A usage as if made at that moment, with an id of that moment, and what paid for it."""
    when = datetime.fromisoformat(at).astimezone(UTC)
    identity = UUID(int=first_id(when).int | new_id().int & (1 << 80) - 1)
    values = {
        "id": identity,
        "agency": seeded.agency_id,
        "client": seeded.client_id,
        "code": code_id,
        "state": state,
        "cart": str(identity),
        "quote": json.dumps({}),
        "currency": currency,
        "discount": amounts[0],
        "total": amounts[1],
        "reason": reason,
        "at": when,
    }
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(_USAGE, values)
        if state == "confirmed":
            session.execute(_PAYMENT, values)


@pytest.fixture
def code_id(house: House, seeded: Seeded) -> UUID:
    """A code of a client in Berlin, where 28 March 2027 has 23 hours, and its usages."""
    change(
        house,
        "UPDATE clients SET time_zone = 'Europe/Berlin' WHERE id = :id",
        id=seeded.client_id,
    )
    made = make_discount(house, seeded)
    used(house, seeded, made, "2027-03-26T23:30:00+01:00")  # the day before
    used(house, seeded, made, "2027-03-27T00:00:00+01:00")
    used(house, seeded, made, "2027-03-27T23:59:59+01:00", amounts=(500, 4_500))
    used(house, seeded, made, "2027-03-28T00:00:00+01:00", "refunded")
    used(house, seeded, made, "2027-03-28T23:59:00+02:00", "released", reason="timeout")
    used(house, seeded, made, "2027-03-28T12:00:00+02:00", "released", reason="cart_changed")
    used(house, seeded, made, "2027-03-29T08:00:00+02:00", currency="JPY", amounts=(100, 900))
    used(house, seeded, made, "2027-03-29T09:00:00+02:00", "reserved")
    used(house, seeded, made, "2027-03-30T00:00:00+02:00")  # the day after
    return made


def day(name: str, **counts: Any) -> dict[str, Any]:
    zeros = ("made", "confirmed", "refunded", "live", "released", "abandoned")
    return {"day": name} | dict.fromkeys(zeros, 0) | {"conversion_bp": None} | counts


def test_s2_062_a_code_is_told_by_the_days_of_its_client(manager: Caller, code_id: UUID) -> None:
    told = manager.get(f"/discounts/{code_id}/analytics?{DAYS}").json

    assert (told["from"], told["to"]) == ("2027-03-27", "2027-03-29")
    assert told["time_zone"] == "Europe/Berlin"
    assert told["data"] == [
        day("2027-03-27", made=2, confirmed=2, conversion_bp=10_000),
        day("2027-03-28", made=3, refunded=1, released=2, abandoned=1, conversion_bp=3_333),
        day("2027-03-29", made=2, confirmed=1, live=1, conversion_bp=10_000),
    ]
    assert told["totals"] == {
        "made": 7,
        "confirmed": 3,
        "refunded": 1,
        "live": 1,
        "released": 2,
        "abandoned": 1,
        "conversion_bp": 6_667,
    }
    assert told["released"] == [
        {"reason": "cart_changed", "count": 1},
        {"reason": "timeout", "count": 1},
    ]
    assert told["amounts"] == [
        {"currency": "JPY", "discount_minor": 100, "revenue_minor": 900},
        {"currency": "USD", "discount_minor": 1_500, "revenue_minor": 13_500},
    ]


def test_s2_064_all_codes_are_told_together_of_whom_the_caller_sees(
    app: Flask, house: House, seeded: Seeded, manager: Caller, code_id: UUID
) -> None:
    other = seed(house, vendor=False)
    used(house, other, make_discount(house, other), "2027-03-28T12:00:00+00:00")
    used(house, seeded, make_discount(house, seeded, "SECOND"), "2027-03-28T12:00:00+00:00")
    root = signed_in(app, house, Role.PLATFORM_ADMIN, name="root")

    mine = manager.get(f"/discounts/analytics?{DAYS}").json
    whole = root.get(f"/discounts/analytics?{DAYS}").json
    theirs = root.get(f"/discounts/analytics?{DAYS}&client_id={other.client_id}").json

    assert (mine["totals"]["made"], mine["time_zone"]) == (8, "Europe/Berlin")
    # By UTC the first of the days begins an hour later, and so does the day after the last.
    assert (whole["totals"]["made"], whole["time_zone"]) == (9, "UTC")
    assert theirs["totals"]["made"] == 1
    assert manager.get(f"/discounts/analytics?client_id={other.client_id}").status_code == 404


def test_a_period_is_the_last_thirty_days_or_both_days_that_are_given(
    manager: Caller, code_id: UUID
) -> None:
    path = f"/discounts/{code_id}/analytics"

    def refused(query: str) -> list[tuple[str, str]]:
        answer = manager.get(f"{path}?{query}")
        assert answer.status_code == 422
        return [(error["pointer"], error["code"]) for error in answer.json["errors"]]

    assert len(manager.get(path).json["data"]) == 30
    assert refused("from=2027-03-27") == [("/to", "required")]
    assert refused("from=2027-03-27&to=2027-03-26") == [("/to", "out_of_range")]
    assert refused("from=2026-01-01&to=2027-01-02") == [("/to", "out_of_range")]
    assert refused("from=1999-01-01&to=1999-01-02") == [("/from", "out_of_range")]
    assert refused("from=27.03.2027&to=2027-03-29") == [("/from", "invalid_date")]


def test_s2_059_the_days_as_a_file_have_a_row_for_each_day_and_currency(
    manager: Caller, code_id: UUID
) -> None:
    one = manager.get(f"/discounts/{code_id}/analytics.csv?{DAYS}")
    every = manager.get(f"/discounts/analytics.csv?{DAYS}")

    lines = one.data.decode("utf-8-sig").splitlines()
    assert lines == [
        ",".join(f'"{name}"' for name in COLUMNS),
        '"2027-03-27","USD","2","2","0","0","0","0","1500","13500"',
        '"2027-03-28","USD","3","0","1","0","2","1","0","0"',
        '"2027-03-29","JPY","1","1","0","0","0","0","100","900"',
        '"2027-03-29","USD","1","0","0","1","0","0","0","0"',
    ]
    assert every.data == one.data
    assert "discounts-2027-03-27-2027-03-29.csv" in every.headers["Content-Disposition"]


def test_s2_059_the_codes_as_a_file_are_those_of_the_filter(manager: Caller, code_id: UUID) -> None:
    found = manager.get("/discounts.csv?standing=active&code=save")
    none = manager.get("/discounts.csv?standing=paused")

    assert str(code_id) in found.text
    assert len(found.data.decode("utf-8-sig").splitlines()) == 2
    assert len(none.data.decode("utf-8-sig").splitlines()) == 1


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.CLIENT_VIEWER, seeded)


def test_s2_062_the_page_of_a_code_says_the_same(mia: Visitor, code_id: UUID) -> None:
    shown = mia.get(f"/console/discounts/{code_id}/analytics?{DAYS}").text

    assert "Days of Europe/Berlin" in shown
    assert "<dt>Reservations made</dt><dd>7</dd>" in shown
    assert "66.7 %" in shown
    assert '<th scope="row">USD</th><td class="number">$15.00</td>' in shown
    assert '<td class="number">$135.00</td>' in shown
    assert "¥900" in shown
    assert "Abandoned: not paid in time" in shown
    assert "Reservations per day as a table" in shown
    assert "Discount and revenue in JPY per day as a table" in shown
    assert f"analytics.csv?{DAYS.replace('&', '&amp;')}" in shown


def test_s2_064_the_page_of_all_codes_names_those_that_were_used_most(
    app: Flask, house: House, seeded: Seeded, code_id: UUID
) -> None:
    other = seed(house, vendor=False)
    used(house, other, make_discount(house, other, "THEIRS"), "2027-03-28T12:00:00+00:00")
    root = visitor_of(app, house, Role.PLATFORM_ADMIN)
    path = f"/console/discounts/analytics?{DAYS}"

    whole, one = root.get(path).text, root.get(f"{path}&client={other.client_id}").text

    assert whole.index(">SAVE10</a>") < whole.index(">THEIRS</a>")
    assert ">SAVE10</a>" not in one
    assert ">THEIRS</a>" in one
    assert f'value="{other.client_id}" selected' in one


def test_days_that_cannot_be_are_said_at_their_field(mia: Visitor, code_id: UUID) -> None:
    for path in (f"/console/discounts/{code_id}/analytics", "/console/discounts/analytics"):
        wrong = mia.get(f"{path}?from=2027-03-29&to=2027-03-27")
        unread = mia.get(f"{path}?from=soon&to=2027-03-27")

        for query in ("from=2027-03-29&to=2027-03-27", "from=soon&to=2027-03-27"):
            no_file = mia.get(f"{path}.csv?{query}")
            assert (no_file.status_code, no_file.mimetype) == (422, "text/html")
            assert f'method="get" action="{path}"' in no_file.text
        assert mia.get(f"{path}.csv?{DAYS}").mimetype == "text/csv"
        assert (wrong.status_code, unread.status_code) == (422, 422)
        assert '<a href="#to">The last day is before the first one.' in wrong.text
        assert '<a href="#from">Give a day' in unread.text
        assert 'value="2027-03-29"' in wrong.text


def test_a_period_is_a_range_of_ids_in_an_index(house: House, code_id: UUID) -> None:
    """A year of other days is not read: the plan goes by code and id, or by id alone."""

    period = analytics.Period(date(2027, 3, 27), date(2027, 3, 29), "UTC")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plans = [
            "\n".join(
                session.execute(
                    text(f"EXPLAIN {statement.text}"), period.bounds() | {"code": code_id}
                ).scalars()
            )
            for statement in (analytics._OF_CODE, analytics._OF_SCOPE)
        ]

    assert all("Index Cond" in plan and "id >= " in plan for plan in plans), plans
