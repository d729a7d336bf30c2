"""An end customer types a code and gets a card: once, never by looking, and told how it stands."""

import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.conditions import HOUR, limit
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows
from tests.intake import table_sizes
from tests.proof import assert_proven
from tests.replacing import report
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import HIDDEN
from web.app import create_app

CODE, OTHER = "ABCD-1234-WXYZ", "QRST-5678-TUVW"
ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def seeded(house: House) -> Seeded:
    """Two cards in stock and no vendor."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    return seeded


@pytest.fixture
def app(house: House) -> Flask:
    """Nobody works in this process while a request waits."""
    return create_app(replace(house, limits=replace(house.limits, redeem_wait_seconds=0.0)))


@pytest.fixture
def manager(app: Flask, house: House, seeded: Seeded) -> Caller:
    """Codes of $25.00 are loaded for the campaign."""
    manager = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)
    assert load(manager, seeded, f"redemption_code\n{CODE}\n{OTHER}\n").status_code == 201
    return manager


def load(caller: Caller, seeded: Seeded, content: str, **asked: Any) -> TestResponse:
    query = {"brand_id": str(seeded.brand_id), "denomination_minor": "2500"} | asked
    return caller.client.post(
        f"/api/v1/campaigns/{seeded.campaign_id}/redemption-codes",
        query_string=query,
        data=content,
        content_type="text/csv",
        headers=caller.headers,
    )


def typed(browser: FlaskClient, seeded: Seeded, code: str = CODE, **fields: str) -> TestResponse:
    form = {"campaign": str(seeded.campaign_id), "redemption_code": code} | fields
    return browser.post("/redeem", data=form)


def worked(house: House) -> None:
    hasten(house)
    drain(house)


def test_s4_092_a_code_brings_its_card_and_one_click_opens_it(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """S4-090, S4-092: enter code, get card."""
    first = typed(browser, seeded, " abcd-1234-wxyz ")
    waiting = browser.get(first.headers["Location"])
    worked(house)
    there = browser.get(first.headers["Location"])
    again = typed(browser, seeded)
    unopened = rows(house, "SELECT 1 FROM provisions WHERE revealed_at IS NOT NULL")
    form = dict(HIDDEN.findall(again.text))
    action = re.search(r'action="(/r/[\w-]+)"', again.text)
    assert action is not None
    opened = browser.post(action[1], data=form | {"open": "1"})

    assert (first.status_code, first.headers["Location"]) == (303, action[1])
    assert "We are preparing your card" in waiting.text
    assert waiting.headers["Refresh"] == "10"
    assert (there.status_code, "Refresh" in there.headers) == (200, False)
    assert "A gift from Client" in there.text
    assert (unopened, form) == ([], {"redemption_code": CODE})
    assert "Your card from Client" in opened.text
    assert len(rows(house, "SELECT 1 FROM provisions")) == 1
    for answer in (first, waiting, there, again, opened):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert_proven(house)


def test_ec079_looking_at_the_page_asks_for_nothing(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """EC-079: scanners follow links, and send forms from other places."""
    before = table_sizes(house)
    address = f"/redeem?campaign={seeded.campaign_id}&redemption_code={CODE}"

    looked = [browser.get(address), browser.head(address), browser.get("/redeem")]
    form = {"campaign": str(seeded.campaign_id), "redemption_code": CODE}
    foreign = browser.post("/redeem", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    empty = typed(browser, seeded, "  ")

    assert [one.status_code for one in looked] == [200, 200, 200]
    assert CODE not in looked[0].text
    assert "This address is not whole" in looked[2].text
    assert (foreign.status_code, empty.status_code) == (403, 422)
    assert table_sizes(house) == before


def test_ec065_the_same_recipient_gets_the_same_card_and_another_none(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient, app: Flask
):
    """EC-065: one code, one card, one debit."""
    first = typed(browser, seeded, email=ANN)
    repeat = typed(browser, seeded, email="Ann@Example.com")
    others = [typed(browser, seeded, email=BOB), typed(browser, seeded)]
    over_http = {
        name: browser.post(
            "/api/v1/redeem",
            json={"campaign": str(seeded.campaign_id), "redemption_code": CODE, "email": name},
        )
        for name in (ANN, BOB)
    }
    worked(house)

    assert first.headers["Location"] == repeat.headers["Location"]
    assert [one.status_code for one in others] == [409, 409]
    assert "This code was used already" in others[0].text
    url = over_http[ANN].json["reveal_url"]
    assert url.endswith(first.headers["Location"])
    assert (over_http[BOB].status_code, over_http[BOB].json["code"]) == (409, "already_redeemed")
    assert len(rows(house, "SELECT 1 FROM provisions")) == 1
    assert [row.state for row in rows(house, "SELECT state FROM deliveries")] == ["waiting"]
    opened = browser.post(first.headers["Location"], data={"open": "1", "email": ANN})
    assert "Your card from Client" in opened.text
    assert_proven(house)


def test_ec029_an_unknown_code_and_an_unknown_campaign_are_one_answer_and_count(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """EC-029"""
    before = table_sizes(house)

    unknown = typed(browser, seeded, "ZZZ-999-ZZZ")
    nowhere = typed(browser, seeded, CODE, campaign=str(new_id()))
    over_http = browser.post(
        "/api/v1/redeem",
        json={"campaign": str(new_id()), "redemption_code": CODE},
    )

    assert (unknown.status_code, nowhere.status_code) == (404, 404)
    assert (over_http.status_code, over_http.json["code"]) == (404, "not_found")
    assert "We do not know this code" in unknown.text
    mask = str.maketrans("", "", "0123456789abcdef-ABCDWXYZ")
    assert unknown.text.translate(mask) == nowhere.text.translate(mask)
    assert table_sizes(house) == before


def test_sec018_one_code_is_tried_so_often_and_one_network(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """SEC-18"""
    same = [typed(browser, seeded).status_code for _ in range(11)]
    others = [typed(browser, seeded, f"NOBODY-{n:04d}").status_code for n in range(10)]

    long = browser.post("/redeem", data={"redemption_code": "x" * 100_000})

    assert same == [303] * 10 + [429]
    assert others == [404] * 9 + [429]
    assert long.status_code == 413


def test_s4_054_a_card_that_cannot_be_had_is_told_and_the_code_stays_good(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """S4-054: no card in stock: clean words, a number for support, and another try."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE cards SET state = 'quarantined'"))
    link = typed(browser, seeded).headers["Location"]
    worked(house)
    refused = browser.get(link)
    pressed = browser.post(link, data={"open": "1", "redemption_code": CODE})
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE cards SET state = 'available'"))
    again = typed(browser, seeded)
    worked(house)

    (job, *_) = rows(house, "SELECT id FROM jobs WHERE is_single ORDER BY id")
    assert (refused.status_code, pressed.status_code) == (410, 410)
    assert "We could not get you this card" in refused.text
    assert str(job.id) in refused.text
    assert "Refresh" not in refused.headers
    assert again.status_code == 303
    assert "A gift from Client" in browser.get(again.headers["Location"]).text
    assert_proven(house)


