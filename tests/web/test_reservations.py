"""One request, one slot of a code: who gets it, who does not and why (S2-008, S2-009, S2-037, S2-097)."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.discounts.rules import DiscountKind
from pipelines.wiring import House
from tests.conftest import forget_rates
from tests.discounting import asked, cart, counted, expire, make_discount, said, sweep
from tests.driving import rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, make_user, signed_in

APPLY = "/discounts/apply"


@pytest.fixture
def storefront(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


def test_s2_037_a_slot_is_reserved_for_fifteen_minutes_with_its_price(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """S2-037, S2-098, S2-100"""
    code_id = make_discount(house, seeded, max_uses=5)
    body = asked(cart=cart(10_000, 5_000, reference="cart-1"))

    made = storefront.post(APPLY, body)

    assert made.status_code == 201
    quote, reservation = made.json["quote"], made.json["reservation"]
    assert (quote["subtotal_minor"], quote["discount_minor"], quote["total_minor"]) == (
        15_000,
        1_500,
        13_500,
    )
    assert [line["discount_minor"] for line in quote["lines"]] == [1_000, 500]
    assert (reservation["state"], reservation["cart_id"]) == ("RESERVED", "cart-1")
    (kept,) = rows(house, "SELECT expires_at - created_at AS kept FROM discount_usages")
    assert timedelta(minutes=14, seconds=55) < kept.kept <= timedelta(minutes=15)
    assert counted(house, code_id) == (1, {"reserved": 1})
    shown = storefront.get(f"/reservations/{reservation['id']}")
    assert (shown.status_code, shown.json) == (200, made.json)


def test_ec002_the_same_cart_has_one_reservation_and_another_cart_is_told_until_when(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded)
    body = asked(who="ann@x.example")

    first, again = (storefront.post(APPLY, body) for _ in range(2))
    elsewhere = storefront.post(APPLY, body | {"cart": cart()})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert said(elsewhere) == (409, "already_reserved")
    assert elsewhere.json["reservation_id"] == first.json["reservation"]["id"]
    assert counted(house, code_id) == (1, {"reserved": 1})


@pytest.mark.parametrize(
    ("rules", "status", "code"),
    [
        ({"currency": "EUR", "min_subtotal_minor": 1}, 422, "currency_mismatch"),
        ({"currency": "USD", "min_subtotal_minor": 10_001}, 422, "min_order_not_met"),
        ({"products": ("OTHER",)}, 422, "no_eligible_items"),
    ],
)
def test_ec020_what_the_rules_say_no_to_takes_nothing(
    storefront: Caller,
    house: House,
    seeded: Seeded,
    rules: dict[str, Any],
    status: int,
    code: str,
) -> None:
    code_id = make_discount(house, seeded, **rules)

    refused = storefront.post(APPLY, asked())

    assert said(refused) == (status, code)
    assert counted(house, code_id) == (0, {})
    assert rows(house, "SELECT 1 FROM discount_customers WHERE live > 0") == []


@pytest.mark.parametrize("typed", ["save10", " SAVE10 ", "SA VE10", "ＳＡＶＥ１０", "\u2003save10"])
def test_ec024_spellings_of_one_code_are_the_code(
    storefront: Caller, house: House, seeded: Seeded, typed: str
) -> None:
    make_discount(house, seeded)

    assert storefront.post(APPLY, asked(typed)).status_code == 201


@pytest.mark.parametrize(
    "typed", ["SAVE11", "S\u0410VE10", "SAVE\u200b10", "SAVE\u00ad10", "%", "SA"]
)
def test_ec024_look_alikes_and_unknown_codes_are_answered_alike(
    storefront: Caller, house: House, seeded: Seeded, typed: str
) -> None:
    """Another client's code of the same text is as unknown (EC-027)."""
    make_discount(house, seed(house, vendor=False), "SAVE11")

    refused = storefront.post(APPLY, asked(typed))

    assert said(refused) == (404, "code_invalid")


@pytest.mark.parametrize(
    "other",
    [
        {"email": "A@gmail.com"},
        {"email": "a+1@gmail.com"},
        {"email": "a@googlemail.com"},
        {"email": "someone@else.example", "external_id": "customer-1"},
    ],
)
def test_ec014_one_person_is_one_however_they_are_named(
    storefront: Caller, house: House, seeded: Seeded, other: dict[str, str]
) -> None:
    make_discount(house, seeded)
    body = asked(customer={"email": "a@gmail.com", "external_id": "customer-1"})
    first = storefront.post(APPLY, body)

    second = storefront.post(APPLY, asked(customer=other))

    assert first.status_code == 201
    assert said(second) == (409, "already_reserved")


