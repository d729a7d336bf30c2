"""Money that goes back: refunds, disputes, and what a person decides (EC-049..EC-051)."""

from typing import Any

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.checkout.test_payment_events import event, paid_event
from tests.discounting import asked, counted, make_discount, said
from tests.driving import change, rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven
from tests.web.conftest import Caller, signed_in


@pytest.fixture
def boss(app: Flask, vendor_house: House, till: Till) -> Caller:
    return signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


def paid(till: Till, **given: Any) -> dict[str, Any]:
    """A purchase that is confirmed."""
    purchase = till.checkout(till.reserve(**given))
    till.move(purchase, "pay")
    till.deliver()
    return purchase


def refund(boss: Caller, purchase: dict[str, Any], key: str = "k1", **body: Any) -> Any:
    return boss.post(
        f"/purchases/{purchase['purchase_id']}/refunds",
        {"reason": "came back"} | body,
        Idempotency_Key=key,
    )


def test_ec050_two_partial_refunds_are_one_refund_of_all(till: Till, boss: Caller) -> None:
    code_id = make_discount(till.house, till.seeded)
    change(till.house, "UPDATE discount_codes SET restore_on_refund = 'slot'")
    purchase = paid(till)

    first = refund(boss, purchase, amount_minor=4_000)
    till.deliver()
    half = till.purchase(purchase["purchase_id"])
    second = refund(boss, purchase, "k2")
    till.deliver()
    till.deliver(till.events())

    assert (first.status_code, second.status_code) == (201, 201)
    assert (half["state"], half["refunded_minor"]) == ("confirmed", 4_000)
    whole = till.purchase(purchase["purchase_id"])
    assert (whole["state"], whole["refunded_minor"]) == ("refunded", 9_000)
    assert [one["state"] for one in whole["refunds"]] == ["succeeded", "succeeded"]
    assert till.usage(purchase).restored == "slot"
    assert counted(till.house, code_id) == (0, {"refunded": 1})
    assert till.sandbox.control("GET", "/stripe/summary")["refunded"] == 9_000
    assert_proven(till.house)


def test_ec050_no_more_is_paid_back_than_was_paid_and_the_same_request_once(
    till: Till, boss: Caller
) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)

    made, again = (refund(boss, purchase, amount_minor=5_000) for _ in range(2))
    beyond = refund(boss, purchase, "k2", amount_minor=4_001)
    till.deliver()

    assert (made.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert said(beyond) == (409, "nothing_to_refund")
    assert beyond.json["refundable_minor"] == 4_000
    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 5_000


def test_ec050_all_that_is_left_is_less_by_what_is_asked_for(till: Till, boss: Caller) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)

    part = refund(boss, purchase, amount_minor=4_000)
    rest, nothing = refund(boss, purchase, "k2"), refund(boss, purchase, "k3")
    till.deliver()

    assert [answer.status_code for answer in (part, rest)] == [201, 201]
    assert said(nothing) == (409, "nothing_to_refund")
    assert [one["amount_minor"] for one in till.purchase(purchase["purchase_id"])["refunds"]] == [
        4_000,
        5_000,
    ]


def test_ec050_a_refund_made_in_stripe_s_pages_counts_too(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)

    till.steer(f"payments/{purchase['session_id']}/refund", amount=2_000)
    till.deliver()

    found = till.purchase(purchase["purchase_id"])
    assert found["refunded_minor"] == 2_000
    assert [(one["reason"], one["amount_minor"]) for one in found["refunds"]] == [
        ("outside", 2_000)
    ]


@pytest.mark.parametrize("fault", ["refund_drop_after_create", "refund_error_500_before"])
def test_ec050_a_refund_whose_answer_is_lost_is_made_once(
    till: Till, boss: Caller, fault: str
) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)
    till.sandbox.arm(vendor="stripe", **{fault: {"next": 3}})

    refund(boss, purchase)
    till.work()
    till.sandbox.control("DELETE", "/stripe/faults")
    till.pass_time(minutes=2)
    till.deliver()

    assert till.purchase(purchase["purchase_id"])["state"] == "refunded"
    assert till.sandbox.control("GET", "/stripe/summary")["refunded"] == 9_000


