"""Checkout sessions, driven by Stripe's own SDK: made, paid, paid later, expired, listed."""

import time

import pytest
import stripe

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import Shop, line_of


@pytest.fixture
def shop(sandbox: Running) -> Shop:
    return Shop(sandbox)


def test_a_session_is_open_with_a_page_and_its_total(shop: Shop):
    made = shop.open()

    found = shop.session(made.id)

    assert (found.status, found.payment_status, found.mode) == ("open", "unpaid", "payment")
    assert (found.amount_subtotal, found.amount_total, found.currency) == (3998, 3998, "usd")
    assert (found.client_reference_id, found.metadata["usage_id"]) == ("usage-1", "usage-1")
    assert (found.livemode, found.payment_intent, found.total_details.amount_discount) == (
        False,
        None,
        0,
    )
    assert found.url == f"{shop.sandbox.url}/stripe/pay/{found.id}"
    assert found.expires_at - found.created == 24 * 3600
    assert found.id.startswith("cs_test_")
    assert found.to_dict() == made.to_dict()


def test_what_is_paid_is_complete_and_has_a_payment_and_a_charge(shop: Shop):
    made = shop.open(customer_email="ann@example.com")

    shop.move(made, "pay", fingerprint="fp1", last4="0005", brand="amex")

    found = shop.session(made.id)
    payment = shop.v1.payment_intents.retrieve(found.payment_intent)
    charge = shop.v1.charges.retrieve(payment.latest_charge)
    card = charge.payment_method_details.card
    assert (found.status, found.payment_status, found.url) == ("complete", "paid", None)
    assert found.customer_details.email == "ann@example.com"
    assert (payment.status, payment.amount, payment.amount_received) == ("succeeded", 3998, 3998)
    assert (charge.amount, charge.paid, charge.refunded) == (3998, True, False)
    assert charge.metadata["usage_id"] == "usage-1"
    assert (card.fingerprint, card.last4, card.brand) == ("fp1", "0005", "amex")
    assert shop.types() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_ec007_a_declined_card_leaves_the_session_open_for_another(shop: Shop):
    made = shop.open()

    shop.move(made, "decline", reason="insufficient_funds")
    declined = shop.session(made.id)
    payment = shop.v1.payment_intents.retrieve(declined.payment_intent)
    shop.move(made, "pay")

    error = payment.last_payment_error
    paid = shop.v1.payment_intents.retrieve(declined.payment_intent)
    assert (declined.status, declined.payment_status) == ("open", "unpaid")
    assert payment.status == "requires_payment_method"
    assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)
    assert shop.session(made.id).payment_status == "paid"
    assert shop.types()[:3] == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


def test_ec047_a_delayed_payment_is_complete_before_it_is_paid(shop: Shop):
    arrives, fails = shop.open(), shop.open()

    for one in (arrives, fails):
        shop.move(one, "pay-later")
    waiting = shop.session(arrives.id)
    status = shop.v1.payment_intents.retrieve(waiting.payment_intent).status
    shop.move(arrives, "settle")
    shop.move(fails, "fail")

    assert (waiting.status, waiting.payment_status, status) == ("complete", "unpaid", "processing")
    assert shop.session(arrives.id).payment_status == "paid"
    assert shop.session(fails.id).payment_status == "unpaid"
    events = shop.types()
    assert events.count("checkout.session.completed") == 2
    assert events.count("checkout.session.async_payment_succeeded") == 1
    assert events[-2:] == ["payment_intent.payment_failed", "checkout.session.async_payment_failed"]


def test_ec005_only_an_open_session_can_be_expired(shop: Shop):
    open_one, paid = shop.open(), shop.open()
    shop.move(paid, "pay")

    expired = shop.v1.checkout.sessions.expire(open_one.id)
    with pytest.raises(stripe.InvalidRequestError, match="status of `complete`") as refused:
        shop.v1.checkout.sessions.expire(paid.id)
    with pytest.raises(stripe.InvalidRequestError, match="status of `expired`"):
        shop.v1.checkout.sessions.expire(open_one.id)

    assert (expired.status, expired.url) == ("expired", None)
    assert refused.value.http_status == 400
    assert shop.session(paid.id).status == "complete"
    assert shop.types().count("checkout.session.expired") == 1


