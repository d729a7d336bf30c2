"""Launches that found their pool without their cards, and what stands in their way (S4-116)."""

from datetime import timedelta
from threading import Thread
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from pipelines.alerts.kinds import REFILL_PLAN_MISSED
from pipelines.refilling.controls import NewPlan, plan_refill, withdraw_plan
from pipelines.refilling.launches import judge_plans
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now, rows
from tests.pipelines.test_refilling import decide, look_once, orders, signals, state
from tests.seeding import ACTOR, Seeded, seed

SOON = timedelta(minutes=30)


def plan(house: House, seeded: Seeded, needed: int, *, by: timedelta = SOON) -> UUID:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        launch = NewPlan(needed, now + by)
        return plan_refill(session, seeded.buffer_pool, launch, actor_id=ACTOR, now=now)


def missed(house: House) -> list[bool]:
    """Of signals about missed launches, in their order: whether it was said to be over."""
    return [over for kind, over in signals(house) if kind == REFILL_PLAN_MISSED.name]


def test_s4_116_a_launch_without_its_cards_is_told_once_and_over_when_they_come(
    house: House,
) -> None:
    seeded = seed(house, vendor=False)
    decide(house, seeded)
    plan(house, seeded, 3)
    import_cards_now(house, seeded.buffer_pool, cards_csv(2))

    look_once(house)
    assert missed(house) == []
    for minutes in (31, 32):
        look_once(house, later=timedelta(minutes=minutes))
    assert missed(house) == [False]
    (shown,) = state(house, seeded)["plans"]
    assert (shown["can_be_met"], shown["missed_at"] is None) == (False, False)

    # Two were given out at the launch, and the third comes: what was used counts as there.
    rows(
        house,
        "UPDATE cards SET state = 'issued', issued_at = now() + interval '1 hour' RETURNING 1",
    )
    import_cards_now(house, seeded.buffer_pool, cards_csv(1, "MORE"))
    look_once(house, later=timedelta(minutes=33))
    assert missed(house) == [False, True]


def test_s4_116_a_launch_that_had_its_cards_is_told_of_never_whatever_it_uses(
    house: House,
) -> None:
    seeded = seed(house, vendor=False)
    decide(house, seeded)
    plan(house, seeded, 2)
    import_cards_now(house, seeded.buffer_pool, cards_csv(2))

    look_once(house, later=timedelta(minutes=31))
    rows(house, "UPDATE cards SET state = 'issued', issued_at = now() RETURNING 1")
    look_once(house, later=timedelta(minutes=32))

    assert missed(house) == []


def test_s4_116_a_missed_launch_that_is_withdrawn_is_over(house: House) -> None:
    """The last of those that the pool missed."""
    seeded = seed(house, vendor=False)
    decide(house, seeded)
    both = [plan(house, seeded, 3), plan(house, seeded, 4)]
    look_once(house, later=timedelta(minutes=31))
    told = []
    for one in both:
        with scoped_transaction(house.sessions, PLATFORM) as session:
            now = clock.now(session)
            withdraw_plan(session, seeded.buffer_pool, one, actor_id=ACTOR, now=now)
        told.append(missed(house))

    assert told == [[False, False], [False, False, True]]


def test_s4_116_cards_too_dear_to_be_given_do_not_meet_a_launch(house: House) -> None:
    """EC-081: they are no stock of a buffer, so they are none of a launch."""
    seeded = seed(house, vendor=False)
    decide(house, seeded)
    plan(house, seeded, 2)
    import_cards_now(house, seeded.buffer_pool, cards_csv(2))
    rows(house, "UPDATE cards SET cost_minor = 2400, cost_currency = 'USD' RETURNING 1")
    rows(house, "UPDATE brands SET min_margin_minor = 2000 RETURNING 1")

    look_once(house, later=timedelta(minutes=31))

    assert missed(house) == [False]


def test_s4_116_one_card_does_not_meet_two_launches_of_one_pool(house: House) -> None:
    """Neither in one pass nor in the next; with two more cards both have had theirs."""
    seeded = seed(house, vendor=False)
    decide(house, seeded)
    for _ in range(2):
        plan(house, seeded, 2)
    import_cards_now(house, seeded.buffer_pool, cards_csv(2))
    for minutes in (31, 32):
        look_once(house, later=timedelta(minutes=minutes))
    lacking = missed(house)
    import_cards_now(house, seeded.buffer_pool, cards_csv(2, "MORE"))
    look_once(house, later=timedelta(minutes=33))

    assert (lacking, missed(house)) == ([False], [False, True])