def test_ec050_a_refund_that_fails_leaves_the_purchase_as_it_was(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    change(till.house, "UPDATE discount_codes SET restore_on_refund = 'customer'")
    purchase = paid(till)
    made = till.steer(f"payments/{purchase['session_id']}/refund", status="pending")
    till.deliver()
    refunded = till.purchase(purchase["purchase_id"])["state"]

    till.steer(f"refunds/{made['id']}/fail")
    till.deliver()

    assert refunded == "refunded"
    found = till.purchase(purchase["purchase_id"])
    assert (found["state"], found["refunded_minor"]) == ("confirmed", 0)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert "refund_failed" in alerts_of(till.house)
    assert_proven(till.house)


@pytest.mark.parametrize(
    ("restores", "used", "again"),
    [("nothing", 1, "already_used"), ("slot", 0, "already_used"), ("customer", 0, "")],
)
def test_ec051_who_had_all_back_uses_the_code_again_only_if_it_says_so(
    till: Till, boss: Caller, restores: str, used: int, again: str
) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=5)
    change(till.house, "UPDATE discount_codes SET restore_on_refund = :it", it=restores)
    purchase = paid(till, who="ann@x.example")

    refund(boss, purchase)
    till.deliver()

    assert counted(till.house, code_id) == (used, {"refunded": 1})
    assert_proven(till.house)
    answer = till.shop.post("/discounts/apply", asked(who="ann@x.example"))
    assert answer.json.get("code", "") == again
    assert_proven(till.house)


def test_ec050_a_dispute_is_told_until_it_is_won(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)

    made = till.steer(f"payments/{purchase['session_id']}/dispute")
    till.deliver()
    asked_back = till.purchase(purchase["purchase_id"])
    till.steer(f"disputes/{made['id']}/close", status="won")
    till.deliver(till.new_events()[::-1])

    won = till.purchase(purchase["purchase_id"])
    assert (asked_back["is_disputed"], won["is_disputed"]) == (True, False)
    assert [one["status"] for one in won["disputes"]] == ["won"]
    (alert,) = rows(
        till.house, "SELECT DISTINCT kind FROM alert_signals WHERE kind = 'payment_disputed'"
    )
    assert alert.kind == "payment_disputed"
    assert rows(till.house, "SELECT FROM alert_signals WHERE is_over") != []


def test_ec049_a_person_takes_another_amount(till: Till, boss: Caller) -> None:
    code_id = make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    till.deliver([paid_event(till, purchase, amount_total=8_999)])

    taken = boss.post(f"/purchases/{purchase['purchase_id']}/accept", {"reason": "a cent"})
    again = boss.post(f"/purchases/{purchase['purchase_id']}/accept", {"reason": "a cent"})

    assert (taken.status_code, taken.json["state"]) == (200, "confirmed")
    assert said(again) == (409, "payment_ended")
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert_proven(till.house)


def test_s2_062_revenue_is_what_was_paid_and_kept(till: Till, boss: Caller) -> None:
    """Not what was asked for: a part went back, another amount was taken, a free one cost nothing."""

    def told() -> list[tuple[int, int]]:
        found = boss.get("/discounts/analytics").json["amounts"]
        return [(one["discount_minor"], one["revenue_minor"]) for one in found]

    make_discount(till.house, till.seeded)
    make_discount(till.house, till.seeded, "FREE", percent_bp=10_000)
    assert refund(boss, paid(till), amount_minor=8_999).status_code == 201
    till.deliver()
    assert told() == [(1_000, 1)]

    odd = till.checkout(till.reserve())
    till.deliver([paid_event(till, odd, amount_total=100)])
    boss.post(f"/purchases/{odd['purchase_id']}/accept", {"reason": "a voucher"})
    assert told() == [(2_000, 101)]

    free = till.checkout(till.reserve("FREE"))
    till.deliver()
    assert till.purchase(free["purchase_id"])["state"] == "confirmed"
    assert told() == [(12_000, 101)]


def test_ec049_a_person_pays_another_amount_back(till: Till, boss: Caller) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    till.sandbox.switch(vendor="stripe", event_amount_off=1)
    till.move(purchase, "pay")
    till.deliver()

    part = refund(boss, purchase, amount_minor=1)
    whole = refund(boss, purchase, "k2")

    assert till.purchase(purchase["purchase_id"])["review"] == "amount_mismatch"
    assert said(part) == (409, "nothing_to_refund")
    assert (whole.status_code, whole.json["refused"]) == (201, "rejected")