def test_ec052_a_guest_who_has_an_account_later_is_the_same_person(
    app: Flask, storefront: Caller, house: House, seeded: Seeded
) -> None:
    make_discount(house, seeded)
    assert storefront.post(APPLY, asked(who="ann@x.example")).status_code == 201
    ann = make_user(house, "ann@x.example", Role.CLIENT_VIEWER, seeded)

    refused = storefront.post(APPLY, asked(customer={"id": str(ann)}))
    stranger = storefront.post(APPLY, asked(customer={"id": str(seeded.client_id)}))

    assert said(refused) == (409, "already_reserved")
    assert said(stranger) == (404, "user_not_found")


def test_ec015_one_customer_sets_three_slots_aside_and_no_fourth(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded, max_uses_per_customer=None)

    told = [said(storefront.post(APPLY, asked(who="ann@x.example"))) for _ in range(4)]

    assert [status for status, _code in told] == [201, 201, 201, 409]
    assert told[3][1] == "too_many_reservations"
    assert counted(house, code_id) == (3, {"reserved": 3})


def test_ec015_who_lets_five_slots_run_out_has_five_minutes(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    make_discount(house, seeded)
    for number in range(5):
        named = {"email": f"ann.{number}@x.example", "external_id": "ann"}
        assert storefront.post(APPLY, asked(customer=named)).status_code == 201
        expire(house)
        sweep(house)
    forget_rates(house.settings.edge.rates_url)

    storefront.post(APPLY, asked(customer={"external_id": "ann"}))

    (kept,) = rows(
        house,
        "SELECT expires_at - created_at AS kept FROM discount_usages WHERE state = 'reserved'",
    )
    assert kept.kept <= timedelta(minutes=5)


def test_ec016_a_changed_cart_is_priced_anew_or_gives_its_slot_back(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded, currency="USD", min_subtotal_minor=5_000)
    body = asked(cart=cart(10_000, reference="cart-1"))
    first = storefront.post(APPLY, body)

    dearer = storefront.post(APPLY, body | {"cart": cart(20_000, reference="cart-1")})
    cheaper = storefront.post(APPLY, body | {"cart": cart(4_000, reference="cart-1")})

    assert dearer.json["reservation"]["id"] == first.json["reservation"]["id"]
    assert (dearer.status_code, dearer.json["quote"]["discount_minor"]) == (200, 2_000)
    assert said(cheaper) == (409, "cart_changed")
    assert cheaper.json["reason"] == "min_order_not_met"
    assert counted(house, code_id) == (0, {"released": 1})
    (usage,) = rows(house, "SELECT release_reason FROM discount_usages")
    assert usage.release_reason == "cart_changed"


def test_ec018_a_cart_has_one_code(storefront: Caller, house: House, seeded: Seeded) -> None:
    """S2-121"""
    make_discount(house, seeded)
    other = make_discount(house, seeded, "SAVE20")
    body = asked(cart=cart(reference="cart-1"))
    assert storefront.post(APPLY, body).status_code == 201

    refused = storefront.post(APPLY, body | {"code": "SAVE20"})
    same = storefront.post(APPLY, body | {"code": "save10"})

    assert said(refused) == (409, "stacking_not_allowed")
    assert same.status_code == 200
    assert counted(house, other) == (0, {})


@pytest.mark.parametrize("field", ["discount_minor", "total_minor", "state", "agency_id"])
def test_ec030_what_the_server_decides_is_no_field(
    storefront: Caller, house: House, seeded: Seeded, field: str
) -> None:
    code_id = make_discount(house, seeded)

    refused = storefront.post(APPLY, asked() | {field: 1})

    assert said(refused) == (422, "unknown_field")
    assert counted(house, code_id) == (0, {})


def test_s2_108_each_customer_applies_five_times_a_minute(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """S2-108: one customer who tries too often is no other's trouble."""
    make_discount(house, seeded)

    told = [storefront.post(APPLY, asked("SAVE99", who="ann@x.example")) for _ in range(6)]

    assert [answer.status_code for answer in told] == [404] * 5 + [429]
    assert int(told[5].headers["Retry-After"]) > 0
    assert storefront.post(APPLY, asked()).status_code == 201


def test_a_fixed_discount_larger_than_the_cart_leaves_nothing_to_pay(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """EC-019"""
    make_discount(
        house, seeded, kind=DiscountKind.FIXED, percent_bp=None, amount_minor=5_000, currency="USD"
    )

    made = storefront.post(APPLY, asked(cart=cart(4_999)))

    assert (made.json["quote"]["discount_minor"], made.json["quote"]["total_minor"]) == (4_999, 0)


def test_another_client_s_reservation_is_nobody_s(
    app: Flask, storefront: Caller, house: House, seeded: Seeded
) -> None:
    make_discount(house, seeded)
    path = f"/reservations/{storefront.post(APPLY, asked()).json['reservation']['id']}"
    stranger = key_caller(app, house, seed(house, vendor=False).client_id)

    assert said(stranger.get(path)) == said(stranger.call("DELETE", path)) == (404, "not_found")


def test_who_only_looks_takes_no_slot(app: Flask, house: House, seeded: Seeded) -> None:
    make_discount(house, seeded)
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="viewer")

    assert said(viewer.post(APPLY, asked())) == (403, "forbidden")
