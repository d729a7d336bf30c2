"""Whom a client has imported can be staff elsewhere, or register, and keeps what they were given."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.canary import MARK
from tests.conftest import Database, Ground
from tests.couponing import act, finish, put_codes
from tests.driving import rows
from tests.posting import a_mail_house, in_production, link_to, subjects
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox
from tests.web.conftest import Caller, signed_in
from web.app import create_app

ANN = "ann@example.com"
PASSWORD = f"correct horse {MARK}"
STAFF = {"email": ANN, "role": "client_viewer", "name": "Anna", "password": PASSWORD}
REGISTRATION = {"email": ANN, "password": PASSWORD, "name": "Ann"}


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    with a_mail_house(ground, database, sandbox) as built:
        yield built


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def other(house: House) -> Seeded:
    """Another client, which has given Ann a coupon."""
    return seed(house, vendor=False)


@pytest.fixture
def giver(app: Flask, house: House, other: Seeded) -> Caller:
    """Who runs the other client."""
    return signed_in(app, house, Role.CLIENT_ADMIN, other, name="giver.")


@pytest.fixture
def outside(house: House) -> Caller:
    """Somebody before a house in production."""
    return Caller(create_app(in_production(house)).test_client())


@pytest.fixture
def ann(house: House, other: Seeded, giver: Caller) -> UUID:
    """Imported, and given a coupon; without an account."""
    pool = giver.post("/pools", {"name": "Beta Testers"}).json["id"]
    body = {"emails": [ANN], "create_missing": True}
    assert giver.post(f"/pools/{pool}/users", body).json["new_people"] == 1
    (member,) = giver.get(f"/pools/{pool}/users").json["data"]
    book = make_book(house, other)
    put_codes(house, other, book, 0, "GIVEN-TO-ANN")
    given = act(giver, "/coupons/assign/GIVEN-TO-ANN", {"user_id": member["user_id"]})
    assert given.status_code == 202, given.json
    finish(house)
    return UUID(member["user_id"])


def known_to_giver(giver: Caller) -> dict:
    """What the other client sees of Ann."""
    (pool,) = giver.get("/pools").json["data"]
    (member,) = giver.get(f"/pools/{pool['id']}/users").json["data"]
    found = giver.get(f"/users/search/by-email?email={ANN}").json
    return {"member": member, "found": found}


def entered(outside: Caller) -> Caller:
    """Ann, signed in with the password."""
    answer = outside.post("/auth/login", {"email": ANN, "password": PASSWORD})
    assert answer.status_code == 200, answer.json
    return Caller(outside.client, {"Authorization": f"Bearer {answer.json['access_token']}"})


def own_codes(caller: Caller) -> list[str]:
    return [coupon["code"] for coupon in caller.get("/users/me/coupons").json["data"]]


def registered(outside: Caller, house: House, sandbox: Sandbox) -> int:
    """The status of a registration that is confirmed by the mailed link."""
    assert outside.post("/auth/register", REGISTRATION).status_code == 202
    _path, token = link_to(house, sandbox, ANN)
    body = {"token": token, "password": PASSWORD}
    return outside.post("/auth/register/confirm", body).status_code


def test_who_registers_finds_what_they_were_given_before(
    house: House, sandbox: Sandbox, outside: Caller, giver: Caller, ann: UUID
):
    """The mailed link proves that the address is theirs; nothing is theirs before."""
    before = known_to_giver(giver)
    asked = outside.post("/auth/register", REGISTRATION)
    _path, token = link_to(house, sandbox, ANN)
    early = outside.post("/auth/login", {"email": ANN, "password": PASSWORD})
    wrong = outside.post("/auth/register/confirm", {"token": token, "password": "of another"})
    unclaimed = rows(house, "SELECT password_hash FROM users WHERE id = :id", id=ann)

    confirmed = outside.post("/auth/register/confirm", {"token": token, "password": PASSWORD})
    caller = entered(outside)

    assert (asked.status_code, early.status_code, wrong.status_code) == (202, 401, 422)
    assert unclaimed == [(None,)]
    assert confirmed.status_code == 204
    me = caller.get("/auth/me").json
    assert (me["id"], me["name"], me["role"]) == (str(ann), "Ann", "end_user")
    assert own_codes(caller) == ["GIVEN-TO-ANN"]
    redeemed = act(caller, "/coupons/redeem/GIVEN-TO-ANN")
    finish(house)
    job = caller.get(redeemed.headers["Location"].removeprefix("/api/v1")).json
    assert job["result"]["coupon"]["state"] == "redeemed"
    assert known_to_giver(giver) == before


def test_who_is_imported_elsewhere_accepts_an_invitation_and_keeps_what_they_have(
    app: Flask,
    house: House,
    sandbox: Sandbox,
    seeded: Seeded,
    client_admin: Caller,
    outside: Caller,
    giver: Caller,
    ann: UUID,
):
    before = known_to_giver(giver)
    guest = {"email": ANN, "role": "client_viewer", "name": "Anna"}

    invited = client_admin.post("/invitations", guest)
    _path, token = link_to(house, sandbox, ANN)
    accepted = outside.post("/invitations/accept", {"token": token, "password": PASSWORD})
    caller = entered(outside)

    assert (invited.status_code, accepted.status_code) == (201, 204)
    me = caller.get("/auth/me").json
    assert (me["id"], me["role"], me["client_id"]) == (
        str(ann),
        "client_viewer",
        str(seeded.client_id),
    )
    assert own_codes(caller) == ["GIVEN-TO-ANN"]
    assert known_to_giver(giver) == before


def test_who_is_made_staff_with_another_s_password_holds_what_strangers_gave_once_they_prove_the_address(
    house: House,
    sandbox: Sandbox,
    seeded: Seeded,
    client_admin: Caller,
    outside: Caller,
    giver: Caller,
    ann: UUID,
):
    """Whoever chose the password may be signed in too: a stranger's coupons are not theirs to take."""
    before = known_to_giver(giver)

    made = client_admin.post("/users", STAFF)
    unproven = entered(outside)
    tried = act(unproven, "/coupons/redeem/GIVEN-TO-ANN")

    assert (made.status_code, made.json["id"]) == (201, str(ann))
    assert unproven.get("/auth/me").json["client_id"] == str(seeded.client_id)
    assert (own_codes(unproven), tried.status_code) == ([], 404)
    assert rows(house, "SELECT state FROM coupons") == [("assigned",)]
    outside.post("/auth/password-reset", {"email": ANN})
    _path, token = link_to(house, sandbox, ANN)
    chosen = {"token": token, "new_password": PASSWORD}
    assert outside.post("/auth/password-reset/confirm", chosen).status_code == 204
    assert own_codes(entered(outside)) == ["GIVEN-TO-ANN"]
    assert known_to_giver(giver) == before


