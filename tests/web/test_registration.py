"""End users register: at once in a demo, by a mailed link in production (S1-025, S3-105, EC-029)."""

from collections.abc import Iterator

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.canary import MARK
from tests.conftest import Database, Ground
from tests.driving import rows
from tests.posting import a_mail_house, in_production, link_to, subjects
from tests.statements import statements
from tests.vendor import Sandbox
from tests.web.conftest import Caller, make_user
from web.app import create_app

ANN = "ann@example.com"
PASSWORD = f"correct horse {MARK}"
BODY = {"email": ANN, "password": PASSWORD, "name": "Ann"}


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    with a_mail_house(ground, database, sandbox) as built:
        yield built


@pytest.fixture
def anybody(app: Flask) -> Caller:
    return Caller(app.test_client())


@pytest.fixture
def outside(house: House) -> Caller:
    """Somebody before a house in production."""
    return Caller(create_app(in_production(house)).test_client())


def login(caller: Caller):
    return caller.post("/auth/login", {"email": ANN, "password": PASSWORD})


def people(house: House) -> list[tuple[str, str]]:
    return [(row.email, row.role) for row in rows(house, "SELECT email, role FROM users")]


def test_in_a_demo_who_registers_signs_in_at_once(anybody: Caller, house: House):
    made = anybody.post("/auth/register", BODY)

    signed_in = login(anybody)
    assert made.status_code == 201
    assert {name: made.json[name] for name in ("email", "name", "role")} == {
        "email": ANN,
        "name": "Ann",
        "role": "end_user",
    }
    bearer = {"Authorization": f"Bearer {signed_in.json['access_token']}"}
    assert anybody.get("/auth/me", **bearer).json["id"] == made.json["id"]
    assert anybody.get("/jobs", **bearer).status_code == 403


def test_in_a_demo_an_address_registers_once(anybody: Caller, house: House):
    anybody.post("/auth/register", BODY)

    again = anybody.post("/auth/register", BODY | {"email": "ANN@example.com"})

    assert (again.status_code, again.json["code"]) == (409, "email_taken")
    assert people(house) == [(ANN, "end_user")]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"email": "ann"}, "/email"),
        ({"email": "ann@example.com\r\nBcc: eve@example.com"}, "/email"),
        ({"password": "short"}, "/password"),
        ({"role": "platform_admin"}, "/role"),
    ],
)
def test_nobody_registers_with_what_will_not_do(
    anybody: Caller, outside: Caller, house: House, wrong: dict, pointer: str
):
    for caller in (anybody, outside):
        refused = caller.post("/auth/register", BODY | wrong)

        assert refused.status_code == 422
        assert refused.json["errors"][0]["pointer"] == pointer
    assert people(house) == []
    assert rows(house, "SELECT 1 FROM outgoing_mails") == []


def test_in_production_the_account_begins_with_the_mailed_link(
    outside: Caller, house: House, sandbox: Sandbox
):
    asked = outside.post("/auth/register", BODY)
    nobody_yet = people(house)
    _path, token = link_to(house, sandbox, ANN)
    early = login(outside)
    first = outside.post("/auth/register/confirm", {"token": token, "password": PASSWORD})
    again = outside.post("/auth/register/confirm", {"token": token, "password": PASSWORD})

    assert (asked.status_code, nobody_yet, early.status_code) == (202, [], 401)
    assert first.status_code == 204
    assert (again.status_code, again.json["code"]) == (422, "invalid_registration_token")
    assert people(house) == [(ANN, "end_user")]
    assert login(outside).status_code == 200
    assert rows(house, "SELECT 1 FROM registrations") == []


def test_nobody_begins_an_account_that_somebody_else_will_open(
    outside: Caller, house: House, sandbox: Sandbox
):
    """Who gets a mail that they did not ask for does not know its password."""
    outside.post("/auth/register", BODY)
    _path, token = link_to(house, sandbox, ANN)

    clicked = outside.post("/auth/register/confirm", {"token": token, "password": "of the owner"})

    assert (clicked.status_code, clicked.json["code"]) == (422, "wrong_password")
    assert people(house) == []
    good = outside.post("/auth/register/confirm", {"token": token, "password": PASSWORD})
    assert good.status_code == 204


def test_ec029_in_production_an_address_with_an_account_gets_the_same_answer_and_another_mail(
    outside: Caller, house: House, sandbox: Sandbox
):
    make_user(house, "known@example.com", Role.PLATFORM_ADMIN)

    with statements(house) as for_new:
        new = outside.post("/auth/register", BODY)
    with statements(house) as for_known:
        known = outside.post("/auth/register", BODY | {"email": "known@example.com"})

    assert (new.status_code, new.json) == (known.status_code, known.json)
    assert for_new == for_known
    assert subjects(house, sandbox, ANN) == ["Confirm your address for Largesse"]
    assert subjects(house, sandbox, "known@example.com") == ["You have a Largesse account already"]


def test_a_link_is_worth_nothing_once_the_address_has_an_account(
    outside: Caller, house: House, sandbox: Sandbox
):
    outside.post("/auth/register", BODY)
    _path, token = link_to(house, sandbox, ANN)
    make_user(house, ANN, Role.PLATFORM_ADMIN)

    refused = outside.post("/auth/register/confirm", {"token": token, "password": PASSWORD})

    assert (refused.status_code, refused.json["code"]) == (422, "invalid_registration_token")
    assert people(house) == [(ANN, "platform_admin")]


def test_a_link_lives_a_day(outside: Caller, house: House, sandbox: Sandbox):
    outside.post("/auth/register", BODY)
    _path, token = link_to(house, sandbox, ANN)
    rows(house, "UPDATE registrations SET expires_at = now() RETURNING 1")

    assert (
        outside.post("/auth/register/confirm", {"token": token, "password": PASSWORD}).status_code
        == 422
    )
    assert people(house) == []


def test_who_waits_for_a_link_is_sealed(outside: Caller, house: House):
    outside.post("/auth/register", BODY)

    (kept,) = rows(house, "SELECT sealed_person FROM registrations")
    assert b"ann@" not in bytes(kept.sealed_person)
    assert b"argon2" not in bytes(kept.sealed_person)
