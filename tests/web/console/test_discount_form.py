"""Discount codes made and changed at the console, tried on a sample cart first (S2-061, EC-011, EC-025)."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import asked, full_discount, make_discount
from tests.driving import change, rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

HOME = "/console/discounts"
NEW = f"{HOME}/new"
FORM = {"code": "save10", "kind": "percent", "percent": "10", "max_uses_per_customer": "1"}
CART = {"cart_currency": "USD", "cart_quantity_1": "3", "cart_price_1": "33.33"}


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    """Manages the campaigns and codes of a client."""
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


def in_zone(house: House, seeded: Seeded, zone: str) -> None:
    change(
        house,
        "UPDATE clients SET time_zone = :zone WHERE id = :id",
        zone=zone,
        id=seeded.client_id,
    )


def rules(house: House) -> list[Any]:
    return list(rows(house, "SELECT * FROM discount_rules ORDER BY version"))


def values(page: str) -> dict[str, str]:
    """What the visible fields of the form hold."""
    kinds = "text|date|time"
    found = dict(re.findall(rf'<input type="(?:{kinds})"[^>]*? name="(\w+)" value="([^"]*)"', page))
    (products,) = re.findall(r"<textarea[^>]*>([^<]*)</textarea>", page)
    return {name: unescape(value) for name, value in found.items()} | {"products": products}


def hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(page.rpartition("<form")[2])}


def test_s2_061_a_code_is_made_once_however_often_the_form_is_sent(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    typed = FORM | {
        "currency": "usd",
        "max_discount": "50",
        "min_subtotal": "20.50",
        "products": "SHIRT\r\nSHOE\r\nSHIRT",
        "max_uses": "500",
    }
    form = hidden(mia.get(NEW).text) | typed

    sent = [mia.client.post(NEW, data=form, headers=SAME_ORIGIN) for _ in range(2)]

    (code,) = rows(house, "SELECT * FROM discount_codes")
    (rule,) = rules(house)
    assert {answer.headers["Location"] for answer in sent} == {f"{HOME}/{code.id}?done=created"}
    assert (code.code, code.client_id, code.max_uses) == ("SAVE10", seeded.client_id, 500)
    assert (rule.percent_bp, rule.currency, rule.max_discount_minor) == (1000, "USD", 5_000)
    assert (rule.min_subtotal_minor, rule.products) == (2_050, ["SHIRT", "SHOE"])
    shown = unescape(mia.get(sent[0].headers["Location"]).text)
    assert "The code is made." in shown
    assert "10 % off, at most $50.00, from $20.50 on, for 2 products" in shown
    assert "One code: a second one is refused" in shown


@pytest.mark.parametrize(
    ("zone", "first", "last", "starts_at", "expires_at"),
    [
        # 23 hours, then 25.
        ("Europe/Berlin", "2027-03-28", "2027-03-28", "03-27T23:00", "03-28T22:00"),
        ("Europe/Berlin", "2027-10-31", "2027-10-31", "10-30T22:00", "10-31T23:00"),
        ("America/New_York", "2027-12-01", "2027-12-05", "12-01T05:00", "12-06T05:00"),
        ("Pacific/Kiritimati", "2027-12-05", "2027-12-05", "12-04T10:00", "12-05T10:00"),
    ],
)
def test_ec011_a_last_day_is_in_it_whole(
    house: House,
    seeded: Seeded,
    mia: Visitor,
    zone: str,
    first: str,
    last: str,
    starts_at: str,
    expires_at: str,
) -> None:
    in_zone(house, seeded, zone)

    made = mia.send(NEW, **FORM, starts_on=first, ends_on=last).headers["Location"]

    (rule,) = rules(house)
    assert rule.starts_at.isoformat() == f"2027-{starts_at}:00+00:00"
    assert rule.expires_at.isoformat() == f"2027-{expires_at}:00+00:00"
    edit = values(mia.get(f"{made.partition('?')[0]}/edit").text)
    assert (edit["starts_on"], edit["ends_on"]) == (first, last)
    assert (edit["starts_time"], edit["ends_time"]) == ("", "")
    shown = mia.get(made).text
    assert f"until the end of {int(last[-2:])} " in shown
    assert f"({zone})" in shown


def test_ec011_a_time_beside_the_day_is_of_the_clients_clocks(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    in_zone(house, seeded, "Europe/Berlin")
    times = {"starts_on": "2027-03-28", "starts_time": "02:30", "ends_on": "2027-12-05"}

    skipped = mia.send(NEW, **FORM, **times)
    made = mia.send(NEW, **FORM, **times | {"starts_time": "03:30", "ends_time": "18:00"})

    assert skipped.status_code == 422
    assert "pass over this time" in skipped.text
    (rule,) = rules(house)
    assert rule.starts_at.isoformat() == "2027-03-28T01:30:00+00:00"
    assert rule.expires_at.isoformat() == "2027-12-05T17:00:00+00:00"
    assert "until 5 Dec 2027, 18:00 (Europe/Berlin)" in mia.get(made.headers["Location"]).text


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"code": "AB"}, "code", "4 to 64 characters"),
        ({"code": "A\u0410BCD"}, "code", "letters A-Z"),
        ({"percent": ""}, "percent", "Say how many percent"),
        ({"percent": "100.01"}, "percent", "Give a percentage"),
        ({"percent": "ten"}, "percent", "Give a percentage"),
        ({"amount": "5", "currency": "USD"}, "amount", "leave this empty"),
        ({"max_discount": "5"}, "currency", "Give a currency"),
        ({"max_discount": "5.555", "currency": "USD"}, "max_discount", "2 digits"),
        ({"currency": "XXX"}, "currency", "Give a currency"),
        ({"kind": "fixed", "percent": ""}, "amount", "Say which amount"),
        ({"kind": "?"}, "kind", "Choose what"),
        ({"products": "x" * 101}, "products", "at most 100"),
        ({"ends_on": "tomorrow"}, "ends_on", "Give a day"),
        ({"ends_on": "1999-01-01"}, "ends_on", "of the years"),
        ({"ends_time": "09:00"}, "ends_on", "Give the day"),
        (
            {"starts_on": "2031-01-31", "ends_on": "2031-01-30"},
            "ends_on",
            "must expire after it starts",
        ),
        ({"max_uses": "0"}, "max_uses", "Give a whole number"),
        ({"ends_on": "2020-01-31"}, "ends_on", "This is over already"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(
    house: House, mia: Visitor, typed: dict[str, str], field: str, words: str
) -> None:
    answer = mia.send(NEW, **FORM | {"min_subtotal": "", "cart_sku_3": "KEPT"} | typed)

    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert words in unescape(answer.text)
    assert 'value="KEPT"' in answer.text
    assert rows(house, "SELECT 1 FROM discount_codes") == []


def test_a_window_in_the_past_is_made_only_if_it_is_meant(house: House, mia: Visitor) -> None:
    over = FORM | {"ends_on": "2020-01-31"}

    warned = mia.send(NEW, **over)
    meant = mia.send(NEW, **over, past_meant="1")

    assert 'name="past_meant"' in warned.text
    assert 'name="past_meant"' not in mia.get(NEW).text
    assert "Expired" in mia.get(meant.headers["Location"]).text


def test_ec027_a_text_that_the_client_has_is_refused_at_its_field(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_discount(house, seeded)

    answer = mia.send(NEW, **FORM)

    assert answer.status_code == 409
    assert '<a href="#code">You have this code already' in answer.text


def test_who_sees_several_clients_names_the_one_whose_code_it_is(
    app: Flask, house: House, seeded: Seeded
) -> None:
    root = visitor_of(app, house, Role.PLATFORM_ADMIN)
    seed(house, vendor=False)
    in_zone(house, seeded, "Pacific/Kiritimati")

    nobodys = root.send(NEW, **FORM)
    made = root.send(NEW, **FORM, client_id=str(seeded.client_id), ends_on="2027-12-05")

    assert (nobodys.status_code, made.status_code) == (422, 303)
    assert "Choose the client whose code this is." in nobodys.text
    (rule,) = rules(house)
    assert rule.client_id == seeded.client_id
    assert rule.expires_at.isoformat() == "2027-12-05T10:00:00+00:00"


@pytest.mark.parametrize(
    "what",
    [
        {"percent": "12.5"},
        {"percent": "50", "currency": "USD", "max_discount": "20"},
        {"percent": "10", "products": "SHIRT"},
        {"kind": "fixed", "percent": "", "amount": "30", "currency": "USD"},
        {"kind": "fixed", "percent": "", "amount": "500", "currency": "USD"},
        {"percent": "10", "currency": "USD", "min_subtotal": "99.99"},
    ],
)
def test_s2_061_the_sample_cart_costs_what_the_api_says(
    app: Flask, house: House, seeded: Seeded, mia: Visitor, what: dict[str, str]
) -> None:
    """The same words of money on the page as in the quote of a real reservation."""
    lines = {"cart_sku_1": "SHIRT", "cart_sku_2": "SHOE", "cart_price_2": "10"}
    tried = mia.send(NEW, **FORM | CART | lines | what, do="preview")
    nothing = rows(house, "SELECT 1 FROM discount_codes")
    mia.send(NEW, **FORM | what)
    shop = key_caller(app, house, seeded.client_id)
    bought = [
        {"sku": "SHIRT", "quantity": 3, "unit_minor": 3333},
        {"sku": "SHOE", "quantity": 1, "unit_minor": 1000},
    ]

    quote = shop.post(
        "/discounts/apply", asked(cart={"id": "cart", "currency": "USD", "lines": bought})
    ).json["quote"]

    assert (tried.status_code, nothing) == (200, [])
    page = tried.text
    assert f"The cart would cost ${quote['total_minor'] / 100:.2f} instead of $109.99" in page
    assert f"The code takes off ${quote['discount_minor'] / 100:.2f}" in page
    assert [f"${line['discount_minor'] / 100:.2f}" for line in quote["lines"]] == re.findall(
        r'<td class="number">\$[\d.]+</td><td class="number">(\$[\d.]+)</td><td class="number">\$',
        page,
    )


def test_the_sample_cart_says_why_a_code_is_refused_and_what_is_wrong(mia: Visitor) -> None:
    def tried(**typed: str) -> str:
        return unescape(mia.send(NEW, **FORM | CART | typed, do="preview").text)

    assert "takes a purchase of $200.00" in tried(currency="USD", min_subtotal="200")
    assert "for certain products" in tried(products="SHIRT")
    assert "the cart is in JPY" in tried(currency="USD", cart_currency="JPY", cart_price_1="500")
    assert "the checkout says: The code is not good yet." in tried(starts_on="2099-01-01")
    assert "Correct the fields that are marked" in tried(cart_price_1="-5")
    assert "Give the price of something" in tried(cart_price_1="")
    assert 'href="#percent"' in tried(percent="")


def edit_of(house: House) -> str:
    (code,) = rows(house, "SELECT id FROM discount_codes")
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
    (code,) = rows(house, "SELECT max_uses, rules_version, version FROM discount_codes")
    assert tuple(code) == (9, 2, 2)
    assert rows(house, "SELECT rules_version, discount_minor FROM discount_usages") == [(1, 1000)]


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
    assert rows(house, "SELECT max_uses FROM discount_codes") == [(None,)]


def test_ec025_a_change_over_somebody_elses_says_what_is_different_and_writes_nothing(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    make_discount(house, seeded, products=("A", "B"))
    path = edit_of(house)
    mine = hidden(mia.get(path).text) | values(mia.get(path).text) | {"percent": "7"}
    mia.send(path, **values(mia.get(path).text) | {"percent": "8"})

    stale = mia.client.post(path, data=mine, headers=SAME_ORIGIN)
    again = hidden(stale.text) | values(stale.text)

    assert stale.status_code == 409
    assert "The percentage was “10” and is “8” now." in stale.text
    assert "Its products" not in stale.text
    assert 'value="7"' in stale.text
    assert len(rules(house)) == 2
    assert mia.client.post(path, data=again, headers=SAME_ORIGIN).status_code == 303
    assert [row.percent_bp for row in rules(house)] == [1000, 800, 700]
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
