"""The pages behind mailed links: opened by anything, used by a person's button (SEC-02, SEC-32)."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.access.authenticate import check_password
from pipelines.wiring import House
from tests.canary import MARK
from tests.conftest import Database, Ground
from tests.driving import rows
from tests.posting import a_mail_house, in_production, link_to, subjects
from tests.seeding import Seeded
from tests.vendor import Sandbox
from tests.web.conftest import PASSWORD, Caller, make_user, signed_in
from tests.web.console.conftest import SAME_ORIGIN, visitor_of
from web.app import create_app

ANN = "ann@example.com"
NEW = f"battery staple {MARK}"
TWICE = {"password": NEW, "again": NEW}


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    with a_mail_house(ground, database, sandbox) as built:
        yield built


def sent(browser: FlaskClient, path: str, **fields: str):
    return browser.post(path, data=fields, headers=SAME_ORIGIN)


def test_a_forgotten_password_is_chosen_anew_without_javascript(
    browser: FlaskClient, house: House, sandbox: Sandbox
):
    ann = make_user(house, ANN, Role.PLATFORM_ADMIN)

    asked = sent(browser, "/console/forgot", email=ANN)
    path, _token = link_to(house, sandbox, ANN)
    looks = [browser.get(path) for _ in range(2)]
    done = sent(browser, path, **TWICE)
    spent = browser.get(path)

    assert "/console/forgot" in browser.get("/console/sign-in").text
    assert asked.status_code == 200
    assert [look.status_code for look in looks] == [200, 200]
    assert 'autocomplete="new-password"' in looks[0].text
    assert (done.status_code, "Your password is changed" in done.text) == (200, True)
    assert check_password(house.sessions, ANN, NEW).user_id == ann
    assert (spent.status_code, "This link does not work" in spent.text) == (404, True)


def test_ec029_the_page_says_the_same_for_an_address_that_nobody_has(
    browser: FlaskClient, house: House
):
    make_user(house, ANN, Role.PLATFORM_ADMIN)

    known, unknown = (
        sent(browser, "/console/forgot", email=email) for email in (ANN, "nobody@example.com")
    )

    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)


def test_what_is_wrong_is_said_and_the_link_stays_good(
    browser: FlaskClient, house: House, sandbox: Sandbox
):
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    sent(browser, "/console/forgot", email=ANN)
    path, _token = link_to(house, sandbox, ANN)

    unequal = sent(browser, path, password=NEW, again=f"{NEW}x")
    short = sent(browser, path, password="short", again="short")

    assert (unequal.status_code, "are not the same" in unequal.text) == (422, True)
    assert (short.status_code, "at least 15 characters" in short.text) == (422, True)
    assert browser.get(path).status_code == 200


def test_the_fourth_mail_within_an_hour_is_refused_with_the_time_to_wait(browser: FlaskClient):
    answers = [sent(browser, "/console/forgot", email=ANN) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "3600"


@pytest.mark.parametrize("email", ["", "   ", "\x00", "a\x00b@example.com", "x" * 5000])
def test_nothing_that_is_typed_breaks_the_page(browser: FlaskClient, email: str):
    assert sent(browser, "/console/forgot", email=email).status_code in {200, 422}


@pytest.mark.parametrize("place", ["reset", "register", "invitation"])
@pytest.mark.parametrize("token", ["x", "%00", "%C3%A9", "a" * 3000])
def test_what_is_no_link_is_told_so(browser: FlaskClient, place: str, token: str):
    path = f"/console/{place}/{token}"

    assert browser.get(path).status_code == 404
    assert sent(browser, path, **TWICE).status_code == 404


def test_another_sites_form_is_refused(browser: FlaskClient, house: House, sandbox: Sandbox):
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    sent(browser, "/console/forgot", email=ANN)
    path, _token = link_to(house, sandbox, ANN)

    foreign = {"Sec-Fetch-Site": "cross-site"}
    refused = browser.post(path, data=TWICE, headers=foreign)

    assert refused.status_code == 403
    assert browser.get(path).status_code == 200


def test_the_pages_are_kept_by_nobody_and_told_to_no_other_site(browser: FlaskClient):
    page = browser.get("/console/reset/x")

    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert 'content="noindex' in page.text


def test_an_invitation_is_accepted_by_a_visitor_who_is_signed_in_as_somebody_else(
    app: Flask, house: House, sandbox: Sandbox, seeded: Seeded
):
    boss: Caller = signed_in(app, house, Role.CLIENT_ADMIN, seeded)
    boss.post("/invitations", {"email": ANN, "role": "client_viewer"})
    path, _token = link_to(house, sandbox, ANN)
    visitor = visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)

    done = visitor.send(path, **TWICE)

    assert (done.status_code, "You are in" in done.text) == (200, True)
    (ann,) = rows(house, "SELECT role FROM users WHERE email = :email", email=ANN)
    assert ann.role == "client_viewer"


def test_who_registered_confirms_by_a_button_and_finds_a_page_of_their_own(
    house: House, sandbox: Sandbox
):
    browser = create_app(in_production(house)).test_client()
    body = {"email": ANN, "password": PASSWORD}
    browser.post("/api/v1/auth/register", json=body)
    path, _token = link_to(house, sandbox, ANN)

    look, wrong = browser.get(path), sent(browser, path, password="of somebody else")
    done = sent(browser, path, password=PASSWORD)
    signed = sent(browser, "/console/sign-in", **body)
    home = browser.get("/console/")

    assert (look.status_code, wrong.status_code) == (200, 422)
    assert (done.status_code, signed.status_code) == (200, 303)
    assert (home.status_code, home.headers["Location"]) == (303, "/console/my/coupons")
    assert subjects(house, sandbox, ANN) == [
        "Your Largesse account is ready",
        "Confirm your address for Largesse",
    ]


def test_the_sign_in_page_says_how_to_make_the_first_administrator(
    browser: FlaskClient, house: House
):
    before = browser.get("/console/sign-in").text
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    after = browser.get("/console/sign-in").text

    hint = "largesse user create --role platform_admin"
    assert (hint in before, hint in after) == (True, False)
