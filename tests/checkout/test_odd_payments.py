"""Money that is not what we asked for, or not ours; what goes back once, and what a stranger may not do."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.queue.kinds import RECONCILE_PAYMENTS
from pipelines.wiring import House
from tests.checkout.test_payment_events import event, paid_event
from tests.checkout.test_refunds import paid, refund
from tests.discounting import asked, cart, counted, make_discount, said
from tests.driving import change, rows
from tests.paying import Till, alerts_of, run_duty
from tests.proof import assert_proven
from tests.web.conftest import Caller, signed_in

REFUNDED = {"id": "re_1", "payment_intent": "pi_1", "currency": "usd", "status": "succeeded"}


@pytest.fixture
def boss(app: Flask, vendor_house: House, till: Till) -> Caller:
    return signed_in(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


def told_of(till: Till) -> list[tuple[str, str]]:
    """What endpoints are told of purchases, in order."""
    found = rows(
        till.house,
        "SELECT type, data FROM webhook_facts WHERE type LIKE 'purchase%' ORDER BY at, event_id",
    )
    return [(row.type, row.data["state"]) for row in found]


def test_ec049_a_rejected_payment_frees_slot_and_cart(till: Till, boss: Caller) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    body = asked(cart=cart(10_000, reference="c1"))
    reservation = till.shop.post("/discounts/apply", body).json["reservation"]
    purchase = till.checkout(reservation)
    till.deliver([paid_event(till, purchase, amount_total=8_999)])

    refund(boss, purchase)
    accepted = boss.post(f"/purchases/{purchase['purchase_id']}/accept", {"reason": "no"})
    freed = counted(till.house, code_id)
    back = REFUNDED | {"amount": 8_999, "metadata": {"payment_id": purchase["purchase_id"]}}
    till.deliver([event("refund.created", back)])

    assert said(accepted) == (409, "payment_ended")
    assert freed == (0, {"released": 1})
    assert till.purchase(purchase["purchase_id"])["state"] == "refunded"
    assert rows(till.house, "SELECT FROM alert_signals WHERE is_over") != []
    assert ("purchase.confirmed", "succeeded") not in told_of(till)
    assert till.shop.post("/discounts/apply", body).status_code == 201
    assert_proven(till.house)


def test_ec049_an_odd_payment_that_goes_back_at_stripe_frees_its_slot(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    till.deliver([paid_event(till, purchase, amount_total=8_999)])
    back = REFUNDED | {"amount": 8_999, "metadata": {"payment_id": purchase["purchase_id"]}}

    till.deliver([event("refund.created", back)])

    found = till.purchase(purchase["purchase_id"])
    assert (found["state"], found["refused"]) == ("refunded", "rejected")
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert_proven(till.house)


def test_ec049_an_amount_that_nobody_can_read_is_not_paid_back_blindly(
    till: Till, boss: Caller
) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    till.deliver([paid_event(till, purchase, currency="xzz")])

    refused = refund(boss, purchase)

    assert said(refused) == (409, "nothing_to_refund")
    assert till.purchase(purchase["purchase_id"])["refused"] is None


def test_ec049_amount_and_currency_are_one_thing(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())

    till.deliver(
        [
            paid_event(till, purchase, currency="jpy"),
            paid_event(till, purchase, amount_total=60, currency="usd"),
        ]
    )

    assert till.purchase(purchase["purchase_id"])["review"] == "amount_mismatch"


def test_a_refused_refund_can_be_asked_for_again(till: Till, boss: Caller) -> None:
    make_discount(till.house, till.seeded)
    till.sandbox.switch(vendor="stripe", event_amount_off=1)
    purchase = paid(till)
    refund(boss, purchase)
    till.work()  # Stripe has less than its events say: it refuses

    again = refund(boss, purchase, "k2")

    assert [one["state"] for one in again.json["refunds"]] == ["failed", "asked"]
    assert "refund_failed" in alerts_of(till.house)


def test_ec053_a_refund_that_cannot_be_counted_is_refused_at_once(till: Till, boss: Caller) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till, cart=cart(10_000, currency="KWD"))

    odd = refund(boss, purchase, amount_minor=1_001)
    whole = refund(boss, purchase, "k2")
    till.work()

    assert said(odd) == (422, "invalid_precision")
    assert whole.status_code == 201
    assert till.purchase(purchase["purchase_id"])["state"] == "refunded"


def test_ec050_a_refund_that_an_event_told_of_is_not_sent_again(till: Till, boss: Caller) -> None:
    """Its own answer was lost, and Stripe has forgotten the key by then."""
    make_discount(till.house, till.seeded)
    purchase = paid(till)
    till.sandbox.arm(vendor="stripe", refund_drop_after_create={"next": 3})
    refund(boss, purchase, amount_minor=4_000)
    till.work()
    till.sandbox.control("DELETE", "/stripe/faults")
    for told in till.new_events():
        till.post_event(told)
    till.work()

    till.sandbox.switch(vendor="stripe", clock_ahead_seconds=24 * 3600 + 60)
    till.pass_time(hours=25)

    assert till.sandbox.control("GET", "/stripe/summary")["refunded"] == 4_000


@pytest.mark.parametrize("is_kept", [True, False])
def test_ec050_a_refund_of_which_nothing_was_heard_for_a_day_is_looked_for_first(
    till: Till, boss: Caller, is_kept: bool
) -> None:
    make_discount(till.house, till.seeded)
    purchase = paid(till)
    fault = "refund_error_500_after" if is_kept else "refund_drop_after_create"
    till.sandbox.arm(vendor="stripe", **{fault: {"next": 3}})
    refund(boss, purchase, amount_minor=4_000)
    till.work()
    till.sandbox.control("DELETE", "/stripe/faults")

    till.sandbox.switch(vendor="stripe", clock_ahead_seconds=24 * 3600 + 60)
    change(till.house, "UPDATE refunds SET created_at = created_at - interval '1 day'")
    till.pass_time(hours=25)

    assert till.sandbox.control("GET", "/stripe/summary")["refunded"] == 4_000
    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 4_000


def test_ec006_whoever_listens_is_not_told_of_money_that_goes_back(till: Till) -> None:
    make_discount(till.house, till.seeded, max_uses=1)
    change(till.house, "UPDATE discount_codes SET on_late = 'refund'")
    purchase = till.checkout(till.reserve())
    till.pass_time(minutes=16)
    till.reserve()

    till.move(purchase, "pay-late")
    till.deliver()
    till.deliver()

    assert told_of(till) == [("purchase.ended", "expired"), ("purchase.refunded", "refunded")]


def test_sec_somebody_else_s_session_says_nothing_of_our_purchase(till: Till) -> None:
    """Whoever opens a payment link may write any `client_reference_id` into its address."""
    code_id = make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    theirs = {"id": "cs_other", "metadata": {}, "payment_intent": "pi_other"}

    till.deliver([paid_event(till, purchase, **theirs)])
    till.deliver([paid_event(till, purchase, **theirs | {"status": "expired"})])

    assert till.event_states() == ["unhandled", "unhandled"]
    assert till.purchase(purchase["purchase_id"])["state"] == "pending"
    assert counted(till.house, code_id) == (1, {"reserved": 1})


def test_another_page_of_the_same_purchase_says_nothing_and_its_money_is_told_of(
    till: Till,
) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    expired = {"id": "cs_lost", "status": "expired", "payment_status": "unpaid"}

    till.deliver([paid_event(till, purchase, **expired)])
    pending = till.purchase(purchase["purchase_id"])["state"]
    till.move(purchase, "pay")
    till.deliver()
    till.deliver([paid_event(till, purchase, id="cs_lost", payment_intent="pi_lost")])

    assert pending == "pending"
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert alerts_of(till.house) == ["second_payment"]


@pytest.mark.parametrize("amount", [-5, 10**30, True, "9000", 1.5])
def test_ec043_an_amount_that_is_none_is_no_amount(till: Till, amount: Any) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())

    till.deliver([paid_event(till, purchase, amount_total=amount)])

    assert till.event_states() == ["handled"]
    assert till.purchase(purchase["purchase_id"])["review"] == "amount_mismatch"


def test_ec043_half_a_character_is_no_text(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    odd = paid_event(till, purchase, payment_intent="pi_\ud800")

    assert till.post_event(odd).status_code == 200
    till.work()
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"


def test_ec043_other_systems_of_the_account_are_nobody_s_trouble(till: Till) -> None:
    foreign = {"id": "pi_foreign", "amount_received": 100, "currency": "usd", "metadata": {}}
    charge = {"id": "ch_1", "payment_intent": "pi_2", "amount": 100, "currency": "usd"}

    till.deliver([event("payment_intent.succeeded", foreign), event("charge.succeeded", charge)])

    assert till.event_states() == ["unhandled", "unhandled"]


def test_ec043_one_page_that_cannot_be_read_stops_no_other(till: Till) -> None:
    """Whatever is wrong with it: here nothing is there that its payment is for."""
    make_discount(till.house, till.seeded)
    before, odd, after = (till.checkout(till.reserve()) for _ in range(3))
    for purchase in (before, odd, after):
        till.move(purchase, "pay")
    change(
        till.house,
        "UPDATE payments SET purpose = 'top_up' WHERE id = :id",
        id=UUID(odd["purchase_id"]),
    )

    run_duty(till, RECONCILE_PAYMENTS)

    for purchase in (before, after):
        assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    (told,) = rows(till.house, "SELECT kind, detail FROM alert_signals")
    assert (told.kind, told.detail["not_taken_in"]) == ("payments_do_not_agree", 1)
    assert odd["purchase_id"] in told.detail["which"]


def test_a_page_that_stripe_does_not_know_is_over_when_its_time_is(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    till.checkout(till.reserve())
    change(till.house, "UPDATE payments SET session_id = 'cs_of_another_account'")

    till.pass_time(minutes=16)
    before = counted(till.house, code_id)
    change(till.house, "UPDATE payments SET session_expires_at = now() - interval '1 minute'")
    till.pass_time(minutes=2)

    assert before == (1, {"reserved": 1})
    assert counted(till.house, code_id) == (0, {"released": 1})


def test_a_suspended_client_begins_no_new_purchase(till: Till) -> None:
    change(till.house, "UPDATE clients SET suspended_at = now()")

    refused = till.begin(cart=cart(5_000), customer={"email": "ann@x.example"})

    assert said(refused) in {(403, "account_suspended"), (423, "account_suspended")}
