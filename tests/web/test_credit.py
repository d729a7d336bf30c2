"""Credit over HTTP: allocations and recalls happen once and only downwards or back."""

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import drain, recipients_csv, submit
from tests.funding import PRICE, funded
from tests.later import tomorrow
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in


def movement(seeded: Seeded, amount: object = 2500, **other: str) -> dict:
    return {
        "from_account_id": str(seeded.platform_account),
        "to_account_id": str(seeded.agency_account),
        "amount_minor": amount,
    } | other


def balance(caller: Caller, account: object) -> int:
    return caller.get(f"/credit/accounts/{account}").json["balance_minor"]


def test_an_allocation_moves_credit_once(admin: Caller, seeded: Seeded):
    fund = {
        "from_account_id": str(seeded.client_account),
        "to_account_id": str(seeded.agency_account),
        "amount_minor": 10_000,
    }
    admin.post("/credit/recalls", fund, Idempotency_Key="back")
    body = {
        "from_account_id": str(seeded.agency_account),
        "to_account_id": str(seeded.client_account),
        "amount_minor": 2500,
        "notes": "spring",
    }

    first = admin.post("/credit/allocations", body, Idempotency_Key='"k-1"')
    again = admin.post("/credit/allocations", body, Idempotency_Key="k-1")

    assert first.status_code == 201
    assert first.json["from_account_balance_minor"] == 7500
    assert first.json["to_account_balance_minor"] == 9_992_500
    assert first.json["out_transaction"]["amount_minor"] == -2500
    assert first.json["in_transaction"]["account_id"] == str(seeded.client_account)
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert balance(admin, seeded.client_account) == 9_992_500
    newest = admin.get(f"/credit/accounts/{seeded.client_account}/transactions?limit=1").json
    assert newest["data"][0]["amount_minor"] == 2500
    assert newest["data"][0]["notes"] == "spring"
    assert newest["has_more"] is True


def test_a_key_used_for_something_else_is_refused(admin: Caller, seeded: Seeded):
    back = {
        "from_account_id": str(seeded.client_account),
        "to_account_id": str(seeded.agency_account),
    }
    admin.post("/credit/recalls", back | {"amount_minor": 1}, Idempotency_Key="k")

    other = admin.post("/credit/recalls", back | {"amount_minor": 2}, Idempotency_Key="k")

    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert balance(admin, seeded.client_account) == 9_999_999


def test_a_movement_without_a_good_key_is_refused(admin: Caller, seeded: Seeded):
    """J20"""
    missing = admin.post("/credit/allocations", movement(seeded))
    codes = {
        admin.post("/credit/allocations", movement(seeded), Idempotency_Key=key).json["code"]
        for key in ("", '""', "x" * 300, "a b", "\x07")
    }

    assert (missing.status_code, missing.json["code"]) == (400, "idempotency_key_required")
    assert codes == {"idempotency_key_invalid"}


def test_an_amount_is_an_integer_of_minor_units(admin: Caller, seeded: Seeded):
    """J10"""
    expected = {
        25.1: "invalid_amount",
        "25": "invalid_amount",
        True: "invalid_amount",
        -5: "invalid_amount",
        0: "amount_not_positive",
        10**13: "amount_out_of_range",
    }

    found = {}
    for amount in expected:
        answer = admin.post(
            "/credit/allocations", movement(seeded, amount), Idempotency_Key=f"k{amount}"
        )
        assert answer.status_code == 422
        found[amount] = answer.json["code"]

    assert found == expected


def test_a_negative_amount_is_told_to_be_one(admin: Caller, seeded: Seeded):
    answer = admin.post("/credit/allocations", movement(seeded, -5), Idempotency_Key="k")

    (error,) = answer.json["errors"]
    assert (answer.status_code, error["code"]) == (422, "invalid_amount")
    assert error["detail"] == (
        "An amount is never negative: give it without a minus, in minor units."
    )
    assert balance(admin, seeded.client_account) == 10_000_000


