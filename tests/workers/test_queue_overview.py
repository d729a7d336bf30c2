"""What operators see of the queues, and the switch that stops one without losing anything."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.errors import NotFound
from pipelines.limits import DEFAULTS
from pipelines.queue.kinds import PLACE_ORDER, PURGE_KEYS, RETENTION, Queue
from pipelines.queue.overview import QueueSeen, look_at_processes, look_at_queues
from pipelines.queue.pausing import InvalidQueueState, pause_queue, resume_queue
from pipelines.wiring import House, build_handlers
from tests.driving import drain, rows
from tests.seeding import ACTOR
from tests.workers.tasks import change_task, put, task
from workers.wrapper import Wrapper


def seen(house: House) -> dict[str, QueueSeen]:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        queues = look_at_queues(session, now=clock.now(session), limits=DEFAULTS)
    return {queue.name: queue for queue in queues}


def pause(house: House, name: str = "bulk", reason: str = "vendor asks for quiet") -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        pause_queue(session, name, reason=reason, actor_id=ACTOR, now=clock.now(session))


def resume(house: House, name: str = "bulk") -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        resume_queue(session, name, actor_id=ACTOR, now=clock.now(session))


def process(house: House, name: str, silent_seconds: float = 0, **values: Any) -> UUID:
    """A process that last said so `silent_seconds` ago."""
    facts = {
        "id": new_id(),
        "name": name,
        "host": "h1",
        "pid": 10,
        "threads": 4,
        "busy": 1,
        "rate_per_second": 2.5,
        "state": "running",
        "silent": silent_seconds,
    } | values
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO processes (id, name, host, pid, threads, busy, rate_per_second, "
                "state, beat_at) VALUES (:id, :name, :host, :pid, :threads, :busy, "
                ":rate_per_second, :state, now() - make_interval(secs => :silent))"
            ),
            facts,
        )
    return facts["id"]


def test_an_idle_engine_shows_its_queues_empty(house: House):
    found = seen(house)

    assert list(found) == [queue.value for queue in Queue]
    assert {(q.ready, q.due, q.dead, q.oldest_due_seconds, q.pause) for q in found.values()} == {
        (0, 0, 0, None, None)
    }


def test_tasks_are_counted_by_what_they_wait_for(house: House):
    old = put(house, PURGE_KEYS)
    change_task(house, old, "run_after = now() - interval '1 hour'")
    put(house, RETENTION)
    put(house, PURGE_KEYS, run_after=clock_now(house) + timedelta(hours=1))
    dead = put(house, PURGE_KEYS)
    change_task(house, dead, "state = 'dead', died_at = now(), last_error = 'X'")
    leased = put(house, PLACE_ORDER)
    change_task(house, leased, "lease_until = now() + interval '1 minute'")

    found = seen(house)

    bulk, vendors = found["bulk"], found["vendors"]
    assert (bulk.ready, bulk.due, bulk.scheduled, bulk.in_hand, bulk.dead) == (3, 2, 1, 0, 1)
    assert (vendors.ready, vendors.due, vendors.scheduled, vendors.in_hand) == (1, 0, 0, 1)
    assert bulk.oldest_due_seconds is not None
    assert 3600 <= bulk.oldest_due_seconds < 7200
    assert vendors.oldest_due_seconds is None


def clock_now(house: House) -> Any:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return clock.now(session)


def test_a_queue_that_this_code_does_not_know_is_seen_too(house: House):
    task_id = put(house, PURGE_KEYS)
    change_task(house, task_id, "queue = 'pigeons'")

    found = seen(house)

    assert list(found)[-1] == "pigeons"
    assert found["pigeons"].due == 1


def test_only_living_processes_count_as_workers(house: House):
    process(house, "bulk")
    process(house, "bulk", busy=3, state="draining")
    process(house, "bulk", silent_seconds=DEFAULTS.process_gone_seconds + 60)

    bulk = seen(house)["bulk"]

    assert (bulk.workers, bulk.threads, bulk.busy, bulk.rate_per_second) == (2, 8, 4, 5.0)
    assert seen(house)["vendors"].workers == 0


def test_processes_are_listed_the_living_first(house: House):
    gone = process(house, "bulk", silent_seconds=DEFAULTS.process_gone_seconds + 60)
    relay = process(house, "relay")

    with scoped_transaction(house.sessions, SYSTEM) as session:
        found = look_at_processes(session, now=clock.now(session), limits=DEFAULTS)

    assert [(one.id, one.is_alive) for one in found] == [(relay, True), (gone, False)]
    assert (found[0].name, found[0].host, found[0].pid, found[0].trouble) == (
        "relay",
        "h1",
        10,
        None,
    )


def test_a_paused_queue_rings_and_starts_nothing_until_it_is_resumed(house: House):
    task_id = put(house, PURGE_KEYS)
    other = put(house, PURGE_KEYS)
    change_task(house, other, "queue = 'interactive'")
    pause(house)

    done_while_paused = drain(house)
    change_task(house, task_id, "rung_at = now()")
    Wrapper(house.sessions, build_handlers(house)).run(task_id, 1)
    untouched = task(house, task_id)
    shown = seen(house)["bulk"].pause
    resume(house)

    assert done_while_paused == 1
    assert (untouched.starts, untouched.attempts) == (0, 0)
    assert shown is not None
    assert (shown.by, shown.reason) == (ACTOR, "vendor asks for quiet")
    assert drain(house) == 1
    assert task(house, task_id) is None


def test_pausing_twice_resuming_twice_and_unknown_queues_are_refused(house: House):
    with pytest.raises(InvalidQueueState) as running:
        resume(house)
    pause(house)
    with pytest.raises(InvalidQueueState) as paused:
        pause(house, reason="another")
    with pytest.raises(NotFound):
        pause(house, "pigeons")

    assert (running.value.extra, paused.value.extra) == ({"is_paused": False}, {"is_paused": True})
    assert [tuple(r) for r in rows(house, "SELECT name, pause_reason FROM queues")] == [
        ("bulk", "vendor asks for quiet")
    ]


def test_pauses_of_queues_are_audited(house: House):
    pause(house)
    resume(house)

    entries = rows(
        house,
        "SELECT action, actor_id, detail FROM audit_entries WHERE object_kind = 'queue' "
        "ORDER BY at, id",
    )
    assert [tuple(entry) for entry in entries] == [
        ("queue.paused", ACTOR, {"queue": "bulk", "reason": "vendor asks for quiet"}),
        ("queue.resumed", ACTOR, {"queue": "bulk"}),
    ]
