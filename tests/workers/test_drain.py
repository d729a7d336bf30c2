"""SIGTERM: nothing new begins, what runs may end, and the rest is given back as if never begun."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction, transaction
from models.scope import SYSTEM
from pipelines.errors import LeaseLost
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PLACE_ORDER, PURGE_KEYS, RUN_CHUNK
from pipelines.queue.work import TaskInHand, fence, finish, forget_ring, give_back, start
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows, submit, view
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.until import until
from tests.vendor import Sandbox
from tests.workers.bed import Bed, a_bed
from tests.workers.crew import Crew
from tests.workers.tasks import change_task, handlers_with, put, task
from workers.shift import Shift
from workers.wrapper import Wrapper

SHORT = {"LARGESSE_DRAIN_SECONDS": "0.2"}


@pytest.fixture
def bed(database: Database) -> Iterator[Bed]:
    with a_bed(database) as made:
        yield made


@pytest.fixture
def shift() -> Shift:
    return Shift()


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house)


def test_an_idle_process_ends_promptly(crew: Crew) -> None:
    """Long before the twenty seconds that running work would have."""
    processes = [crew.start(name) for name in ("relay", "scheduler", "bulk", "vendors")]

    assert [crew.end(process, seconds=10) for process in processes] == [0, 0, 0, 0]
    assert crew.beats() == []


def test_a_chunk_that_can_end_in_time_ends(crew: Crew, seeded: Seeded, bed: Bed) -> None:
    house = crew.house
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    bed.make()
    job_id = submit(house, seeded, recipients_csv(3))
    bulk, _relay = crew.start("bulk"), crew.start("relay")
    crew.until(bed.is_slept_in)

    bulk.send_signal(signal.SIGTERM)
    crew.until(lambda: crew.beat_of(bulk).state == "draining")
    bed.wake()

    assert bulk.wait(timeout=20) == 0
    assert rows(house, "SELECT 1 FROM tasks WHERE kind = 'run_chunk'") == []
    assert view(house, job_id)["counts"]["succeeded"] == 3


def test_three_deploys_that_cut_the_same_chunk_do_not_make_it_poison(
    crew: Crew, seeded: Seeded, bed: Bed
) -> None:
    """EC-119, EC-121: what a deploy interrupts is rung again at once and counts for nothing."""
    house = crew.house
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    bed.make()
    job_id = submit(house, seeded, recipients_csv(4))
    (chunk,) = rows(house, "SELECT id FROM tasks")
    relay = crew.start("relay")

    for _deploy in range(4):
        bulk = crew.start("bulk", **SHORT)
        crew.until(bed.is_slept_in)
        assert crew.end(bulk, seconds=20) == 0
        row = task(house, chunk.id)
        assert (row.starts, row.attempts, row.state) == (0, 0, "ready"), crew.logs()
        assert not bed.is_slept_in()

    bed.wake()
    crew.start("bulk")
    crew.start("interactive")
    job = crew.until_ended(job_id)
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 4)
    assert crew.end(relay) == 0
    assert "task.kills_workers" not in crew.logs()
    assert_proven(house)


def test_a_second_signal_ends_the_wait(crew: Crew, seeded: Seeded, bed: Bed) -> None:
    """The first one would wait for twenty seconds."""
    house = crew.house
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    bed.make()
    submit(house, seeded, recipients_csv(2))
    bulk, _relay = crew.start("bulk"), crew.start("relay")
    crew.until(bed.is_slept_in)

    bulk.send_signal(signal.SIGTERM)
    crew.until(lambda: crew.beat_of(bulk).state == "draining")
    bulk.send_signal(signal.SIGTERM)

    assert bulk.wait(timeout=10) == 0
    (chunk,) = rows(house, "SELECT * FROM tasks WHERE kind = 'run_chunk'")
    assert (chunk.starts, chunk.attempts) == (0, 0)
    assert "drain.cut" in crew.logs()


def test_a_vendor_call_that_is_cut_is_looked_up_and_never_bought_twice(
    crew: Crew, sandbox: Sandbox, seeded: Seeded
) -> None:
    """EC-063, EC-119: its lease ends at once, its order is unknown, the vendor is asked."""
    house = crew.house
    # A vendor heard lately: one that is not known to answer gets two calls at a time.
    rows(house, "UPDATE vendor_accounts SET answered_at = now() RETURNING 1")
    sandbox.arm(slow={"next": 3, "seconds": 5.0, "created_first": True})
    job_id = submit(house, seeded, recipients_csv(6))
    for name in ("relay", "bulk", "interactive"):
        crew.start(name)
    vendors = crew.start("vendors", **SHORT)
    crew.until(lambda: view(house, job_id)["counts"]["succeeded"] == 3)
    crew.until(lambda: crew.beat_of(vendors).busy == 3)

    crew.started[0].send_signal(signal.SIGSTOP)
    assert crew.end(vendors, seconds=20) == 0
    given = rows(house, "SELECT * FROM tasks WHERE kind = 'place_order'")
    assert [(row.starts, row.attempts, row.rung_at) for row in given] == [(0, 0, None)] * 3
    assert [row.lease_until for row in given] == [None] * 3

    crew.started[0].send_signal(signal.SIGCONT)
    crew.start("vendors")
    job = crew.until_ended(job_id)
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 6)
    summary = sandbox.control("GET", "/reloadly/summary")
    assert (summary["orders_total"], summary["duplicates"]) == (6, [])
    lost = rows(house, "SELECT 1 FROM provider_orders WHERE sends <> 1 OR state <> 'succeeded'")
    assert lost == []
    assert_proven(house)


def test_an_answer_that_comes_before_the_process_ends_is_written_down(
    house: House, shift: Shift
) -> None:
    """The lease is over but nobody took the task: what the vendor said still counts."""
    in_call, cut = threading.Event(), threading.Event()

    def call_out(sessions: Sessions, in_hand: TaskInHand) -> None:
        in_call.set()
        assert cut.wait(10)
        with transaction(sessions) as session:
            fence(session, in_hand)
            finish(session, in_hand)

    wrapper = Wrapper(
        house.sessions, handlers_with(house, Handler(PLACE_ORDER, call_out)), shift=shift
    )
    task_id = put(house, PLACE_ORDER, tenant_id=UUID(int=7))
    with ThreadPoolExecutor(1) as elsewhere:
        running = elsewhere.submit(wrapper.run, task_id, 1)
        assert in_call.wait(10)
        shift.close()
        given_back(house, shift)
        row = task(house, task_id)
        assert (row.starts, row.lease_until, row.rung_at) == (0, None, None)
        cut.set()
        running.result(timeout=10)

    assert task(house, task_id) is None


def test_ec118_what_was_given_back_and_taken_again_is_fenced(house: House, shift: Shift) -> None:
    """EC-118: the new holder has the token; the old one's answer and its fault change nothing."""
    in_call, cut = threading.Event(), threading.Event()
    told: list[str] = []

    def call_out(sessions: Sessions, in_hand: TaskInHand) -> None:
        in_call.set()
        assert cut.wait(10)
        try:
            with transaction(sessions) as session:
                fence(session, in_hand)
        except LeaseLost:
            told.append("refused")
            raise

    wrapper = Wrapper(
        house.sessions, handlers_with(house, Handler(PLACE_ORDER, call_out)), shift=shift
    )
    task_id = put(house, PLACE_ORDER, tenant_id=UUID(int=7))
    with ThreadPoolExecutor(1) as elsewhere:
        running = elsewhere.submit(wrapper.run, task_id, 1)
        assert in_call.wait(10)
        shift.close()
        given_back(house, shift)
        newer = "lease_token = lease_token + 1, starts = 1, lease_until = now() + interval '1 h'"
        change_task(house, task_id, newer)
        given_back(house, shift)
        cut.set()
        running.result(timeout=10)

    row = task(house, task_id)
    assert told == ["refused"]
    assert (row.starts, row.attempts, row.lease_token) == (1, 0, 2)
    assert row.lease_until is not None


