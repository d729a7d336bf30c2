"""Standing duties: each tick fires once, however many schedulers look (EC-135)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.schedule import DUTIES, TICKS_KEPT, fire_due, last_tick
from pipelines.wiring import House
from tests.driving import drain, rows
from workers import scheduler

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = sorted(duty.kind.name for duty in DUTIES)


def fire(house: House, now: datetime) -> int:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return fire_due(session, now)


def deferred(house: House) -> list[str]:
    return [row.kind for row in rows(house, "SELECT kind FROM tasks ORDER BY kind")]


def test_ec135_schedulers_side_by_side_fire_each_duty_once(house: House) -> None:
    """EC-135: any number of them may run."""
    start = threading.Barrier(6)

    def look(_number: int) -> int:
        start.wait(timeout=10)
        return scheduler.run_once(house.sessions, house.limits)

    with ThreadPoolExecutor(6) as pool:
        fired = list(pool.map(look, range(6)))

    assert sum(fired) == len(DUTIES)
    assert deferred(house) == NAMES


def test_ec135_two_schedulers_over_ten_hours_fire_each_tick_once(house: House) -> None:
    fired = 0
    looks = [NOON + timedelta(minutes=minute) for minute in range(0, 600, 10)]
    for look in looks:
        for _scheduler in range(2):
            fired += fire(house, look)
            drain(house)

    ticks = rows(house, "SELECT name, count(*) AS n FROM schedule_runs GROUP BY name ORDER BY name")
    # Each look finds one tick of a short duty; of a long one, those that fall between first and last.
    expected = {d.kind.name: len({last_tick(d, look) for look in looks}) for d in DUTIES}
    assert {row.name: row.n for row in ticks} == expected
    assert fired == sum(expected.values())


def test_a_missed_tick_is_caught_up_once_and_older_ones_are_not(house: House) -> None:
    fire(house, NOON)
    drain(house)

    late = fire(house, NOON + timedelta(hours=5, minutes=59))
    again = fire(house, NOON + timedelta(hours=5, minutes=59, seconds=4))

    due = sorted(d.kind.name for d in DUTIES if d.every <= timedelta(hours=5))
    assert (late, again) == (len(due), 0)
    assert deferred(house) == due


def test_a_duty_still_to_be_done_is_not_queued_twice(house: House) -> None:
    fire(house, NOON)
    fire(house, NOON + timedelta(hours=1))

    assert deferred(house) == NAMES


def test_old_ticks_are_forgotten(house: House) -> None:
    fire(house, NOON)
    fire(house, NOON + TICKS_KEPT + timedelta(hours=1))

    assert rows(house, "SELECT count(*) AS n FROM schedule_runs")[0].n == len(DUTIES)


@pytest.mark.parametrize("duty", DUTIES, ids=NAMES)
def test_a_tick_is_the_last_full_period(duty) -> None:
    tick = last_tick(duty, NOON + timedelta(seconds=1))

    assert tick <= NOON + timedelta(seconds=1) < tick + duty.every
    assert last_tick(duty, tick) == tick
    assert last_tick(duty, tick - timedelta(microseconds=1)) == tick - duty.every