def test_ec005_a_session_ends_by_itself_and_its_open_payment_with_it(shop: Shop):
    tried = shop.open(expires_at=int(time.time()) + 31 * 60)
    shop.move(tried, "decline")

    shop.put("switches", clock_ahead_seconds=32 * 60)

    found = shop.session(tried.id)
    payment = shop.v1.payment_intents.retrieve(found.payment_intent)
    assert (found.status, payment.status) == ("expired", "canceled")
    assert shop.types()[-2:] == ["payment_intent.canceled", "checkout.session.expired"]


def test_ec006_money_may_arrive_for_a_session_that_had_expired(shop: Shop):
    made = shop.open()
    shop.v1.checkout.sessions.expire(made.id)

    shop.move(made, "pay-late")

    found = shop.session(made.id)
    assert (found.status, found.payment_status) == ("complete", "paid")
    assert shop.types()[-1] == "checkout.session.completed"


def test_a_session_of_nothing_needs_no_payment(shop: Shop):
    made = shop.open(line_items=[line_of(0)])

    shop.move(made, "pay")

    found = shop.session(made.id)
    assert (made.payment_status, found.status) == ("no_payment_required", "complete")
    assert (found.payment_status, found.payment_intent) == ("no_payment_required", None)
    assert shop.types() == ["checkout.session.completed"]


def test_ec049_an_event_may_tell_another_total_than_the_session_has(shop: Shop):
    made = shop.open()
    shop.put("switches", event_amount_off=1, event_currency="eur")

    shop.move(made, "pay")

    told = shop.v1.events.list({"type": "checkout.session.completed"}).data[0].data.object
    assert (told["amount_total"], told["currency"]) == (3999, "eur")
    assert shop.session(made.id).amount_total == 3998


def test_sessions_are_listed_in_pages_from_the_newest(shop: Shop):
    made = [shop.open() for _ in range(5)]
    shop.move(made[2], "pay")
    paid = shop.session(made[2].id)
    sessions = shop.v1.checkout.sessions

    first = sessions.list({"limit": 2})
    second = sessions.list({"limit": 2, "starting_after": first.data[-1].id})
    before = sessions.list({"limit": 2, "ending_before": second.data[-1].id})
    walked = [one.id for one in first.auto_paging_iter()]
    of_payment = sessions.list({"payment_intent": paid.payment_intent}).data
    later = sessions.list({"created": {"gte": int(time.time()) + 60}}).data

    ids = [one.id for one in reversed(made)]
    assert [one.id for one in first.data + second.data] == ids[:4]
    assert (first.has_more, second.has_more) == (True, True)
    assert [one.id for one in before.data] == ids[1:3]
    assert walked == ids
    assert [one.id for one in of_payment] == [paid.id]
    assert later == []


def test_what_a_session_names_is_written_out_if_asked(shop: Shop):
    made = shop.open()
    shop.move(made, "pay")
    expand = ["payment_intent.latest_charge", "line_items"]

    found = shop.v1.checkout.sessions.retrieve(made.id, {"expand": expand})

    assert found.payment_intent.latest_charge.amount == 3998
    assert [one.description for one in found.line_items.data] == ["Plan"]
    assert shop.v1.checkout.sessions.line_items.list(made.id).data[0].quantity == 2


def test_a_control_that_the_state_does_not_allow_is_409_and_changes_nothing(shop: Shop):
    made = shop.open()
    shop.move(made, "pay")

    answers = [
        shop.sandbox.call("POST", f"/control/stripe/sessions/{made.id}/{what}").status_code
        for what in ("pay", "decline", "pay-later", "settle", "fail", "pay-late", "fly")
    ]

    assert answers == [409, 409, 409, 409, 409, 409, 400]
    assert len(shop.types()) == 4
