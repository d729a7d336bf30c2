"""Discount codes made and changed at the console, tried on a sample cart first (S2-061, EC-011, EC-025)."""

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import asked, make_discount
from tests.driving import change, rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

HOME = "/console/discounts"
NEW = f"{HOME}/new"
FORM = {
    "code": "save10",
    "kind": "percent",
    "percent": "10",
    "max_uses_per_customer": "1",
    "restore_on_refund": "nothing",
    "on_late": "confirm",
    "watch_leaks": "1",
}
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
    return list(
        rows(
            house,
            "SELECT r.* FROM discount_rules r JOIN discount_codes c ON c.id = r.code_id "
            "WHERE c.batch_id IS NULL AND c.assignee_keys IS NULL ORDER BY r.version",
        )
    )


def values(page: str) -> dict[str, str]:
    """What the visible fields of the form hold."""
    kinds = "text|date|time"
    found = dict(re.findall(rf'<input type="(?:{kinds})"[^>]*? name="(\w+)" value="([^"]*)"', page))
    found |= dict(re.findall(r'<textarea id="\w+" name="(\w+)"[^>]*>([^<]*)</textarea>', page))
    found |= dict(re.findall(r'<select id="(\w+)"[^>]*>.*?<option value="(\w+)" selected', page))
    found |= dict(re.findall(r'<input type="checkbox" name="(\w+)" value="(1)" checked', page))
    return {name: unescape(value) for name, value in found.items()}


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
        "first_order_only": "1",
        "restore_on_refund": "customer",
        "on_late": "refund",
        "watch_leaks": "",
    }
    form = hidden(mia.get(NEW).text) | typed

    sent = [mia.client.post(NEW, data=form, headers=SAME_ORIGIN) for _ in range(2)]

    (code,) = rows(house, "SELECT * FROM discount_codes")
    (rule,) = rules(house)
    assert {answer.headers["Location"] for answer in sent} == {f"{HOME}/{code.id}?done=created"}
    assert (code.code, code.client_id, code.max_uses) == ("SAVE10", seeded.client_id, 500)
    assert (rule.percent_bp, rule.currency, rule.max_discount_minor) == (1000, "USD", 5_000)
    assert (rule.min_subtotal_minor, rule.products) == (2_050, ["SHIRT", "SHOE"])
    assert (code.restore_on_refund, code.on_late, code.watch_leaks) == ("customer", "refund", False)
    assert rule.first_order_only
    shown = unescape(mia.get(sent[0].headers["Location"]).text)
    assert "Their first purchase alone" in shown
    assert "The slot and the use: the same customer can use the code again" in shown
    assert "It is paid back" in shown
    assert "Not watched" in shown
    assert "The code is made." in shown
    assert "10 % off, at most $50.00, from $20.50 on, for 2 products, for a first purchase" in shown
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
        ({"restore_on_refund": ""}, "restore_on_refund", "Choose one of: Nothing"),
        ({"on_late": "keep"}, "on_late", "Choose one of: It is confirmed"),
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
        ({"tiers": "100 15%"}, "currency", "Give a currency"),
        ({"currency": "USD", "tiers": "100"}, "tiers", "Line 1: Give from which amount"),
        ({"currency": "USD", "tiers": "100 15%\n\n200 x"}, "tiers", "Line 2: Give a percentage"),
        ({"currency": "USD", "tiers": "100 15\n90 20"}, "tiers", "Line 2: A tier begins above"),
        ({"currency": "USD", "tiers": "100 10%"}, "tiers", "Line 1: Who spends more saves more"),
        ({"currency": "USD", "tiers": "1 2%\n" * 11}, "tiers", "at most 10 tiers"),
        (
            {"kind": "fixed", "percent": "", "amount": "5", "currency": "USD", "tiers": "100 15%"},
            *("tiers", "Line 1: The code takes off an amount"),
        ),
        ({"assigned_to": "ann"}, "assigned_to", "Give one address"),
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
        {"percent": "10", "currency": "USD", "tiers": "100.00 15%\r\n\r\n109.99 20%\r\n110 25"},
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


def test_s2_127_tiers_are_told_and_changed_and_their_versions_stay(
    house: House, seeded: Seeded, mia: Visitor
) -> None:
    typed = {"currency": "USD", "tiers": "100.00 15%\r\n200.00 20%"}
    made = mia.send(NEW, **FORM | typed).headers["Location"].partition("?")[0]
    form = mia.get(f"{made}/edit").text
    shown = values(form)
    fixed = {"kind": "fixed", "percent": "", "amount": "5", "code": "five"}
    five = mia.send(NEW, **FORM | fixed | typed | {"tiers": "100 20.00"}).headers["Location"]

    changed = mia.client.post(
        f"{made}/edit",
        data=hidden(form) | shown | {"tiers": "100 15%\n200 25"},
        headers=SAME_ORIGIN,
    )

    assert shown["tiers"] == "100.00 15%\n200.00 20%"
    assert changed.headers["Location"].endswith("done=changed")
    page = unescape(mia.get(made).text)
    assert "10 % off (15 % from $100.00, 20 % from $200.00)" in page
    assert "10 % off (15 % from $100.00, 25 % from $200.00)" in page
    assert "$5.00 off ($20.00 from $100.00)" in unescape(mia.get(five).text)


def test_ec017_a_code_for_one_customer_says_so_and_never_who_by_address(
    app: Flask, house: House, seeded: Seeded, mia: Visitor
) -> None:
    made = mia.send(NEW, **FORM, assigned_to="Ann@X.example").headers["Location"]
    shop = key_caller(app, house, seeded.client_id)
    before = unescape(mia.get(made).text)
    shop.post("/discounts/apply", asked()).close()

    page, listed = unescape(mia.get(made).text), mia.get(HOME).text

    assert "One customer alone, a guest" in before
    assert "tried it" not in before
    assert "1 other tried it, the last one" in page
    assert "For one customer" in listed
    assert "ann@x" not in (page + listed).lower()
    assert shop.post("/discounts/apply", asked(who="ann@x.example")).status_code == 201


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
