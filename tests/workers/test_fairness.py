"""Who is next on the broker: windows, turns between tenants, jobs and priorities (EC-125)."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from models.tasks import PausedQueue, Process
from pipelines.queue.defer import defer, defer_many, note_doorbells
from pipelines.queue.kinds import (
    PLACE_ORDER,
    RECOVER_ORDER,
    RUN_CHUNK,
    RUN_SINGLE,
    SETTLE_JOB,
    Queue,
    TaskKind,
)
from pipelines.queue.ring import ring_due, rung_by_accepter
from pipelines.wiring import House
from tests.driving import recipients_csv, rows, submit
from tests.seeding import seed
from tests.workers.tasks import change_task, put, task

ONE, OTHER, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.fixture
def places(house: House) -> Iterator[int]:
    """The window of the bulk queue while two processes of four threads live."""
    for _ in range(2):
        living(house, Queue.BULK, threads=4)
    yield 8 * house.limits.window_tasks_per_bulk_thread


def living(house: House, queue: Queue, *, threads: int) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(Process).values(
                id=new_id(), name=queue.value, host="here", pid=1, threads=threads
            )
        )


def pause(house: House, queue: Queue) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        values = {"name": queue.value, "paused_at": clock.now(session), "pause_reason": "incident"}
        session.execute(insert(PausedQueue).values(values))


def put_many(
    house: House,
    count: int,
    *,
    tenant_id: UUID,
    job_id: UUID | None = None,
    kind: TaskKind = RUN_CHUNK,
    lane: str | None = None,
    priority: int = 100,
) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        defer_many(
            session,
            kind,
            [{"chunk": n} for n in range(count)],
            now=clock.now(session),
            tenant_id=tenant_id,
            job_id=job_id,
            lane=lane,
            priority=priority,
        )


def one_pass(house: House) -> list[UUID]:
    """The tasks that a pass marks, in the order in which they go out."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        bells = ring_due(session, now=clock.now(session), limits=house.limits)
    return [bell.task_id for bell in bells]


def rung_by(house: House, column: str) -> Counter[object]:
    found = rows(house, f"SELECT {column} AS who FROM tasks WHERE rung_at IS NOT NULL")
    return Counter(row.who for row in found)


def test_the_window_follows_the_living_threads_and_the_backlog_stays_in_the_database(
    house: House, places: int
) -> None:
    put_many(house, 100, tenant_id=ONE)

    assert (len(one_pass(house)), len(one_pass(house))) == (places, 0)


def test_without_a_sign_of_life_the_window_is_the_least(house: House) -> None:
    living(house, Queue.BULK, threads=400)
    rows(house, "UPDATE processes SET beat_at = now() - interval '1 hour' RETURNING 1")
    put_many(house, 100, tenant_id=ONE)

    assert len(one_pass(house)) == house.limits.window_tasks_min


def test_a_place_that_comes_free_is_given_to_the_next(house: House, places: int) -> None:
    put_many(house, 100, tenant_id=ONE)
    first = one_pass(house)
    for task_id in first[:3]:
        change_task(house, task_id, "state = 'dead'")

    assert (len(first), len(one_pass(house))) == (places, 3)


