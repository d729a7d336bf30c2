"""What the nights set right: counts of codes, and payments that nobody told us of (EC-022, EC-023)."""

from typing import Any
from uuid import UUID

import pytest

from models.base import new_id
from pipelines.queue.kinds import RECONCILE_DISCOUNTS, RECONCILE_PAYMENTS
from pipelines.reconciliation.discount_counts import is_corrected_alone
from tests.discounting import asked, cart, make_discount
from tests.driving import change, rows
from tests.paying import Till, alerts_of, run_duty
from tests.proof import assert_proven, violations


def used(till: Till) -> int:
    (code,) = rows(till.house, "SELECT used FROM discount_codes")
    return int(code.used)


def test_ec022_s2_110_a_small_drift_is_corrected_told_and_audited(till: Till) -> None:
    """S2-110, S2-111, S2-112, S2-113"""
    make_discount(till.house, till.seeded)
    till.reserve()
    change(till.house, "UPDATE discount_codes SET used = used + 3")

    run_duty(till, RECONCILE_DISCOUNTS)
    run_duty(till, RECONCILE_DISCOUNTS)

    assert used(till) == 1
    (entry,) = rows(
        till.house, "SELECT detail FROM audit_entries WHERE action = 'discount.count_corrected'"
    )
    assert entry.detail["used"] == [4, 1]
    assert len(entry.detail["newest"]) == 1
    assert alerts_of(till.house) == ["usage_drift"]
    assert_proven(till.house)


def test_ec022_a_large_drift_waits_for_a_person(till: Till) -> None:
    make_discount(till.house, till.seeded)
    change(till.house, "UPDATE discount_codes SET used = used + 6")

    run_duty(till, RECONCILE_DISCOUNTS)

    assert used(till) == 6
    assert alerts_of(till.house) == ["usage_drift"]
    assert "discount-uses" in violations(till.house)


@pytest.mark.parametrize(
    ("drift", "there", "alone"),
    [(5, 0, True), (6, 0, False), (10, 1_000, True), (11, 1_000, False)],
)
def test_ec022_how_much_is_corrected_alone(drift: int, there: int, alone: bool) -> None:
    assert is_corrected_alone(drift, there) is alone


def test_ec022_what_is_right_is_left_alone_whatever_became_of_it(till: Till) -> None:
    make_discount(till.house, till.seeded)
    till.move(till.checkout(till.reserve()), "pay")
    till.reserve()
    till.deliver()

    run_duty(till, RECONCILE_DISCOUNTS)

    assert (used(till), alerts_of(till.house)) == (2, [])


def an_hour_old(till: Till, *tables: str) -> None:
    for table in tables:
        change(till.house, f"UPDATE {table} SET created_at = created_at - interval '1 hour'")


def test_ec023_a_payment_that_nobody_told_us_of_is_found_and_confirmed(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay")

    run_duty(till, RECONCILE_PAYMENTS)

    assert till.purchase(purchase["purchase_id"])["state"] == "confirmed"
    assert alerts_of(till.house) == []


def test_ec023_a_page_of_stripe_s_that_we_do_not_know_is_found(till: Till) -> None:
    make_discount(till.house, till.seeded)
    purchase = till.checkout(till.reserve())
    till.move(purchase, "pay")
    forget(till, purchase)
    till.sandbox.switch(vendor="stripe", clock_ahead_seconds=-3600)
    stranger = till.checkout(cart=cart(), customer={"email": "bob@x.example"})
    forget(till, stranger)
    till.sandbox.switch(vendor="stripe")

    run_duty(till, RECONCILE_PAYMENTS)

    assert alerts_of(till.house) == ["payments_do_not_agree"]
    (told,) = rows(till.house, "SELECT detail FROM alert_signals")
    assert told.detail["unknown_here"] >= 1
    assert told.detail["unknown_at_stripe"] == 0


def forget(till: Till, purchase: dict[str, Any]) -> None:
    """As if our row had never been."""
    change(
        till.house,
        "UPDATE payments SET session_id = NULL, session_status = 'none' WHERE id = :id",
        id=UUID(purchase["purchase_id"]),
    )


def test_ec023_a_payment_of_ours_that_stripe_does_not_know_is_found(till: Till) -> None:
    make_discount(till.house, till.seeded)
    till.checkout(till.reserve())
    change(till.house, "UPDATE payments SET session_id = 'cs_gone'")
    an_hour_old(till, "payments")

    run_duty(till, RECONCILE_PAYMENTS)
    (told,) = rows(till.house, "SELECT detail FROM alert_signals")

    assert told.detail["unknown_at_stripe"] == 1
    assert alerts_of(till.house) == ["payments_do_not_agree"]


def test_ec023_while_stripe_is_away_it_is_compared_later(till: Till) -> None:
    till.sandbox.arm(vendor="stripe", retrieve_error_500_before={"always": True})

    run_duty(till, RECONCILE_PAYMENTS)

    (task,) = rows(till.house, "SELECT postponed_for FROM tasks WHERE kind = 'reconcile_payments'")
    assert task.postponed_for == "payment_provider"


def test_s2_106_a_first_purchase_is_the_first_by_any_code_or_none(till: Till) -> None:
    make_discount(till.house, till.seeded, first_order_only=True)
    bought = till.checkout(cart=cart(5_000), customer={"email": "ann@x.example"})
    till.move(bought, "pay")
    till.deliver()

    again = till.shop.post("/discounts/apply", asked(who="ann@x.example"))
    other = till.shop.post("/discounts/apply", asked(who=f"{new_id()}@x.example"))

    assert again.json["code"] == "not_first_order"
    assert other.status_code == 201
