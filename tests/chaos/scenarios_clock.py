"""Processes whose clocks are wrong by ten minutes: only the database's time decides."""

import json
from datetime import datetime, timedelta

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.queue.schedule import DUTIES, Duty, last_tick
from tests.chaos.clock import wrong_clock
from tests.chaos.exact import Scenario, Size, assert_exact, hurry, prepared
from tests.chaos.stand import Stand
from tests.driving import recipients_csv, rows, submit, view

#: The five minutes are over.
_DUE_NOW = """
WITH job AS (UPDATE jobs SET scheduled_for = now() WHERE id = :job)
UPDATE tasks SET run_after = now(), rung_at = NULL WHERE job_id = :job RETURNING 1
"""


def all_clocks_ahead(stand: Stand, size: Size) -> None:
    """A job that is due in five minutes does not begin before the database says so."""
    seeded = prepared(stand, size, **wrong_clock(+10))
    later = submit(
        stand.house,
        seeded,
        recipients_csv(1, start=size.items),
        scheduled_for=now(stand) + timedelta(minutes=5),
    )
    job_id = submit(stand.house, seeded, recipients_csv(size.items - 1))
    ended = stand.until_ended(job_id)
    assert ended["counts"]["succeeded"] == size.items - 1
    waiting = view(stand.house, later)
    assert (waiting["state"], waiting["counts"]["pending"]) == ("queued", 1)
    rows(stand.house, _DUE_NOW, job=later)
    assert_exact(stand, later, Size(0, 0, 1), sold=size.api)


def all_clocks_behind(stand: Stand, size: Size) -> None:
    """What is due by the database's time is done, vendors' faults and their waits included."""
    stand.sandbox.arm(drop_after_create={"rate": 0.1}, seed=3)
    seeded = prepared(stand, size, **wrong_clock(-10))
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def clocks_disagree(stand: Stand, size: Size) -> None:
    """Two of each worker and relay, one ten minutes ahead, the other behind: nothing is twice."""
    stand.sandbox.arm(drop_after_create={"rate": 0.1}, seed=5)
    seeded = prepared(stand, size, **wrong_clock(-10))
    stand.start("relay", "interactive", "bulk", "vendors", **wrong_clock(+10))
    job_id = submit(stand.house, seeded, recipients_csv(size.items))
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))


def schedulers_disagree(stand: Stand, _size: Size) -> None:
    """EC-135: three schedulers, two of them with wrong clocks, each duty once per tick."""
    began = now(stand)
    stand.start("scheduler", **wrong_clock(+70))
    stand.start("scheduler", **wrong_clock(-70))
    stand.start("scheduler", "bulk", "relay")
    _assert_each_fired_once(stand, began)


def ticks_missed(stand: Stand, _size: Size) -> None:
    """EC-135: the scheduler was away for hours: the last tick is caught up once, no other is."""
    began = now(stand)
    for duty in DUTIES:
        rows(
            stand.house,
            "INSERT INTO schedule_runs (name, fire_at) VALUES (:name, :at) RETURNING 1",
            name=duty.kind.name,
            at=_long_ago(duty, began),
        )
    stand.start("scheduler", "scheduler")
    stand.until(lambda: _all_fired(stand, began))
    stand.kill("scheduler")
    stand.start("scheduler", "relay", "bulk")
    _assert_each_fired_once(stand, began)


def _long_ago(duty: Duty, now: datetime) -> datetime:
    return last_tick(duty, now) - 5 * duty.every


def _all_fired(stand: Stand, began: datetime) -> bool:
    fired = {tuple(row) for row in rows(stand.house, "SELECT name, fire_at FROM schedule_runs")}
    ticks = [{(d.kind.name, last_tick(d, at)) for at in (began, now(stand))} for d in DUTIES]
    return all(fired & of_duty for of_duty in ticks)


def _assert_each_fired_once(stand: Stand, began: datetime) -> None:
    """A row per duty for its last tick (two if that turned meanwhile) and no other, all done."""
    stand.until(lambda: _all_fired(stand, began))
    stand.until(lambda: not rows(stand.house, "SELECT 1 FROM tasks"))
    ended = now(stand)
    fired = {tuple(row) for row in rows(stand.house, "SELECT name, fire_at FROM schedule_runs")}
    recent = fired - {(d.kind.name, _long_ago(d, began)) for d in DUTIES}
    assert recent <= {(d.kind.name, last_tick(d, at)) for d in DUTIES for at in (began, ended)}
    told = [
        json.loads(line)["duties"]
        for line in stand.words("scheduler").splitlines()
        if "scheduler.fired" in line
    ]
    assert sum(told) == len(recent)


def now(stand: Stand) -> datetime:
    with scoped_transaction(stand.house.sessions, SYSTEM) as session:
        return clock.now(session)


SCENARIOS = (
    Scenario("clocks ahead", "all clocks 10 min ahead: nothing runs early", all_clocks_ahead),
    Scenario("clocks behind", "all clocks 10 min behind: nothing is late", all_clocks_behind),
    Scenario("clocks disagree", "two of each, 20 minutes apart", clocks_disagree),
    Scenario("schedulers disagree", "three schedulers, one tick (EC-135)", schedulers_disagree),
    Scenario("ticks missed", "caught up once, by two schedulers (EC-135)", ticks_missed),
)
