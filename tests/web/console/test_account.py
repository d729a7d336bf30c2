"""Your account: password, second factor, where you are signed in, proving yourself (SEC-01, SEC-04)."""

import re
from dataclasses import replace

from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import PASSWORD, make_user
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of
from tests.web.console.test_sign_in import sign_in
from tests.web.factors import code_of
from web.app import create_app

SECRET = re.compile(r'the secret: <span class="mono">([A-Z2-7 ]+)</span>')
CODES = re.compile(r"<li>([a-z2-9-]{20})</li>")
FACTOR = "/console/account/second-factor"


def set_up(house: House, visitor: Visitor) -> tuple[str, list[str]]:
    """Set a second factor up as a person would; its secret and recovery codes."""
    visitor.send(FACTOR)
    shown = visitor.get(FACTOR).text
    secret = SECRET.search(shown)[1].replace(" ", "")
    code = code_of(house, secret, steps=-1)
    return secret, CODES.findall(visitor.send(f"{FACTOR}/verify", FACTOR, code=code).text)


def test_a_second_factor_is_set_up_by_qr_code_and_shows_ten_recovery_codes(
    house: House, bob: Visitor
):
    asked = bob.get("/console/account").text
    secret, codes = set_up(house, bob)

    assert "Set up a second factor" in asked
    assert (len(secret), len(codes)) == (32, 10)
    assert "10 recovery codes are left" in bob.get("/console/account").text
    assert "the secret" not in bob.get(FACTOR).text


def test_a_wrong_first_code_shows_the_same_secret_again(house: House, bob: Visitor):
    bob.send(FACTOR)
    secret = SECRET.search(bob.get(FACTOR).text)[1]

    wrong = bob.send(f"{FACTOR}/verify", FACTOR, code="000000")

    assert wrong.status_code == 422
    assert "The code is not right" in wrong.text
    assert SECRET.search(wrong.text)[1] == secret


def test_signing_in_then_asks_for_the_code_and_begins_a_new_session(
    house: House, bob: Visitor, browser: FlaskClient
):
    secret, _codes = set_up(house, bob)
    email = "client_admin@console.example"

    halfway = sign_in(browser, email, next="/console/jobs?state=failed")
    before = browser.get_cookie("largesse").value
    assert halfway.headers["Location"] == "/console/sign-in/code?next=/console/jobs?state%3Dfailed"
    assert browser.get("/console/jobs").status_code == 303

    def typed(code: str):
        fields = {"code": code, "next": "/console/jobs?state=failed"}
        return browser.post("/console/sign-in/code", data=fields, headers=SAME_ORIGIN)

    wrong, right = typed("000000"), typed(code_of(house, secret))

    assert (wrong.status_code, right.status_code) == (422, 303)
    assert right.headers["Location"] == "/console/jobs?state=failed"
    assert browser.get("/console/jobs").status_code == 200
    assert browser.get_cookie("largesse").value != before
    browser.set_cookie("largesse", before)
    assert browser.get("/console/jobs").status_code == 303
    assert browser.get("/console/sign-in/code").headers["Location"] == "/console/sign-in"


def test_a_recovery_code_lets_in_too(house: House, bob: Visitor, browser: FlaskClient):
    _secret, codes = set_up(house, bob)
    sign_in(browser, "client_admin@console.example")

    came_in = browser.post("/console/sign-in/code", data={"code": codes[3]}, headers=SAME_ORIGIN)

    assert came_in.status_code == 303
    assert "9 recovery codes are left" in browser.get("/console/account").text


def test_the_password_is_changed_and_other_places_are_signed_out(
    app: Flask, house: House, bob: Visitor, browser: FlaskClient
):
    sign_in(browser, "client_admin@console.example")
    chosen = "umbrella 7 violin harbour"

    wrong = bob.send(
        "/console/account/password", "/console/account", current_password="x", new_password=chosen
    )
    poor = post_password(bob, PASSWORD, "short")
    changed = post_password(bob, PASSWORD, chosen)

    assert (wrong.status_code, poor.status_code, changed.status_code) == (422, 422, 303)
    assert "at least 15 characters" in poor.text
    assert bob.get("/console/").status_code == 200
    assert browser.get("/console/").status_code == 303
    assert sign_in(app.test_client(), "client_admin@console.example", chosen).status_code == 303


def post_password(visitor: Visitor, current: str, chosen: str):
    token = visitor.get("/console/account").text.partition('name="csrf_token" value="')[2][:64]
    fields = {"csrf_token": token, "current_password": current, "new_password": chosen}
    return visitor.client.post("/console/account/password", data=fields, headers=SAME_ORIGIN)


def test_places_are_listed_and_ended(bob: Visitor, browser: FlaskClient):
    sign_in(browser, "client_admin@console.example")
    listed = bob.get("/console/account").text
    end = re.search(r'action="(/console/account/sign-ins/[^"]+/end)"', listed)[1]

    assert listed.count("Sign out there") == 1
    assert bob.send(end, "/console/account").status_code == 303

    assert browser.get("/console/").status_code == 303
    assert bob.get("/console/account").status_code == 200


def test_all_other_places_are_ended(bob: Visitor, browser: FlaskClient):
    sign_in(browser, "client_admin@console.example")

    ended = bob.send("/console/account/sign-ins/end", "/console/account")

    assert ended.headers["Location"] == "/console/account?done=others"
    assert browser.get("/console/").status_code == 303
    assert bob.get("/console/").status_code == 200


def test_what_wants_a_fresh_proof_asks_for_it_and_goes_on(house: House, bob: Visitor):
    rows(house, "UPDATE sign_ins SET proven_at = now() - interval '6 minutes' RETURNING 1")
    token = bob.get(FACTOR).text.partition('name="csrf_token" value="')[2][:64]

    asked = bob.client.post(
        FACTOR,
        data={"csrf_token": token},
        headers={**SAME_ORIGIN, "Referer": f"http://localhost{FACTOR}"},
    )
    assert asked.headers["Location"] == f"/console/prove?next={FACTOR}"
    wrong = bob.send("/console/prove", f"/console/prove?next={FACTOR}", password="wrong")
    proven = bob.send("/console/prove", f"/console/prove?next={FACTOR}", password=PASSWORD)

    assert (wrong.status_code, proven.status_code) == (422, 303)
    assert proven.headers["Location"] == FACTOR
    assert bob.send(FACTOR).headers["Location"] == FACTOR


def test_an_administrator_without_one_is_sent_to_set_it_up(house: House, seeded: Seeded):
    """SEC-04"""
    strict = replace(house, settings=replace(house.settings, requires_second_factor=True))
    app = create_app(strict)
    visitor = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)

    for page in ("/console/", "/console/jobs", "/console/credit"):
        assert visitor.get(page).headers["Location"] == FACTOR
    assert "Your role needs a second factor" in visitor.get(FACTOR).text
    assert visitor.get("/console/account").status_code == 200

    set_up(house, visitor)
    assert visitor.get("/console/jobs").status_code == 200


def test_the_account_of_another_is_nowhere(house: House, bob: Visitor, seeded: Seeded):
    make_user(house, "eve@example.com", Role.CLIENT_ADMIN, seeded)

    assert "eve@example.com" not in bob.get("/console/account").text
