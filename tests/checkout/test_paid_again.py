"""A cart that is sent, or paid, once more: nobody pays twice, and nobody is told twice (EC-034, EC-035)."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.payments.learn import learn
from pipelines.payments.news import News
from tests.checkout.test_checkout_races import at_once
from tests.checkout.test_odd_payments import told_of
from tests.conftest import forget_rates
from tests.discounting import asked, cart, counted, make_discount, said
from tests.driving import change, rows
from tests.paying import Till, alerts_of
from tests.proof import assert_proven

ANN = {"email": "ann@x.example"}


def test_ec034_a_paid_cart_that_is_sent_again_is_the_purchase_that_it_is(till: Till) -> None:
    make_discount(till.house, till.seeded)
    bought = cart(10_000, reference="c")
    reservation = till.reserve(cart=bought, customer=ANN)
    purchase = till.checkout(cart=bought, customer=ANN)
    till.move(purchase, "pay")
    till.deliver()

    by_cart = till.begin(cart=bought, customer=ANN)
    by_slot = till.begin(reservation)
    stranger = till.begin(cart=bought, customer={"email": "bob@x.example"})

    for again in (by_cart, by_slot):
        assert (again.status_code, again.json["state"]) == (200, "confirmed")
        assert again.json["purchase_id"] == purchase["purchase_id"]
        assert again.headers["Idempotent-Replayed"] == "true"
    assert said(stranger) == (409, "cart_paid")
    assert len(till.sandbox.control("GET", "/stripe/sessions")["sessions"]) == 1


def test_ec019_a_free_cart_that_is_sent_ten_times_at_once_is_one_purchase(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded, percent_bp=10_000)
    bought = cart(10_000, reference="c")
    till.reserve(cart=bought, customer=ANN)

    answers = at_once(*(lambda: till.begin(cart=bought, customer=ANN) for _ in range(10)))

    assert {answer.json["state"] for answer in answers} == {"confirmed"}
    assert len({answer.json["purchase_id"] for answer in answers}) == 1
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert told_of(till) == [("purchase.confirmed", "succeeded")]


def test_ec019_a_free_cart_without_a_code_is_one_purchase(till: Till) -> None:
    free = cart(0, reference="c")

    answers = at_once(*(lambda: till.begin(cart=free, customer=ANN) for _ in range(4)))

    assert len({answer.json["purchase_id"] for answer in answers}) == 1
    assert told_of(till) == [("purchase.confirmed", "succeeded")]


def test_ec006_a_cart_that_was_applied_and_paid_again_is_paid_once(till: Till) -> None:
    """The first page is paid late, after the second one was."""
    make_discount(till.house, till.seeded)
    bought = cart(10_000, reference="c")
    first = till.checkout(till.reserve(cart=bought, customer=ANN))
    till.pass_time(minutes=16)
    second = till.checkout(till.reserve(cart=bought, customer=ANN))
    till.move(second, "pay")
    till.deliver()

    till.move(first, "pay-late")
    till.deliver()
    till.deliver()

    late = till.purchase(first["purchase_id"])
    assert (late["state"], late["refused"]) == ("refunded", "paid_twice")
    assert till.purchase(second["purchase_id"])["state"] == "confirmed"
    assert alerts_of(till.house) == ["paid_twice"]
    assert_proven(till.house)


def test_ec006_a_late_payment_ends_the_page_of_the_next_try(till: Till) -> None:
    make_discount(till.house, till.seeded)
    bought = cart(10_000, reference="c")
    first = till.checkout(till.reserve(cart=bought, customer=ANN))
    till.pass_time(minutes=16)
    second = till.checkout(till.reserve(cart=bought, customer=ANN))

    till.move(first, "pay-late")
    till.deliver()
    till.deliver()

    assert till.purchase(first["purchase_id"])["state"] == "confirmed"
    assert till.purchase(second["purchase_id"])["state"] == "expired"
    assert_proven(till.house)


def test_ec006_a_cart_without_a_code_is_paid_once_whatever_it_cost(till: Till) -> None:
    old = till.checkout(cart=cart(10_000, reference="c"), customer=ANN)
    new = till.checkout(cart=cart(8_000, reference="c"), customer=ANN)
    till.move(new, "pay")
    till.deliver()

    till.move(old, "pay-late")
    till.deliver()
    till.deliver()

    assert till.purchase(old["purchase_id"])["refused"] == "paid_twice"
    assert till.purchase(new["purchase_id"])["state"] == "confirmed"
    (customer,) = rows(till.house, "SELECT purchases FROM discount_customers")
    assert customer.purchases == 1


@pytest.mark.parametrize("_time", range(2))
def test_ec006_two_pages_of_one_cart_that_are_paid_at_the_same_moment_are_paid_once(
    till: Till, _time: int
) -> None:
    old = till.checkout(cart=cart(10_000, reference="c"), customer=ANN)
    new = till.checkout(cart=cart(8_000, reference="c"), customer=ANN)
    learn_at_once(till, old, new)
    till.work()

    states = sorted(till.purchase(one["purchase_id"])["state"] for one in (old, new))
    assert states == ["confirmed", "paid"]
    assert alerts_of(till.house) == ["paid_twice"]
    assert_proven(till.house)


def learn_at_once(till: Till, *purchases: dict[str, Any]) -> None:
    """Two workers hear of two payments at the same moment."""

    def hear(purchase: dict[str, Any]) -> None:
        news = News(
            payment="paid",
            paid_minor=purchase["amount_minor"],
            paid_currency="USD",
            session_status="complete",
        )
        with scoped_transaction(till.house.sessions, SYSTEM) as session:
            now, followers = clock.now(session), till.house.paying.pages.followers
            learn(session, UUID(purchase["purchase_id"]), news, followers=followers, now=now)

    at_once(*(partial(hear, purchase) for purchase in purchases))


def stacking(till: Till) -> dict[str, UUID]:
    """Two codes that go together."""
    return {
        code: make_discount(till.house, till.seeded, code, stacking_group=code.lower())
        for code in ("FIRST", "SECOND")
    }


def test_ec003_a_code_that_is_added_just_when_its_cart_is_paid_sells_it_no_second_time(
    till: Till,
) -> None:
    """EC-003, EC-018: nobody told us of the payment yet; and once it is known, for a day."""
    codes = stacking(till)
    bought = cart(10_000, reference="c")
    first = till.checkout(till.reserve("FIRST", cart=bought, customer=ANN))
    till.move(first, "pay")

    beside = [till.shop.post("/discounts/apply", asked("SECOND", cart=bought, customer=ANN))]
    assert till.purchase(first["purchase_id"])["state"] == "confirmed"
    beside.append(till.shop.post("/discounts/apply", asked("SECOND", cart=bought, customer=ANN)))
    beside.append(till.shop.post("/discounts/apply", asked("FIRST", cart=bought, customer=ANN)))

    assert [said(one) for one in beside] == [(409, "cart_paid")] * 3
    assert {one.json["purchase_id"] for one in beside} == {first["purchase_id"]}
    assert till.checkout(cart=bought, customer=ANN)["purchase_id"] == first["purchase_id"]
    assert counted(till.house, codes["SECOND"]) == (0, {})
    assert alerts_of(till.house) == []
    assert_proven(till.house)

    forget_rates(till.house.settings.edge.rates_url)
    # Other contents, another customer, or another day: the shop uses the id again.
    till.reserve("SECOND", cart=cart(9_000, reference="c"), customer=ANN)
    till.reserve("SECOND", cart=bought)
    change(till.house, "UPDATE payments SET paid_at = paid_at - interval '25 hours'")
    next_day = till.reserve("SECOND", cart=bought, customer=ANN)
    assert till.checkout(next_day)["purchase_id"] != first["purchase_id"]


def test_ec003_a_cart_that_changes_just_when_it_is_paid_has_no_second_page(till: Till) -> None:
    """EC-003, EC-016: who wants it all the same, now that it is told, asks again."""
    first = till.checkout(cart=cart(10_000, reference="c"), customer=ANN)
    till.move(first, "pay")

    changed = till.begin(cart=cart(8_000, reference="c"), customer=ANN)

    assert (said(changed), changed.json["purchase_id"]) == (
        (409, "cart_paid"),
        first["purchase_id"],
    )
    assert till.purchase(first["purchase_id"])["state"] == "confirmed"
    assert len(till.sandbox.control("GET", "/stripe/sessions")["sessions"]) == 1
    assert till.begin(cart=cart(8_000, reference="c"), customer=ANN).status_code == 201


def test_ec003_a_cart_that_was_paid_without_a_code_is_not_paid_with_one(till: Till) -> None:
    """EC-003, EC-018: its page was open when the code came, and was paid at its full price."""
    make_discount(till.house, till.seeded)
    bought = cart(10_000, reference="c")
    first = till.checkout(cart=bought, customer=ANN)
    reservation = till.reserve(cart=bought, customer=ANN)
    till.move(first, "pay")
    till.deliver()

    second = till.begin(reservation)

    assert (said(second), second.json["purchase_id"]) == ((409, "cart_paid"), first["purchase_id"])
    assert_proven(till.house)


def test_a_cart_id_may_be_used_for_the_next_purchase(till: Till) -> None:
    first = till.checkout(cart=cart(10_000, reference="mine"), customer=ANN)
    till.move(first, "pay")
    till.deliver()

    second = till.checkout(cart=cart(9_000, reference="mine"), customer=ANN)
    till.move(second, "pay")
    till.deliver()

    for purchase in (first, second):
        assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert alerts_of(till.house) == []


def test_a_page_that_is_over_is_not_handed_out_again(till: Till) -> None:
    bought = cart(10_000, reference="c")
    old = till.checkout(cart=bought, customer=ANN)
    till.move(old, "expire")
    change(till.house, "UPDATE payments SET session_expires_at = now() - interval '1 second'")

    new = till.checkout(cart=bought, customer=ANN)

    assert new["session_id"] != old["session_id"]
    assert till.purchase(old["purchase_id"])["state"] == "expired"


def test_a_cart_without_a_code_ends_when_its_page_does(till: Till) -> None:
    purchase = till.checkout(cart=cart(10_000), customer=ANN)

    change(till.house, "UPDATE payments SET session_id = NULL, session_status = 'none'")
    change(till.house, "UPDATE payments SET session_expires_at = now() - interval '1 second'")
    till.pass_time(minutes=51)

    assert till.purchase(purchase["purchase_id"])["state"] == "expired"


def test_ec016_a_release_frees_the_slot_whatever_the_page_was_ended_for(till: Till) -> None:
    code_id = make_discount(till.house, till.seeded)
    body = asked(cart=cart(10_000, reference="c"))
    reservation = till.shop.post("/discounts/apply", body).json["reservation"]
    till.checkout(reservation)
    till.sandbox.arm(vendor="stripe", expire_error_500_before={"always": True})
    away = till.begin(reservation, cart=cart(8_000, reference="c"))
    till.sandbox.control("DELETE", "/stripe/faults")

    released = till.shop.call("DELETE", f"/reservations/{reservation['id']}")

    assert said(away) == (503, "payment_provider_unavailable")
    assert released.json["reservation"]["state"] == "RELEASED"
    assert counted(till.house, code_id) == (0, {"released": 1})
