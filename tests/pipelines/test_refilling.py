"""Buffers are filled ahead: the duty, what people decide about it, and what it tells (S4-114..118)."""

from datetime import timedelta
from typing import Any

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from pipelines.errors import NotFound, ValidationFailed
from pipelines.queue.defer import defer
from pipelines.queue.kinds import REFILL_BUFFERS
from pipelines.refilling.controls import (
    CeilingMissing,
    NewPlan,
    RefillNotSetUp,
    change_refill,
    plan_refill,
    refill_now,
    refill_state,
    withdraw_plan,
)
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.vendor import Sandbox


def decide(house: House, seeded: Seeded, **changes: Any) -> None:
    changes = {"ceiling_minor": 100_000_000, **changes}
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        change_refill(session, seeded.buffer_pool, changes, actor_id=ACTOR, now=now)


def look_once(house: House, *, later: timedelta = timedelta()) -> None:
    """One pass of the duty, and nothing else: no order is sent."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        handler = build_handlers(house).by_name[REFILL_BUFFERS.name]
        handler.run(session, None, clock.now(session) + later)


def state(house: House, seeded: Seeded) -> dict[str, Any]:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        (shown,) = refill_state(session, [seeded.buffer_pool], now=now, limits=house.limits)
        return shown


def orders(house: House) -> int:
    (found,) = rows(house, "SELECT count(*) AS n FROM provider_orders WHERE pool_id IS NOT NULL")
    return int(found.n)


#: Orders of a day ago, in that state.
YESTERDAY = (
    "UPDATE provider_orders SET created_at = created_at - interval '1 day', state = '{0}', "
    "sent_at = CASE WHEN '{0}' = 'sent' THEN now() - interval '1 day' END RETURNING 1"
)


def signals(house: House) -> list[tuple[str, bool]]:
    found = rows(house, "SELECT kind, is_over FROM alert_signals ORDER BY id")
    return [(row.kind, row.is_over) for row in found]


def test_s4_116_a_buffer_at_its_low_watermark_is_filled_up_to_its_target(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    decide(vendor_house, seeded, target=4)
    with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
        defer(session, REFILL_BUFFERS, args={}, now=clock.now(session))

    drain(vendor_house)
    look_once(vendor_house)

    assert orders(vendor_house) == 4
    shown = state(vendor_house, seeded)
    assert (shown["stock"], shown["on_the_way"], shown["waits_for"]) == (4, 0, "enough")
    assert shown["filling_since"] is None
    assert sandbox.control("GET", "/reloadly/summary")["orders_successful"] == 4
    assert_proven(vendor_house)


def test_s4_118_jobs_are_served_from_buffers_while_the_vendor_is_down(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    decide(vendor_house, seeded, target=3)
    look_once(vendor_house)
    drain(vendor_house)
    sandbox.arm(error_500_before={"always": True})

    job_id = submit(vendor_house, seeded, recipients_csv(3))
    drain(vendor_house)

    assert view(vendor_house, job_id)["state"] == "succeeded"


def test_orders_on_the_way_are_not_bought_twice(house: House) -> None:
    seeded = seed(house)
    decide(house, seeded, target=5)

    for _ in range(3):
        look_once(house)

    assert orders(house) == 5


def test_the_ceiling_stops_for_the_day_and_says_so(house: House) -> None:
    """Each card counts with its face value of 2500 until its cost is known."""
    seeded = seed(house)
    decide(house, seeded, target=5, ceiling_minor=6_000)

    look_once(house)
    look_once(house)

    assert orders(house) == 2
    assert state(house, seeded)["waits_for"] == "refill_ceiling_reached"
    assert ("refill_ceiling_reached", False) in signals(house)


def test_it_goes_on_the_next_day(house: House) -> None:
    seeded = seed(house)
    decide(house, seeded, target=5, ceiling_minor=6_000)
    look_once(house)
    rows(house, YESTERDAY.format("sent"))

    look_once(house)

    assert orders(house) == 4


def test_what_was_written_before_midnight_and_not_sent_counts_today(house: House) -> None:
    seeded = seed(house)
    decide(house, seeded, target=5, ceiling_minor=6_000)
    look_once(house)
    rows(house, YESTERDAY.format("created"))

    look_once(house)

    assert orders(house) == 2
    assert state(house, seeded)["spent_today_minor"] == 5_000


def test_no_more_than_the_vendor_s_rate_is_ordered_in_a_minute(house: House) -> None:
    """A rate of 4 a minute leaves 2 for filling; what waits there counts."""
    seeded = seed(house, rate_per_minute=4)
    decide(house, seeded, target=50)

    look_once(house)
    look_once(house)

    assert orders(house) == 2
    assert state(house, seeded)["filling_since"] is not None


@pytest.mark.parametrize(("state", "written"), [("ready", 2), ("dead", 4), ("buried", 4)])
def test_work_that_nobody_will_do_takes_no_room_at_the_vendor(
    house: House, state: str, written: int
) -> None:
    seeded = seed(house, rate_per_minute=4)
    decide(house, seeded, target=50)
    look_once(house)
    ended = "UPDATE tasks SET state = :state, died_at = now(), last_error = 'x' RETURNING 1"
    rows(house, ended, state=state)

    look_once(house)

    assert orders(house) == written


@pytest.mark.parametrize(
    "trouble", ["breaker_blocked_until = now() + interval '1 hour'", "breaker_refuses_keys = true"]
)
def test_an_open_breaker_and_refused_keys_are_waited_for(house: House, trouble: str) -> None:
    seeded = seed(house)
    decide(house, seeded, target=5)
    rows(house, f"UPDATE vendor_accounts SET {trouble} RETURNING 1")

    look_once(house)

    assert orders(house) == 0
    assert state(house, seeded)["waits_for"] == "vendor_down"


def test_without_a_route_it_is_told_and_over_when_there_is_one(house: House) -> None:
    seeded = seed(house, vendor=False)
    decide(house, seeded, target=5)

    look_once(house)

    assert signals(house) == [("refill_no_route", False)]


def test_s4_121_a_vendor_out_of_use_fills_no_buffer(house: House) -> None:
    seeded = seed(house)
    decide(house, seeded, target=5)
    rows(house, "UPDATE vendor_accounts SET disabled_at = now() RETURNING 1")

    look_once(house)

    assert orders(house) == 0
    assert state(house, seeded)["waits_for"] == "no_route"


def test_a_route_that_refused_rests(vendor_house: House, sandbox: Sandbox) -> None:
    sandbox.arm(out_of_stock={"always": True})
    seeded = seed(vendor_house)
    decide(vendor_house, seeded, target=2)
    look_once(vendor_house)
    drain(vendor_house)

    look_once(vendor_house)

    assert orders(vendor_house) == 2
    assert state(vendor_house, seeded)["waits_for"] == "routes_rest"


def test_without_a_ceiling_nothing_is_set_up_planned_or_bought(house: House) -> None:
    seeded = seed(house)
    pool = seeded.buffer_pool
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        launch = NewPlan(1, now + timedelta(days=1))
        with pytest.raises(ValidationFailed) as no_target:
            change_refill(session, pool, {"target": 5}, actor_id=ACTOR, now=now)
        with pytest.raises(CeilingMissing):
            plan_refill(session, pool, launch, actor_id=ACTOR, now=now)
        change_refill(session, pool, {"ceiling_minor": 5_000}, actor_id=ACTOR, now=now)
        plan_refill(session, pool, launch, actor_id=ACTOR, now=now)
        with pytest.raises(ValidationFailed) as has_plans:
            change_refill(session, pool, {"ceiling_minor": None}, actor_id=ACTOR, now=now)
    refused = [no_target.value.errors, has_plans.value.errors]
    assert [error.pointer for (error,) in refused] == ["/ceiling_minor"] * 2
    # As code of before could have it.
    rows(house, "UPDATE card_pools SET refill_target = 5, refill_ceiling_minor = NULL RETURNING 1")

    look_once(house)

    assert orders(house) == 0
    assert state(house, seeded)["waits_for"] == "no_ceiling"


def test_paused_buys_nothing(house: House) -> None:
    seeded = seed(house)
    decide(house, seeded, target=5, paused=True)

    look_once(house)

    assert orders(house) == 0
    assert state(house, seeded)["waits_for"] == "refill_paused"
    with (
        pytest.raises(RefillNotSetUp),
        scoped_transaction(house.sessions, PLATFORM) as session,
    ):
        refill_now(session, seeded.buffer_pool, actor_id=ACTOR, now=clock.now(session))


def test_refill_now_fills_above_the_low_watermark(house: House) -> None:
    seeded = seed(house)
    import_cards_now(house, seeded.buffer_pool, cards_csv(3))
    decide(house, seeded, target=5)
    look_once(house)
    assert orders(house) == 0

    with scoped_transaction(house.sessions, PLATFORM) as session:
        refill_now(session, seeded.buffer_pool, actor_id=ACTOR, now=clock.now(session))
    look_once(house)

    assert orders(house) == 2


def test_a_plan_fills_for_its_launch(house: House) -> None:
    """S4-116: a launch within the lead is due at once, and the page says when buying begins."""
    seeded = seed(house)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        plan = NewPlan(7, now + timedelta(minutes=30))
        change_refill(
            session, seeded.buffer_pool, {"ceiling_minor": 10**6}, actor_id=ACTOR, now=now
        )
        plan_refill(session, seeded.buffer_pool, plan, actor_id=ACTOR, now=now)

    look_once(house)

    (shown,) = state(house, seeded)["plans"]
    assert orders(house) == 7
    assert (shown["needed"], shown["can_be_met"]) == (7, True)


def test_a_plan_that_was_withdrawn_buys_nothing(house: House) -> None:
    seeded = seed(house)
    pool = seeded.buffer_pool
    decide(house, seeded)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        plan = NewPlan(7, now + timedelta(minutes=30))
        plan_id = plan_refill(session, pool, plan, actor_id=ACTOR, now=now)
        for _ in range(2):
            withdraw_plan(session, pool, plan_id, actor_id=ACTOR, now=now)
        with pytest.raises(NotFound):
            withdraw_plan(session, pool, ACTOR, actor_id=ACTOR, now=now)
    # No plan is left that would need one.
    decide(house, seeded, ceiling_minor=None)

    look_once(house)

    assert orders(house) == 0
    assert state(house, seeded)["plans"] == []
    audit = "SELECT FROM audit_entries WHERE action = 'pool.refill_plan_withdrawn'"
    assert len(rows(house, audit)) == 1
