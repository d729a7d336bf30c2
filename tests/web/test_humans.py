"""Where a company may be asked whether a person is there, it is asked in time (S2-048)."""

import secrets
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import Seeded
from tests.statements import statements
from tests.vendor import Sandbox
from tests.web.conftest import PASSWORD, make_user
from tests.web.console.conftest import SAME_ORIGIN
from tests.web.test_misses import many_misses, token

ANN = "ann@example.com"
COMPANY = "https://challenges.cloudflare.com"


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    given = {
        "CAPTCHA_PROVIDER": "turnstile",
        "CAPTCHA_SITE_KEY": "site-key",
        "CAPTCHA_SECRET": "sandbox",
        "CAPTCHA_VERIFY_URL": f"{sandbox.url}/captcha/turnstile/siteverify",
        "LARGESSE_RATE_LIMITS": "login=10/minute",
    }
    with a_house(ground, database, **given) as built:
        yield built


def person() -> str:
    return f"human-{secrets.token_hex(8)}"


def login(browser: FlaskClient, password: str = PASSWORD, **headers: str) -> TestResponse:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"email": ANN, "password": password}
    return browser.post("/api/v1/auth/login", json=body, headers=given)


def test_after_three_wrong_passwords_a_person_is_asked_for(house: House, browser: FlaskClient):
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    wrong = [login(browser, "wrong").status_code for _ in range(3)]

    bare = login(browser)
    robot = login(browser, Captcha_Response="robot")
    human = login(browser, Captcha_Response=person())
    after = login(browser)

    assert wrong == [401] * 3
    assert (bare.status_code, bare.json["code"]) == (403, "captcha_required")
    assert (bare.json["provider"], bare.json["site_key"]) == ("turnstile", "site-key")
    assert (robot.status_code, robot.json["code"]) == (403, "captcha_failed")
    assert (human.status_code, after.status_code) == (200, 200)


def test_an_answer_is_good_once(house: House, browser: FlaskClient):
    make_user(house, ANN, Role.PLATFORM_ADMIN)
    for _ in range(3):
        login(browser, "wrong")
    answer = person()

    tries = [login(browser, "wrong", Captcha_Response=answer).json["code"] for _ in range(2)]

    assert tries == ["invalid_credentials", "captcha_failed"]


def test_while_the_company_is_away_people_get_in_at_half_the_limit(
    house: House, browser: FlaskClient, sandbox: Sandbox
):
    sandbox.control("PUT", "/captcha/faults", {"drop": {"always": True}})
    for _ in range(3):
        login(browser, "wrong")

    tries = [login(browser, "wrong", Captcha_Response=person()) for _ in range(6)]

    assert [answer.status_code for answer in tries] == [401] * 5 + [429]
    assert tries[-1].headers["RateLimit-Policy"].startswith('"login";q=5;w=60')
    assert sandbox.control("GET", "/captcha/faults")["fired"] == {"drop": 1}


def test_the_form_asks_and_its_page_alone_trusts_the_company(house: House, browser: FlaskClient):
    make_user(house, ANN, Role.PLATFORM_ADMIN)

    def send(**fields: str) -> TestResponse:
        form = {"email": ANN, "password": "wrong"} | fields
        return browser.post("/console/sign-in", data=form, headers=SAME_ORIGIN)

    plain = [send(), send()][-1]
    third = send()
    bare = send(password=PASSWORD)
    human = send(password=PASSWORD, **{"cf-turnstile-response": person()})

    assert COMPANY not in plain.text + plain.headers["Content-Security-Policy"]
    assert (third.status_code, bare.status_code, human.status_code) == (422, 403, 303)
    assert 'data-sitekey="site-key"' in third.text
    assert f'<script src="{COMPANY}/turnstile/v0/api.js"' in bare.text
    policy = dict(
        rule.split(" ", 1) for rule in bare.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["script-src"] == f"'self' {COMPANY}"
    assert policy["frame-src"] == COMPANY
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert COMPANY not in browser.get("/docs").headers["Content-Security-Policy"]


@pytest.fixture
def link(ground: Ground, app: Flask, house: House, seeded: Seeded) -> str:
    """A genuine link, while links are guessed at from everywhere."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1, "GIFT"))
    submit(house, seeded, recipients_csv(1), delivery_method="email")
    drain(house)
    many_misses(ground)
    app.test_client().get("/r/abc")
    (card,) = rows(house, "SELECT id FROM provisions")
    return f"/r/{token(house, card.id)}"


def test_while_links_are_guessed_at_people_see_theirs_and_programs_none(
    house: House, browser: FlaskClient, link: str
):
    """EC-029: without a person every link is the same page, and none is looked for."""
    with statements(house) as sent:
        good, bad = browser.get(link), browser.get("/r/abc")
        robot = browser.post(link, data={"look": "1", "cf-turnstile-response": "robot"})
    seen = browser.post(link, data={"look": "1", "cf-turnstile-response": person()})
    form = {"open": "1", "email": "person0@example.com"}
    bare = browser.post(link, data=form)
    opened = browser.post(link, data=form | {"cf-turnstile-response": person()})

    assert sent == []
    assert (good.status_code, bad.status_code, good.text) == (200, 200, bad.text)
    assert COMPANY in good.headers["Content-Security-Policy"]
    assert robot.status_code == 403
    assert "$25.00" in seen.text
    assert 'class="cf-turnstile"' in seen.text
    assert "GIFT" not in seen.text + bare.text
    assert "GIFT" in opened.text


def test_a_token_over_http_needs_a_person_too_while_it_lasts(
    house: House, browser: FlaskClient, link: str
):
    (card,) = rows(house, "SELECT id FROM provisions")
    path = f"/api/v1/gift-cards/{card.id}/reveal"
    body = {"token": link.removeprefix("/r/"), "email": "person0@example.com"}

    bare = browser.post(path, json=body)
    pretended = browser.post(path, json=body, headers={"Authorization": "Bearer none"})
    human = browser.post(path, json=body, headers={"Captcha-Response": person()})

    assert (bare.status_code, bare.json["code"]) == (403, "captcha_required")
    assert pretended.status_code == 403
    assert human.status_code == 200
