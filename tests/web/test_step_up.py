"""What opens codes, shows secrets or moves much money wants a fresh proof (SEC-04)."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import PASSWORD, Caller, make_user, signed_in
from tests.web.factors import code_of, enrol

LATER = "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1"


def key_body(seeded: Seeded) -> dict[str, object]:
    return {"name": "Shop", "client_id": str(seeded.client_id), "scopes": ["provision"]}


def refused(answer) -> tuple[int, str, list[str]]:
    return answer.status_code, answer.json["code"], answer.json["methods"]


def test_a_fresh_sign_in_is_proof_and_an_old_one_is_not(
    house: House, client_admin: Caller, seeded: Seeded
):
    assert client_admin.post("/api-keys", key_body(seeded)).status_code == 201
    rows(house, LATER)

    assert refused(client_admin.post("/api-keys", key_body(seeded))) == (
        403,
        "step_up_required",
        ["password"],
    )


def test_the_password_proves_who_has_no_second_factor(
    house: House, client_admin: Caller, seeded: Seeded
):
    rows(house, LATER)

    wrong = client_admin.post("/auth/step-up", {"password": "not the password"})
    without = client_admin.post("/auth/step-up", {"totp": "000000"})
    assert (wrong.status_code, wrong.json["code"]) == (422, "wrong_password")
    assert without.json["errors"][0]["pointer"] == "/password"
    assert client_admin.post("/api-keys", key_body(seeded)).status_code == 403

    right = client_admin.post("/auth/step-up", {"password": PASSWORD})
    assert (right.status_code, right.json) == (200, {"step_up_expires_in": 300})
    assert client_admin.post("/api-keys", key_body(seeded)).status_code == 201


def test_a_code_proves_who_has_one_and_the_password_does_not(
    house: House, client_admin: Caller, seeded: Seeded
):
    secret, _codes = enrol(house, client_admin)
    rows(house, LATER)

    assert refused(client_admin.post("/api-keys", key_body(seeded)))[2] == ["totp"]
    assert client_admin.post("/auth/step-up", {"password": PASSWORD}).status_code == 422
    assert client_admin.post("/auth/step-up", {"totp": "000000"}).json["code"] == "wrong_code"
    assert (
        client_admin.post("/auth/totp/verify", {"totp": code_of(house, secret)}).status_code == 200
    )
    assert client_admin.post("/api-keys", key_body(seeded)).status_code == 201


def test_people_are_made_and_raised_with_a_fresh_proof_only(
    house: House, client_admin: Caller, seeded: Seeded
):
    """Who found an open session makes no second one for themselves."""
    viewer = make_user(house, "vi@example.com", Role.CLIENT_VIEWER, seeded)
    rows(house, LATER)
    made = {
        "email": "p@example.com",
        "role": "client_viewer",
        "password": "umbrella 7 violin harbour",
    }
    asked = {"email": "q@example.com", "role": "client_viewer"}

    answers = [
        client_admin.post("/users", made),
        client_admin.post("/invitations", asked),
        client_admin.call("PATCH", f"/users/{viewer}", {"role": "campaign_manager"}),
        client_admin.call("PATCH", f"/users/{viewer}", {"disabled": False}),
    ]

    assert {answer.json["code"] for answer in answers} == {"step_up_required"}
    assert client_admin.call("PATCH", f"/users/{viewer}", {"disabled": True}).status_code == 200


def test_strangers_at_the_door_keep_nobody_from_proving_themselves(
    house: House, client_admin: Caller, browser: FlaskClient, seeded: Seeded
):
    """SEC-03: a lock-out stops no session that is open."""
    email = f"client_admin.{seeded.client_id}@x.example"
    rows(
        house,
        "INSERT INTO sign_in_failures (account, failures, rests_until)"
        " SELECT sha256(convert_to(email_normalised, 'UTF8')), 10, now() + interval '15 minutes'"
        " FROM users WHERE email = :email RETURNING 1",
        email=email,
    )
    door = browser.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})

    assert door.json["code"] == "login_locked"
    assert client_admin.post("/auth/step-up", {"password": PASSWORD}).status_code == 200


def test_a_proof_holds_on_its_own_sign_in_only(
    house: House, client_admin: Caller, browser: FlaskClient, seeded: Seeded
):
    email = f"client_admin.{seeded.client_id}@x.example"
    tokens = browser.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD}).json
    elsewhere = Caller(browser, {"Authorization": f"Bearer {tokens['access_token']}"})
    rows(house, LATER)

    assert client_admin.post("/auth/step-up", {"password": PASSWORD}).status_code == 200
    assert elsewhere.post("/api-keys", key_body(seeded)).status_code == 403


@pytest.mark.parametrize(("amount", "status"), [(999_999, 201), (1_000_000, 403)])
def test_much_money_wants_a_proof_and_little_does_not(
    app: Flask, house: House, seeded: Seeded, amount: int, status: int
):
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    accounts = agency.get("/credit/accounts").json["data"]
    parent = next(a for a in accounts if a["tier"] == "agency")
    child = next(a for a in accounts if a["parent_id"] == parent["id"])
    assert child["available_minor"] >= 1_000_000
    rows(house, LATER)

    moved = agency.post(
        "/credit/recalls",
        {
            "from_account_id": child["id"],
            "to_account_id": parent["id"],
            "amount_minor": amount,
            "notes": "",
        },
        Idempotency_Key="one",
    )

    assert moved.status_code == status, moved.json