def test_s4_054_a_card_that_takes_long_says_so_and_looks_again_more_rarely(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """S4-054"""
    link = typed(browser, seeded).headers["Location"]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE jobs SET created_at = now() - interval '5 minutes' WHERE is_single")
        )

    late = browser.get(link)

    assert "Your card takes longer than usual" in late.text
    assert (late.status_code, late.headers["Refresh"]) == (200, "60")


def test_s4_054_without_credit_or_campaign_nothing_is_said_of_money(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """S4-054: the code stays good, and strangers learn no balance."""
    body = {"campaign": str(seeded.campaign_id), "redemption_code": CODE}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE campaigns SET state = 'paused'"))
    before = table_sizes(house)

    shown = typed(browser, seeded)
    told = browser.post("/api/v1/redeem", json=body)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE campaigns SET state = 'active'"))
        session.execute(text("UPDATE clients SET suspended_at = now()"))
    suspended = browser.post("/api/v1/redeem", json=body)

    assert (shown.status_code, told.status_code) == (503, 503)
    assert "Your code stays good" in shown.text
    assert told.json["code"] == "cannot_give_now"
    own = {"request_id", "instance"}
    assert {name: told.json[name] for name in set(told.json) - own} == {
        name: suspended.json[name] for name in set(suspended.json) - own
    }
    for answer in (shown, told, suspended):
        assert answer.headers["Retry-After"] == "300"
    noted = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'code.not_given' ORDER BY at"
    )
    assert [one.detail["because"] for one in noted] == [
        "campaign_closed",
        "campaign_closed",
        "account_suspended",
    ]
    assert table_sizes(house) == before | {"audit_entries": before["audit_entries"] + 3}


def test_ec067_a_code_leads_to_the_card_that_replaced_its_first_one(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """EC-067: the first link ends with its card; the code typed again brings the newer one."""
    link = typed(browser, seeded).headers["Location"]
    worked(house)
    (card,) = rows(house, "SELECT id FROM provisions")
    report(house, seeded, card.id)
    worked(house)

    again = typed(browser, seeded)

    assert (browser.get(link).status_code, again.status_code) == (410, 200)
    assert link not in again.text
    assert "A gift from Client" in again.text
    assert browser.get(link[:-1] + ("A" if link[-1] != "A" else "Q")).status_code == 404


def test_s4_128_a_campaign_that_has_ended_says_so_to_who_types_its_code(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """The code stays good: it brings its card when the campaign gives again."""
    limit(house, seeded, ends_at=-HOUR)
    body = {"campaign": str(seeded.campaign_id), "redemption_code": CODE}

    shown, told = typed(browser, seeded), browser.post("/api/v1/redeem", json=body)
    limit(house, seeded, ends_at=HOUR)

    assert (shown.status_code, told.status_code) == (409, 409)
    assert "The campaign has ended; it gives no more rewards." in shown.text
    assert told.json["code"] == "campaign_ended"
    assert typed(browser, seeded).status_code == 303


def test_s4_128_a_stranger_does_not_learn_whether_an_address_has_had_its_rewards(
    house: House, seeded: Seeded, manager: Caller, browser: FlaskClient
):
    """EC-065: the answer is the one of a campaign that is paused; its people are told the reason."""
    limit(house, seeded, max_rewards_per_recipient=1)
    typed(browser, seeded, email=ANN)
    body = {"campaign": str(seeded.campaign_id), "redemption_code": OTHER, "email": ANN}

    shown = typed(browser, seeded, code=OTHER, email=ANN)
    told = browser.post("/api/v1/redeem", json=body)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE campaigns SET state = 'paused'"))
    paused = browser.post("/api/v1/redeem", json=body)

    own = {"request_id", "instance"}
    assert (shown.status_code, told.status_code) == (503, 503)
    assert "recipient" not in shown.text
    assert {name: told.json[name] for name in set(told.json) - own} == {
        name: paused.json[name] for name in set(paused.json) - own
    }
    noted = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'code.not_given' ORDER BY at"
    )
    assert [one.detail["because"] for one in noted] == [
        *["recipient_limit_reached"] * 2,
        "campaign_closed",
    ]
    assert_proven(house)
