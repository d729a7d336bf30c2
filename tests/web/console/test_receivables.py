"""Disputed top-ups at the console: clawed back and forgiven by two people, and seen by who owes (EC-077)."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.clawing import account, dispute, owed, top_up_of
from tests.driving import rows
from tests.funding import PRICE, funded
from tests.pipelines.test_claw_back import spend
from tests.proof import assert_proven
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

OWED = "/console/receivables"


@pytest.fixture
def seeded(house: House) -> Seeded:
    """Ten cards' worth of credit, nine of it spent."""
    made = funded(house, cards=9, minor=10 * PRICE)
    spend(house, made, 9)
    return made


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.PLATFORM_ADMIN, seeded)


@pytest.fixture
def bob(app: Flask, house: House, seeded: Seeded) -> Caller:
    """The second person."""
    return signed_in(app, house, Role.PLATFORM_ADMIN, seeded, name="bob.")


def agree(visitor: Visitor, path: str, checked: TestResponse, reason: str) -> TestResponse:
    hidden = dict(HIDDEN.findall(checked.text.rpartition("<form")[2]))
    return visitor.client.post(path, data=hidden | {"reason": reason}, headers=SAME_ORIGIN)


def claw_path(house: House, seeded: Seeded) -> str:
    transfer = top_up_of(house, seeded.client_account)
    return f"/console/credit/transfers/{transfer}/claw-back"


def approvals(house: House) -> list[str]:
    return [row.kind for row in rows(house, "SELECT kind FROM approvals ORDER BY id")]


def approve_newest(house: House, bob: Caller) -> int:
    newest = rows(house, "SELECT id FROM approvals ORDER BY id DESC LIMIT 1")[0].id
    return bob.post(f"/approvals/{newest}/approve").status_code


def test_ec077_a_top_up_is_clawed_back_and_forgiven_at_the_console_by_two_people(
    house: House, seeded: Seeded, ann: Visitor, bob: Caller
) -> None:
    path = claw_path(house, seeded)
    home = f"/console/credit/{seeded.client_account}"
    assert path in ann.get(home).text

    checked = ann.send(path, dispute="dp_77")
    asked = [agree(ann, path, checked, "chargeback") for _ in range(2)]
    before = account(house, seeded.client_account)

    assert "<td>$25.00</td><td>$0.00</td>" in checked.text
    assert "<td>$0.00</td><td>$225.00</td>" in checked.text
    assert "Restricted: nothing new is paid from it" in checked.text
    assert "Kept in the audit log. Also shown to whose account it is." in checked.text
    assert [one.status_code for one in asked] == [303, 303]
    assert (approvals(house), before.restricted) == (["credit.claw_back"], False)
    assert approve_newest(house, bob) == 200
    assert tuple(account(house, seeded.client_account)) == (0, 0, True)
    (receivable,) = rows(house, "SELECT id FROM receivables")
    off = f"{OWED}/{receivable.id}/write-off"
    listed = ann.get(OWED).text
    for words in ("Client", "$225.00", "dp_77", "chargeback", off):
        assert words in listed

    part = ann.send(off, amount="25")
    agree(ann, off, part, "goodwill")
    whole = ann.send(off, amount="")
    agree(ann, off, whole, "bankrupt")

    assert "<td>$225.00</td><td>$200.00</td>" in part.text
    assert "Not restricted" in whole.text
    assert owed(house, receivable.id) == (10 * PRICE, PRICE, 0, False)
    assert approve_newest(house, bob) == 200
    assert owed(house, receivable.id) == (10 * PRICE, PRICE, 9 * PRICE, True)
    assert not account(house, seeded.client_account).restricted
    assert "Nothing is owed" in ann.get(OWED).text
    assert "Settled" in ann.get(f"{OWED}?state=all").text
    assert [
        (row.action, row.client_id, row.detail["reason"])
        for row in rows(
            house,
            "SELECT action, client_id, detail FROM audit_entries WHERE action IN"
            " ('credit.clawed_back', 'credit.written_off') ORDER BY id",
        )
    ] == [
        ("credit.clawed_back", seeded.client_id, "chargeback"),
        ("credit.written_off", seeded.client_id, "bankrupt"),
    ]
    assert_proven(house)


def test_ec077_what_cannot_be_asked_for_is_told_beside_its_field_and_asks_nobody(
    house: House, seeded: Seeded, ann: Visitor
) -> None:
    path = claw_path(house, seeded)
    receivable = dispute(house, top_up_of(house, seeded.client_account), PRICE * 2, name="dp_1")
    off = f"{OWED}/{receivable}/write-off"
    cases = (
        (path, {"dispute": ""}, "dispute"),
        (path, {"dispute": "d" * 121}, "dispute"),
        (path, {"dispute": "dp_1"}, "dispute"),
        (path, {"dispute": "dp_2", "amount": "0"}, "amount"),
        (path, {"dispute": "dp_2", "amount": "200.01"}, "amount"),
        (off, {"amount": "25.01"}, "amount"),
        (off, {"amount": "all"}, "amount"),
    )
    for where, fields, field in cases:
        refused = ann.send(where, **fields)

        assert refused.status_code in {409, 422}, fields
        assert f'id="{field}-wrong"' in refused.text, fields
    silent = agree(ann, off, ann.send(off, amount=""), " ")

    assert (silent.status_code, "Say in a few words why" in silent.text) == (422, True)
    assert approvals(house) == []
    # An old proof of oneself is asked for again before the form.
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '1 day' RETURNING 1")

    asked = ann.get(path)

    assert asked.status_code == 303
    assert asked.headers["Location"].startswith("/console/prove?next=")


def test_ec077_who_owes_sees_it_and_what_lifts_it_and_only_the_platform_acts(
    app: Flask, house: House, seeded: Seeded
) -> None:
    stranger = funded(house, cards=0, minor=PRICE)
    dispute(house, top_up_of(house, seeded.client_account), name="dp_9")
    for role in (Role.PLATFORM_SUPPORT, Role.AGENCY_ADMIN, Role.CLIENT_ADMIN):
        visitor = visitor_of(app, house, role, seeded)
        listed = visitor.get(OWED).text
        page = visitor.get(f"/console/credit/{seeded.client_account}").text

        assert "dp_9" in listed, role
        assert "Write off" not in listed, role
        assert "Claw back" not in page, role
        for words in ("Restricted since", "first, or two people", "All that is owed"):
            assert words in page, (role, words)
        assert visitor.get(claw_path(house, seeded)).status_code == 403, role

    shown = visitor_of(app, house, Role.CLIENT_VIEWER, stranger).get(f"{OWED}?state=all")

    assert "dp_9" not in shown.text
    assert "No top-up was ever disputed" in shown.text
