"""Uses of a code are judged, and one that looks like a deception waits for a person (EC-014, S2-109)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import asked, cart, counted, make_discount, said
from tests.driving import rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven
from tests.suspecting import WHY, applied, applied_below, flag, pay, reasons, risk, suspect
from tests.web.conftest import Caller, signed_in

OFFICE = {"shopper_address": "203.0.113.7"}


@pytest.fixture
def settler(app: Flask, vendor_house: House, till: Till) -> Caller:
    """Who may pay purchases back."""
    return signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


def signals(till: Till) -> list[bool]:
    """Of what was told of purchases that wait: whether it was over, in order."""
    found = rows(till.house, "SELECT is_over FROM alert_signals ORDER BY id")
    return [row.is_over for row in found]


def test_ec014_two_persons_on_one_ip_are_both_served(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    for who in ("ann@x.example", "bob@y.example"):
        reservation = applied(till, who, **OFFICE, device="kiosk")
        assert pay(till, reservation)["state"] == "confirmed"
        assert risk(till.house, reservation).flagged_at is None
    assert counted(till.house, code_id) == (2, {"confirmed": 2})
    assert_proven(till.house)


def test_ec014_a_crowd_on_one_ip_and_device_is_noticed_and_not_flagged(till: Till) -> None:
    make_discount(till.house, till.seeded, percent_bp=6_000)
    for number in range(9):
        last = applied_below(till, f"p{number}@x{number}.example", "203.0.113.7", "kiosk")
    assert reasons(till.house, last) == {
        "network_shared": 25,
        "device_shared": 30,
        "first_purchase_high_discount": 10,
    }
    assert risk(till.house, last).flagged_at is None
    kept = risk(till.house, last)
    assert b"203.0.113" not in kept.network_key
    assert b"kiosk" not in kept.device_key


def test_ec014_an_alias_on_known_devices_is_flagged_and_not_refused(till: Till) -> None:
    make_discount(till.house, till.seeded)
    applied(till, "ann.lee@corp.example", device="phone")
    for number in range(2):
        applied(till, f"p{number}@x.example", device="phone")

    flagged = applied(till, "annlee+1@corp.example", device="phone")

    assert flagged["state"] == "RESERVED"
    assert reasons(till.house, flagged) == {"email_alias": 50, "device_shared": 30}
    (told,) = rows(
        till.house, "SELECT detail FROM audit_entries WHERE action = 'reservation.flagged'"
    )
    assert told.detail == {"score": 80, "reasons": ["device_shared", "email_alias"]}


def test_s2049_one_customer_with_many_codes_and_carts_is_noticed(till: Till) -> None:
    """S2-049: what one customer does within a day, in one cart after another."""
    for number in range(8):
        make_discount(till.house, till.seeded, f"CODE{number}")
        last = applied_below(till, "ann@x.example", code=f"CODE{number}")
        till.shop.call("DELETE", f"/reservations/{last['id']}")
    assert reasons(till.house, last) == {"many_codes": 30, "many_carts": 10, "velocity": 15}


def test_ec014_a_card_that_paid_for_another_s_use_is_flagged_and_waits(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    assert pay(till, applied(till, "ann@x.example"), "card-1")["state"] == "confirmed"

    waits = pay(till, applied(till, "bob@y.example"), "card-1")

    assert (waits["state"], waits["review"]) == ("paid", "risk_high")
    (row,) = settler.get("/discounts/flagged").json["data"]
    assert [one["reason"] for one in row["reasons"]] == ["card_of_another"]
    assert row["reasons"][0]["words"].startswith(
        "The card that paid has paid for a use of the code"
    )
    assert (row["id"], row["score"]) == (waits["reservation_id"], 70)
    assert counted(till.house, code_id)[0] == 2
    assert_proven(till.house)


def test_ec014_whoever_comes_by_a_name_that_has_the_card_is_refused(till: Till) -> None:
    """Bob paid with Ann's card once, for another code: by his name he is Ann from then on."""
    make_discount(till.house, till.seeded)
    make_discount(till.house, till.seeded, "OTHER")
    pay(till, applied(till, "ann@x.example"), "card-1")
    pay(till, applied(till, "bob@y.example", "OTHER"), "card-1")

    again = till.shop.post("/discounts/apply", asked(who="bob@y.example", cart=cart()))
    looked = till.shop.get(
        "/discounts/validate?code=SAVE10&subtotal_minor=100&currency=USD&customer=bob@y.example"
    )

    assert said(again) == (409, "already_used")
    assert looked.json["reason"] == "already_used"
    assert_proven(till.house)


