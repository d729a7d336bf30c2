"""Who asks too often is told so, and when to come back (SEC-03, SEC-18, S2-045)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from redis import Redis

from models.people import Role
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy, Rule, Subject
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, make_user, signed_in
from tests.web.console.conftest import SAME_ORIGIN, visitor_of
from web.app import create_app
from web.guards import permitted, public
from web.rate_limits import limited
from web.rate_windows import SharedWindows

HERE, THERE = {"REMOTE_ADDR": "198.51.100.1"}, {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def app(house: House) -> Flask:
    """The front with two routes that stand for those which check codes."""
    made = create_app(house)

    @made.get("/api/v1/guess")
    @public
    @limited(Policy.VALIDATE)
    def guess() -> Response:
        return jsonify({})

    @made.get("/api/v1/mine")
    @permitted(Permission.OWN_ACCOUNT)
    @limited(Policy.VALIDATE)
    def mine() -> Response:
        return jsonify({})

    return made


def asked(caller: Caller | FlaskClient, path: str, times: int, where=HERE, **headers) -> list[int]:
    client, given = (
        (caller.client, caller.headers | headers)
        if isinstance(caller, Caller)
        else (caller, headers)
    )
    return [
        client.get(path, headers=given, environ_base=where).status_code for _time in range(times)
    ]


def test_sec018_the_eleventh_is_refused_and_told_when_to_come_back(browser: FlaskClient):
    tenth = [browser.get("/api/v1/guess") for _ in range(10)][-1]

    eleventh = browser.get("/api/v1/guess")

    assert tenth.status_code == 200
    assert tenth.headers["RateLimit-Policy"] == '"validate-ip";q=10;w=60, "validate";q=10;w=60'
    assert tenth.headers["RateLimit"].startswith('"validate-ip";r=0;t=')
    assert eleventh.status_code == 429
    assert eleventh.content_type == "application/problem+json"
    assert eleventh.json["code"] == "rate_limited"
    wait = int(eleventh.headers["Retry-After"])
    assert 0 < wait <= 60
    assert eleventh.json["detail"] == f"Too many requests. Try again in {wait} seconds."
    assert eleventh.headers["RateLimit"] == f'"validate-ip";r=0;t={wait}'
    assert eleventh.headers["RateLimit-Policy"] == '"validate-ip";q=10;w=60'


def test_sec018_one_person_in_two_networks_is_one_caller(app: Flask, house: House):
    ann = signed_in(app, house, Role.PLATFORM_ADMIN)

    here, there = asked(ann, "/api/v1/mine", 6), asked(ann, "/api/v1/mine", 5, THERE)

    assert here + there == [200] * 10 + [429]


def test_sec018_two_people_in_one_network_share_what_the_network_has(
    app: Flask, house: House, seeded: Seeded
):
    ann = signed_in(app, house, Role.PLATFORM_ADMIN)
    bob = signed_in(app, house, Role.CLIENT_ADMIN, seeded)

    first, second = asked(ann, "/api/v1/mine", 6), asked(bob, "/api/v1/mine", 5)
    elsewhere = asked(bob, "/api/v1/mine", 5, THERE)

    assert first + second == [200] * 10 + [429]
    assert elsewhere == [200] * 5


def test_sec018_an_ipv6_network_is_one_network(browser: FlaskClient):
    where = [{"REMOTE_ADDR": f"2001:db8:1:2::{last}"} for last in range(1, 12)]

    statuses = [browser.get("/api/v1/guess", environ_base=one).status_code for one in where]
    next_door = browser.get("/api/v1/guess", environ_base={"REMOTE_ADDR": "2001:db8:1:3::1"})

    assert statuses == [200] * 10 + [429]
    assert next_door.status_code == 200


def test_j26_an_address_that_the_caller_made_up_is_not_read(browser: FlaskClient):
    statuses = [
        browser.get("/api/v1/guess", headers={"X-Forwarded-For": f"1.2.3.{n}"}).status_code
        for n in range(11)
    ]

    assert statuses == [200] * 10 + [429]


def test_a_refused_request_is_counted_once_in_the_metrics(browser: FlaskClient):
    asked(browser, "/api/v1/guess", 12, where={"REMOTE_ADDR": "127.0.0.1"})

    text = browser.get("/metrics").text

    assert 'largesse_rate_limited_total{limit="validate-ip"} 2.0' in text
    assert "largesse_rates_shared 1.0" in text


def test_sec018_forty_at_once_are_ten(ground: Ground, house: House):
    rule = Rule("race", Subject.CALLER, 10, 60)
    processes = [SharedWindows(ground.servers.redis_url) for _ in range(4)]

    with ThreadPoolExecutor(40) as pool:
        allowed = list(pool.map(lambda n: processes[n % 4].hit(rule, "x").is_allowed, range(40)))

    assert sum(allowed) == 10


def test_sec018_two_processes_count_together(house: House, browser: FlaskClient, app: Flask):
    beside = create_app(house).test_client()
    wrong = {"email": "ann@example.com", "password": "wrong"}

    here = [browser.post("/api/v1/auth/login", json=wrong).status_code for _ in range(3)]
    there = [beside.post("/api/v1/auth/login", json=wrong).status_code for _ in range(3)]

    assert here + there == [401] * 5 + [429]


def test_what_stands_in_redis_leads_back_to_nobody(
    ground: Ground, house: House, browser: FlaskClient
):
    login = {"email": "ann@example.com", "password": "wrong"}
    browser.post("/api/v1/auth/login", json=login, environ_base=THERE)

    with Redis.from_url(ground.servers.redis_url) as client:
        keys = [key.decode() for key in client.scan_iter("largesse:rate:*")]
        lives = [client.ttl(key) for key in keys]

    assert len(keys) == 2
    assert not any("ann" in key or "203.0" in key for key in keys)
    assert all(0 < life <= 60 for life in lives)


def test_a_redis_that_was_emptied_counts_anew_and_the_lockout_stands(
    ground: Ground, house: House, browser: FlaskClient
):
    """SEC-03: the counts of a minute may be lost; ten wrong passwords in PostgreSQL are not."""
    make_user(house, "ann@example.com", Role.PLATFORM_ADMIN)
    login = {"email": "ann@example.com", "password": "wrong"}
    codes = []

    for _ in range(3):
        codes += [browser.post("/api/v1/auth/login", json=login).json["code"] for _ in range(5)]
        with Redis.from_url(ground.servers.redis_url) as client:
            client.flushdb()

    assert codes == ["invalid_credentials"] * 10 + ["login_locked"] * 5


def test_the_console_says_when_to_try_again(app: Flask, house: House, seeded: Seeded):
    browser = app.test_client()
    form = {"email": "ann@example.com", "password": "wrong"}

    pages = [browser.post("/console/sign-in", data=form, headers=SAME_ORIGIN) for _ in range(6)]

    last = pages[-1]
    assert [page.status_code for page in pages] == [422] * 5 + [429]
    assert f"Try again in {last.headers['Retry-After']} seconds." in last.text
    assert last.headers["RateLimit-Policy"].startswith('"login";q=5;w=60')


@pytest.fixture
def tight_house(ground: Ground, database: Database) -> Iterator[House]:
    limits = "submit=1/minute,upload=1/hour,reveal-ip=2/minute,api=4/minute"
    with a_house(ground, database, LARGESSE_RATE_LIMITS=limits) as built:
        yield built


def test_each_door_counts_by_its_own_policy(tight_house: House):
    app = create_app(tight_house)
    seeded = seed(tight_house)
    manager = signed_in(app, tight_house, Role.CLIENT_ADMIN, seeded)
    pool = f"/gift-card-pools/{seeded.csv_pool}/cards"

    submits = [manager.post("/gift-cards/provision-jobs", {}).status_code for _ in range(2)]
    uploads = [manager.post(pool, {}).status_code for _ in range(2)]
    fifth = manager.get("/jobs")
    links = [app.test_client().get("/r/abc").status_code for _ in range(3)]

    assert submits[1] == uploads[1] == 429
    assert 429 not in (submits[0], uploads[0])
    assert (fifth.status_code, fifth.headers["RateLimit-Policy"]) == (429, '"api";q=4;w=60')
    assert links == [404, 404, 429]


def test_a_limit_of_the_console_is_a_page(tight_house: House):
    bob = visitor_of(create_app(tight_house), tight_house, Role.CLIENT_ADMIN, seed(tight_house))
    missing = "/console/jobs/00000000-0000-0000-0000-000000000000"

    bob.send(f"{missing}/undo", shown_at="/console/jobs")
    second = bob.send(f"{missing}/undo", shown_at="/console/jobs")

    assert second.status_code == 429
    assert "Too many tries" in second.text
    assert f"in {second.headers['Retry-After']} seconds" in second.text


def test_the_document_tells_of_limits(browser: FlaskClient):
    spec = browser.get("/api/v1/openapi.json").json

    login = spec["paths"]["/api/v1/auth/login"]["post"]["responses"]
    assert login["429"] == {"$ref": "#/components/responses/TooManyRequests"}
    assert set(login["200"]["headers"]) == {"RateLimit", "RateLimit-Policy"}
    told = spec["components"]["responses"]["TooManyRequests"]["headers"]
    assert set(told) == {"Retry-After", "RateLimit", "RateLimit-Policy"}
