"""Payments that come late, fail first, take days, or come twice for one cart (EC-006, EC-007, EC-047)."""

from tests.checkout.test_payment_events import event
from tests.discounting import asked, cart, counted, make_discount, said
from tests.driving import change, rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven


def test_ec006_a_late_payment_takes_a_free_slot(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    till.pass_time(minutes=16)
    assert counted(till.house, code_id) == (0, {"released": 1})

    till.move(purchase, "pay-late")
    till.deliver()

    paid = till.purchase(purchase["purchase_id"])
    assert (paid["state"], paid["is_late"], paid["is_overflow"]) == ("confirmed", True, False)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert_proven(till.house)


def test_ec006_a_late_payment_without_a_free_slot_counts_beside_the_limit(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    till.pass_time(minutes=16)
    till.reserve()

    till.move(purchase, "pay-late")
    till.deliver()
    till.deliver(till.events())

    paid = till.purchase(purchase["purchase_id"])
    assert (paid["state"], paid["is_late"], paid["is_overflow"]) == ("confirmed", True, True)
    (code,) = rows(till.house, "SELECT used, overflow_uses FROM discount_codes")
    assert (code.used, code.overflow_uses) == (1, 1)
    assert alerts_of(till.house) == ["late_payment_overflow"]
    assert len(rows(till.house, "SELECT FROM alert_signals")) == 1
    assert counted(till.house, code_id)[1] == {"confirmed": 1, "reserved": 1}
    assert_proven(till.house)


def test_ec006_a_code_may_have_late_payments_paid_back(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    change(till.house, "UPDATE discount_codes SET on_late = 'refund'")
    purchase = till.checkout(till.reserve())
    till.pass_time(minutes=16)
    till.reserve()

    till.move(purchase, "pay-late")
    till.deliver()
    till.deliver()

    refunded = till.purchase(purchase["purchase_id"])
    assert (refunded["state"], refunded["refused"]) == ("refunded", "late")
    assert [one["amount_minor"] for one in refunded["refunds"]] == [9_000]
    assert till.sandbox.control("GET", "/stripe/summary")["refunded"] == 9_000
    assert counted(till.house, code_id)[1] == {"released": 1, "reserved": 1}
    assert_proven(till.house)


def test_ec007_a_declined_card_keeps_the_slot_for_the_next_try(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())

    till.move(purchase, "decline", reason="insufficient_funds")
    till.deliver()
    declined = till.purchase(purchase["purchase_id"])
    till.move(purchase, "pay")
    till.deliver()

    assert (declined["state"], declined["last_failure_code"]) == ("pending", "insufficient_funds")
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert counted(till.house, code_id) == (1, {"confirmed": 1})


def test_ec007_the_failure_of_an_old_page_does_not_touch_the_newer_one(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = till.reserve(cart=cart(10_000, reference="c"))
    old = till.checkout(reservation)
    new = till.checkout(reservation, cart=cart(8_000, reference="c"))
    till.move(new, "pay")

    till.deliver(till.new_events()[::-1])
    till.deliver(
        [event("checkout.session.expired", {"id": old["session_id"], "status": "expired"})]
    )

    assert till.purchase(new["purchase_id"])["state"] == "confirmed"
    assert counted(till.house, code_id) == (1, {"confirmed": 1})


def test_a_cart_that_was_paid_on_two_pages_is_paid_back_once(till: Till) -> None:
    """The old page's payment arrives although the page was ended for a new price."""
    code_id = make_discount(till.house, till.seeded)
    reservation = till.reserve(cart=cart(10_000, reference="c"))
    old = till.checkout(reservation)
    new = till.checkout(reservation, cart=cart(8_000, reference="c"))
    till.move(new, "pay")
    till.deliver()

    till.move(old, "pay-late")
    till.deliver()
    till.deliver()

    twice = till.purchase(old["purchase_id"])
    assert (twice["state"], twice["refused"]) == ("refunded", "paid_twice")
    assert till.purchase(new["purchase_id"])["state"] == "confirmed"
    assert alerts_of(till.house) == ["paid_twice"]
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert_proven(till.house)


def test_ec047_a_bank_debit_confirms_when_the_money_is_there(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())

    till.move(purchase, "pay-later")
    till.deliver()
    waiting = till.purchase(purchase["purchase_id"])
    till.pass_time(hours=48)
    held = counted(till.house, code_id)
    till.move(purchase, "settle")
    till.deliver()

    assert waiting["state"] == "processing"
    assert held == (1, {"reserved": 1})
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert_proven(till.house)


def test_ec047_a_bank_debit_that_fails_gives_the_slot_back(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay-later")
    till.deliver()

    till.move(purchase, "fail")
    till.deliver()

    assert till.purchase(purchase["purchase_id"])["state"] == "failed"
    assert till.usage(purchase).release_reason == "payment"
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert_proven(till.house)


def test_ec047_a_bank_that_says_nothing_for_two_weeks_keeps_no_slot(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay-later")
    till.deliver()

    till.pass_time(days=15)
    released = counted(till.house, code_id)
    till.move(purchase, "settle")
    till.deliver()

    assert released == (0, {"released": 1})
    paid = till.purchase(purchase["purchase_id"])
    assert (paid["state"], paid["is_late"]) == ("confirmed", True)


def test_ec047_a_cart_that_is_being_paid_by_its_bank_stays_as_it_is(till: Till) -> None:
    make_discount(till.house, till.seeded)
    who = {"email": "ann@x.example"}
    reservation = till.reserve(cart=cart(10_000, reference="c"), customer=who)
    till.move(till.checkout(reservation), "pay-later")
    till.deliver()

    changed = till.begin(reservation, cart=cart(8_000, reference="c"))
    applied = till.shop.post(
        "/discounts/apply", asked(cart=cart(8_000, reference="c"), customer=who)
    )
    released = till.shop.call("DELETE", f"/reservations/{reservation['id']}")

    assert said(changed) == (409, "payment_under_way")
    assert said(applied) == (409, "payment_under_way")
    assert said(released) == (409, "reservation_ended")
