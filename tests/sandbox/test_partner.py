"""The pretend shop: what it is handed, whom it signs for, and what it never shows."""

import base64
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from ops.sandbox.app import create_app

SECRET = bytes(range(32))
SHOWN = base64.b64encode(SECRET).decode()
HOST = "http://127.0.0.1:1"
VENDOR = str(uuid4())


@pytest.fixture
def app() -> Flask:
    return create_app()


@pytest.fixture
def browser(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as client:
        yield client


def hand_over(browser: FlaskClient, **other: Any) -> Any:
    told = {"vendor_id": VENDOR, "secret": SHOWN, "host": HOST} | other
    return browser.put("/control/partner/vendor", json=told)


def test_the_shop_becomes_the_vendor_that_it_is_handed_and_shows_no_secret(
    browser: FlaskClient,
) -> None:
    before = browser.get("/partner/").text
    told = hand_over(browser)
    after = browser.get("/partner/")

    assert "was not told yet" in before
    assert told.json == {"vendor_id": VENDOR, "host": HOST, "configured": True}
    assert f'src="{HOST}/widget.js" data-vendor="{VENDOR}"' in after.text
    assert f"script-src {HOST}; frame-src {HOST};" in after.headers["Content-Security-Policy"]
    for answer in (told, after, browser.get("/control/partner/vendor")):
        assert SHOWN not in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "short"},
        {"secret": base64.b64encode(b"x" * 31).decode()},
        {"secret": 7},
        {"vendor_id": "nobody"},
        {"host": "127.0.0.1:8000"},
        {"host": "http://127.0.0.1:8000/path"},
        {"host": "http://a; script-src *"},
        {"more": "x"},
    ],
)
def test_what_is_no_vendor_is_refused_and_nothing_is_changed(
    browser: FlaskClient, wrong: dict[str, Any]
) -> None:
    answer = hand_over(browser, **wrong)

    assert answer.status_code == 400
    assert browser.get("/control/partner/vendor").json["configured"] is False


def test_a_reset_and_the_taking_back_end_what_was_handed_over(browser: FlaskClient) -> None:
    ended = []
    for method, path in (("DELETE", "/control/partner/vendor"), ("POST", "/control/reset")):
        hand_over(browser)
        browser.open(path, method=method)
        ended.append(browser.get("/control/partner/vendor").json["configured"])

    assert ended == [False, False]


def test_the_backend_signs_for_whoever_is_signed_in(browser: FlaskClient) -> None:
    """S0-37: by the decoded secret, for two minutes, each token with a name of its own."""
    hand_over(browser)
    browser.post("/partner/sign-in", data={"customer": "customer-1002"})

    tokens = [browser.post("/partner/largesse-token").json["token"] for _ in range(2)]

    one, two = (
        jwt.decode(token, SECRET, algorithms=["HS256"], audience="largesse", issuer=VENDOR)
        for token in tokens
    )
    assert one["sub"] == two["sub"] == "customer-1002"
    assert one["exp"] - one["iat"] == 120
    assert one["jti"] != two["jti"]


@pytest.mark.parametrize("customer", ["", "customer-9", "Ada"])
def test_nobody_gets_a_token_who_is_not_signed_in(browser: FlaskClient, customer: str) -> None:
    hand_over(browser)
    browser.post("/partner/sign-in", data={"customer": customer})

    assert browser.post("/partner/largesse-token").status_code == 401


def test_another_site_gets_no_token(browser: FlaskClient) -> None:
    hand_over(browser)
    browser.post("/partner/sign-in", data={"customer": "customer-1001"})

    for site in ("cross-site", "same-site", "none"):
        headers = {"Sec-Fetch-Site": site}
        assert browser.post("/partner/largesse-token", headers=headers).status_code == 403


def test_a_trial_says_that_largesse_did_not_answer(browser: FlaskClient) -> None:
    hand_over(browser)

    answer = browser.post("/partner/try/expired")

    assert answer.status_code == 200
    assert "Largesse did not answer" in answer.text
    assert browser.post("/partner/try/nothing").status_code == 404
