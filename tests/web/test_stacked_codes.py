"""Several codes on one cart: one reservation, one price, each code counted by itself (EC-018, S2-126)."""

from collections.abc import Iterable
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from pipelines.discounts.rules import DiscountKind
from pipelines.wiring import House
from tests.conftest import forget_rates
from tests.discounting import asked, cart, counted, expire, make_discount, said, sweep
from tests.driving import change, rows
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.suspecting import reasons
from tests.web.conftest import Caller

APPLY = "/discounts/apply"
ANN = "ann@x.example"


@pytest.fixture
def storefront(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


@pytest.fixture
def codes(house: House, seeded: Seeded) -> dict[str, UUID]:
    """10 % of all, 5.00 of all from 60.00 on, and 15 % of SKU-1; each in a group of its own."""
    five = {"kind": DiscountKind.FIXED, "percent_bp": None, "amount_minor": 500, "currency": "USD"}
    made: dict[str, dict[str, Any]] = {
        "LOYAL": {"stacking_group": "loyalty"},
        "SHIP5": five | {"stacking_group": "shipping", "min_subtotal_minor": 6_000},
        "SHOES": {"stacking_group": "season", "percent_bp": 1_500, "products": ("SKU-1",)},
    }
    return {
        code: make_discount(house, seeded, code, max_uses=50, **rules)
        for code, rules in made.items()
    }


def applied(storefront: Caller, codes: Iterable[str], **given: Any) -> list[dict[str, Any]]:
    """What each answered that put these codes on one cart, one after the other."""
    body = asked(**{"cart": cart(10_001, 3_333), **given})
    answers = [storefront.post(APPLY, body | {"code": code}) for code in codes]
    assert all(answer.status_code == 201 for answer in answers), [one.json for one in answers]
    return [answer.json for answer in answers]


def off(told: dict[str, Any]) -> dict[str, int]:
    return {one["code"]: one["discount_minor"] for one in told["codes"]}


def live(house: House) -> int:
    """Carts that customers have set aside."""
    return sum(row.live for row in rows(house, "SELECT live FROM discount_customers"))


def test_ec018_the_order_of_applying_changes_nothing(
    storefront: Caller, house: House, codes: dict[str, UUID]
) -> None:
    """EC-018, S2-126: each of six orders of three codes ends in one same quote."""
    ends = [applied(storefront, order) for order in permutations(codes)]

    last = [told[-1] for told in ends]
    assert all(one["quote"] == last[0]["quote"] for one in last)
    assert all(one["codes"] == last[0]["codes"] for one in last)
    # Of 133.34: 13.33 by LOYAL; 15 % of the 30.00 that it left of SKU-1; then 5.00.
    assert off(last[0]) == {"LOYAL": 1_333, "SHOES": 450, "SHIP5": 500}
    assert sum(line["discount_minor"] for line in last[0]["quote"]["lines"]) == 2_283
    for told in ends:
        assert len({one["reservation"]["id"] for one in told}) == 1
        assert len({one["reservation"]["expires_at"] for one in told}) == 1
    assert all(counted(house, one) == (6, {"reserved": 6}) for one in codes.values())
    assert live(house) == 6
    assert_proven(house)


def test_ec018_codes_of_one_group_or_without_one_are_refused_and_told_why(
    storefront: Caller, house: House, seeded: Seeded, codes: dict[str, UUID]
) -> None:
    """EC-018, S2-121: and however it is typed, a code is on a cart once."""
    make_discount(house, seeded, "ALONE")
    make_discount(house, seeded, "SHIP9", stacking_group="shipping")
    make_discount(house, seeded, "VIPS", stacking_group="vip")
    body = asked(cart=cart(10_000, 3_000), who=ANN)
    applied(storefront, ["SHIP5"], cart=body["cart"], who=ANN)

    alone = storefront.post(APPLY, body | {"code": "ALONE"})
    same_group = storefront.post(APPLY, body | {"code": "ship9"})
    same_code = storefront.post(APPLY, body | {"code": " ship5"})
    forget_rates(house.settings.edge.rates_url)
    applied(storefront, ["LOYAL", "SHOES"], cart=body["cart"], who=ANN)
    fourth = storefront.post(APPLY, body | {"code": "VIPS"})

    assert (said(alone), alone.json["reason"]) == (
        (409, "stacking_not_allowed"),
        "new_code_stacks_with_none",
    )
    assert (said(same_group), same_group.json["discount_code"]) == (
        (409, "stacking_not_allowed"),
        "SHIP5",
    )
    assert (same_code.status_code, same_code.headers["Idempotent-Replayed"]) == (200, "true")
    assert (said(fourth), fourth.json["reason"]) == (
        (409, "stacking_not_allowed"),
        "too_many_codes",
    )
    assert (
        rows(house, "SELECT used FROM discount_codes WHERE code IN ('ALONE', 'SHIP9', 'VIPS')")
        == [(0,)] * 3
    )
    assert_proven(house)


def test_ec018_a_refused_code_leaves_the_others_and_a_customer_is_counted_by_each(
    storefront: Caller, house: House, seeded: Seeded, codes: dict[str, UUID]
) -> None:
    """A minimum is judged on prices before any discount; a cart is one of three, whatever it has."""
    make_discount(house, seeded, "EMPTY", max_uses=1, stacking_group="last")
    applied(storefront, ["EMPTY"])
    cheap = cart(6_000)
    (first,) = applied(storefront, ["LOYAL"], cart=cheap, who=ANN)
    body = asked(cart=cheap, who=ANN)

    not_for_it = storefront.post(APPLY, body | {"code": "SHOES"})
    full = storefront.post(APPLY, body | {"code": "EMPTY"})
    (second,) = applied(storefront, ["SHIP5"], cart=cheap, who=ANN)
    elsewhere = storefront.post(APPLY, asked("SHIP5", ANN))

    assert said(not_for_it) == (422, "no_eligible_items")
    assert said(full) == (409, "slot_exhausted")
    assert (off(second), second["quote"]["total_minor"]) == ({"LOYAL": 600, "SHIP5": 500}, 4_900)
    # SHIP5 is added to a reservation: who looks for it is told of that one.
    assert said(elsewhere) == (409, "already_reserved")
    assert elsewhere.json["reservation_id"] == first["reservation"]["id"]
    assert live(house) == 2
    assert_proven(house)


def test_ec014_a_customer_who_is_better_known_is_counted_by_all_codes_of_the_cart(
    storefront: Caller, house: House, codes: dict[str, UUID]
) -> None:
    """EC-014, EC-018: known by one thing more when the third code comes."""
    basket = cart(10_000, 3_000)
    applied(storefront, ["LOYAL", "SHIP5"], cart=basket, who=ANN)

    both = {"email": ANN, "external_id": "ann"}
    applied(storefront, ["SHOES"], cart=basket, customer=both)

    assert_proven(house)
    for code in codes:
        again = storefront.post(
            APPLY, asked(code, cart=cart(9_000, 9), customer={"external_id": "ann"})
        )
        assert said(again) == (409, "already_reserved")
    uses = rows(house, "SELECT uses FROM discount_customer_uses")
    assert [row.uses for row in uses] == [1] * 6


def test_ec016_a_changed_cart_is_priced_with_all_its_codes_or_gives_all_back(
    storefront: Caller, house: House, codes: dict[str, UUID]
) -> None:
    """EC-016, EC-018: the answer names the code that the cart is not for."""
    basket = cart(10_000, 3_000, reference="cart-1")
    applied(storefront, codes, cart=basket, who=ANN)
    body = asked("LOYAL", ANN)

    dearer = storefront.post(APPLY, body | {"cart": cart(20_000, 4_000, reference="cart-1")})
    cheaper = storefront.post(APPLY, body | {"cart": cart(5_000, 999, reference="cart-1")})

    assert off(dearer.json) == {"LOYAL": 2_400, "SHOES": 540, "SHIP5": 500}
    assert dearer.status_code == 200
    assert said(cheaper) == (409, "cart_changed")
    assert (cheaper.json["reason"], cheaper.json["discount_code"]) == (
        "min_order_not_met",
        "SHIP5",
    )
    assert all(counted(house, one) == (0, {"released": 1}) for one in codes.values())
    assert live(house) == 0
    assert_proven(house)


def test_ec018_one_code_is_taken_off_and_the_others_are_priced_anew(
    storefront: Caller, house: House, codes: dict[str, UUID]
) -> None:
    """EC-018: the reservation keeps its id without its first code, and what was noticed of it."""
    *_, told = applied(storefront, codes, who=ANN)
    home, expires_at = (
        f"/reservations/{told['reservation']['id']}",
        told["reservation"]["expires_at"],
    )
    change(
        house,
        "UPDATE usage_risks SET score = 80, flagged_at = now() WHERE score < 80 AND usage_id = :id",
        id=UUID(told["reservation"]["id"]),
    )

    second = storefront.call("DELETE", f"{home}/codes/{codes['SHIP5']}")
    again = storefront.call("DELETE", f"{home}/codes/{codes['SHIP5']}")
    first = storefront.call("DELETE", f"{home}/codes/{codes['LOYAL']}")
    lost = storefront.call("DELETE", f"{home}/codes/{codes['LOYAL']}")

    assert (off(second.json), said(again)) == ({"LOYAL": 1_333, "SHOES": 450}, (404, "not_found"))
    assert second.json["reservation"]["id"] == told["reservation"]["id"]
    assert off(first.json) == {"SHOES": 500}
    left = first.json["reservation"]
    assert (left["id"], left["code_id"]) == (told["reservation"]["id"], str(codes["SHOES"]))
    assert (left["state"], left["expires_at"]) == ("RESERVED", expires_at)
    # Whose answer was lost asks again, and finds the cart as it is.
    assert (said(lost), storefront.get(home).json) == ((404, "not_found"), first.json)
    (risk,) = rows(house, "SELECT * FROM usage_risks WHERE flagged_at IS NOT NULL")
    assert (str(risk.usage_id), risk.code_id, risk.score) == (left["id"], codes["SHOES"], 80)
    assert live(house) == 1
    assert_proven(house)

    last = storefront.call("DELETE", f"{home}/codes/{codes['SHOES']}")
    assert last.json["reservation"]["state"] == "RELEASED"
    assert (live(house), [counted(house, one)[0] for one in codes.values()]) == (0, [0, 0, 0])
    forget_rates(house.settings.edge.rates_url)
    applied(storefront, ["SHIP5", "LOYAL"], who=ANN)
    assert_proven(house)


def test_ec014_a_code_that_comes_and_goes_is_no_reservation_of_its_own(
    storefront: Caller, manager: Caller, house: House, codes: dict[str, UUID]
) -> None:
    """EC-014, EC-018, S2-062: an honest shopper tries which code saves more."""
    told = applied(storefront, ["LOYAL"], cart=(basket := cart(10_000, 3_000)), who=ANN)
    reservation = told[0]["reservation"]
    for _ in range(4):
        forget_rates(house.settings.edge.rates_url)
        applied(storefront, ["SHIP5"], cart=basket, who=ANN)
        storefront.call("DELETE", f"/reservations/{reservation['id']}/codes/{codes['SHIP5']}")
    applied(storefront, ["SHIP5"], cart=basket, who=ANN)

    of_all = manager.get("/discounts/analytics").json
    of_one = manager.get(f"/discounts/{codes['SHIP5']}/analytics").json
    removed = rows(house, "SELECT id FROM discount_usages WHERE release_reason IS NOT NULL")

    assert reasons(house, reservation) == {}
    assert (of_all["totals"]["made"], of_all["released"]) == (1, [])
    assert of_one["released"] == [{"reason": "code_removed", "count": 4}]
    assert storefront.get(f"/reservations/{removed[0].id}").status_code == 404
    assert_proven(house)


@pytest.mark.parametrize("how", ["customer", "timeout", "in the way"])
def test_ec013_all_codes_of_a_cart_come_back_together(
    storefront: Caller, house: House, seeded: Seeded, codes: dict[str, UUID], how: str
) -> None:
    """EC-013, EC-018: and a use that was added is no reservation of its own."""
    *_, told = applied(storefront, codes, who=ANN)
    (added,) = rows(house, "SELECT id FROM discount_usages WHERE code_id = :id", id=codes["SHOES"])
    assert storefront.get(f"/reservations/{added.id}").status_code == 404
    assert storefront.call("DELETE", f"/reservations/{added.id}").status_code == 404

    if how == "customer":
        storefront.call("DELETE", f"/reservations/{told['reservation']['id']}")
    elif how == "timeout":
        expire(house)
        sweep(house)
    else:
        # Who needs the slot of one of them gives all back.
        expire(house)
        change(house, "UPDATE discount_codes SET max_uses = 1 WHERE code = 'SHOES'")
        applied(storefront, ["SHOES"])

    states = rows(
        house, "SELECT DISTINCT release_reason FROM discount_usages WHERE ended_at IS NOT NULL"
    )
    assert [row.release_reason for row in states] == [
        "customer" if how == "customer" else "timeout"
    ]
    assert [counted(house, one)[1].get("released") for one in codes.values()] == [1, 1, 1]
    assert live(house) == (1 if how == "in the way" else 0)
    assert_proven(house)


def test_ec025_a_group_is_a_rule_and_changes_for_reservations_to_come(
    storefront: Caller, manager: Caller, house: House, codes: dict[str, UUID]
) -> None:
    """EC-025, EC-018: a cart keeps the group under which its code was reserved."""
    basket = cart(10_000, 3_000)
    applied(storefront, ["LOYAL"], cart=basket, who=ANN)
    wrong = manager.call(
        "PATCH",
        f"/discounts/{codes['LOYAL']}",
        {"stacking_group": "No Group"},
        **{"If-Match": '"1"'},
    )

    changed = manager.call(
        "PATCH", f"/discounts/{codes['LOYAL']}", {"stacking_group": None}, **{"If-Match": '"1"'}
    )
    applied(storefront, ["SHIP5"], cart=basket, who=ANN)
    fresh = asked("LOYAL", cart=cart(9_000))
    storefront.post(APPLY, fresh)
    refused = storefront.post(APPLY, fresh | {"code": "SHIP5"})

    assert (said(wrong)[0], wrong.json["errors"][0]["pointer"]) == (422, "/stacking_group")
    assert (changed.json["stacking_group"], changed.json["rules_version"]) == (None, 2)
    assert said(refused) == (409, "stacking_not_allowed")
    assert refused.json["reason"] == "code_stacks_with_none"
    assert_proven(house)
