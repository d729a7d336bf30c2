"""The front answers under its own names, to the address that our own proxies saw (J26)."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient

from pipelines.edge_settings import read_edge_settings
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from web import trusted_hosts
from web.app import create_app
from web.trusted_hosts import NAMES_TOLD_MAX

ONE_PROXY = {"REMOTE_ADDR": "10.0.0.1"}


@pytest.fixture
def behind_one(ground: Ground, database: Database) -> Iterator[FlaskClient]:
    """A front with one proxy before it, at ten reveal pages a minute for each network."""
    given = {"TRUSTED_PROXIES": "1", "LARGESSE_RATE_LIMITS": "reveal-ip=2/minute"}
    with a_house(ground, database, **given) as house:
        yield create_app(house).test_client()


def looks(browser: FlaskClient, *forwarded: str) -> list[int]:
    return [
        browser.get(
            "/r/abc", headers={"X-Forwarded-For": chain}, environ_base=ONE_PROXY
        ).status_code
        for chain in forwarded
    ]


def test_j26_the_proxy_says_who_calls_and_the_caller_does_not(behind_one: FlaskClient):
    """What the caller writes stands before what the proxy appends."""
    spoofed = looks(behind_one, "1.1.1.1, 198.51.100.1", "evil, 198.51.100.1", "198.51.100.1")
    other = looks(behind_one, "198.51.100.1, 203.0.113.9")

    assert (spoofed, other) == ([404, 404, 429], [404])


def test_j26_a_chain_that_is_too_short_is_the_proxys_own_address(behind_one: FlaskClient):
    plain = [behind_one.get("/r/abc", environ_base=ONE_PROXY).status_code for _ in range(3)]

    assert plain == [404, 404, 429]


def test_j26_two_proxies_are_believed_about_two(ground: Ground, database: Database):
    given = {"TRUSTED_PROXIES": "2", "LARGESSE_RATE_LIMITS": "reveal-ip=1/minute"}
    with a_house(ground, database, **given) as house:
        browser = create_app(house).test_client()

        statuses = looks(browser, "evil, 198.51.100.1, 10.0.0.2", "198.51.100.1, 10.0.0.3")

    assert statuses == [404, 429]


def test_j26_no_proxy_names_the_host(behind_one: FlaskClient):
    answer = behind_one.get(
        "/console/sign-in", headers={"X-Forwarded-Host": "evil.example", "Host": "localhost"}
    )

    assert answer.status_code == 200
    assert "evil.example" not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/console/sign-in", "/r/abc", "/nowhere"])
@pytest.mark.parametrize(
    "host", ["evil", "evil.example:8000", "localhost.evil.example", "[::2]:80", "localhost@evil"]
)
def test_j26_another_name_is_refused(browser: FlaskClient, path: str, host: str):
    answer = browser.get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "evil" not in answer.text
    if path.startswith("/api/"):
        assert answer.json["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_j26_our_own_names_are_taken(browser: FlaskClient, host: str):
    assert browser.get("/console/sign-in", headers={"Host": host}).status_code == 200


def test_j26_machines_ask_by_address(browser: FlaskClient):
    assert browser.get("/healthz", headers={"Host": "10.1.2.3:8000"}).status_code == 200


def test_j26_production_has_the_public_name_alone(house: House):
    url = "https://gifts.example.com"
    edge = read_edge_settings({"TRUSTED_PROXIES": "0"}, public_url=url, is_production=True)
    app = create_app(replace(house, settings=replace(house.settings, edge=edge)))
    browser = app.test_client()

    named = browser.get("/console/sign-in", headers={"Host": "gifts.example.com"})
    loopback = browser.get("/console/sign-in", headers={"Host": "127.0.0.1:8000"})

    assert (named.status_code, loopback.status_code) == (200, 400)


def test_j26_a_method_in_a_header_is_no_method(browser: FlaskClient):
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert browser.get("/api/v1/auth/login", headers={name: "POST"}).status_code == 405
    assert browser.post("/healthz?_method=GET").status_code == 405


def test_j26_nothing_is_traced(browser: FlaskClient):
    for path in ("/api/v1/jobs", "/console/sign-in", "/healthz", "/static/base.css", "/"):
        assert browser.open(path, method="TRACE").status_code == 405


def test_j26_the_log_is_told_each_refused_name_once_and_not_of_all(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    """A proxy that does not pass the name on shows at once; strangers do not fill the log."""
    told: list[tuple[str, str]] = []
    listener = SimpleNamespace(warning=lambda event, *, host: told.append((event, host)))
    monkeypatch.setattr(trusted_hosts, "log", listener)

    for number in range(2 * NAMES_TOLD_MAX):
        for _again in range(2):
            browser.get("/r/abc", headers={"Host": f"n{number}.example"})

    assert told == [("host.refused", f"n{number}.example") for number in range(NAMES_TOLD_MAX)]
