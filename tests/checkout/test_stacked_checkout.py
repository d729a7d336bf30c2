"""A cart with several codes is paid as one: each code's slot follows it, by the code's own rules (EC-018)."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.discounts.rules import DiscountKind
from pipelines.wiring import House
from tests.checkout.test_checkout_races import at_once
from tests.discounting import cart, counted, make_discount, said
from tests.driving import change, rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven
from tests.suspecting import WHY, flag, pay
from tests.web.conftest import Caller, signed_in

ANN = "ann@x.example"


@pytest.fixture
def boss(app: Flask, vendor_house: House, till: Till) -> Caller:
    return signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


@pytest.fixture
def codes(till: Till) -> dict[str, UUID]:
    """10 %, and 5.00: of a cart of 100.00 together 15.00."""
    five: dict[str, Any] = {
        "kind": DiscountKind.FIXED,
        "percent_bp": None,
        "amount_minor": 500,
        "currency": "USD",
    }
    return {
        "SAVE10": make_discount(till.house, till.seeded, max_uses=1, stacking_group="loyalty"),
        "SHIP5": make_discount(
            till.house, till.seeded, "SHIP5", max_uses=1, stacking_group="shipping", **five
        ),
    }


def stacked(till: Till, who: str = ANN) -> dict[str, Any]:
    """A reservation of both codes."""
    basket = cart()
    first = till.reserve("SHIP5", who=who, cart=basket)
    second = till.reserve("SAVE10", who=who, cart=basket)
    assert second["id"] == first["id"]
    return second


def priced_with(purchase: dict[str, Any]) -> dict[str, int]:
    return {one["code"]: one["discount_minor"] for one in purchase["codes"]}


def stand(till: Till, codes: dict[str, UUID]) -> dict[str, tuple[int, dict[str, int]]]:
    return {code: counted(till.house, one) for code, one in codes.items()}


def bought(till: Till) -> list[tuple[int, int]]:
    found = rows(till.house, "SELECT live, purchases FROM discount_customers")
    return sorted({(row.live, row.purchases) for row in found})


def test_ec018_a_stack_is_paid_once_refunded_by_each_code_s_rule_and_comes_back(
    till: Till, boss: Caller, codes: dict[str, UUID]
) -> None:
    """EC-018, EC-050, EC-051: paid, all refunded, and then the refund fails."""
    change(
        till.house, "UPDATE discount_codes SET restore_on_refund = 'customer' WHERE code = 'SHIP5'"
    )
    reservation = stacked(till)
    purchase = till.checkout(reservation)
    till.move(purchase, "pay", fingerprint="card-1")
    till.deliver()

    paid = till.purchase(purchase["purchase_id"])
    assert (paid["state"], paid["amount_minor"], paid["reservation_id"]) == (
        "confirmed",
        8_500,
        reservation["id"],
    )
    assert priced_with(paid) == {"SAVE10": 1_000, "SHIP5": 500}
    assert stand(till, codes) == dict.fromkeys(codes, (1, {"confirmed": 1}))
    # Ann by her address and by her card: one purchase of each.
    assert bought(till) == [(0, 1)]
    assert_proven(till.house)
    for code_id in codes.values():
        found = boss.get(f"/purchases?discount_id={code_id}").json["data"]
        assert [one["id"] for one in found] == [purchase["purchase_id"]]
        own = boss.get(f"/discounts/{code_id}/analytics").json
        assert own["amounts"][0]["revenue_minor"] == 8_500
    told = boss.get("/discounts/analytics").json
    assert told["amounts"] == [{"currency": "USD", "discount_minor": 1_500, "revenue_minor": 8_500}]
    assert (told["totals"]["made"], told["totals"]["confirmed"]) == (1, 1)

    made = till.steer(f"payments/{purchase['session_id']}/refund", status="pending")
    till.deliver()
    assert till.purchase(purchase["purchase_id"])["state"] == "refunded"
    assert stand(till, codes) == {"SAVE10": (1, {"refunded": 1}), "SHIP5": (0, {"refunded": 1})}
    assert_proven(till.house)

    till.steer(f"refunds/{made['id']}/fail")
    till.deliver()
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert stand(till, codes) == dict.fromkeys(codes, (1, {"confirmed": 1}))
    assert_proven(till.house)


def test_ec006_each_code_of_a_late_payment_finds_a_slot_of_its_own_or_counts_beside_its_limit(
    till: Till, codes: dict[str, UUID]
) -> None:
    """EC-005, EC-006, EC-018: SAVE10 was taken by somebody else meanwhile."""
    purchase = till.checkout(stacked(till))
    till.pass_time(minutes=16)
    assert stand(till, codes) == dict.fromkeys(codes, (0, {"released": 1}))
    assert till.purchase(purchase["purchase_id"])["state"] == "expired"
    assert_proven(till.house)
    till.reserve()

    till.move(purchase, "pay-late")
    till.deliver()
    till.deliver(till.events())

    paid = till.purchase(purchase["purchase_id"])
    assert (paid["state"], paid["is_late"], paid["is_overflow"]) == ("confirmed", True, True)
    assert stand(till, codes) == {
        "SAVE10": (1, {"confirmed": 1, "reserved": 1}),
        "SHIP5": (1, {"confirmed": 1}),
    }
    beside = rows(till.house, "SELECT code, overflow_uses FROM discount_codes ORDER BY code")
    assert [tuple(row) for row in beside] == [("SAVE10", 1), ("SHIP5", 0)]
    assert alerts_of(till.house) == ["late_payment_overflow"]
    assert_proven(till.house)


def test_ec006_one_code_that_takes_no_late_payment_has_all_of_it_paid_back(
    till: Till, codes: dict[str, UUID]
) -> None:
    """EC-006, EC-018: what was priced together is not confirmed in part."""
    change(till.house, "UPDATE discount_codes SET on_late = 'refund' WHERE code = 'SAVE10'")
    purchase = till.checkout(stacked(till))
    till.pass_time(minutes=16)
    till.reserve()

    till.move(purchase, "pay-late")
    till.deliver()
    till.deliver()

    refunded = till.purchase(purchase["purchase_id"])
    assert (refunded["state"], refunded["refused"]) == ("refunded", "late")
    assert stand(till, codes) == {
        "SAVE10": (1, {"released": 1, "reserved": 1}),
        "SHIP5": (0, {"released": 1}),
    }
    assert_proven(till.house)


def test_ec018_a_code_is_added_or_taken_off_while_a_page_is_open_which_ends_first(
    till: Till, boss: Caller, codes: dict[str, UUID]
) -> None:
    """EC-016, EC-018: nobody pays what the cart cost before."""
    basket = cart()
    first = till.reserve("SHIP5", who=ANN, cart=basket)
    one = till.checkout(first)

    till.reserve("SAVE10", who=ANN, cart=basket)
    two = till.checkout(first)
    removed = till.shop.call("DELETE", f"/reservations/{first['id']}/codes/{codes['SHIP5']}")
    left = removed.json["reservation"]
    three = till.checkout(left)
    till.move(three, "pay")
    till.deliver()

    amounts = [till.purchase(each["purchase_id"]) for each in (one, two, three)]
    assert [(each["state"], each["amount_minor"]) for each in amounts] == [
        ("expired", 9_500),
        ("expired", 8_500),
        ("confirmed", 9_000),
    ]
    assert stand(till, codes) == {"SAVE10": (1, {"confirmed": 1}), "SHIP5": (0, {"released": 1})}
    # Each is told with the codes that it was priced with, whatever the reservation has by now.
    assert [priced_with(each) for each in amounts] == [
        {"SHIP5": 500},
        {"SAVE10": 1_000, "SHIP5": 500},
        {"SAVE10": 1_000},
    ]
    assert [each["discount_id"] for each in amounts] == [
        str(codes[code]) for code in ("SHIP5", "SHIP5", "SAVE10")
    ]
    assert all("codes" not in each["quote"] for each in amounts)
    found = boss.get(f"/purchases?discount_id={codes['SAVE10']}").json["data"]
    assert [each["id"] for each in found] == [three["purchase_id"], two["purchase_id"]]
    over = till.shop.call("DELETE", f"/reservations/{left['id']}/codes/{codes['SAVE10']}")
    assert said(over) == (409, "reservation_ended")
    assert_proven(till.house)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_s2_138_a_flagged_stack_is_decided_on_once(
    till: Till, boss: Caller, codes: dict[str, UUID], decision: str
) -> None:
    """S2-109, S2-138, EC-018: it stands once in the list, under each of its codes."""
    reservation = stacked(till)
    flag(till.house, reservation)
    waits = pay(till, reservation)
    assert (waits["state"], waits["review"]) == ("paid", "risk_high")
    for code_id in codes.values():
        (row,) = boss.get(f"/discounts/flagged?discount_id={code_id}").json["data"]
        assert (row["id"], row["discount_minor"]) == (reservation["id"], 1_500)
        assert [one["code"] for one in row["codes"]] == ["SAVE10", "SHIP5"]
    assert_proven(till.house)

    done = boss.post(f"/usages/{reservation['id']}/{decision}", WHY)
    till.deliver()

    assert done.status_code == 200
    state = "confirmed" if decision == "approve" else "released"
    assert stand(till, codes) == dict.fromkeys(codes, (int(state == "confirmed"), {state: 1}))
    assert boss.get("/discounts/flagged").json["data"] == []
    assert_proven(till.house)


def test_ec014_a_code_that_is_added_is_judged_and_the_cart_has_the_highest_score(
    till: Till, codes: dict[str, UUID]
) -> None:
    """EC-014, EC-018: who used the second code by the same mailbox; a card is told of each code."""
    change(till.house, "UPDATE discount_codes SET max_uses = 9")
    other = till.reserve(who="ann.lee@corp.example", device="phone")
    for number in range(2):
        till.reserve(who=f"p{number}@x.example", device="phone")
    basket = cart()
    first = till.reserve("SHIP5", who="annlee+1@corp.example", cart=basket, device="phone")
    before = rows(till.house, "SELECT flagged_at FROM usage_risks WHERE flagged_at IS NOT NULL")

    till.reserve("SAVE10", who="annlee+1@corp.example", cart=basket, device="phone")

    found = rows(till.house, "SELECT usage_id, score FROM usage_risks WHERE flagged_at IS NOT NULL")
    assert (before, [(str(row.usage_id), row.score) for row in found]) == ([], [(first["id"], 80)])
    assert pay(till, other, "card-1")["state"] == "confirmed"
    assert pay(till, stacked(till, "bob@y.example"), "card-1")["review"] == "risk_high"
    assert_proven(till.house)


def test_ec018_the_first_code_is_taken_off_as_the_cart_is_paid_by_its_id(
    till: Till, codes: dict[str, UUID]
) -> None:
    """EC-003, EC-018: whoever is first, no cart is sold without the code that it has."""
    basket = cart()
    till.reserve("SHIP5", who=ANN, cart=basket)
    reservation = till.reserve("SAVE10", who=ANN, cart=basket)

    begun, removed = at_once(
        lambda: till.begin(cart=basket, customer={"email": ANN}),
        lambda: till.shop.call(
            "DELETE", f"/reservations/{reservation['id']}/codes/{codes['SHIP5']}"
        ),
    )

    assert (begun.status_code, removed.status_code) == (201, 200), (begun.json, removed.json)
    assert begun.json["amount_minor"] in {9_000, 8_500}
    assert stand(till, codes) == {"SAVE10": (1, {"reserved": 1}), "SHIP5": (0, {"released": 1})}
    assert_proven(till.house)
