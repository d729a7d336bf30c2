"""Orders at a real vendor process: one card per item, whatever the vendor does."""

import pytest

from models.cards import OrderState
from pipelines.wiring import House
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.proof import assert_proven
from tests.seeding import seed
from tests.vendor import Sandbox


def settle(house: House, job_id, rounds: int = 60):
    """Drive the job to its end, bringing every wait forward."""
    for _ in range(rounds):
        drain(house)
        job = view(house, job_id)
        if job["finished_at"] is not None:
            return job
        hasten(house)
    raise AssertionError(f"the job does not end: {job['counts']}")


def orders_by_state(house: House) -> dict[str, int]:
    found = rows(house, "SELECT state, count(*) AS n FROM provider_orders GROUP BY state")
    return {row.state: row.n for row in found}


def test_every_item_without_a_pool_card_is_bought_once(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(12)))

    summary = sandbox.control("GET", "/reloadly/summary")
    assert job["state"] == "succeeded"
    assert job["sources"] == {"csv": 0, "buffer": 0, "api": 12}
    assert summary["orders_successful"] == 12
    assert summary["duplicates"] == []
    assert orders_by_state(vendor_house) == {OrderState.SUCCEEDED: 12}
    assert_proven(vendor_house)


@pytest.mark.parametrize("fault", ["drop_after_create", "error_500_after", "garbage"])
def test_ec059_an_unknown_outcome_is_looked_up_and_never_bought_twice(
    vendor_house: House, sandbox: Sandbox, fault: str
) -> None:
    """EC-059: the vendor creates the order, and its answer is lost."""
    sandbox.arm(**{fault: {"next": 5}})
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(8)))

    summary = sandbox.control("GET", "/reloadly/summary")
    assert job["counts"]["succeeded"] == 8
    assert summary["orders_total"] == 8
    assert summary["distinct_references"] == 8
    assert job["money"]["captured_minor"] == 8 * 2500
    assert_proven(vendor_house)


@pytest.mark.parametrize("fault", ["drop_before_create", "error_500_before"])
def test_an_order_that_was_never_placed_is_sent_again_with_the_same_reference(
    vendor_house: House, sandbox: Sandbox, fault: str
) -> None:
    sandbox.arm(**{fault: {"next": 3}})
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(4)))

    references = {row.id.hex for row in rows(vendor_house, "SELECT id FROM provider_orders")}
    assert job["counts"]["succeeded"] == 4
    assert set(sandbox.references()) == references
    assert len(references) == 4
    assert_proven(vendor_house)


def test_ec060_a_refusal_ends_the_item_uncharged(vendor_house: House, sandbox: Sandbox) -> None:
    """EC-060: the vendor says no; nothing was bought and the credit goes back."""
    sandbox.arm(out_of_stock={"always": True})
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(3)))

    codes = rows(vendor_house, "SELECT DISTINCT code FROM items")
    assert job["state"] == "failed"
    assert [row.code for row in codes] == ["out_of_stock"]
    assert job["money"]["captured_minor"] == 0
    assert job["money"]["released_minor"] == 3 * 2500
    assert_proven(vendor_house)


def test_ec061_throttling_spends_no_attempt(vendor_house: House, sandbox: Sandbox) -> None:
    """EC-061: 429 postpones the order; it is not a failed attempt."""
    sandbox.arm(throttled_429={"next": 6, "retry_after": 1})
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(3)))

    assert job["state"] == "succeeded"
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 3
    assert_proven(vendor_house)


def test_ec062_a_pending_order_is_polled_until_its_card_comes(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-062: the vendor takes the order and delivers the code later."""
    sandbox.arm(processing={"always": True, "seconds": 0.3})
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(3)))

    assert job["state"] == "succeeded"
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 3
    assert_proven(vendor_house)


def test_ec066_a_card_of_another_value_is_set_aside_and_its_hold_stays(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-066: the vendor sells 20 for 25; nobody gets that card."""
    sandbox.arm(wrong_value={"next": 1, "unit_price": 20})
    seeded = seed(vendor_house)

    job = settle(vendor_house, submit(vendor_house, seeded, recipients_csv(2)))

    assert job["state"] == "partially_succeeded"
    assert job["counts"]["needs_review"] == 1
    assert job["money"]["held_minor"] == 2500
    states = rows(vendor_house, "SELECT state, count(*) AS n FROM cards GROUP BY state")
    assert {row.state: row.n for row in states} == {"issued": 1, "quarantined": 1}
    assert_proven(vendor_house)