def test_a_recall_beyond_the_balance_says_what_can_be_taken_back(
    admin: Caller, seeded: Seeded, house: House
):
    submit(house, seeded, recipients_csv(2))
    back = {
        "from_account_id": str(seeded.client_account),
        "to_account_id": str(seeded.agency_account),
        "amount_minor": 10_000_000,
    }

    beyond = admin.post("/credit/recalls", back, Idempotency_Key="a")
    down = admin.post("/credit/allocations", movement(seeded, 5), Idempotency_Key="b")

    assert (beyond.status_code, beyond.json["code"]) == (402, "insufficient_credit")
    assert beyond.json["detail"] == (
        "The account has 9995000 (minor units) that no job holds, 5000 too little. "
        "Take back 9995000 at most."
    )
    assert down.json["detail"] == (
        "The account has 0 (minor units) that no job holds, 5 too little. Give it credit first."
    )
    assert balance(admin, seeded.client_account) == 10_000_000


def test_credit_does_not_move_upwards_or_beyond_what_is_there(admin: Caller, seeded: Seeded):
    up = {
        "from_account_id": str(seeded.client_account),
        "to_account_id": str(seeded.agency_account),
        "amount_minor": 1,
    }

    wrong = admin.post("/credit/allocations", up, Idempotency_Key="a")
    poor = admin.post("/credit/allocations", movement(seeded), Idempotency_Key="b")

    assert (wrong.status_code, wrong.json["code"]) == (422, "allocation_direction")
    assert (poor.status_code, poor.json["code"]) == (402, "insufficient_credit")
    assert (poor.json["required_minor"], poor.json["available_minor"]) == (2500, 0)
    assert balance(admin, seeded.client_account) == 10_000_000


def test_an_account_shows_what_the_contract_says(app: Flask, house: House, seeded: Seeded):
    agency = signed_in(app, house, Role.AGENCY_VIEWER, seeded)

    listed = agency.get("/credit/accounts").json["data"]

    assert [row["tier"] for row in listed] == ["agency", "client"]
    assert listed[1] == {
        "id": str(seeded.client_account),
        "owner_id": str(seeded.client_id),
        "name": "Client",
        "tier": "client",
        "parent_id": str(seeded.agency_account),
        "currency": "USD",
        "balance_minor": 10_000_000,
        "held_minor": 0,
        "available_minor": 10_000_000,
        "spent_minor": 0,
        "frozen_at": None,
        "restricted_at": None,
        "owed_minor": 0,
        "unlimited": False,
    }


def test_s4_052_a_projection_says_when_the_credit_runs_out(app: Flask, house: House):
    seeded = funded(house, cards=2, minor=6 * PRICE)
    at = tomorrow(house, hours=48)
    caller = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    submit(house, seeded, recipients_csv(2))
    drain(house)
    job = submit(house, seeded, recipients_csv(5, 2), scheduled_for=at, allow_partial=True)

    answer = caller.get(f"/credit/accounts/{seeded.client_account}/projection")
    above = caller.get(f"/credit/accounts/{seeded.agency_account}/projection")

    assert (answer.status_code, above.status_code) == (200, 404)
    shown = answer.json
    assert shown["jobs"] == [
        {
            "job_id": str(job),
            "scheduled_for": shown["jobs"][0]["scheduled_for"],
            "held_minor": 4 * PRICE,
            "waiting_minor": PRICE,
        }
    ]
    assert (shown["available_minor"], shown["held_minor"], shown["waiting_minor"]) == (
        0,
        4 * PRICE,
        PRICE,
    )
    assert (shown["spent_minor"], shown["spent_days"]) == (2 * PRICE, 7)
    assert (shown["days_left"], shown["redemptions_left"]) == (0, 0)
    assert shown["runs_out_on"] == shown["as_of"][:10] == shown["days"][0]["day"]
    assert len(shown["days"]) == 31
    assert shown["covers_below"] is False
