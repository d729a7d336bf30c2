"""Disputed top-ups over HTTP: taken back by the platform, seen by who owes, forgiven by two (EC-077)."""

from uuid import uuid4

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.clawing import account, dispute, top_up_of
from tests.driving import drain
from tests.funding import PRICE, funded
from tests.pipelines.test_claw_back import spend
from tests.proof import assert_proven
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import visitor_of


@pytest.fixture
def seeded(house: House) -> Seeded:
    """Ten cards' worth of credit, nine of it spent."""
    made = funded(house, cards=9, minor=10 * PRICE)
    spend(house, made, 9)
    return made


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.PLATFORM_ADMIN, seeded)


def disputed(house: House, seeded: Seeded) -> dict[str, object]:
    transfer = str(top_up_of(house, seeded.client_account))
    return {"transfer_id": transfer, "dispute_id": "dp_77", "reason": "chargeback"}


def test_ec077_a_claw_back_is_made_once_and_its_account_says_what_it_owes(
    app: Flask, house: House, seeded: Seeded, ann: Caller
) -> None:
    """EC-077: by key and by the dispute's id; the account, its statement and its page show it."""
    bob = signed_in(app, house, Role.PLATFORM_ADMIN, seeded, name="bob.")
    body = disputed(house, seeded)
    asked = ann.post("/credit/claw-backs", body, Idempotency_Key="a")
    by_key = ann.post("/credit/claw-backs", body, Idempotency_Key="a")
    twin = ann.post("/credit/claw-backs", body, Idempotency_Key="b")
    alone = ann.post(f"/approvals/{asked.json['id']}/approve")

    assert (asked.status_code, alone.status_code) == (202, 403)
    assert by_key.headers["Idempotent-Replayed"] == "true"
    assert by_key.json == asked.json
    assert tuple(account(house, seeded.client_account)) == (PRICE, 0, False)
    shown = visitor_of(app, house, Role.PLATFORM_ADMIN, seeded).get("/console/approvals")
    assert "Claw $250.00 back from Client, for dispute dp_77" in shown.text

    both = [bob.post(f"/approvals/{one.json['id']}/approve") for one in (asked, twin)]
    late = ann.post("/credit/claw-backs", body, Idempotency_Key="c")

    assert [one.status_code for one in both] == [200, 200]
    assert (late.status_code, late.json["code"]) == (409, "dispute_id_reuse")
    owner = signed_in(app, house, Role.CLIENT_ADMIN, seeded)
    shown = owner.get(f"/credit/accounts/{seeded.client_account}").json
    assert (shown["balance_minor"], shown["owed_minor"]) == (0, 9 * PRICE)
    assert shown["restricted_at"] is not None
    listed = owner.get(f"/credit/accounts/{seeded.client_account}/receivables").json["data"]
    assert [one["dispute_id"] for one in listed] == ["dp_77"]
    frame = owner.get(f"/credit/accounts/{seeded.client_account}/statement").json
    assert (frame["owed_now_minor"], frame["data"][-1]["kind"]) == (9 * PRICE, "claw_back")
    page = visitor_of(app, house, Role.CLIENT_ADMIN, seeded).get(
        f"/console/credit/{seeded.client_account}"
    )
    for words in ("Restricted since", "$225.00", "chargeback", "dp_77"):
        assert words in page.text
    assert b"owed now" in owner.get(f"/credit/accounts/{seeded.client_account}/statement.csv").data
    assert_proven(house)


def test_ec077_nobody_but_the_platform_claws_back(app: Flask, house: House, seeded: Seeded) -> None:
    owner = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    refused = owner.post("/credit/claw-backs", disputed(house, seeded), Idempotency_Key="a")

    assert refused.status_code == 403
    assert account(house, seeded.client_account).balance == PRICE


def test_ec077_what_cannot_be_clawed_back_changes_nothing(
    house: House, seeded: Seeded, ann: Caller
) -> None:
    cases: list[tuple[dict[str, object], int, str]] = [
        ({"transfer_id": str(uuid4())}, 404, "not_found"),
        ({"amount_minor": 10 * PRICE + 1}, 409, "beyond_top_up"),
        ({"amount_minor": 0}, 422, "amount_not_positive"),
        ({"dispute_id": " "}, 422, "validation_failed"),
        ({"reason": ""}, 422, "validation_failed"),
    ]
    for number, (change, status, code) in enumerate(cases):
        body = disputed(house, seeded) | change

        refused = ann.post("/credit/claw-backs", body, Idempotency_Key=f"k{number}")

        assert (refused.status_code, refused.json["code"]) == (status, code)
        assert tuple(account(house, seeded.client_account)) == (PRICE, 0, False)


def test_ec077_a_debt_is_written_off_by_two(
    app: Flask, house: House, seeded: Seeded, ann: Caller
) -> None:
    bob = signed_in(app, house, Role.PLATFORM_ADMIN, seeded, name="bob.")
    made = dispute(house, top_up_of(house, seeded.client_account))
    path = f"/credit/receivables/{made}/write-off"

    much = ann.post(path, {"reason": "x", "amount_minor": 10 * PRICE}, Idempotency_Key="m")
    asked = ann.post(path, {"reason": "won"}, Idempotency_Key="w")
    alone = ann.post(f"/approvals/{asked.json['id']}/approve")
    shown = visitor_of(app, house, Role.PLATFORM_ADMIN, seeded).get("/console/approvals")
    agreed = bob.post(f"/approvals/{asked.json['id']}/approve")
    drain(house)

    assert (much.status_code, much.json["code"]) == (409, "owes_less")
    assert (asked.status_code, alone.status_code, agreed.status_code) == (202, 403, 200)
    assert "Write off $225.00 that Client owes" in shown.text
    assert tuple(account(house, seeded.client_account)) == (0, 0, False)
    late = ann.post(path, {"reason": "again"}, Idempotency_Key="l")
    assert (late.status_code, late.json["code"]) == (409, "owes_less")
    assert_proven(house)
