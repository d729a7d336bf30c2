"""A worker died between marking its order sent and writing down the answer (EC-063, EC-059)."""

import time
from typing import Any

import pytest
from sqlalchemy import text

from models.cards import OrderState
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.providers.ports import OrderRequest, Succeeded
from pipelines.wiring import House, build_providers
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.moves import one_step
from tests.proof import assert_proven
from tests.seeding import seed
from tests.vendor import Sandbox


def mark_sent(house: House) -> Any:
    """What the dead worker left behind: its commit before the call, and a lease that ran out."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE provider_orders SET state = 'sent', sends = 1, sent_at = now()")
        )
        session.execute(
            text(
                "UPDATE tasks SET starts = 1, lease_token = 1, lease_until = now(), rung_at = NULL"
            )
        )
    return rows(
        house, "SELECT id, vendor, product, face_value_minor, currency FROM provider_orders"
    )[0]


@pytest.mark.parametrize("vendor_got_it", [True, False])
def test_ec063_an_order_left_sent_is_asked_after_and_bought_once(
    vendor_house: House, sandbox: Sandbox, vendor_got_it: bool
) -> None:
    seeded = seed(vendor_house)
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    one_step(vendor_house)
    order = mark_sent(vendor_house)
    if vendor_got_it:
        request = OrderRequest(
            reference=order.id.hex,
            product=order.product,
            face_value_minor=order.face_value_minor,
            currency=order.currency,
            send_by=time.monotonic() + 10,
        )
        bought = build_providers(vendor_house.settings)[order.vendor].place_order(request)
        assert isinstance(bought, Succeeded)
    placed = sandbox.calls("POST /orders")

    one_step(vendor_house)
    after = rows(vendor_house, "SELECT state, code FROM provider_orders")[0]
    unasked = sandbox.calls("POST /orders") - placed
    for _ in range(60):
        if view(vendor_house, job_id)["finished_at"] is not None:
            break
        hasten(vendor_house)
        drain(vendor_house)

    assert (after.state, after.code, unasked) == (OrderState.UNKNOWN, "worker_lost", 0)
    summary = sandbox.control("GET", "/reloadly/summary")
    assert view(vendor_house, job_id)["state"] == "succeeded"
    assert (summary["orders_total"], summary["duplicates"]) == (1, [])
    assert sandbox.references() == [order.id.hex]
    assert_proven(vendor_house)


def test_ec059_an_order_not_found_soon_after_it_was_sent_may_still_come(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """The vendor may be at work on it yet: it is asked again later, and nothing is sent twice."""
    seeded = seed(vendor_house)
    job_id = submit(vendor_house, seeded, recipients_csv(1))
    one_step(vendor_house)
    mark_sent(vendor_house)
    one_step(vendor_house)
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE provider_orders SET sent_at = now() + interval '1 minute'"))
        session.execute(text("UPDATE tasks SET run_after = now(), rung_at = NULL"))

    one_step(vendor_house)

    order = rows(vendor_house, "SELECT state, sends, lookups FROM provider_orders")[0]
    assert (order.state, order.sends, order.lookups) == (OrderState.UNKNOWN, 1, 1)
    assert [task.kind for task in rows(vendor_house, "SELECT kind FROM tasks")] == ["recover_order"]
    assert view(vendor_house, job_id)["money"]["held_minor"] == 2500
    assert sandbox.calls("POST /orders") == 0
