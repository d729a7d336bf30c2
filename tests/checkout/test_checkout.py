"""From a reservation to a confirmed purchase on Stripe's page, and what does not lead there (S2-038)."""

from typing import Any

import pytest

from pipelines.discounts.rules import DiscountKind
from tests.discounting import asked, cart, counted, make_discount, said, sweep
from tests.driving import change, rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven


def test_s2_038_a_reservation_is_paid_on_a_page_and_confirmed(till: Till) -> None:
    """S2-013, S2-038, S2-039, S2-100"""
    code_id = make_discount(till.house, till.seeded, max_uses=5)
    reservation = till.reserve()

    begun = till.begin(reservation)
    purchase = begun.json
    till.move(purchase, "pay")
    till.deliver()

    assert begun.status_code == 201
    assert purchase["state"] == "pending"
    # Its slot's time is over before its page's.
    assert purchase["expires_at"] == reservation["expires_at"]
    assert purchase["checkout_url"].startswith(f"{till.sandbox.url}/stripe/pay/cs_")
    assert (purchase["amount_minor"], purchase["currency"]) == (9_000, "USD")
    paid = till.purchase(purchase["purchase_id"])
    assert (paid["state"], paid["paid_minor"], paid["checkout_url"]) == ("confirmed", 9_000, None)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert alerts_of(till.house) == []
    assert_proven(till.house)


def test_s2_038_a_cart_without_a_code_is_paid_in_full(till: Till) -> None:
    bought = cart(4_000, 1_000)

    purchase = till.checkout(cart=bought, customer={"email": "ann@x.example"})
    till.move(purchase, "pay")
    till.deliver()
    again = till.begin(cart=bought, customer={"email": "ann@x.example"})

    assert (purchase["amount_minor"], purchase["reservation_id"]) == (5_000, None)
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert (again.status_code, again.json["state"]) == (200, "confirmed")
    assert again.json["purchase_id"] == purchase["purchase_id"]
    (customer,) = rows(till.house, "SELECT live, purchases FROM discount_customers")
    assert (customer.live, customer.purchases) == (0, 1)


def test_ec034_the_same_request_again_has_the_same_page(till: Till) -> None:
    make_discount(till.house, till.seeded)
    reservation = till.reserve()

    first, again = till.begin(reservation), till.begin(reservation)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert len(till.sandbox.control("GET", "/stripe/sessions")["sessions"]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"drop_after_create": {"next": 1}},
        {"drop_after_create": {"next": 3}},
        {"error_500_after": {"next": 1}},
        {"error_500_before": {"next": 1, "saved": True}},
        {"html_502": {"next": 1, "created": True}},
        {"garbage": {"next": 1}},
        {"in_use_409": {"next": 1}},
        {"throttled_429": {"next": 1}},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_ec034_an_answer_that_is_lost_leaves_one_page(till: Till, fault: dict[str, Any]) -> None:
    make_discount(till.house, till.seeded)
    reservation = till.reserve()
    till.sandbox.arm(vendor="stripe", **fault)

    begun = till.begin(reservation)
    if begun.status_code == 503:
        begun = till.begin(reservation)

    assert begun.status_code in {200, 201}, begun.json
    assert len(till.sandbox.control("GET", "/stripe/sessions")["sessions"]) == 1


