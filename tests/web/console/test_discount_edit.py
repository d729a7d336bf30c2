"""Discount codes changed at the console: what is reserved keeps its price (EC-004, EC-025)."""

from datetime import UTC, datetime
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import full_discount, make_discount
from tests.driving import change, rows
from tests.seeding import Seeded
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of
from tests.web.console.test_discount_form import FORM, HOME, NEW, hidden, rules, values


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns and codes of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def edit_of(house: House) -> str:
    (code,) = rows(house, "SELECT id FROM discount_codes WHERE code = 'SAVE10'")
    return f"{HOME}/{code.id}/edit"


def test_ec025_what_was_not_touched_stays_and_who_has_reserved_keeps_the_price(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    full_discount(house, seeded)
    change(
        house, "UPDATE discount_codes SET max_uses = 9 WHERE client_id = :id", id=seeded.client_id
    )
    path = edit_of(house)
    page = mia.get(path).text

    answer = mia.send(path, **values(page) | {"percent": "5"})

    assert "1 reservation is not paid yet." in page
    assert "It keeps the rules and the price" in page
    assert answer.status_code == 303
    assert [(row.version, row.percent_bp) for row in rules(house)] == [(1, 1000), (2, 500)]
    (code,) = rows(
        house, "SELECT max_uses, rules_version, version FROM discount_codes WHERE code = 'SAVE10'"
    )
    assert tuple(code) == (9, 2, 2)
    assert rows(house, "SELECT rules_version, discount_minor FROM discount_usages") == [(1, 1000)]


def test_what_becomes_of_refunds_late_payments_and_leaks_is_changed_at_once(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    """S2-143, EC-006, EC-017, EC-051: no new version of the rules, and a conflict says it in words."""
    make_discount(house, seeded)
    path = edit_of(house)
    page = mia.get(path).text
    shown = values(page)
    mine = hidden(page) | shown | {"percent": "7"}
    options = "SELECT restore_on_refund, on_late, watch_leaks FROM discount_codes"

    mia.send(path, **shown | {"restore_on_refund": "slot", "on_late": "refund", "watch_leaks": ""})
    changed = (rows(house, options), [row.version for row in rules(house)])
    mia.send(path, **values(mia.get(path).text) | {"first_order_only": "1"})
    stale = unescape(mia.client.post(path, data=mine, headers=SAME_ORIGIN).text)

    assert (shown["restore_on_refund"], shown["on_late"], shown["watch_leaks"]) == (
        *("nothing", "confirm", "1"),
    )
    assert "first_order_only" not in shown
    assert changed == ([("slot", "refund", False)], [1])
    assert rows(house, options) == [("slot", "refund", False)]
    assert [row.first_order_only for row in rules(house)] == [False, True]
    assert "Whether it is for a first purchase alone was “no” and is “yes” now." in stale
    assert "too late was “It is confirmed, beside the limit” and is “It is paid back” now." in stale
    assert "seems to have leaked was “yes” and is “no” now." in stale


def test_seconds_that_no_field_shows_are_not_lost(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_discount(house, seeded, expires_at=datetime(2031, 1, 31, 9, 0, 30, tzinfo=UTC))
    path = edit_of(house)
    page = mia.get(path).text

    mia.send(path, **values(page) | {"max_uses": "3"})

    assert values(page)["ends_time"] == "09:00"
    assert [row.expires_at.second for row in rules(house)] == [30]


def test_ec004_a_limit_below_what_is_used_is_refused_at_its_field(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    full_discount(house, seeded)
    change(house, "UPDATE discount_codes SET used = 4 WHERE client_id = :id", id=seeded.client_id)
    path = edit_of(house)
    page = mia.get(path).text

    refused = mia.send(path, **values(page) | {"max_uses": "3"})

    assert "4 are reserved or paid; a limit below that is refused." in page
    assert refused.status_code == 409
    assert '<a href="#max_uses">The code is used or reserved 4 times' in refused.text
    assert 'id="max_uses" name="max_uses" value="3"' in refused.text
    assert rows(house, "SELECT max_uses FROM discount_codes WHERE code = 'SAVE10'") == [(None,)]


def test_ec025_a_change_over_somebody_elses_says_what_is_different_and_writes_nothing(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    """What was left alone is as they left it when the form is sent again."""
    make_discount(house, seeded, products=("A", "B"))
    path = edit_of(house)
    mine = hidden(mia.get(path).text) | values(mia.get(path).text) | {"percent": "7"}
    mia.send(path, **values(mia.get(path).text) | {"percent": "8", "max_uses": "50"})

    stale = mia.client.post(path, data=mine, headers=SAME_ORIGIN)
    again = hidden(stale.text) | values(stale.text)

    assert stale.status_code == 409
    assert "The percentage was “10” and is “8” now." in stale.text
    assert "Its products" not in stale.text
    assert 'value="7"' in stale.text
    assert len(rules(house)) == 2
    assert mia.client.post(path, data=again, headers=SAME_ORIGIN).status_code == 303
    assert [row.percent_bp for row in rules(house)] == [1000, 800, 700]
    assert rows(house, "SELECT max_uses FROM discount_codes") == [(50,)]
    assert rules(house)[-1].products == ["A", "B"]


def test_another_currency_is_another_amount_though_the_digits_stay(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    """Five dinars of Kuwait are five thousand of their minor units."""
    mia.send(NEW, **FORM | {"kind": "fixed", "percent": "", "amount": "5", "currency": "USD"})
    path = edit_of(house)

    mia.send(path, **values(mia.get(path).text) | {"currency": "KWD"})

    assert [(row.currency, row.amount_minor) for row in rules(house)] == [
        ("USD", 500),
        ("KWD", 5_000),
    ]


def test_a_code_that_is_put_away_is_not_changed(house: House, seeded: Seeded, mia: Visitor) -> None:
    code_id: UUID = make_discount(house, seeded)
    path = edit_of(house)
    page = mia.get(path).text
    change(house, "UPDATE discount_codes SET state = 'archived' WHERE id = :id", id=code_id)

    refused = mia.send(path, **values(page) | {"percent": "5"})

    assert refused.status_code == 409
    assert "The code was put away, which is for good." in refused.text
    assert len(rules(house)) == 1
