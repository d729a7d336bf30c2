"""What is refused about filling buffers, and orders that are called off (S4-116, EC-081)."""

from datetime import timedelta

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM
from pipelines.errors import ValidationFailed
from pipelines.refilling.controls import (
    CeilingMissing,
    NewPlan,
    NotABuffer,
    change_refill,
    plan_refill,
)
from pipelines.wiring import House
from tests.driving import drain, rows
from tests.pipelines.test_margin import set_cost
from tests.pipelines.test_refilling import decide, look_once, orders
from tests.proof import assert_proven
from tests.seeding import ACTOR, seed
from tests.vendor import Sandbox


def test_what_cannot_be_is_refused_and_changes_nothing(house: House) -> None:
    seeded = seed(house)
    before = rows(house, "SELECT * FROM card_pools ORDER BY id")
    rows(house, "UPDATE card_pools SET low_watermark = low_watermark RETURNING 1")
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        with pytest.raises(NotABuffer):
            change_refill(session, seeded.csv_pool, {"target": 5}, actor_id=ACTOR, now=now)
        with pytest.raises(ValidationFailed):
            change_refill(session, seeded.buffer_pool, {"target": 0}, actor_id=ACTOR, now=now)
        with pytest.raises(CeilingMissing):
            past = NewPlan(1, now - timedelta(seconds=1))
            plan_refill(session, seeded.buffer_pool, past, actor_id=ACTOR, now=now)

    assert rows(house, "SELECT * FROM card_pools ORDER BY id") == before


def test_ec081_an_order_for_a_buffer_that_became_too_dear_is_called_off(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-081: written while 2363 was cheap enough, and sent when it costs 2563; then it is cheap again."""
    seeded = seed(vendor_house)
    set_cost(vendor_house, 9_450)
    decide(vendor_house, seeded, target=2)
    look_once(vendor_house)
    before = sandbox.calls("orders")
    set_cost(vendor_house, 9_450, flat=200)
    drain(vendor_house)
    ended = rows(vendor_house, "SELECT state, code FROM provider_orders")
    look_once(vendor_house)
    while_dear = orders(vendor_house)
    set_cost(vendor_house, 9_450)
    look_once(vendor_house)

    assert [tuple(row) for row in ended] == [("cancelled", "margin_below_floor")] * 2
    assert (sandbox.calls("orders"), while_dear, orders(vendor_house)) == (before, 2, 4)
    assert_proven(vendor_house)
