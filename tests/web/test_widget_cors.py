"""Which sites may read what the widget's routes answer: those on a partner's list, exactly (SEC-34, EC-114)."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from pipelines.wiring import House
from tests.partnering import SITE, Partner, make_partner, visit
from tests.seeding import Seeded
from tests.web.conftest import Caller

ROUTES = [
    ("POST", "/session-from-token"),
    ("GET", "/available-coupons"),
    ("POST", "/claims"),
    ("GET", "/claims"),
]
STRANGE = [
    "https://shop.example.evil.io",
    "https://evilshop.example",
    "http://shop.example",
    "https://shop.example:8443",
    "https://SHOP.example",
    "https://shop.example.",
    "null",
    "",
]
OPEN = "Access-Control-Allow-Origin"


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    return make_partner(house, seeded)


def preflight(browser: FlaskClient, method: str, path: str, origin: str) -> dict[str, str]:
    answer = browser.options(
        f"/api/v1{path}",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
        },
    )
    assert answer.status_code == 204
    return dict(answer.headers)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_sec034_a_listed_site_may_ask_and_read(
    browser: FlaskClient, partner: Partner, method: str, path: str
) -> None:
    told = preflight(browser, method, path, SITE)

    assert told[OPEN] == SITE
    assert method in told["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in told["Access-Control-Allow-Headers"]
    assert "Origin" in told["Vary"]
    assert "Access-Control-Allow-Credentials" not in told


@pytest.mark.parametrize("origin", STRANGE)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_sec034_a_site_that_is_nearly_listed_may_not(
    browser: FlaskClient, partner: Partner, method: str, path: str, origin: str
) -> None:
    told = preflight(browser, method, path, origin)

    assert not [name for name in told if name.startswith("Access-Control")]
    assert "Origin" in told["Vary"]


def test_sec034_a_refusal_can_be_read_by_the_site_too(app: Flask, partner: Partner) -> None:
    me = Caller(app.test_client(), {"Origin": SITE})

    answer = me.post("/session-from-token", {"token": "forged"})

    assert answer.status_code == 401
    assert answer.headers[OPEN] == SITE
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_sec034_a_visitors_answers_are_for_their_own_site(app: Flask, partner: Partner) -> None:
    answer = visit(app, partner, Origin=SITE).get("/available-coupons")

    assert answer.headers[OPEN] == SITE
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_sec034_the_site_of_a_disabled_partner_reads_nothing(
    browser: FlaskClient, partner: Partner, client_admin: Caller
) -> None:
    client_admin.call("PATCH", f"/vendors/{partner.id}", {"state": "disabled"})

    assert OPEN not in preflight(browser, "POST", "/claims", SITE)


@pytest.mark.parametrize(
    "path", ["/vendors", "/books", "/auth/login", "/public/discounts/validate"]
)
def test_sec034_no_other_route_is_open_to_any_site(
    browser: FlaskClient, partner: Partner, path: str
) -> None:
    answer = browser.options(f"/api/v1{path}", headers={"Origin": SITE})

    assert not [name for name, _value in answer.headers if name.startswith("Access-Control")]


def test_sec018_a_preflight_is_counted_like_a_page(browser: FlaskClient, partner: Partner) -> None:
    told = preflight(browser, "POST", "/claims", SITE)

    assert '"widget-page-ip"' in told["RateLimit-Policy"]
