"""Whoever asks without a credential learns whether a code is good, and nothing else (EC-029)."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from pipelines.access.misses import DOUBT_FROM
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house
from tests.discounting import asked, expire, full_discount, make_discount, said
from tests.driving import change, rows
from tests.later import tomorrow
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.statements import statements
from tests.vendor import Sandbox
from tests.web.test_humans import person
from tests.web.test_misses import told
from web.app import create_app

HERE, THERE = {"REMOTE_ADDR": "198.51.100.1"}, {"REMOTE_ADDR": "203.0.113.9"}
PATH = "/api/v1/public/discounts/validate"


def ask(
    browser: FlaskClient, client_id: UUID, code: str = "save10", where: Any = HERE, **given: Any
) -> TestResponse:
    query = {"client_id": client_id, "code": code, "subtotal_minor": 10_000, "currency": "USD"}
    headers = given.pop("headers", {})
    return browser.get(PATH, query_string=query | given, environ_base=where, headers=headers)


def networks() -> Any:
    """A network of its own for each question."""
    return ({"REMOTE_ADDR": f"198.51.{n // 250}.{n % 250 + 1}"} for n in range(1, 60_000))


def test_s2_040_a_good_code_is_priced_without_a_credential(
    browser: FlaskClient, house: House, seeded: Seeded
) -> None:
    make_discount(house, seeded)
    make_discount(house, seeded, "SOME", products=("SKU-9",), max_uses=1)

    answers = [ask(browser, seeded.client_id, code) for code in ("save10", "some")]

    assert [answer.json for answer in answers] == [
        {"valid": True, "discount_minor": 1_000, "total_minor": 9_000, "reason": None}
    ] * 2
    assert rows(house, "SELECT 1 FROM discount_usages") == []


def test_s2_040_what_is_over_blocks_nobody(
    app: Flask, browser: FlaskClient, house: House, seeded: Seeded
) -> None:
    """EC-013"""
    make_discount(house, seeded, max_uses=1)
    key_caller(app, house, seeded.client_id).post("/discounts/apply", asked())
    reserved = ask(browser, seeded.client_id).json["valid"]
    expire(house)

    assert (reserved, ask(browser, seeded.client_id).json["valid"]) == (False, True)


def misses_of_each_kind(app: Flask, house: House, seeded: Seeded) -> dict[str, dict[str, Any]]:
    """What is asked, by why the answer is no."""
    at, client_id = tomorrow(house), seeded.client_id
    foreign, suspended = seed(house, vendor=False), seed(house, vendor=False)
    make_discount(house, foreign, "FOREIGN")
    make_discount(house, suspended, "STOPPED")
    change(house, "UPDATE clients SET suspended_at = now() WHERE id = :id", id=suspended.client_id)
    make_discount(house, seeded, "LATER", starts_at=at)
    make_discount(house, seeded, "OVER", starts_at=at - timedelta(9), expires_at=at - timedelta(5))
    make_discount(house, seeded, "EURO", currency="EUR")
    make_discount(house, seeded, "MUCH", currency="USD", min_subtotal_minor=10_001)
    for code, state in (("PAUSED", "paused"), ("AWAY", "archived")):
        made = make_discount(house, seeded, code)
        change(
            house, "UPDATE discount_codes SET state = :state WHERE id = :id", id=made, state=state
        )
    make_discount(house, seeded, "LAST", max_uses=1)
    key_caller(app, house, client_id).post("/discounts/apply", asked("LAST"))
    ours = (
        "UNKNOWN",
        "FOREIGN",
        "LATER",
        "OVER",
        "EURO",
        "MUCH",
        "PAUSED",
        "AWAY",
        "LAST",
        "?",
        "é",
    )
    kinds: dict[str, dict[str, Any]] = {
        code: {"client_id": client_id, "code": code} for code in ours
    }
    kinds["too long for a code"] = {"client_id": client_id, "code": "A" * 200}
    kinds["no client"] = {"client_id": uuid4(), "code": "LATER"}
    kinds["suspended"] = {"client_id": suspended.client_id, "code": "STOPPED"}
    return kinds


def test_ec029_every_miss_is_answered_alike_and_costs_alike(
    app: Flask, browser: FlaskClient, house: House, seeded: Seeded
) -> None:
    """EC-029: same status, headers and body, and the same questions to the database as a hit."""
    kinds, where = misses_of_each_kind(app, house, seeded), networks()
    make_discount(house, seeded)
    answers, costs = {}, {}
    for kind, query in (*kinds.items(), ("hit", {"client_id": seeded.client_id})):
        with statements(house) as sent:
            answer = ask(browser, where=next(where), **query)
        answers[kind], costs[kind] = told(answer), tuple(sent)

    hit = answers.pop("hit")
    assert len(set(answers.values())) == 1, answers
    assert answers["UNKNOWN"][0] == hit[0] == 200
    assert len(set(costs.values())) == 1, costs
    invalid = ask(browser, seeded.client_id, "UNKNOWN", next(where))
    assert invalid.json == {
        "valid": False,
        "discount_minor": 0,
        "total_minor": 10_000,
        "reason": "code_invalid",
    }


def test_ec029_the_eleventh_question_of_a_network_in_a_minute_is_refused(
    browser: FlaskClient, house: House, seeded: Seeded
) -> None:
    make_discount(house, seeded)

    statuses = [ask(browser, seeded.client_id).status_code for _ in range(10)]
    refused = ask(browser, seeded.client_id)

    assert statuses == [200] * 10
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert ask(browser, seeded.client_id, where=THERE).status_code == 200


@pytest.mark.parametrize("code", ["UNKNOWN", "PAUSED"])
def test_ec029_whoever_misses_fifty_times_is_blocked_for_a_quarter_of_an_hour(
    ground: Ground, database: Database, code: str
) -> None:
    """EC-029: whether or not somebody has the code: the block tells no more than the answers."""
    with a_house(
        ground, database, LARGESSE_RATE_LIMITS="validate-ip=999/minute,validate=999/minute"
    ) as house:
        browser, seeded = create_app(house).test_client(), seed(house, vendor=False)
        make_discount(house, seeded)
        made = make_discount(house, seeded, "PAUSED")
        change(house, "UPDATE discount_codes SET state = 'paused' WHERE id = :id", id=made)

        missed = [ask(browser, seeded.client_id, code).json["valid"] for _ in range(50)]
        still = ask(browser, seeded.client_id).json["valid"]
        ask(browser, seeded.client_id, code)
        blocked = ask(browser, seeded.client_id)

        assert (missed, still) == ([False] * 50, True)
        assert (blocked.status_code, blocked.json["code"]) == (429, "rate_limited")
        assert 800 < int(blocked.headers["Retry-After"]) <= 900
        assert ask(browser, seeded.client_id, where=THERE).json["valid"]


def asking(sandbox: Sandbox, limits: str) -> dict[str, str]:
    """The settings of a house with a company that asks."""
    return {
        "CAPTCHA_PROVIDER": "turnstile",
        "CAPTCHA_SITE_KEY": "site-key",
        "CAPTCHA_SECRET": "sandbox",
        "CAPTCHA_VERIFY_URL": f"{sandbox.url}/captcha/turnstile/siteverify",
        "LARGESSE_RATE_LIMITS": limits,
    }


def test_s2_048_after_ten_misses_a_person_is_asked_for(
    ground: Ground, database: Database, sandbox: Sandbox
) -> None:
    """S2-048, where a company that asks is set up; a shopper who mistypes once is not asked."""
    given = asking(sandbox, "validate-ip=999/minute,validate=999/minute")
    with a_house(ground, database, **given) as house:
        browser, seeded = create_app(house).test_client(), seed(house, vendor=False)
        make_discount(house, seeded)
        before = [ask(browser, seeded.client_id, "UNKNOWN").status_code for _ in range(DOUBT_FROM)]

        bare = ask(browser, seeded.client_id)
        human = ask(browser, seeded.client_id, headers={"Captcha-Response": person()})

        assert before == [200] * DOUBT_FROM
        assert (bare.status_code, bare.json["code"]) == (403, "captcha_required")
        assert human.json["valid"]


def test_s2_048_a_shopper_who_missed_often_is_asked_for_and_a_cart_that_has_its_code_is_not(
    ground: Ground, database: Database, sandbox: Sandbox
) -> None:
    """S2-048, S2-142: by a name or by their network, at both doors of the storefront alike."""
    given = asking(sandbox, "validate-for=999/minute,apply-for=999/minute")
    with a_house(ground, database, **given) as house:
        app, seeded = create_app(house), seed(house, vendor=False)
        shop = key_caller(app, house, seeded.client_id)
        full_discount(house, seeded)
        make_discount(house, seeded, "OVER", max_uses=1)
        ada, there = "ada@x.example", {"shopper_address": "203.0.113.7"}
        look = "/discounts/validate?subtotal_minor=10000&currency=USD"

        def apply(who: str, code: str = "SAVE10", **told: Any) -> TestResponse:
            answer = told.pop("answer", None)
            headers = {} if answer is None else {"Captcha_Response": answer}
            return shop.post("/discounts/apply", asked(code, who) | told, **headers)

        basket = asked()["cart"]
        kept = apply(ada, cart=basket)
        # A code that is there is no miss, whatever is the matter with it; one that is another's is
        # to ada as one that nobody has (EC-017).
        apply("eve@x.example", "OVER", **there)
        misses = [apply(ada, f"NONE{n}", **there) for n in range(DOUBT_FROM - 5)]
        misses += [
            shop.get(f"{look}&code={code}&customer={ada}&shopper_address=203.0.113.7")
            for code in ("NONE", "NONE", "NONE", "NONE", "SAVE10-HERS")
        ]

        bare = apply(ada)
        looking = shop.get(f"{look}&code=SAVE10&customer={ada}")
        neighbour = apply("bob@x.example", **there)
        robot = apply("bob@x.example", answer="robot", **there)
        human = apply("bob@x.example", answer=person(), **there)
        elsewhere = apply("cid@x.example")
        again = apply(ada, cart=basket)

        assert [answer.status_code for answer in misses] == [404] * 5 + [200] * 5
        assert said(bare) == said(looking) == said(neighbour) == (403, "captcha_required")
        assert (bare.json["provider"], bare.json["site_key"]) == ("turnstile", "site-key")
        assert said(robot) == (403, "captcha_failed")
        assert (human.status_code, elsewhere.status_code) == (201, 201)
        assert (kept.status_code, again.status_code) == (201, 200)


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"client_id": "acme"}, "/client_id", "type"),
        ({"currency": "XXX"}, "/currency", "unknown_currency"),
        ({"subtotal_minor": "-1"}, "/subtotal_minor", "out_of_range"),
        ({"code": "a" * 201}, "/code", "too_long"),
        ({"customer": "ann@x.example"}, "/customer", "unknown_field"),
    ],
)
def test_ec030_a_question_that_is_none_is_refused(
    browser: FlaskClient, query: dict[str, Any], pointer: str, code: str
) -> None:
    refused = ask(browser, uuid4(), **query) if "client_id" not in query else ask(browser, **query)

    assert refused.status_code == 422
    assert [(e["pointer"], e["code"]) for e in refused.json["errors"]] == [(pointer, code)]
