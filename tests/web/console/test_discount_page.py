"""The page of one discount code: its versions, its live slots, and a slot released now (EC-025, S2-143)."""

import re
from html import unescape

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.buying import full_purchase
from tests.discounting import counted, expire, full_discount
from tests.driving import change, rows
from tests.seeding import Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.test_discount_form import values
from web.console.audit_words import UNKNOWN_ACTOR

HOME = "/console/discounts"


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns and codes of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def own_page(house: House) -> str:
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")
    return f"{HOME}/{code.id}"


def test_ec025_every_version_of_the_rules_stands_with_when_and_who(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    full_discount(house, seeded)
    change(house, "UPDATE users SET name = 'Mia' WHERE role = 'campaign_manager'")
    own = own_page(house)
    page = mia.get(f"{own}/edit").text

    mia.send(f"{own}/edit", **values(page) | {"percent": "5"})

    shown = mia.get(own).text.partition('id="versions"')[2]
    found = re.findall(r'<th scope="row">(\d+)</th><td data-label="Takes off">([^<]*)<', shown)
    assert found == [("2", "5 % off"), ("1", "10 % off")]
    assert re.findall(r'data-label="By">([^<]*)<', shown) == [
        "Mia",
        UNKNOWN_ACTOR,
    ]


def test_a_live_slot_tells_its_cart_its_price_and_its_minutes(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    usage_id = full_discount(house, seeded)
    change(
        house,
        "UPDATE discount_usages SET cart_reference = '<b>41', expires_at = now() + interval '599 s' "
        "WHERE id = :id",
        id=usage_id,
    )

    shown = mia.get(own_page(house)).text

    assert "&lt;b&gt;41" in shown
    assert "Guest" in shown
    assert "$10.00" in shown
    assert "$90.00" in shown
    assert re.search(r"data-left>9:5\d</time>", shown)
    expire(house)
    assert "data-left>0:00</time>" in mia.get(own_page(house)).text


def test_s2_143_a_slot_is_released_now_for_a_reason_and_once(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    usage_id = full_discount(house, seeded)
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")
    path = f"{HOME}/reservations/{usage_id}/release"

    asked = mia.get(path).text
    silent = mia.send(path)
    before = counted(house, code.id)
    done = [mia.send(path, reason="The shop is down") for _ in range(2)]
    shown = mia.get(done[0].headers["Location"]).text

    assert "If the customer has a payment page open for it, that is ended first." in asked
    assert (silent.status_code, before) == (422, (1, {"reserved": 1}))
    assert counted(house, code.id) == (0, {"released": 1})
    assert {answer.headers["Location"] for answer in done} == {f"{HOME}/{code.id}?done=released"}
    assert "The slot is given back" in shown
    assert "Nobody is about to pay with it" in shown
    assert rows(house, "SELECT release_reason FROM discount_usages") == [("manager",)]
    told = rows(
        house,
        "SELECT action, detail FROM audit_entries WHERE object_id IN (:code, :usage) "
        "AND action LIKE '%released' ORDER BY action",
        code=code.id,
        usage=usage_id,
    )
    assert [tuple(row) for row in told] == [
        (
            "discount.slot_released",
            {"reservation_id": str(usage_id), "reason": "The shop is down"},
        ),
        ("reservation.released", {"reason": "manager"}),
    ]


def test_s2_109_ec047_a_slot_that_is_held_has_no_time_and_no_button(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    """Paid and waiting for a person, or being paid by a way that takes days: nobody releases it."""
    full_purchase(house, seeded, paid_minor=8_999)
    change(house, "UPDATE discount_usages SET expires_at = now() + interval '10 years'")
    (usage,) = rows(house, "SELECT id FROM discount_usages")
    path = f"{HOME}/reservations/{usage.id}/release"

    for state, told in (
        ("processing", "Being paid"),
        ("mismatched", "Paid, waits for a person"),
        ("succeeded", "Paid, waits for a person"),
    ):
        change(house, "UPDATE payments SET state = :state WHERE purpose = 'purchase'", state=state)
        shown = mia.get(own_page(house)).text
        asked = mia.get(path)
        assert f'data-label="Time left" class="number">{told}<' in shown
        assert "Release now" not in shown
        assert asked.status_code == 409
        assert told in asked.text
        assert ":59 left" not in asked.text
    change(house, "UPDATE payments SET state = 'open'")
    assert "Release now" in mia.get(own_page(house)).text


def test_what_was_paid_meanwhile_stays_paid(house: House, seeded: Seeded, mia: Visitor) -> None:
    usage_id = full_discount(house, seeded)
    path = f"{HOME}/reservations/{usage_id}/release"
    change(
        house,
        "UPDATE discount_usages SET state = 'confirmed', ended_at = now() WHERE id = :id",
        id=usage_id,
    )

    refused = mia.send(path, reason="Too late")

    assert refused.status_code == 409
    assert "The reservation is paid already." in refused.text
    assert rows(house, "SELECT state FROM discount_usages") == [("confirmed",)]
    assert rows(house, "SELECT 1 FROM audit_entries WHERE action LIKE '%released'") == []


def test_a_strangers_slot_is_as_unknown_as_none(house: House, seeded: Seeded, mia: Visitor) -> None:
    usage_id = full_discount(house, seed(house, vendor=False))
    path = f"{HOME}/reservations/{usage_id}/release"

    answers = [mia.get(path), mia.send(path, HOME + "/new", reason="Mine", agreed="1")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert rows(house, "SELECT state FROM discount_usages") == [("reserved",)]


def test_who_reads_the_audit_log_finds_the_history_of_the_code(
    house: House, seeded: Seeded, bob: Visitor, mia: Visitor
) -> None:
    full_discount(house, seeded)
    own = own_page(house)
    history = f"/console/audit?object_id={own.rpartition('/')[2]}"

    assert history in unescape(bob.get(own).text)
    assert history not in unescape(mia.get(own).text)
    assert "Discount code made" in bob.get(history).text