def test_a_closed_shift_begins_nothing_and_says_whom_it_refused(house: House, shift: Shift) -> None:
    wrapper = Wrapper(house.sessions, handlers_with(house), shift=shift)
    task_id = put(house, PURGE_KEYS)
    change_task(house, task_id, "rung_at = now()")
    shift.close()

    wrapper.run(task_id, 1)

    assert shift.is_idle
    assert shift.take_refused() == [task_id]
    assert shift.take_refused() == []
    row = task(house, task_id)
    assert (row.starts, row.rung_at is None) == (0, False)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        forget_ring(session, [task_id])
    assert task(house, task_id).rung_at is None


def test_a_death_before_the_deploy_still_counts(house: House) -> None:
    """Only the cut start is taken back: a task that kills its workers is found all the same."""
    task_id = put(house, RUN_CHUNK)
    change_task(house, task_id, "starts = 2, rung_at = now()")
    in_hand = in_one_transaction(task_id)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        assert give_back(session, [in_hand]) == frozenset({task_id})

    row = task(house, task_id)
    assert (row.starts, row.rung_at) == (1, None)


def test_two_starts_of_one_task_are_both_taken_back(house: House) -> None:
    """Its message came twice, and both threads were cut."""
    task_id = put(house, RUN_CHUNK)
    change_task(house, task_id, "starts = 2")

    with scoped_transaction(house.sessions, SYSTEM) as session:
        give_back(session, [in_one_transaction(task_id)] * 2)

    assert task(house, task_id).starts == 0


