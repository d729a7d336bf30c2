"""Recovery where a repeat is safe: the same reference is sent again, and one card is bought (EC-059)."""

import pytest
from sqlalchemy import text

from models.cards import OrderState
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.provisioning.questions import SAFE_SENDS_MAX
from pipelines.wiring import House
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.moves import one_step
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox

ROUTE = ("tango", "U120000")


def settle(house: House, job_id):
    """Drive the job to its end, bringing every wait forward."""
    for _ in range(60):
        drain(house)
        job = view(house, job_id)
        if job["finished_at"] is not None:
            return job
        hasten(house)
    raise AssertionError(f"the job does not end: {job['counts']}")


def summary(sandbox: Sandbox) -> dict:
    return sandbox.control("GET", "/tango/summary")


def calls(sandbox: Sandbox) -> tuple[int, int]:
    """Order calls and look-ups by reference that Tango got."""
    made = summary(sandbox)["calls"]
    return made.get("POST /orders", 0), made.get("GET /orders", 0)


@pytest.fixture
def seeded(vendor_house: House) -> Seeded:
    return seed(vendor_house, route=ROUTE)


@pytest.mark.parametrize("fault", ["drop_after_create", "error_500_after", "garbage"])
def test_ec059_a_lost_answer_is_asked_for_again_with_the_same_reference(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox, fault: str
) -> None:
    sandbox.arm(vendor="tango", **{fault: {"next": 2}})

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(3)))

    assert job["state"] == "succeeded"
    assert (summary(sandbox)["orders_total"], summary(sandbox)["duplicates"]) == (3, [])
    assert calls(sandbox) == (5, 0)
    assert {row.sends for row in rows(vendor_house, "SELECT sends FROM provider_orders")} == {1, 2}
    assert_proven(vendor_house)


def test_ec059_an_order_that_never_arrived_is_bought_by_the_repeat_without_waiting_for_absence(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox
) -> None:
    sandbox.arm(vendor="tango", drop_before_create={"next": 1})

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))

    assert job["state"] == "succeeded"
    assert summary(sandbox)["orders_total"] == 1
    assert calls(sandbox) == (2, 0)
    assert_proven(vendor_house)


def test_ec059_repeats_end_after_five_sends_and_then_it_is_looked_up(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox
) -> None:
    """The order was sold at once, and Tango never answers an order call in words."""
    sandbox.arm(vendor="tango", error_500_after={"always": True})

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))

    assert job["state"] == "succeeded"
    assert summary(sandbox)["orders_total"] == 1
    assert calls(sandbox) == (SAFE_SENDS_MAX, 1)
    assert_proven(vendor_house)


@pytest.mark.parametrize(
    ("fault", "pauses"), [({"throttled_429": {"next": 1, "retry_after": 30}}, True), ({}, False)]
)
def test_ec061_a_throttled_repeat_spends_no_send_and_pauses_the_account(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox, fault: dict, pauses: bool
) -> None:
    """EC-061: proof that the repeat did not run; the vendor's own wait is kept."""
    sandbox.arm(vendor="tango", drop_after_create={"next": 1})
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    one_step(vendor_house)
    one_step(vendor_house)
    hasten(vendor_house)
    before = rows(vendor_house, "SELECT sends, sent_at FROM provider_orders")
    sandbox.arm(vendor="tango", **(fault or {"unavailable_503": {"next": 1}}))
    one_step(vendor_house)

    after = rows(vendor_house, "SELECT sends, sent_at FROM provider_orders")
    (waits,) = rows(
        vendor_house,
        "SELECT t.run_after - now() > interval '20 seconds' AS long, "
        "coalesce(v.paused_until - now() > interval '20 seconds', false) AS paused "
        "FROM tasks t, vendor_accounts v WHERE t.kind = 'recover_order'",
    )
    assert (after == before, waits.long, waits.paused) == (pauses, pauses, pauses)
    assert settle(vendor_house, job_id)["state"] == "succeeded"
    assert summary(sandbox)["orders_total"] == 1
    assert_proven(vendor_house)


def test_ec059_a_refused_repeat_proves_nothing_about_the_first_send(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox
) -> None:
    """The first send was sold and its answer lost; by now the item is out of stock."""
    sandbox.arm(vendor="tango", drop_after_create={"next": 1})
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    drain(vendor_house)
    sandbox.arm(vendor="tango", out_of_stock={"always": True})

    job = settle(vendor_house, job_id)

    assert job["state"] == "succeeded"
    assert summary(sandbox)["orders_total"] == 1
    assert_proven(vendor_house)


def test_ec060_an_order_that_never_ran_and_is_refused_now_ends_uncharged(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox
) -> None:
    sandbox.arm(vendor="tango", drop_before_create={"next": 1})
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    one_step(vendor_house)
    one_step(vendor_house)  # not `drain`: on a slow machine recovery would be due in it already
    sandbox.arm(vendor="tango", out_of_stock={"always": True})

    job = settle(vendor_house, job_id)

    assert job["state"] == "failed"
    assert job["money"]["released_minor"] == 2500
    assert summary(sandbox)["orders_total"] == 0
    assert_proven(vendor_house)


@pytest.mark.parametrize("stop", ["suspended", "paused"])
def test_ec080_nothing_is_bought_by_a_repeat_for_a_job_that_stands_still(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox, stop: str
) -> None:
    """EC-080: what may have been sold is looked up; what was not is not bought now."""
    sandbox.arm(vendor="tango", drop_before_create={"next": 1})
    submit(vendor_house, seeded, recipients_csv(1))
    one_step(vendor_house)
    one_step(vendor_house)
    standstill = {
        "suspended": "UPDATE clients SET suspended_at = now() RETURNING 1",
        "paused": "UPDATE jobs SET state = 'paused' RETURNING 1",
    }
    rows(vendor_house, standstill[stop])
    bring_recovery_forward(vendor_house)

    one_step(vendor_house)

    order = rows(vendor_house, "SELECT state, sends FROM provider_orders")[0]
    assert (order.state, order.sends) == (OrderState.UNKNOWN, 1)
    assert calls(sandbox) == (1, 1)


def bring_recovery_forward(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE tasks SET run_after = now(), rung_at = NULL"))


def test_ec062_an_order_under_review_is_polled_until_its_card_comes(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox
) -> None:
    """EC-062"""
    sandbox.arm(vendor="tango", processing={"always": True, "seconds": 0.3})

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(2)))

    assert job["state"] == "succeeded"
    assert summary(sandbox)["orders_total"] == 2
    assert_proven(vendor_house)


def test_ec066_the_original_order_of_another_value_is_set_aside(
    vendor_house: House, seeded: Seeded, sandbox: Sandbox
) -> None:
    """EC-066: a repeat is answered with what was really bought, and that is compared."""
    sandbox.arm(vendor="tango", wrong_value={"next": 1, "amount": 20})

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(1)))

    states = rows(vendor_house, "SELECT state FROM cards")
    assert job["counts"]["needs_review"] == 1
    assert job["money"]["held_minor"] == 2500
    assert [row.state for row in states] == ["quarantined"]
    assert_proven(vendor_house)