def test_ec034_while_stripe_is_away_the_reservation_is_kept(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    reservation = till.reserve()
    till.sandbox.arm(vendor="stripe", error_500_before={"always": True})

    away = till.begin(reservation)
    till.sandbox.control("DELETE", "/stripe/faults")
    purchase = till.checkout(reservation)

    assert said(away) == (503, "payment_provider_unavailable")
    assert away.headers["Retry-After"]
    assert purchase["checkout_url"]
    assert counted(till.house, code_id) == (1, {"reserved": 1})
    assert len(rows(till.house, "SELECT FROM purchases")) == 1


def test_ec019_what_costs_nothing_is_confirmed_without_stripe(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, kind=DiscountKind.PERCENT, percent_bp=10_000)

    purchase = till.checkout(till.reserve(cart=cart(3_333, 3_333, 3_333)))

    assert (purchase["state"], purchase["checkout_url"]) == ("confirmed", None)
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert till.events() == []
    assert_proven(till.house)


def test_ec019_less_than_the_smallest_charge_is_refused_and_the_slot_is_kept(till: Till) -> None:
    code_id = make_discount(
        till.house,
        till.seeded,
        kind=DiscountKind.FIXED,
        percent_bp=None,
        amount_minor=9_960,
        currency="USD",
    )

    refused = till.begin(till.reserve())

    assert said(refused) == (422, "below_minimum_charge")
    assert refused.json["minimum_minor"] == 50
    assert counted(till.house, code_id) == (1, {"reserved": 1})
    assert rows(till.house, "SELECT FROM payments") == []


@pytest.mark.parametrize(
    ("currency", "unit", "stripe_total"), [("JPY", 1_000, 900), ("KWD", 10_000, 9_000)]
)
def test_ec053_currencies_of_other_digits_are_charged_exactly(
    till: Till, currency: str, unit: int, stripe_total: int
) -> None:
    make_discount(till.house, till.seeded)

    purchase = till.checkout(till.reserve(cart=cart(unit, currency=currency)))
    till.move(purchase, "pay")
    till.deliver()

    (session,) = till.sandbox.control("GET", "/stripe/sessions")["sessions"]
    assert session["amount_total"] == stripe_total
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"


def test_ec016_a_cart_that_changed_is_priced_anew_and_its_old_page_ends(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = till.reserve(cart=cart(10_000, reference="cart-1"))
    before = till.checkout(reservation)

    after = till.checkout(reservation, cart=cart(5_000, reference="cart-1"))

    sessions = till.sandbox.control("GET", "/stripe/sessions")["sessions"]
    assert {one["id"]: one["status"] for one in sessions} == {
        before["session_id"]: "expired",
        after["session_id"]: "open",
    }
    assert (before["amount_minor"], after["amount_minor"]) == (9_000, 4_500)
    till.deliver()
    assert counted(till.house, code_id) == (1, {"reserved": 1})
    till.move(after, "pay")
    till.deliver()
    assert till.purchase(after["purchase_id"])["state"] == "confirmed"
    assert till.purchase(before["purchase_id"])["state"] == "expired"
    assert_proven(till.house)


def test_ec016_a_cart_that_the_code_is_not_for_any_more_gives_its_slot_back(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, currency="USD", min_subtotal_minor=5_000)
    reservation = till.reserve(cart=cart(10_000, reference="cart-1"))
    before = till.checkout(reservation)

    changed = till.begin(reservation, cart=cart(4_000, reference="cart-1"))

    assert said(changed) == (409, "cart_changed")
    assert changed.json["reason"] == "min_order_not_met"
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert till.purchase(before["purchase_id"])["state"] == "expired"
    assert_proven(till.house)


def test_ec016_applying_again_with_another_cart_ends_the_page_too(till: Till) -> None:
    make_discount(till.house, till.seeded)
    who = {"email": "ann@x.example"}
    before = till.checkout(till.reserve(cart=cart(10_000, reference="c1"), customer=who))

    till.reserve(cart=cart(7_000, reference="c1"), customer=who)

    assert till.purchase(before["purchase_id"])["state"] == "expired"
    after = till.checkout(cart=cart(7_000, reference="c1"), customer=who)
    assert (after["amount_minor"], after["state"]) == (6_300, "pending")


def test_a_reservation_is_paid_by_whom_and_for_which_cart_it_was_made(till: Till) -> None:
    make_discount(till.house, till.seeded)
    reservation = till.reserve(who="ann@x.example")

    other = till.begin(reservation, customer={"email": "bob@x.example"})
    elsewhere = till.begin(reservation, cart=cart(10_000, 5, reference="other"))
    till.pass_time(minutes=16)
    late = till.begin(reservation)

    assert said(other) == (409, "customer_mismatch")
    assert said(elsewhere) == (409, "cart_mismatch")
    assert said(late) == (410, "reservation_expired")


def test_ec010_ec025_a_reservation_is_paid_at_the_price_that_it_was_made_at(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = till.reserve()
    change(
        till.house,
        "INSERT INTO discount_rules (code_id, version, agency_id, client_id, kind, percent_bp, "
        "expires_at, created_by) SELECT code_id, 2, agency_id, client_id, kind, 500, "
        "now() - interval '1 second', created_by FROM discount_rules WHERE code_id = :code",
        code=code_id,
    )
    change(till.house, "UPDATE discount_codes SET rules_version = 2, state = 'paused'")

    purchase = till.checkout(reservation)
    till.move(purchase, "pay")
    till.deliver()

    assert purchase["amount_minor"] == 9_000
    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"


def test_ec005_what_nobody_paid_in_time_ends_at_stripe_before_its_slot_is_free(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())

    till.pass_time(minutes=16)
    sweep(till.house)

    ended = till.purchase(purchase["purchase_id"])
    assert (ended["state"], ended["checkout_url"]) == ("expired", None)
    assert till.usage(purchase).release_reason == "timeout"
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert till.sandbox.control("GET", "/stripe/summary")["sessions"] == {"expired": 1}
    till.deliver()
    sweep(till.house)
    assert counted(till.house, code_id) == (0, {"released": 1})
    assert_proven(till.house)


def test_ec005_a_page_that_was_paid_meanwhile_is_confirmed_though_nobody_told(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay")

    till.pass_time(minutes=16)

    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    till.deliver()
    assert till.event_states().count("handled") <= 1
    assert_proven(till.house)


def test_ec005_while_stripe_is_away_the_slot_is_not_given_away(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, max_uses=1)
    till.checkout(till.reserve())
    till.sandbox.arm(vendor="stripe", expire_error_500_before={"always": True})

    till.pass_time(minutes=16)
    sweep(till.house)

    assert counted(till.house, code_id) == (1, {"reserved": 1})
    assert till.shop.post("/discounts/apply", asked()).json["code"] == "slot_exhausted"


def test_ec005_a_released_reservation_ends_its_page_first(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    reservation = till.reserve()
    purchase = till.checkout(reservation)

    released = till.shop.call("DELETE", f"/reservations/{reservation['id']}")

    assert released.status_code == 200
    assert released.json["reservation"]["release_reason"] == "customer"
    assert till.purchase(purchase["purchase_id"])["state"] == "expired"
    assert till.sandbox.control("GET", "/stripe/summary")["sessions"] == {"expired": 1}
    assert counted(till.house, code_id) == (0, {"released": 1})


def test_ec005_a_paid_reservation_is_not_released_though_nobody_told_us(till: Till) -> None:
    make_discount(till.house, till.seeded)
    reservation = till.reserve()
    till.move(till.checkout(reservation), "pay")

    refused = till.shop.call("DELETE", f"/reservations/{reservation['id']}")

    assert said(refused) == (409, "reservation_ended")
    shown = till.shop.get(f"/reservations/{reservation['id']}").json["reservation"]
    assert shown["state"] == "CONFIRMED"


def test_checkout_says_what_is_missing(till: Till) -> None:
    nothing = till.begin()
    nobody = till.begin(cart=cart())
    nowhere = till.shop.post(
        "/checkout", {"cart": cart(), "success_url": "thanks", "cancel_url": "ftp://x.example"}
    )

    assert {error["pointer"] for error in nothing.json["errors"]} >= {"/reservation_id"}
    assert [error["pointer"] for error in nobody.json["errors"]] == ["/customer"]
    assert {error["pointer"] for error in nowhere.json["errors"]} >= {
        "/success_url",
        "/cancel_url",
    }