def test_the_own_client_s_coupons_are_there_without_a_proof(
    giver: Caller, outside: Caller, ann: UUID
):
    made = giver.post("/users", STAFF)

    assert (made.status_code, made.json["id"]) == (201, str(ann))
    assert own_codes(entered(outside)) == ["GIVEN-TO-ANN"]


@pytest.mark.usefixtures("ann")
def test_who_has_an_account_by_now_is_taken(
    house: House, sandbox: Sandbox, client_admin: Caller, outside: Caller
):
    assert registered(outside, house, sandbox) == 204
    before = rows(house, "SELECT * FROM users ORDER BY id")

    guest = {"email": ANN, "role": "client_viewer"}
    refused = [client_admin.post("/users", STAFF), client_admin.post("/invitations", guest)]

    assert [(one.status_code, one.json["code"]) for one in refused] == [(409, "email_taken")] * 2
    assert rows(house, "SELECT * FROM users ORDER BY id") == before
    assert rows(house, "SELECT 1 FROM invitations") == []


def test_who_is_disabled_is_not_brought_back_by_any_of_it(
    house: House, sandbox: Sandbox, client_admin: Caller, outside: Caller, admin: Caller, ann: UUID
):
    """The platform enables them first; then the address is as good as any."""
    outside.post("/auth/register", REGISTRATION)
    _path, token = link_to(house, sandbox, ANN)
    assert admin.call("PATCH", f"/users/{ann}", {"disabled": True}).status_code == 200
    before = rows(house, "SELECT * FROM users ORDER BY id")

    made = client_admin.post("/users", STAFF)
    invited = client_admin.post("/invitations", {"email": ANN, "role": "client_viewer"})
    body = {"token": token, "password": PASSWORD}
    confirmed = outside.post("/auth/register/confirm", body)
    outside.post("/auth/register", REGISTRATION)

    assert [made.json["code"], invited.json["code"]] == ["email_taken"] * 2
    assert (confirmed.status_code, confirmed.json["code"]) == (422, "invalid_registration_token")
    assert subjects(house, sandbox, ANN)[0] != "Confirm your address for Largesse"
    assert rows(house, "SELECT * FROM users ORDER BY id") == before
    admin.call("PATCH", f"/users/{ann}", {"disabled": False})
    assert client_admin.post("/users", STAFF).status_code == 201