def test_a_row_that_its_transaction_still_holds_is_given_back_later(house: House) -> None:
    task_id = put(house, RUN_CHUNK)
    change_task(house, task_id, "starts = 1")
    holder = house.sessions.kw["bind"].connect()
    holder.exec_driver_sql("SET ROLE largesse_system")
    holder.exec_driver_sql(f"SELECT 1 FROM tasks WHERE id = '{task_id}' FOR UPDATE")

    with scoped_transaction(house.sessions, SYSTEM) as session:
        assert give_back(session, [in_one_transaction(task_id)]) == frozenset()
    holder.rollback()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        assert give_back(session, [in_one_transaction(task_id)]) == frozenset({task_id})
    holder.close()

    assert task(house, task_id).starts == 0


def test_who_only_looks_at_a_task_does_not_take_it_from_its_worker(house: House) -> None:
    """A second message asks whether its worker died, between the start and the work."""
    task_id = put(house, PURGE_KEYS)
    looker = house.sessions.kw["bind"].connect()

    def work(session: Session, in_hand: TaskInHand, _now: datetime) -> None:
        done.append(session.execute(text("SHOW lock_timeout")).scalar_one())

    done: list[str] = []
    wrapper = Wrapper(house.sessions, handlers_with(house, Handler(PURGE_KEYS, work)))
    looker.exec_driver_sql("SET ROLE largesse_system")
    in_hand = started(house, task_id)
    looker.exec_driver_sql(f"SELECT 1 FROM tasks WHERE id = '{task_id}' FOR UPDATE")
    with ThreadPoolExecutor(1) as elsewhere:
        handler = wrapper._handlers.by_name[PURGE_KEYS.name]
        running = elsewhere.submit(wrapper._attempt, handler, in_hand)
        until(lambda: rows(house, "SELECT 1 FROM pg_locks WHERE NOT granted") != [])
        looker.rollback()
        running.result(timeout=10)
    looker.close()

    assert done == ["2s"]
    assert task(house, task_id) is None


def started(house: House, task_id: UUID) -> TaskInHand:
    """As the wrapper starts it."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        in_hand = start(
            session, task_id, now=clock.now(session), known=[PURGE_KEYS.name], leases={}
        )
    assert in_hand is not None
    return in_hand


def given_back(house: House, shift: Shift) -> None:
    """What the drain does once its wait is over."""
    tasks = shift.cut(is_last_call=False)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        rows_in_order = give_back(session, tasks)
    shift.note_given_back([task for task in tasks if task.id in rows_in_order])


def in_one_transaction(task_id: UUID) -> TaskInHand:
    """A task of one transaction, as its worker knows it."""
    return TaskInHand(
        id=task_id,
        kind=RUN_CHUNK.name,
        args={},
        job_id=None,
        tenant_id=None,
        starts=2,
        attempts=0,
        token=0,
        request_id=None,
        v=1,
    )
