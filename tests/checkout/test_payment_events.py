"""What Stripe tells us has its effects once: twice, late, shuffled, forged, or before we know of it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest
import stripe

from models.base import new_id
from pipelines.payments.handle import LOOKS
from pipelines.queue.kinds import PULL_EVENTS
from tests.discounting import counted, make_discount, said
from tests.driving import rows
from tests.paying import Till, alerts_of, run_duty
from tests.proof import assert_proven


def paid_event(till: Till, purchase: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A `completed` event of a purchase's page, as Stripe would send it."""
    session = {
        "id": purchase["session_id"],
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": purchase["amount_minor"],
        "currency": purchase["currency"].lower(),
        "payment_intent": "pi_1",
        "client_reference_id": purchase["reservation_id"],
        "metadata": {"payment_id": purchase["purchase_id"]},
    }
    return event("checkout.session.completed", session | changed)


def event(kind: str, thing: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "id": f"evt_{new_id().hex}",
        "object": "event",
        "type": kind,
        "created": 1_795_000_000,
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": {"object": thing},
    } | changed


def test_ec008_s2_101_the_same_event_twenty_times_at_once_confirms_once(till: Till) -> None:
    """S2-101, S2-102, S2-103, S2-104"""
    code_id = make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    told = paid_event(till, purchase)
    start = threading.Barrier(20)

    def post(_number: int) -> tuple[int, bool]:
        start.wait(timeout=30)
        answer = till.post_event(told)
        return answer.status_code, answer.json["duplicate"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(20)))
    till.work()

    assert sorted(answers) == [(200, False)] + [(200, True)] * 19
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    (kept,) = rows(till.house, "SELECT state, deliveries FROM stripe_events")
    assert (kept.state, kept.deliveries) == ("handled", 20)
    assert_proven(till.house)


def test_ec008_two_events_of_one_payment_confirm_once(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())

    till.deliver([paid_event(till, purchase), paid_event(till, purchase)])

    assert till.event_states() == ["handled", "stale"]
    assert counted(till.house, code_id) == (1, {"confirmed": 1})


def test_ec009_an_event_that_is_quicker_than_our_row_is_handled_when_it_is_there(
    till: Till,
) -> None:
    """A refund names its payment by what only the payment's own event tells."""
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    refund = {"id": "re_1", "payment_intent": "pi_1", "amount": 9_000, "currency": "usd"}

    till.deliver([event("refund.created", refund | {"status": "succeeded"})])
    waiting = till.event_states()
    till.deliver([paid_event(till, purchase)])
    till.pass_time(seconds=11)

    assert waiting == ["unmatched"]
    assert till.event_states() == ["handled", "handled"]
    assert till.purchase(purchase["purchase_id"])["state"] == "refunded"


def test_ec009_what_matches_nothing_for_three_days_waits_for_a_person(till: Till) -> None:
    stranger = {
        "id": "cs_test_x",
        "status": "complete",
        "payment_status": "paid",
        "metadata": {"payment_id": str(new_id())},
    }
    till.deliver([event("checkout.session.completed", stranger)])

    for wait in LOOKS:
        assert till.event_states() == ["unmatched"]
        till.pass_time(seconds=wait.total_seconds() + 1)

    assert till.event_states() == ["needs_review"]
    assert alerts_of(till.house) == ["unmatched_event"]
    assert sum(wait.total_seconds() for wait in LOOKS) > 71 * 3600