def test_ec125_one_tenant_has_at_most_half_while_others_wait(house: House, places: int) -> None:
    for _ in range(10):
        put_many(house, 4, tenant_id=ONE, job_id=new_id())
    put_many(house, 4, tenant_id=OTHER, job_id=new_id())

    one_pass(house)

    assert rung_by(house, "tenant_id") == {ONE: places // 2, OTHER: 4}


def test_ec125_a_tenant_that_comes_later_takes_the_next_free_places(
    house: House, places: int
) -> None:
    put_many(house, 100, tenant_id=ONE, job_id=new_id())
    first = one_pass(house)
    put_many(house, 4, tenant_id=OTHER, job_id=new_id())
    for task_id in first[:4]:
        change_task(house, task_id, "state = 'dead'")

    one_pass(house)

    assert rung_by(house, "tenant_id") == {ONE: places, OTHER: 4}


def test_ec125_tenants_take_turns(house: House, places: int) -> None:
    tenants = (ONE, OTHER, THIRD)
    for tenant_id in tenants:
        put_many(house, 50, tenant_id=tenant_id, job_id=new_id())

    order = one_pass(house)
    owners = [task(house, task_id).tenant_id for task_id in order]

    assert len(order) == places
    assert {frozenset(owners[n : n + 3]) for n in range(0, 15, 3)} == {frozenset(tenants)}


def test_ec125_two_jobs_of_one_tenant_take_turns(house: House, places: int) -> None:
    """A small job that came later does not wait for the large one."""
    large, small = new_id(), new_id()
    put_many(house, 100, tenant_id=ONE, job_id=large)
    put_many(house, 3, tenant_id=ONE, job_id=small)

    order = [task(house, task_id).job_id for task_id in one_pass(house)]

    assert Counter(order) == {large: places - 3, small: 3}
    assert set(order[:2]) == set(order[2:4]) == set(order[4:6]) == {large, small}


def test_within_a_tenant_priority_goes_first_and_between_tenants_it_says_nothing(
    house: House, places: int
) -> None:
    low, high, other = new_id(), new_id(), new_id()
    put_many(house, 100, tenant_id=ONE, job_id=low, priority=150)
    put_many(house, 100, tenant_id=ONE, job_id=high, priority=50)
    put_many(house, 100, tenant_id=OTHER, job_id=other, priority=150)

    one_pass(house)

    assert rung_by(house, "job_id") == {high: places // 2, other: places // 2}


def test_within_a_vendor_s_lane_tenants_take_turns_too(house: House) -> None:
    for _ in range(5):
        put_many(house, 50, tenant_id=ONE, job_id=new_id(), kind=PLACE_ORDER, lane="reloadly")
    put_many(house, 50, tenant_id=OTHER, job_id=new_id(), kind=PLACE_ORDER, lane="reloadly")

    one_pass(house)

    half = house.limits.window_tasks_min // 2
    assert rung_by(house, "tenant_id") == {ONE: half, OTHER: half}


def end(house: House, task_id: UUID) -> None:
    change_task(house, task_id, "state = 'dead'")


def test_ec125_turns_go_on_from_one_pass_to_the_next(house: House) -> None:
    """Places come free one at a time, as with slow vendor calls: the small one is soon served."""
    put_many(house, 100, tenant_id=ONE, job_id=new_id(), kind=PLACE_ORDER, lane="reloadly")
    out = one_pass(house)
    put_many(house, 4, tenant_id=OTHER, job_id=new_id(), kind=PLACE_ORDER, lane="reloadly")
    served: list[UUID] = []
    for task_id in out[:4]:
        end(house, task_id)
        served += one_pass(house)

    assert [task(house, task_id).tenant_id for task_id in served] == [OTHER] * 4


def test_ec125_a_tenant_s_single_orders_do_not_stand_behind_another_s(
    house: House, places: int
) -> None:
    for tenant_id, count in ((ONE, 200), (OTHER, 4)):
        for _ in range(count // 4):
            with scoped_transaction(house.sessions, SYSTEM) as session:
                defer_many(
                    session,
                    PLACE_ORDER,
                    [{"order_id": str(n)} for n in range(4)],
                    now=clock.now(session),
                    tenant_id=tenant_id,
                    job_id=new_id(),
                    lane="reloadly",
                    flow=tenant_id,
                )

    one_pass(house)

    assert rung_by(house, "tenant_id") == {ONE: 4, OTHER: 4}


def test_what_storefronts_ring_themselves_takes_no_place_of_the_relay(house: House) -> None:
    for _ in range(house.limits.window_tasks_min + 2):
        with scoped_transaction(house.sessions, SYSTEM) as session:
            now = clock.now(session)
            rung = defer(session, RUN_SINGLE, args={}, now=now, tenant_id=ONE)
            at = rung_by_accepter(now, house.limits)
            session.execute(
                text("UPDATE tasks SET rung_at = :at WHERE id = :id"), {"at": at, "id": rung}
            )
    settle = put(house, SETTLE_JOB, tenant_id=ONE)

    assert one_pass(house) == [settle]


def test_a_paused_job_s_flow_is_passed_over_but_not_what_brings_its_orders_home(
    house: House,
) -> None:
    seeded = seed(house, vendor=False)
    job_id = submit(house, seeded, recipients_csv(1))
    rows(house, "DELETE FROM tasks RETURNING 1")
    rows(house, "UPDATE jobs SET state = 'paused', paused_at = now() RETURNING 1")
    put_many(house, 50, tenant_id=ONE, job_id=job_id, kind=PLACE_ORDER, lane="reloadly")
    home = put(house, RECOVER_ORDER, tenant_id=ONE, job_id=job_id, lane="reloadly")

    assert one_pass(house) == [home]


def test_queues_have_windows_of_their_own(house: House) -> None:
    for kind in (RUN_CHUNK, RUN_SINGLE, PLACE_ORDER):
        put_many(house, 50, tenant_id=ONE, kind=kind)

    one_pass(house)

    least = house.limits.window_tasks_min
    assert rung_by(house, "queue") == {"bulk": least, "interactive": least, "vendors": least}


def test_a_paused_queue_is_not_rung(house: House) -> None:
    put_many(house, 2, tenant_id=ONE)
    single = put(house, RUN_SINGLE, tenant_id=ONE)
    pause(house, Queue.BULK)

    assert one_pass(house) == [single]
    rows(house, "UPDATE queues SET paused_at = NULL RETURNING 1")
    assert len(one_pass(house)) == 2


def test_bulk_gives_way_while_somebody_waits_on_the_interactive_queue(
    house: House, places: int
) -> None:
    seconds = house.limits.interactive_wait_seconds_max + 1
    waits = put(house, RUN_SINGLE, tenant_id=ONE)
    change_task(house, waits, f"rung_at = now(), run_after = now() - interval '{seconds} seconds'")
    put_many(house, 100, tenant_id=ONE)
    while_waiting = len(one_pass(house))
    chain = deferred(house, tenant_id=ONE, job_id=new_id())
    end(house, waits)
    afterwards = len(one_pass(house))

    assert (while_waiting, while_waiting + afterwards) == (4, places)
    assert chain == ([], {Queue.BULK})


def test_bulk_does_not_give_way_to_a_queue_that_somebody_stopped(house: House, places: int) -> None:
    waits = put(house, RUN_SINGLE, tenant_id=ONE)
    change_task(house, waits, "rung_at = now(), run_after = now() - interval '1 hour'")
    pause(house, Queue.INTERACTIVE)
    put_many(house, 100, tenant_id=ONE)

    assert len(one_pass(house)) == places


def test_a_chain_goes_on_by_itself_until_somebody_else_waits(house: House) -> None:
    """What a finished chunk defers is rung at once, unless that would overtake another flow."""
    job = new_id()
    put_many(house, 4, tenant_id=ONE, job_id=job)
    alone = deferred(house, tenant_id=ONE, job_id=job)
    put_many(house, 1, tenant_id=OTHER, job_id=new_id())
    beside = deferred(house, tenant_id=ONE, job_id=job)
    settling = deferred(house, SETTLE_JOB, tenant_id=ONE, job_id=job)

    assert alone == (["run_chunk"], set())
    assert beside == ([], {Queue.BULK})
    assert settling == (["settle_job"], set())


def deferred(
    house: House, kind: TaskKind = RUN_CHUNK, *, tenant_id: UUID, job_id: UUID
) -> tuple[list[str], set[Queue]]:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        noted = note_doorbells(session)
        now = clock.now(session)
        defer(session, kind, args={}, now=now, tenant_id=tenant_id, job_id=job_id)
    return [bell.kind for bell in noted.doorbells], noted.waiting
