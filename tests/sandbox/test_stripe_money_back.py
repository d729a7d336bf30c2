"""Refunds, partial and failed, and disputes (EC-050, EC-077), driven by Stripe's own SDK."""

from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import Shop


@pytest.fixture
def shop(sandbox: Running) -> Shop:
    return Shop(sandbox)


def paid(shop: Shop) -> Any:
    """A session of 39.98 USD that was paid, and the payment's id with it."""
    made = shop.open()
    shop.move(made, "pay")
    return shop.session(made.id)


def charge_of(shop: Shop, payment: str) -> Any:
    expand = {"expand": ["latest_charge"]}
    return shop.v1.payment_intents.retrieve(payment, expand).latest_charge


def test_ec050_two_partial_refunds_make_a_whole_and_a_third_is_refused(shop: Shop):
    payment = paid(shop).payment_intent
    wanted = {"payment_intent": payment, "reason": "requested_by_customer"}

    first = shop.v1.refunds.create(wanted | {"amount": 1000, "metadata": {"usage_id": "u1"}})
    after_first = charge_of(shop, payment)
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        shop.v1.refunds.create(wanted | {"amount": 2999})
    second = shop.v1.refunds.create(wanted)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.refunds.create(wanted)

    charge = charge_of(shop, payment)
    assert (first.amount, first.status, second.amount) == (1000, "succeeded", 2998)
    assert (first.charge, first.payment_intent) == (charge.id, payment)
    assert (after_first.amount_refunded, after_first.refunded) == (1000, False)
    assert (charge.amount_refunded, charge.refunded) == (3998, True)
    assert (too_much.value.param, refused.value.code) == ("amount", "charge_already_refunded")
    listed = shop.v1.refunds.list({"payment_intent": payment}).data
    assert [one.id for one in listed] == [second.id, first.id]
    assert shop.v1.refunds.retrieve(first.id).metadata["usage_id"] == "u1"
    assert shop.types()[4:] == ["refund.created", "charge.refunded"] * 2


def test_ec050_a_refund_of_one_key_is_made_once(shop: Shop):
    payment = paid(shop).payment_intent
    shop.arm(refund_drop_after_create={"next": 1})
    options = {"idempotency_key": "refund:u1"}

    with pytest.raises(stripe.APIConnectionError):
        shop.v1.refunds.create({"payment_intent": payment, "amount": 500}, options)
    shop.v1.refunds.create({"payment_intent": payment, "amount": 500}, options)

    assert charge_of(shop, payment).amount_refunded == 500


def test_a_pending_refund_succeeds_or_fails_later(shop: Shop):
    payment = paid(shop).payment_intent
    shop.put("switches", refund_status="pending")
    arrives, fails = [
        shop.v1.refunds.create({"payment_intent": payment, "amount": 1000}) for _ in range(2)
    ]

    shop.steer(f"refunds/{arrives.id}/succeed")
    shop.steer(f"refunds/{fails.id}/fail", reason="expired_or_canceled_card")

    assert (arrives.status, fails.status) == ("pending", "pending")
    assert shop.v1.refunds.retrieve(arrives.id).status == "succeeded"
    failed = shop.v1.refunds.retrieve(fails.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert charge_of(shop, payment).amount_refunded == 1000
    assert shop.types()[-3:] == ["refund.updated", "refund.updated", "refund.failed"]


@pytest.mark.parametrize("status", ["pending", "succeeded", "failed"])
def test_a_refund_made_in_stripes_console_is_told_by_events_alone(shop: Shop, status: str):
    session = paid(shop)

    made = shop.steer(f"payments/{session.id}/refund", amount=700, status=status)

    left = 0 if status == "failed" else 700
    assert (made["status"], made["amount"]) == (status, 700)
    assert charge_of(shop, session.payment_intent).amount_refunded == left
    assert "charge.refunded" in shop.types()


def test_what_was_not_paid_cannot_be_refunded(shop: Shop):
    made = shop.open()
    shop.move(made, "pay-later")
    payment = shop.session(made.id).payment_intent

    for asked in ({"payment_intent": payment}, {"payment_intent": "pi_none"}, {}):
        with pytest.raises(stripe.InvalidRequestError):
            shop.v1.refunds.create(asked)

    assert shop.summary()["refunds"] == {}


@pytest.mark.parametrize(
    ("status", "last"),
    [("won", "charge.dispute.funds_reinstated"), ("lost", "charge.dispute.closed")],
)
def test_ec077_a_dispute_takes_the_money_and_a_won_one_brings_it_back(
    shop: Shop, status: str, last: str
):
    payment = paid(shop).payment_intent

    made = shop.steer(f"payments/{payment}/dispute", reason="product_not_received")
    opened = shop.v1.disputes.retrieve(made["id"])
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.v1.refunds.create({"payment_intent": payment})
    shop.steer(f"disputes/{made['id']}/update")
    shop.steer(f"disputes/{made['id']}/close", status=status)

    charge = charge_of(shop, payment)
    assert (opened.status, opened.amount) == ("needs_response", 3998)
    assert (opened.reason, opened.payment_intent) == ("product_not_received", payment)
    assert (opened.charge, charge.disputed) == (charge.id, True)
    assert refused.value.code == "charge_disputed"
    assert shop.v1.disputes.retrieve(made["id"]).status == status
    assert shop.types()[4:7] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
    ]
    assert shop.types()[-1] == last


def test_what_belongs_to_a_payment_is_listed_by_it(shop: Shop):
    one, other = paid(shop).payment_intent, paid(shop).payment_intent
    made = shop.steer(f"payments/{one}/dispute")
    asked = {"payment_intent": one}

    charges = shop.v1.charges.list(asked).data

    assert [charge.payment_intent for charge in charges] == [one]
    assert [dispute.id for dispute in shop.v1.disputes.list(asked).data] == [made["id"]]
    assert shop.v1.disputes.list({"payment_intent": other}).data == []
    assert [payment.id for payment in shop.v1.payment_intents.list().data] == [other, one]


def test_an_inquiry_takes_no_money_until_it_is_a_dispute(shop: Shop):
    payment = paid(shop).payment_intent

    made = shop.steer(f"payments/{payment}/dispute", inquiry=True, amount=100)
    asked_only = shop.types()[4:]
    shop.steer(f"disputes/{made['id']}/update", status="needs_response")

    assert (made["status"], made["amount"]) == ("warning_needs_response", 100)
    assert asked_only == ["charge.dispute.created"]
    assert shop.types()[5:] == ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]


def test_what_was_undone_or_closed_cannot_be_again(shop: Shop):
    payment = paid(shop).payment_intent
    refund = shop.steer(f"payments/{payment}/refund", amount=1, status="failed")
    dispute = shop.steer(f"payments/{payment}/dispute")
    shop.steer(f"disputes/{dispute['id']}/close", status="won")

    answers = [
        shop.sandbox.call("POST", f"/control/stripe/{path}").status_code
        for path in (
            f"refunds/{refund['id']}/fail",
            f"refunds/{refund['id']}/succeed",
            f"disputes/{dispute['id']}/close",
            f"payments/{payment}/dispute",
            "payments/pi_none/refund",
        )
    ]

    assert answers == [400, 400, 409, 409, 404]