def test_ec014_the_same_person_may_use_the_same_card_twice(till: Till) -> None:
    make_discount(till.house, till.seeded, max_uses_per_customer=2)
    for _ in range(2):
        reservation = applied(till, "ann@x.example")
        assert pay(till, reservation, "card-1")["state"] == "confirmed"
        assert risk(till.house, reservation).flagged_at is None
    assert_proven(till.house)


def test_s2109_what_is_paid_and_flagged_keeps_money_and_slot_until_it_is_approved(
    till: Till, settler: Caller
) -> None:
    """However long it takes, and however often Stripe tells of it."""
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    waits = pay(till, suspect(till))
    assert (waits["state"], waits["review"]) == ("paid", "risk_high")
    till.pass_time(days=30)
    till.deliver(till.events())

    assert counted(till.house, code_id) == (1, {"reserved": 1})
    assert said(till.shop.post("/discounts/apply", asked())) == (409, "slot_exhausted")
    assert alerts_of(till.house) == ["risky_purchase_waits"]
    assert [one["id"] for one in till.shop.get("/purchases?state=paid").json["data"]] == [
        waits["id"]
    ]

    done = settler.post(f"/usages/{waits['reservation_id']}/approve", WHY)
    again = settler.post(f"/usages/{waits['reservation_id']}/approve", WHY)

    assert (done.status_code, again.status_code) == (200, 200)
    assert done.json["decision"] == "approved"
    after = till.purchase(waits["id"])
    assert (after["state"], after["review"]) == ("confirmed", None)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert signals(till) == [False, True]
    assert settler.get("/discounts/flagged").json["data"] == []
    assert [one["id"] for one in settler.get("/discounts/flagged?decided=true").json["data"]] == [
        waits["reservation_id"]
    ]
    (told,) = rows(
        till.house, "SELECT detail FROM audit_entries WHERE action = 'reservation.approved'"
    )
    assert told.detail == WHY
    assert_proven(till.house)


