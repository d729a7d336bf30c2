"""EC-029: guessing at links and codes tells nothing, and soon gets no answer at all."""

import time
from uuid import UUID, uuid4

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import text
from werkzeug.test import TestResponse

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.errors import NotFound
from pipelines.provisioning.reveal import reveal_token
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.discounting import asked, cart, make_discount
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.statements import statements
from tests.web.conftest import Caller, signed_in
from web.app import create_app
from web.guards import permitted
from web.misses import looking_up

HERE, THERE = {"REMOTE_ADDR": "198.51.100.1"}, {"REMOTE_ADDR": "203.0.113.9"}
ALLOWED = 50


@pytest.fixture
def given(house: House, seeded: Seeded) -> list[UUID]:
    """Two cards sent to two people."""
    import_cards_now(house, seeded.csv_pool, cards_csv(2, "GIFT"))
    submit(house, seeded, recipients_csv(2), delivery_method="email")
    drain(house)
    return [row.id for row in rows(house, "SELECT id FROM provisions ORDER BY id")]


def token(house: House, provision: UUID, version: int = 1) -> str:
    return reveal_token(provision, version, house.settings.keyring)


def wrong_tokens(house: House, given: list[UUID]) -> dict[str, str]:
    """One token of each kind that opens nothing; the second card's link was replaced."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE provisions SET reveal_version = 2 WHERE id = :id"), {"id": given[1]}
        )
    genuine = token(house, given[0])
    return {
        "malformed": "abc",
        "not of our letters": "é" * 43,
        "too long": "a" * 120,
        "unknown": token(house, uuid4()),
        "another's tag": genuine[:22] + token(house, given[1], 2)[22:],
        "replaced": token(house, given[1]),
    }


def told(answer: TestResponse) -> tuple[object, ...]:
    """What an answer says besides what counts and names the request."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in {"X-Request-Id", "RateLimit"}
    }
    body = {**answer.json, "request_id": ""} if answer.is_json else answer.text
    return answer.status_code, str(body), str(headers)


@pytest.mark.parametrize("door", ["page", "form", "api"])
def test_ec029_every_wrong_link_is_answered_alike_and_costs_alike(
    house: House, browser: FlaskClient, given: list[UUID], door: str
):
    def ask(wrong: str) -> TestResponse:
        if door == "page":
            return browser.get(f"/r/{wrong}")
        if door == "form":
            return browser.post(f"/r/{wrong}", data={"open": "1", "email": "a@x.example"})
        path = f"/api/v1/gift-cards/{given[0]}/reveal"
        return browser.post(path, json={"token": wrong})

    tokens = wrong_tokens(house, given)
    if door == "api":
        tokens["of another card"] = token(house, given[1], 2)
    answers, costs = {}, {}
    for kind, wrong in tokens.items():
        with statements(house) as sent:
            answers[kind] = told(ask(wrong))
        costs[kind] = tuple(sent)

    assert {answer[0] for answer in answers.values()} == {404}
    assert len(set(answers.values())) == 1, answers
    assert len(set(costs.values())) == 1, costs
    assert costs["malformed"]


def test_ec029_who_missed_fifty_times_gets_no_answer_for_a_quarter_of_an_hour(
    house: House, app: Flask, given: list[UUID]
):
    browser, good = app.test_client(), token(house, given[0])

    def looks(times: int) -> list[int]:
        return [
            browser.get(f"/r/{token(house, uuid4())}", environ_base=HERE).status_code
            for _ in range(times)
        ]

    before = looks(ALLOWED)
    still = browser.get(f"/r/{good}", environ_base=HERE)
    one_more = looks(1)
    blocked = browser.get(f"/r/{good}", environ_base=HERE)
    by_api = browser.post(
        f"/api/v1/gift-cards/{given[0]}/reveal", json={"token": good}, environ_base=HERE
    )
    elsewhere = browser.get(f"/r/{good}", environ_base=THERE)

    assert before + one_more == [404] * (ALLOWED + 1)
    assert still.status_code == 200
    assert blocked.status_code == 429
    assert 890 <= int(blocked.headers["Retry-After"]) <= 900
    assert "Your gift is safe" in blocked.text
    assert "Try again in 15 minutes." in blocked.text
    assert (by_api.status_code, by_api.json["code"]) == (429, "rate_limited")
    assert elsewhere.status_code == 200
    assert rows(house, "SELECT revealed_at FROM provisions WHERE revealed_at IS NOT NULL") == []


def test_ec029_a_block_asks_the_database_nothing(house: House, app: Flask, given: list[UUID]):
    browser = app.test_client()
    for _ in range(ALLOWED + 1):
        browser.get("/r/abc", environ_base=HERE)

    with statements(house) as sent:
        browser.get(f"/r/{token(house, given[0])}", environ_base=HERE)

    assert sent == []