def test_s4_116_what_a_launch_has_not_used_for_a_day_is_not_counted_on_for_the_next(
    house: House,
) -> None:
    seeded = seed(house)
    rows(house, "UPDATE card_pools SET low_watermark = 0 RETURNING 1")
    decide(house, seeded)
    plan(house, seeded, 3)
    plan(house, seeded, 2, by=timedelta(minutes=50))
    import_cards_now(house, seeded.buffer_pool, cards_csv(3))
    used = "UPDATE cards SET state = 'issued', issued_at = now() + interval '31 minutes' "
    used += "WHERE id = (SELECT min(id::text)::uuid FROM cards) RETURNING 1"
    written = []
    for minutes in (0, 31):
        look_once(house, later=timedelta(minutes=minutes))
        rows(house, "DELETE FROM tasks WHERE kind = 'place_pool_order' RETURNING 1")
        written.append(orders(house))
        rows(house, "UPDATE provider_orders SET state = 'cancelled' RETURNING 1")
    rows(house, used)
    look_once(house, later=timedelta(minutes=32))
    written.append(orders(house))

    assert missed(house) == []
    assert written == [2, 4, 6]


def test_s4_116_a_missed_launch_is_over_when_it_is_asked_about_no_more(house: House) -> None:
    """After 30 days it is shown nowhere, so nobody could withdraw it."""
    seeded = seed(house, vendor=False)
    decide(house, seeded)
    plan(house, seeded, 3)
    for days in (1, 31, 32):
        look_once(house, later=timedelta(days=days))

    assert missed(house) == [False, True]


@pytest.mark.parametrize("cards", [0, 3])
def test_s4_116_a_launch_that_is_withdrawn_while_it_is_judged_is_neither_met_nor_missed(
    house: House, cards: int
) -> None:
    """A pass of older code that took no lock of the withdrawal's: the row decides."""
    seeded = seed(house, vendor=False)
    decide(house, seeded)
    plan_id = plan(house, seeded, 3)
    if cards:
        import_cards_now(house, seeded.buffer_pool, cards_csv(cards))

    def withdraw() -> None:
        with scoped_transaction(house.sessions, PLATFORM) as session:
            now = clock.now(session)
            withdraw_plan(session, seeded.buffer_pool, plan_id, actor_id=ACTOR, now=now)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        later = clock.now(session) + timedelta(minutes=31)
        withdrawing = Thread(target=withdraw)

        @event.listens_for(session, "do_orm_execute")
        def read(state: ORMExecuteState) -> None:
            if "UPDATE refill_plans SET met_at" in str(state.statement):
                withdrawing.start()
                withdrawing.join()

        judge_plans(session, now=later)
    found = rows(house, "SELECT met_at, missed_at, cancelled_at FROM refill_plans")

    assert missed(house) == []
    assert [(row.met_at, row.missed_at, row.cancelled_at is None) for row in found] == [
        (None, None, False)
    ]


def test_s4_116_another_pool_that_wants_the_rate_first_makes_a_launch_late(house: House) -> None:
    """Two orders a minute leave one for filling: 100 of another pool go before 20 within the hour."""
    seeded, other = seed(house, rate_per_minute=2), seed(house, vendor=False)
    route = "INSERT INTO brand_routes (id, brand_id, vendor, product) "
    route += "VALUES (:id, :brand, 'reloadly', '120') RETURNING 1"
    rows(house, route, id=new_id(), brand=other.brand_id)
    for one in (seeded, other):
        decide(house, one)
    plan(house, seeded, 20, by=timedelta(hours=1))
    (alone,) = state(house, seeded)["plans"]

    plan(house, other, 100, by=timedelta(minutes=50))
    (beside,) = state(house, seeded)["plans"]

    assert (alone["can_be_met"], beside["can_be_met"]) == (True, False)


@pytest.mark.parametrize("rate", [1, 3])
def test_s4_118_filling_leaves_half_of_a_vendor_s_rate_however_low_it_is(
    house: House, rate: int
) -> None:
    """In any two minutes as many orders as one minute allows, and one at least is left to others."""
    seeded = seed(house, rate_per_minute=rate)
    decide(house, seeded, target=50)
    written = []
    for minute in range(4):
        look_once(house, later=timedelta(minutes=minute))
        written.append(orders(house))
        rows(house, "DELETE FROM tasks WHERE kind = 'place_pool_order' RETURNING 1")
    each = [now - before for before, now in zip([0, *written], written, strict=False)]

    assert each[0] + each[1] == each[2] + each[3] == rate
    assert max(each) <= (rate + 1) // 2