def test_s2138_what_is_rejected_is_paid_back_and_its_slot_is_free(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    waits = pay(till, suspect(till))

    path = f"/usages/{waits['reservation_id']}"
    assert settler.post(f"{path}/reject", WHY).status_code == 200
    assert settler.post(f"{path}/reject", WHY).status_code == 200
    till.deliver()

    after = till.purchase(waits["id"])
    assert (after["state"], after["refused"], after["review"]) == ("refunded", "rejected", None)
    assert [one["amount_minor"] for one in after["refunds"]] == [9_000]
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert said(settler.post(f"{path}/approve", WHY)) == (409, "already_decided")
    assert signals(till) == [False, True]
    assert_proven(till.house)


def test_s2138_what_is_rejected_before_it_is_paid_ends_its_page(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    purchase = till.checkout(reservation)

    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200

    assert till.purchase(purchase["purchase_id"])["state"] == "expired"
    assert counted(till.house, code_id) == (0, {"released": 1})
    (usage,) = rows(till.house, "SELECT release_reason FROM discount_usages")
    assert usage.release_reason == "manager"


def test_s2138_what_is_paid_though_it_was_rejected_is_paid_back(
    till: Till, settler: Caller
) -> None:
    """It is paid at Stripe at the moment at which somebody rejects it, and nobody told us yet."""
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    purchase = till.checkout(reservation)
    till.move(purchase, "pay")

    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200
    till.deliver()
    till.deliver()

    after = till.purchase(purchase["purchase_id"])
    assert (after["state"], after["refused"]) == ("refunded", "rejected")
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert_proven(till.house)


def test_s2109_an_approved_use_that_is_not_paid_goes_on(till: Till, settler: Caller) -> None:
    make_discount(till.house, till.seeded)
    reservation = suspect(till)
    assert settler.post(f"/usages/{reservation['id']}/approve", WHY).status_code == 200
    assert pay(till, reservation)["state"] == "confirmed"


def test_s2109_a_late_payment_of_a_flagged_use_waits_without_a_slot(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = suspect(till)
    purchase = till.checkout(reservation)
    till.pass_time(minutes=16)
    assert settler.get("/discounts/flagged").json["data"] == []
    till.move(purchase, "pay-late")
    till.deliver()

    assert till.purchase(purchase["purchase_id"])["review"] == "risk_high"
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert len(settler.get("/discounts/flagged").json["data"]) == 1
    assert settler.post(f"/usages/{reservation['id']}/approve", WHY).status_code == 200
    after = till.purchase(purchase["purchase_id"])
    assert (after["state"], after["is_late"]) == ("confirmed", True)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert_proven(till.house)


def test_s2109_money_that_went_back_at_stripe_asks_nobody_any_more(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    waits = pay(till, suspect(till))
    intent = rows(till.house, "SELECT payment_intent_id FROM payments")[0].payment_intent_id
    till.steer(f"payments/{intent}/refund")
    till.deliver()

    after = till.purchase(waits["id"])
    assert (after["state"], after["review"]) == ("refunded", None)
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert settler.get("/discounts/flagged").json["data"] == []
    assert_proven(till.house)


def test_s2138_what_was_confirmed_before_it_was_flagged_is_refunded(
    till: Till, settler: Caller
) -> None:
    make_discount(till.house, till.seeded)
    reservation = applied(till, "ann@x.example")
    paid = pay(till, reservation)
    flag(till.house, reservation)

    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200
    till.deliver()

    assert till.purchase(paid["id"])["state"] == "refunded"
    assert_proven(till.house)


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "confirmed"])
def test_s2138_all_that_no_refund_has_asked_for_yet_goes_back_with_a_rejection(
    till: Till, settler: Caller, *, is_held: bool
) -> None:
    """EC-050: a part is on its way back, and Stripe has not answered."""
    make_discount(till.house, till.seeded)
    reservation = suspect(till) if is_held else till.reserve()
    purchase = pay(till, reservation)
    flag(till.house, reservation)
    part = settler.post(
        f"/purchases/{purchase['id']}/refunds",
        WHY | {"amount_minor": 4_000},
        Idempotency_Key="part",
    )

    assert part.status_code == 201
    assert settler.post(f"/usages/{reservation['id']}/reject", WHY).status_code == 200
    till.deliver()

    after = till.purchase(purchase["id"])
    assert (after["state"], after["refunded_minor"]) == ("refunded", 9_000)
    assert [one["amount_minor"] for one in after["refunds"]] == [4_000, 5_000]
    assert_proven(till.house)


def test_s2136_an_operator_releases_any_slot_and_what_is_paid_stays(
    till: Till, settler: Caller
) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = till.reserve()
    purchase = till.checkout(reservation)
    done = settler.post(f"/usages/{reservation['id']}/release", WHY)
    again = settler.post(f"/usages/{reservation['id']}/release", WHY)
    assert done.json["reservation"]["release_reason"] == "manager"
    assert again.status_code == 200
    assert till.purchase(purchase["purchase_id"])["state"] == "expired"
    assert counted(till.house, code_id) == (0, {"released": 1})

    waits = pay(till, suspect(till))
    kept = settler.post(f"/usages/{waits['reservation_id']}/release", WHY)
    assert said(kept) == (409, "reservation_ended")
    assert kept.json["detail"] == "The reservation is paid already."
    assert said(settler.post(f"/usages/{reservation['id']}/approve", WHY)) == (409, "not_flagged")
