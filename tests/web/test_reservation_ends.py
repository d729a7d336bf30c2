"""How slots end and how long they last: in time, by request, whatever becomes of their code (S2-099, S2-100)."""

from datetime import timedelta

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import asked, cart, counted, expire, make_discount, said, sweep
from tests.driving import change
from tests.later import later, tomorrow
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, make_user, signed_in
from web.app import create_app

APPLY = "/discounts/apply"


@pytest.fixture
def storefront(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


def test_ec010_a_slot_outlives_the_time_of_its_code(
    app: Flask, storefront: Caller, house: House, seeded: Seeded
) -> None:
    """And its cart may still change; nobody else gets one any more."""
    make_discount(house, seeded, expires_at=tomorrow(house, hours=0) + timedelta(seconds=60))
    body = asked(cart=cart(10_000, reference="cart-1"))
    assert storefront.post(APPLY, body).status_code == 201

    with later(house, minutes=5) as then:
        shop = Caller(create_app(then).test_client(), storefront.headers)
        again = shop.post(APPLY, body | {"cart": cart(5_000, reference="cart-1")})
        new = shop.post(APPLY, asked())

    assert (again.status_code, again.json["quote"]["discount_minor"]) == (200, 500)
    assert said(new) == (410, "code_expired")


def test_ec012_a_code_starts_by_the_clock_of_the_database(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    starts_at = tomorrow(house)
    make_discount(house, seeded, starts_at=starts_at)

    refused = storefront.post(APPLY, asked())

    assert said(refused) == (409, "code_not_started")
    assert refused.json["starts_at"] == starts_at.isoformat()


def test_ec013_slots_come_back_by_themselves_when_nobody_sweeps(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """S2-097: abandoned carts block nobody."""
    code_id = make_discount(house, seeded, max_uses=2)
    for _ in range(2):
        assert storefront.post(APPLY, asked()).status_code == 201
    full = storefront.post(APPLY, asked())
    expire(house)

    made = storefront.post(APPLY, asked())

    assert said(full) == (409, "slot_exhausted")
    assert made.status_code == 201
    assert counted(house, code_id) == (1, {"released": 2, "reserved": 1})


def test_s2_099_a_duty_gives_back_what_nobody_paid(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """S2-099, EC-013: once, however often it runs."""
    code_id = make_discount(house, seeded, max_uses=3)
    body = asked(who="ann@x.example")
    storefront.post(APPLY, body)
    kept = storefront.post(APPLY, asked())
    change(
        house,
        "UPDATE discount_usages SET expires_at = now() WHERE id <> :kept",
        kept=kept.json["reservation"]["id"],
    )

    sweep(house)
    sweep(house)

    assert counted(house, code_id) == (1, {"released": 1, "reserved": 1})
    assert storefront.post(APPLY, asked(who="ann@x.example")).status_code == 201


def test_a_slot_is_given_back_on_request_once(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """S2-136"""
    code_id = make_discount(house, seeded, max_uses=1)
    path = f"/reservations/{storefront.post(APPLY, asked()).json['reservation']['id']}"

    told = [storefront.call("DELETE", path) for _ in range(2)]

    assert [answer.json["reservation"]["state"] for answer in told] == ["RELEASED"] * 2
    assert told[0].json["reservation"]["release_reason"] == "customer"
    assert counted(house, code_id) == (0, {"released": 1})
    change(house, "UPDATE discount_usages SET state = 'confirmed', release_reason = NULL")
    assert said(storefront.call("DELETE", path)) == (409, "reservation_ended")


def test_ec004_a_paused_code_takes_no_more_and_honours_what_is_reserved(
    manager: Caller, storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded)
    body = asked(cart=cart(10_000, reference="cart-1"))
    storefront.post(APPLY, body)

    paused = manager.post(f"/discounts/{code_id}/pause")

    assert paused.json["standing"] == "paused"
    assert said(storefront.post(APPLY, asked())) == (409, "code_inactive")
    assert storefront.post(APPLY, body).status_code == 200


def test_ec025_a_reservation_keeps_the_rules_that_it_was_made_under(
    manager: Caller, storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded)
    body = asked(cart=cart(10_000, reference="cart-1"))
    storefront.post(APPLY, body)

    changed = manager.call(
        "PATCH", f"/discounts/{code_id}", {"percent_bp": 500}, **{"If-Match": '"1"'}
    )
    again = storefront.post(APPLY, body | {"cart": cart(20_000, reference="cart-1")})
    new = storefront.post(APPLY, asked())

    assert (changed.status_code, changed.json["rules_version"]) == (200, 2)
    assert again.json["quote"]["discount_minor"] == 2_000
    assert new.json["quote"]["discount_minor"] == 500


def test_ec026_a_code_that_is_put_away_drains(
    manager: Caller, storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded)
    made = storefront.post(APPLY, asked())

    away = manager.call("DELETE", f"/discounts/{code_id}")
    storefront.call("DELETE", f"/reservations/{made.json['reservation']['id']}")
    then = manager.get(f"/discounts/{code_id}")

    assert (away.json["standing"], then.json["standing"]) == ("draining", "archived")
    assert said(storefront.post(APPLY, asked())) == (409, "code_inactive")
    assert said(manager.post(f"/discounts/{code_id}/resume")) == (409, "code_archived")


def test_ec013_what_is_over_is_in_nobody_s_way(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """Neither their own, before anybody has swept, nor another code's in the same cart."""
    make_discount(house, seeded)
    make_discount(house, seeded, "OTHER")
    body = asked(who="ann@x.example", cart=cart(reference="cart-1"))
    assert storefront.post(APPLY, body).status_code == 201
    expire(house)
    looked = storefront.get(
        "/discounts/validate?code=save10&subtotal_minor=9&currency=USD&customer=ann@x.example"
    )

    other_code = storefront.post(APPLY, body | {"code": "OTHER"})
    other_cart = storefront.post(APPLY, asked(who="ann@x.example"))

    assert looked.json["valid"] is True
    assert (other_code.status_code, other_cart.status_code) == (201, 201)
    assert_proven(house)


def test_ec004_ec010_a_guest_who_signs_in_keeps_slot_and_price(
    manager: Caller, storefront: Caller, house: House, seeded: Seeded
) -> None:
    """Known by more than before, and counted by all of it."""
    code_id = make_discount(house, seeded)
    ann = make_user(house, "ann@x.example", Role.CLIENT_VIEWER, seeded)
    body = asked(customer={"external_id": "ann"}, cart=cart(10_000, reference="cart-1"))
    first = storefront.post(APPLY, body)
    manager.post(f"/discounts/{code_id}/pause")

    known = {"id": str(ann), "external_id": "ann"}
    again = storefront.post(APPLY, body | {"customer": known})
    change(house, "UPDATE discount_codes SET state = 'active'")
    elsewhere = storefront.post(APPLY, asked(who="ann@x.example"))

    assert (again.status_code, again.json["quote"]) == (200, first.json["quote"])
    assert again.json["reservation"]["expires_at"] == first.json["reservation"]["expires_at"]
    assert said(elsewhere) == (409, "already_reserved")
    assert_proven(house)
    storefront.call("DELETE", f"/reservations/{first.json['reservation']['id']}")
    assert_proven(house)


def test_a_cart_that_is_another_s_gives_the_first_one_s_slot_back(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded, max_uses=1)
    body = asked(who="ann@x.example", cart=cart(reference="cart-1"))
    first = storefront.post(APPLY, body)

    second = storefront.post(APPLY, body | {"customer": {"email": "bob@x.example"}})

    assert (first.status_code, second.status_code) == (201, 201)
    assert counted(house, code_id) == (1, {"released": 1, "reserved": 1})
    assert (
        storefront.get(f"/reservations/{first.json['reservation']['id']}").json["reservation"][
            "state"
        ]
        == "RELEASED"
    )
    assert_proven(house)


def test_ec014_uses_under_two_names_are_one_person_s(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    make_discount(house, seeded, max_uses_per_customer=2)
    for one in ({"email": "ann@x.example"}, {"external_id": "ann"}):
        assert storefront.post(APPLY, asked(customer=one)).status_code == 201

    both = {"email": "ann@x.example", "external_id": "ann"}
    refused = storefront.post(APPLY, asked(customer=both))

    assert said(refused) == (409, "already_reserved")
    assert_proven(house)


def test_ec080_a_suspended_client_reserves_nothing(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded)
    change(house, "UPDATE clients SET suspended_at = now()")

    refused = storefront.post(APPLY, asked())
    looked = storefront.get("/discounts/validate?code=save10&subtotal_minor=9&currency=USD")

    assert said(refused) == (403, "account_suspended")
    assert (looked.json["valid"], looked.json["reason"]) == (False, "account_suspended")
    assert counted(house, code_id) == (0, {})


def test_sec010_nobody_reserves_at_a_client_that_they_do_not_see(
    app: Flask, house: House, seeded: Seeded
) -> None:
    """An agency names any client it likes: only its own are there."""
    code_id = make_discount(house, seeded)
    stranger = seed(house, vendor=False)
    boss = signed_in(app, house, Role.AGENCY_ADMIN, stranger, name="boss")
    foreign = str(seeded.client_id)
    look = f"/discounts/validate?code=save10&subtotal_minor=9&currency=USD&client_id={foreign}"

    told = [
        said(boss.post(APPLY, asked(client_id=foreign))),
        said(boss.get(look)),
        said(
            boss.post(
                "/discounts",
                {"code": "MINE", "kind": "percent", "percent_bp": 1, "client_id": foreign},
            )
        ),
    ]

    assert told == [(404, "not_found")] * 3
    assert counted(house, code_id) == (0, {})


def test_s2_107_tries_of_one_network_are_counted_whoever_they_name(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """S2-107, S2-108: the shop says where its shoppers come from."""
    make_discount(house, seeded)
    from_here = {"shopper_address": "203.0.113.7"}

    told = [storefront.post(APPLY, asked("NOSUCH1", **from_here)).status_code for _ in range(6)]
    elsewhere = storefront.post(APPLY, asked(shopper_address="203.0.113.8"))
    wrong = storefront.post(APPLY, asked(shopper_address="here"))

    assert told == [404] * 5 + [429]
    assert (elsewhere.status_code, wrong.status_code) == (201, 422)


def test_s2_108_clicks_on_what_the_cart_has_are_no_tries(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    make_discount(house, seeded)
    body = asked(who="ann@x.example")

    told = [storefront.post(APPLY, body).status_code for _ in range(8)]
    guesses = [storefront.post(APPLY, body | {"code": f"GUESS{n}"}).status_code for n in range(5)]

    assert told == [201] + [200] * 7
    assert guesses == [404] * 4 + [429]
