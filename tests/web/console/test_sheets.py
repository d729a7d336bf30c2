"""Balance sheets at the console: checked, asked for, answered by a second person, forgotten (S4-013, S4-016)."""

import io
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.console_sessions import open_session
from pipelines.openings.forget import SHEETS_KEPT, forget_sheets
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import table_sizes
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import make_user, signed_in
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

HOME = "/console/balance-sheets"
HEADER = "agency,client,campaign,currency,balance_minor,total_minor\n"


@pytest.fixture
def unfunded(house: House) -> Seeded:
    """A tenant without a movement of credit."""
    return seed(house, vendor=False, credit_minor=0)


@pytest.fixture
def ann(app: Flask, house: House, unfunded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN)


def sheet_of(house: House, unfunded: Seeded, *, client: str = "Client") -> str:
    agency = f"Agency {unfunded.agency_id}"
    return f"{HEADER}{agency},,,USD,3000,10000\n{agency},{client},,USD,7000,\n"


def send(visitor: Visitor, sheet: str, do: str, **fields: Any) -> TestResponse:
    return visitor.send(HOME, do=do, file=(io.BytesIO(sheet.encode()), "sheet.csv"), **fields)


def balances(house: House) -> list[int]:
    found = rows(house, "SELECT balance FROM accounts WHERE kind = 'credit' ORDER BY balance")
    return [row.balance for row in found if row.balance]


def test_s4_016_a_check_says_sums_and_writes_nothing(
    house: House, unfunded: Seeded, ann: Visitor
) -> None:
    ann.get(HOME)
    before = table_sizes(house)

    checked = send(ann, sheet_of(house, unfunded), "check")

    assert checked.status_code == 200
    for words in (
        "Every row is right",
        "$30.00",
        "$70.00",
        "$100.00",
        "Accounts that will be made",
    ):
        assert words in checked.text
    assert table_sizes(house) == before


def test_s4_016_every_wrong_row_is_named_with_its_field_and_what_to_do(
    house: House, unfunded: Seeded, ann: Visitor
) -> None:
    sheet = sheet_of(house, unfunded, client="Nobody").replace("10000", "9999")

    answers = [send(ann, sheet, "check"), send(ann, sheet, "ask", reason="old system")]

    for refused in answers:
        assert refused.status_code == 422
        for words in ("There is no client of this name here", "add up to 10000", "total_minor"):
            assert words in refused.text
    assert rows(house, "SELECT id FROM balance_sheets") == []


def test_s4_013_a_sheet_is_opened_once_when_a_second_person_agrees(
    app: Flask, house: House, unfunded: Seeded, ann: Visitor
) -> None:
    sheet, bob = sheet_of(house, unfunded), second(app, house)
    silent = send(ann, sheet, "ask")
    form = ann.get(HOME)

    asked = send(ann, sheet, "ask", reason="From the old system")
    where = asked.headers["Location"]
    own = ann.get(where).text
    (approval,) = rows(house, "SELECT id FROM approvals")
    theirs = bob.get(where).text
    waiting = bob.get(f"{where}/report.csv")
    before = balances(house)
    agreed = {"csrf_token": dict(HIDDEN.findall(theirs))["csrf_token"]}
    answered = bob.client.post(
        f"/console/approvals/{approval.id}/approve", data=agreed, headers=SAME_ORIGIN
    )
    after = bob.get(where)
    again = send(ann, sheet, "ask", reason="Once more")

    assert (silent.status_code, 'id="reason-wrong"' in silent.text) == (422, True)
    assert "No sheet was asked for" in form.text
    assert (asked.status_code, "Somebody else has to agree" in own) == (303, True)
    assert "Open it and make 0 accounts" not in own
    assert "Open it and make 0 accounts" in theirs
    assert theirs.count(f'href="{where}/report.csv"') == 2
    assert [line.split(",")[2:8] for line in waiting.text.splitlines()[1:]] == [
        [f'"{cell}"' for cell in (f"Agency {unfunded.agency_id}", *told)]
        for told in (("", "", "USD", "3000", "well"), ("Client", "", "USD", "7000", "well"))
    ]
    assert where in bob.get("/console/approvals").text
    assert (before, answered.status_code, balances(house)) == ([], 303, [3_000, 7_000])
    assert "The sheet beside the ledger" in after.text
    report = bob.get(f"{where}/report.csv")
    assert (report.mimetype, len(report.text.splitlines())) == ("text/csv", 3)
    assert (again.status_code, where in again.text) == (409, True)
    taken = rows(
        house,
        "SELECT object_id, detail FROM audit_entries WHERE action = 'balance_sheet.exported'"
        " ORDER BY id",
    )
    assert [one.detail["is_applied"] for one in taken] == [False, True]
    assert {f"{HOME}/{one.object_id}" for one in taken} == {where}
    assert_proven(house)


def second(app: Flask, house: House) -> Visitor:
    """Another of the platform, at a browser of their own."""
    user_id = make_user(house, "bob@console.example", Role.PLATFORM_ADMIN, None)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        token = open_session(session, user_id, now=clock.now(session), limits=house.limits)
    client = app.test_client()
    client.set_cookie("largesse", token)
    return Visitor(client)


def test_a_sheet_that_nobody_approved_is_deleted_after_a_week_and_one_that_was_opened_is_kept(
    app: Flask, house: House, unfunded: Seeded, ann: Visitor
) -> None:
    bob = signed_in(app, house, Role.PLATFORM_ADMIN, name="bob.")
    send(ann, sheet_of(house, unfunded), "ask", reason="First")
    (approval,) = rows(house, "SELECT id FROM approvals")
    bob.post(f"/approvals/{approval.id}/approve")
    agency = f"Agency {unfunded.agency_id}"
    waits = send(ann, f"{HEADER}{agency},,,EUR,500,\n", "ask", reason="Second")
    where = waits.headers["Location"]

    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        young = forget_sheets(session, now)
        old = forget_sheets(session, now + SHEETS_KEPT * 2)

    assert (young, old) == (0, 1)
    assert [one.reason for one in rows(house, "SELECT reason FROM balance_sheets")] == ["First"]
    assert ann.get(where).status_code == 404
    late = rows(house, "SELECT id FROM approvals ORDER BY id DESC LIMIT 1")[0].id
    assert bob.post(f"/approvals/{late}/approve").status_code == 404


def test_only_the_platforms_administrators_see_sheets_and_prove_themselves_to_ask(
    app: Flask, house: House, unfunded: Seeded, ann: Visitor
) -> None:
    for role in (Role.PLATFORM_SUPPORT, Role.AGENCY_ADMIN, Role.CLIENT_ADMIN):
        visitor = visitor_of(app, house, role, unfunded)

        assert visitor.get(HOME).status_code == 403
        assert HOME not in visitor.get("/console/credit").text
        assert visitor.client.post(HOME, headers=SAME_ORIGIN).status_code == 403
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '1 day' RETURNING 1")

    asked = send(ann, sheet_of(house, unfunded), "ask", reason="From the old system")

    assert asked.status_code == 303
    assert asked.headers["Location"].startswith("/console/prove")
    assert rows(house, "SELECT id FROM balance_sheets") == []