def test_who_may_pay_back(till: Till, app: Flask) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)
    manager = signed_in(app, till.house, Role.CAMPAIGN_MANAGER, till.seeded)

    refused = [refund(caller, purchase) for caller in (manager, till.shop)]

    assert [said(answer) for answer in refused] == [
        (403, "forbidden"),
        (403, "insufficient_scope"),
    ]
    assert manager.get(f"/purchases/{purchase['purchase_id']}").status_code == 200


def test_the_list_of_purchases_is_newest_first_by_state_and_code(till: Till, boss: Caller) -> None:
    code_id = make_discount(till.house, till.seeded)
    done, waiting = paid(till), till.checkout(till.reserve())

    every = boss.get("/purchases").json["data"]
    confirmed = boss.get("/purchases?state=confirmed").json["data"]
    of_code = boss.get(f"/purchases?discount_id={code_id}&limit=1").json

    assert [one["id"] for one in every] == [waiting["purchase_id"], done["purchase_id"]]
    assert [one["id"] for one in confirmed] == [done["purchase_id"]]
    assert (len(of_code["data"]), of_code["has_more"]) == (1, True)


def test_unknown_kinds_of_refund_events_are_no_refund(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)

    till.deliver([event("refund.of_tomorrow", {"id": "re_1", "amount": 1, "currency": "usd"})])

    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 0


def test_ec033_returned_units_are_paid_back_at_what_was_paid_for_them(
    till: Till, boss: Caller
) -> None:
    """Three of 100.00 with 10 % off, two come back: 180.00, and not 200.00."""
    make_discount(till.house, till.seeded)
    shirts = {"sku": "SHIRT", "quantity": 3, "unit_minor": 10_000}
    purchase = paid(till, cart={"id": "c", "currency": "USD", "lines": [shirts]})

    two = refund(boss, purchase, lines=[{"line": 0, "quantity": 2}])
    four = refund(boss, purchase, "k2", lines=[{"line": 0, "quantity": 4}])
    both = refund(boss, purchase, "k3", lines=[{"line": 0, "quantity": 1}], amount_minor=1)
    till.deliver()

    assert two.status_code == 201
    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 18_000
    assert [error["pointer"] for error in four.json["errors"]] == ["/lines/0"]
    assert [error["pointer"] for error in both.json["errors"]] == ["/lines"]


def test_ec033_a_unit_comes_back_once_and_again_only_when_its_refund_failed(
    till: Till, boss: Caller
) -> None:
    """By other keys, too; the reason is read with the refund, and no address in it."""
    make_discount(till.house, till.seeded)
    lines = [{"sku": sku, "quantity": 3, "unit_minor": 1_000} for sku in ("SHIRT", "SHOE")]
    own = paid(till, cart={"id": "c", "currency": "USD", "lines": lines})
    one = [{"line": 1, "quantity": 1}]
    two = [{"line": 1, "quantity": 2}]

    first = refund(boss, own, lines=one, reason="scratch, says ann@x.example")
    beyond = refund(boss, own, "k2", lines=[{"line": 1, "quantity": 3}])
    rest = refund(boss, own, "k3", lines=two)
    again = refund(boss, own, "k4", lines=one)
    till.deliver()

    assert (first.status_code, rest.status_code, said(again)[0]) == (201, 201, 422)
    (told,) = beyond.json["errors"]
    assert (told["code"], told["pointer"]) == ("already_returned", "/lines/0")
    assert told["detail"] == "Line 1: 2 of 3 units are left, 1 came back already."
    whole = till.purchase(own["purchase_id"])
    assert (whole["returned"], whole["refunded_minor"]) == ([{"line": 1, "quantity": 3}], 2_700)
    assert [(made["reason"], made["lines"]) for made in whole["refunds"]] == [
        ("person", one),
        ("person", two),
    ]
    assert whole["refunds"][0]["note"].startswith("scratch, says ")
    assert "ann@x.example" not in whole["refunds"][0]["note"]

    till.steer(f"refunds/{whole['refunds'][1]['refund_id']}/fail")
    till.deliver()
    assert till.purchase(own["purchase_id"])["returned"] == one
    assert refund(boss, own, "k5", lines=two).status_code == 201