@pytest.fixture
def code_door(app: Flask) -> None:
    """A route that looks for codes on behalf of a credential, as those of shops will."""

    @app.get("/api/v1/codes/<code>")
    @permitted(Permission.OWN_ACCOUNT)
    def look(code: str) -> Response:
        with looking_up(code):
            if not code.startswith("good"):
                raise NotFound
        return jsonify({})


def test_ec029_a_credential_may_miss_a_hundred_codes_an_hour(
    house: House, app: Flask, seeded: Seeded, code_door: None
):
    ann = signed_in(app, house, Role.PLATFORM_ADMIN)
    bob = signed_in(app, house, Role.CLIENT_ADMIN, seeded)

    same = {ann.get("/codes/again").status_code for _ in range(120)}
    distinct = {ann.get(f"/codes/{n}").status_code for n in range(99)}
    good = ann.get("/codes/good")
    last = ann.get("/codes/last")
    blocked = ann.get("/codes/good")

    assert same == distinct == {404}
    assert (good.status_code, last.status_code, blocked.status_code) == (200, 404, 429)
    assert bob.get("/codes/good").status_code == 200


def test_ec029_a_storefront_s_key_guesses_at_no_more_codes_however_many_shoppers_it_names(
    ground: Ground, database: Database
):
    """SEC-18, SEC-19: whoever has the key has names and networks as they like."""
    with a_house(ground, database, LARGESSE_RATE_LIMITS="miss=4/hour") as house:
        seeded, app = seed(house), create_app(house)
        make_discount(house, seeded)
        key, other = (key_caller(app, house, seeded.client_id) for _ in range(2))

        def look(caller: Caller, code: str) -> TestResponse:
            query = {"code": code, "subtotal_minor": 10_000, "currency": "USD"}
            return caller.client.get(
                "/api/v1/discounts/validate", query_string=query, headers=caller.headers
            )

        def apply(caller: Caller, code: str, who: str) -> TestResponse:
            return caller.post("/discounts/apply", asked(code, who, cart=cart(reference=who)))

        kept = apply(key, "SAVE10", "ann@x.example")
        same = [look(key, code).json["reason"] for code in ("nope", " NOPE") * 4]
        tried = [apply(key, f"NO{n}", f"s{n}@x.example").status_code for n in range(3)]
        still = look(key, "save10")
        last = look(key, "other")
        refused = [look(key, "save10"), look(key, "again"), apply(key, "SAVE10", "eve@x.example")]
        again = apply(key, "SAVE10", "ann@x.example")
        spared = look(other, "save10")
        metrics = app.test_client().get("/metrics").text

    assert kept.status_code == 201
    assert (same, tried) == (["code_invalid"] * 8, [404] * 3)
    assert (still.json["valid"], last.json["reason"]) == (True, "code_invalid")
    assert [answer.status_code for answer in refused] == [429] * 3
    assert int(refused[0].headers["Retry-After"]) > 0
    assert (again.status_code, spared.json["valid"]) == (200, True)
    assert "largesse_misses_total 12.0" in metrics


def test_ec029_guessing_from_many_places_raises_the_alarm(
    ground: Ground, house: House, browser: FlaskClient
):
    many_misses(ground)
    quiet = browser.get("/metrics").text

    browser.get("/r/abc")

    loud = browser.get("/metrics").text
    assert "largesse_miss_alarm 0.0" in quiet
    assert "largesse_miss_alarm 1.0" in loud
    assert "largesse_misses_total 1.0" in loud


def test_ec029_an_operator_may_have_strangers_refused_while_it_lasts(
    ground: Ground, database: Database
):
    with a_house(ground, database, LARGESSE_MISS_ALARM="deny") as house:
        seeded, app = seed(house), create_app(house)
        import_cards_now(house, seeded.csv_pool, cards_csv(1, "GIFT"))
        submit(house, seeded, recipients_csv(1), delivery_method="email")
        drain(house)
        (card,) = rows(house, "SELECT id FROM provisions")
        link, browser = f"/r/{token(house, card.id)}", app.test_client()
        before = browser.get(link)
        many_misses(ground)
        browser.get("/r/abc", environ_base=THERE)

        during = browser.get(link)

    assert (before.status_code, during.status_code) == (200, 429)
    assert during.headers["Retry-After"] == "900"


def many_misses(ground: Ground) -> None:
    """As many this hour as are not yet unusual."""
    hour = int(time.time() // 3600)
    with Redis.from_url(ground.servers.redis_url) as client:
        for one in (hour, hour + 1):
            client.set(f"largesse:rate:misses:{one}", 250)
