"""Signing in and out of the console (SEC-01, SEC-03, SEC-32)."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import PASSWORD, make_user
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of


def sign_in(browser: FlaskClient, email: str, password: str = PASSWORD, **fields: str):
    return browser.post(
        "/console/sign-in",
        data={"email": email, "password": password} | fields,
        headers=SAME_ORIGIN,
    )


def test_a_stranger_is_sent_to_sign_in_and_back_to_the_page_asked(
    house: House, browser: FlaskClient
):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)

    sent = browser.get("/console/jobs?state=failed")
    back = sign_in(browser, "Ann@example.com", next="/console/jobs?state=failed")

    assert (sent.status_code, back.status_code) == (303, 303)
    assert sent.headers["Location"] == "/console/sign-in?next=/console/jobs?state%3Dfailed"
    assert back.headers["Location"] == "/console/jobs?state=failed"
    assert browser.get("/console/jobs?state=failed").status_code == 200


def test_the_cookie_is_kept_from_scripts_and_only_its_hash_is_stored(
    house: House, browser: FlaskClient
):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)

    cookie = sign_in(browser, "ann@example.com").headers["Set-Cookie"]

    token, _semicolon, attributes = cookie.partition("; ")
    assert attributes == "HttpOnly; Path=/; SameSite=Lax"
    assert len(token.removeprefix("largesse=")) == 43
    (kept,) = rows(house, "SELECT kind, length(token_hash) AS size FROM sign_ins")
    assert (kept.kind, kept.size) == ("console", 32)


def test_unknown_wrong_and_disabled_people_get_the_same_page(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    make_user(house, "off@example.com", Role.PLATFORM_ADMIN)
    rows(house, "UPDATE users SET disabled_at = now() WHERE email = 'off@example.com' RETURNING 1")

    answers = [
        sign_in(browser, "ann@example.com", "wrong"),
        sign_in(browser, "nobody@example.com", "wrong"),
        sign_in(browser, "off@example.com"),
    ]

    pages = {
        answer.text.replace(email, "").replace(answer.headers["X-Request-Id"], "")
        for answer, email in zip(
            answers, ("ann@example.com", "nobody@example.com", "off@example.com"), strict=True
        )
    }
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert len(pages) == 1
    assert rows(house, "SELECT 1 FROM sign_ins") == []


def test_the_sixth_try_in_a_minute_is_refused_even_with_the_right_password(
    house: House, browser: FlaskClient
):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    for _ in range(5):
        sign_in(browser, "ann@example.com", "wrong")

    refused = sign_in(browser, "ann@example.com")

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert rows(house, "SELECT 1 FROM sign_ins") == []


def test_nobody_is_sent_to_another_site_after_signing_in(house: House, browser: FlaskClient):
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)

    for asked in (
        "//evil.example/",
        "https://evil.example/",
        "/console/\\evil",
        "/console/\r\nX: y",
    ):
        assert sign_in(browser, "ann@example.com", next=asked).headers["Location"] == "/console/"


def test_signing_out_ends_the_session_at_once(house: House, bob: Visitor):
    token = bob.client.get_cookie("largesse").value

    left = bob.send("/console/sign-out", "/console/")
    bob.client.set_cookie("largesse", token)

    assert left.headers["Location"] == "/console/sign-in?left=1"
    assert bob.get("/console/").status_code == 303


@pytest.mark.parametrize(
    ("role", "idle_minutes", "hours"), [(Role.CLIENT_ADMIN, 15, 8), (Role.CAMPAIGN_MANAGER, 30, 12)]
)
def test_an_idle_session_and_an_old_session_end(
    app: Flask, house: House, seeded: Seeded, role: Role, idle_minutes: int, hours: int
):
    """SEC-01: administrators' sooner than others'."""
    visitor = visitor_of(app, house, role, seeded)
    used = "UPDATE sign_ins SET last_used_at = now() - make_interval(mins => :mins) RETURNING 1"
    began = (
        "UPDATE sign_ins SET last_used_at = now(), expires_at = now() + interval '4 hours',"
        " created_at = now() - make_interval(mins => :mins) RETURNING 1"
    )

    def status_after(change: str, minutes: int) -> int:
        rows(house, change, mins=minutes)
        return visitor.get("/console/").status_code

    assert [status_after(used, idle_minutes - 1), status_after(used, idle_minutes + 1)] == [
        200,
        303,
    ]
    assert [status_after(began, hours * 60 - 1), status_after(began, hours * 60 + 1)] == [200, 303]


def test_a_session_is_over_at_its_written_end(house: House, bob: Visitor):
    rows(house, "UPDATE sign_ins SET expires_at = now() RETURNING 1")

    assert bob.get("/console/").status_code == 303


def test_a_form_of_another_site_or_without_the_token_changes_nothing(house: House, bob: Visitor):
    """SEC-32: cross-site form, no origin at all, no token."""
    token = bob.get("/console/").text.partition('name="csrf_token" value="')[2][:64]

    answers = [
        bob.client.post("/console/sign-out", data={"csrf_token": token}, headers=headers)
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {})
    ]
    answers.append(bob.client.post("/console/sign-out", headers=SAME_ORIGIN))

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    assert bob.get("/console/").status_code == 200


def test_every_page_has_the_headers_that_keep_code_and_copies_out(bob: Visitor):
    headers = bob.get("/console/").headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"