def of_a_whole_life(till: Till, purchase: dict[str, Any]) -> list[dict[str, Any]]:
    """Completed, expired and refunded, as three events."""
    charge = {
        "id": "ch_1",
        "object": "charge",
        "payment_intent": "pi_1",
        "amount": 9_000,
        "amount_refunded": 9_000,
        "currency": "usd",
        "paid": True,
        "status": "succeeded",
        "metadata": {"payment_id": purchase["purchase_id"]},
    }
    expired = {"id": purchase["session_id"], "status": "expired", "payment_status": "unpaid"}
    return [
        paid_event(till, purchase),
        event("checkout.session.expired", expired),
        event("charge.refunded", charge),
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_ec048_completed_expired_and_refunded_end_in_one_state(
    till: Till, order: tuple[int, ...]
) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    told = of_a_whole_life(till, purchase)

    till.deliver(told[place] for place in order)
    till.deliver(event | {"id": f"{event['id']}x"} for event in told)

    ended = till.purchase(purchase["purchase_id"])
    assert (ended["state"], ended["refunded_minor"]) == ("refunded", 9_000)
    assert counted(till.house, code_id) == (1, {"refunded": 1})
    assert till.event_states()[3:] == ["stale"] * 3
    assert_proven(till.house)


@pytest.mark.parametrize(("field", "value"), [("amount_total", 9_001), ("currency", "eur")])
def test_ec049_another_amount_waits_for_a_person_who_takes_it(
    till: Till, field: str, value: Any
) -> None:
    code_id = make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())

    till.deliver([paid_event(till, purchase, **{field: value})])
    till.pass_time(hours=2)

    odd = till.purchase(purchase["purchase_id"])
    assert (odd["state"], odd["review"]) == ("paid", "amount_mismatch")
    assert alerts_of(till.house) == ["amount_mismatch"]
    assert counted(till.house, code_id) == (1, {"reserved": 1})
    assert_proven(till.house)


def test_ec031_a_forged_event_is_refused_and_leaves_nothing(till: Till) -> None:
    told = event("checkout.session.completed", {"id": "cs_1"})

    forged = till.post_event(told, secret="whsec_other")
    garbled = till.app.test_client().post("/api/v1/webhooks/stripe", data=b"\xff\xfe")

    assert said(forged) == (400, "invalid_signature")
    assert said(garbled) == (400, "invalid_signature")
    assert till.event_states() == []


@pytest.mark.parametrize(
    ("told", "state", "alerts"),
    [
        (event("invoice.paid", {"id": "in_1"}), "unhandled", []),
        (
            event("charge.succeeded", {"id": "ch_1", "amount": 1, "currency": "usd"}),
            "unhandled",
            [],
        ),
        (
            event("checkout.session.completed", {"id": "cs_1"}, livemode=True),
            "mode_mismatch",
            ["event_mode_mismatch"],
        ),
        (
            event("checkout.session.completed", {"id": "cs_1"}, account="acct_2"),
            "mode_mismatch",
            ["event_mode_mismatch"],
        ),
        (
            event("checkout.session.completed", {"id": "cs_1", "status": "of_tomorrow"}),
            "unhandled",
            [],
        ),
        (
            event("checkout.session.completed", {"status": "complete"}),
            "needs_review",
            ["event_unreadable"],
        ),
    ],
)
def test_ec043_what_is_not_for_us_is_kept_and_has_no_effect(
    till: Till, told: dict[str, Any], state: str, alerts: list[str]
) -> None:
    answer = till.post_event(told | {"id": f"evt_{new_id().hex}"})
    till.work()

    assert (answer.status_code, answer.json["duplicate"]) == (200, False)
    assert till.event_states() == [state]
    assert alerts_of(till.house) == alerts


@pytest.mark.parametrize("body", [b"[]", b"{}", b"no json", b'{"object": "event", "id": 3}'])
def test_s2_039_a_signed_body_that_is_no_event_is_refused(till: Till, body: bytes) -> None:
    signed = stripe.WebhookSignature.generate_signature_header(
        body.decode(), till.house.paying.secrets[0]
    )

    answer = till.app.test_client().post(
        "/api/v1/webhooks/stripe", data=body, headers={"Stripe-Signature": signed}
    )

    assert said(answer) == (400, "invalid_payload")


def test_ec131_events_that_nobody_told_us_of_are_pulled(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay")

    run_duty(till, PULL_EVENTS)
    again = len(till.event_states())
    run_duty(till, PULL_EVENTS)

    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert len(till.event_states()) == again == len(till.events())
    assert alerts_of(till.house) == []  # they were on their way


def test_personal_data_of_a_payer_is_not_kept(till: Till) -> None:
    """SEC-13, EC-041: what an event says of people stays at Stripe."""
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay", email="ann.payer@x.example", name="Ann Payer", fingerprint="fp_ann")

    till.deliver()

    kept = json.dumps([row.news for row in rows(till.house, "SELECT news FROM stripe_events")])
    assert "ann" not in kept.lower()
    assert "fp_ann" not in kept
