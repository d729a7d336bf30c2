"""What was in hand when its worker died is done alone, so that no bystander is blamed."""

import threading
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction, transaction
from models.scope import SYSTEM
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PLACE_ORDER, PURGE_KEYS
from pipelines.queue.pausing import pause_queue, resume_queue
from pipelines.queue.work import TaskInHand, fence, finish, is_suspect, start
from pipelines.wiring import House
from tests.seeding import ACTOR
from tests.workers.tasks import change_task, handlers_with, put, task, wrapper_with
from workers.company import Company
from workers.wrapper import Wrapper


def started(house: House, task_id: UUID, *, alone: bool) -> TaskInHand | None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        known = {PURGE_KEYS.name}
        return start(session, task_id, now=now, known=known, leases={}, alone=alone)


def suspected(house: House, task_id: UUID) -> bool:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return is_suspect(session, task_id, now=clock.now(session))


def test_ec121_a_task_whose_worker_died_is_not_to_be_had_beside_others(house: House) -> None:
    """EC-121: its start is not even counted while others work."""
    task_id = put(house, PURGE_KEYS)
    change_task(house, task_id, "starts = 1")

    beside = started(house, task_id, alone=False)

    assert beside is None
    assert suspected(house, task_id) is True
    assert task(house, task_id).starts == 1


def test_ec121_alone_it_is_to_be_had(house: House) -> None:
    """EC-121: and its start is counted as ever."""
    task_id = put(house, PURGE_KEYS)
    change_task(house, task_id, "starts = 1")

    in_hand = started(house, task_id, alone=True)

    assert in_hand is not None
    assert (in_hand.id, in_hand.starts, in_hand.unaccounted_starts) == (task_id, 2, 1)


def test_ec121_a_task_that_failed_or_is_running_is_no_suspect(house: House) -> None:
    """EC-121: a spent attempt has its outcome, and a held row its worker."""
    failed, running = put(house, PURGE_KEYS), put(house, PURGE_KEYS)
    change_task(house, failed, "starts = 1, attempts = 1")
    change_task(house, running, "starts = 1")

    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql(
            f"SELECT 1 FROM tasks WHERE id = '{running}' FOR UPDATE"
        )
        found = []
        looking = threading.Thread(target=lambda: found.append(suspected(house, running)))
        looking.start()
        looking.join(timeout=30)

    assert found == [False]
    assert suspected(house, failed) is False


def test_a_suspect_of_a_paused_queue_is_not_asked_for_alone(house: House) -> None:
    """It is not to be had, so that nobody stands still for it."""
    task_id = put(house, PURGE_KEYS)
    change_task(house, task_id, "starts = 1")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        pause_queue(session, "bulk", reason="incident", actor_id=ACTOR, now=now)

    assert suspected(house, task_id) is False

    with scoped_transaction(house.sessions, SYSTEM) as session:
        resume_queue(session, "bulk", actor_id=ACTOR, now=clock.now(session))
    assert suspected(house, task_id) is True


def test_ec121_a_suspect_waits_for_those_at_work_and_keeps_others_out(house: House) -> None:
    """EC-121: nobody is at work beside it, from its beginning to its end."""
    begun, may_end = threading.Event(), threading.Event()
    at_work: set[str] = set()
    beside: dict[str, set[str]] = {}

    def run(_session: Session, in_hand: TaskInHand, _now: datetime) -> None:
        name = in_hand.args["name"]
        at_work.add(name)
        beside[name] = set(at_work)
        if name == "bystander":
            begun.set()
            may_end.wait(timeout=30)
        at_work.discard(name)

    wrapper = wrapper_with(house, Handler(PURGE_KEYS, run))
    names = ("bystander", "suspect", "latecomer")
    ids = {name: put(house, PURGE_KEYS, args={"name": name}) for name in names}
    change_task(house, ids["suspect"], "starts = 1")
    threads = {n: threading.Thread(target=wrapper.run, args=(ids[n], 1)) for n in names}

    threads["bystander"].start()
    assert begun.wait(timeout=30)
    threads["suspect"].start()
    threads["latecomer"].start()
    may_end.set()
    for thread in threads.values():
        thread.join(timeout=30)

    assert beside["suspect"] == {"suspect"}
    assert set(beside) == set(names)
    assert [task(house, task_id) for task_id in ids.values()] == [None, None, None]


def test_one_who_is_about_to_work_alone_lets_nobody_else_begin() -> None:
    company = Company()
    order: list[str] = []

    def alone() -> None:
        with company.alone(patience=30) as is_alone:
            order.append("alone" if is_alone else "never alone")

    def beside() -> None:
        with company.together():
            order.append("beside")

    with company.together():
        loner = threading.Thread(target=alone)
        loner.start()
        with company._changed:
            assert company._changed.wait_for(lambda: company._has_loner, timeout=30)
        other = threading.Thread(target=beside)
        other.start()
        order.append("first")
    loner.join(timeout=30)
    other.join(timeout=30)

    assert order == ["first", "alone", "beside"]


def test_who_does_not_get_to_be_alone_in_time_lets_the_others_begin() -> None:
    company = Company()

    with company.together():
        with company.alone(patience=0) as beside_one:
            pass
        with company.together():
            pass
    with company.alone(patience=0) as by_itself:
        with company.alone(patience=0) as beside_a_loner:
            pass
        assert company._has_loner

    assert (beside_one, by_itself, beside_a_loner) == (False, True, False)
    assert not company._has_loner


def test_ec121_a_suspect_beside_long_work_is_brought_back_and_others_go_on(house: House) -> None:
    """EC-121: it is neither begun nor counted, and its message is forgotten as any other."""
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def run(_session: Session, in_hand: TaskInHand, _now: datetime) -> None:
        if in_hand.args["name"] == "long":
            begun.set()
            assert may_end.wait(timeout=30)
        done.append(in_hand.args["name"])

    handlers = handlers_with(house, Handler(PURGE_KEYS, run))
    limits = replace(handlers.limits, alone_patience_seconds=0.01)
    wrapper = Wrapper(house.sessions, replace(handlers, limits=limits))
    ids = {n: put(house, PURGE_KEYS, args={"name": n}) for n in ("long", "suspect", "other")}
    change_task(house, ids["suspect"], "starts = 1, rung_at = now()")
    neighbour = threading.Thread(target=wrapper.run, args=(ids["long"], 1))

    neighbour.start()
    assert begun.wait(timeout=30)
    wrapper.run(ids["suspect"], 1)
    left = task(house, ids["suspect"])
    wrapper.run(ids["other"], 1)
    may_end.set()
    neighbour.join(timeout=30)
    wrapper.run(ids["suspect"], 1)

    assert (left.starts, left.attempts, left.state) == (1, 0, "ready")
    assert left.rung_at is not None
    assert done == ["other", "long", "suspect"]


class Calls:
    """Stepped work whose calls last until they are let go, and who was in a call with whom."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.beside: dict[str, set[str]] = {}
        self._at_work: set[str] = set()

    def __call__(self, sessions: Sessions, in_hand: TaskInHand) -> None:
        name = in_hand.args["name"]
        self._at_work.add(name)
        self.beside[name] = set(self._at_work)
        if name == "slow":
            self.begun.set()
            self.may_end.wait(timeout=30)
        with transaction(sessions) as session:
            fence(session, in_hand)
            finish(session, in_hand)
        self._at_work.discard(name)


def call_of(house: House, name: str) -> UUID:
    return put(house, PLACE_ORDER, args={"name": name}, tenant_id=UUID(int=7))


def impatient(house: House, calls: Calls, *, seconds: float) -> Wrapper:
    handlers = handlers_with(house, Handler(PLACE_ORDER, calls))
    limits = replace(house.limits, alone_patience_seconds=seconds)
    return Wrapper(house.sessions, replace(handlers, limits=limits), draw=lambda: 0.0)


def test_ec121_a_suspect_call_does_not_hold_up_others_for_a_slow_one(house: House) -> None:
    """EC-121: its start is not counted, others begin beside the slow call, and it comes back."""
    calls = Calls()
    wrapper = impatient(house, calls, seconds=0)
    slow, suspect, other = (call_of(house, name) for name in ("slow", "suspect", "other"))
    change_task(house, suspect, "starts = 1")
    thread = threading.Thread(target=wrapper.run, args=(slow, 1))
    thread.start()
    assert calls.begun.wait(timeout=30)

    wrapper.run(suspect, 1)
    wrapper.run(other, 1)

    assert calls.beside == {"slow": {"slow"}, "other": {"slow", "other"}}
    assert task(house, suspect).starts == 1
    calls.may_end.set()
    thread.join(timeout=30)
    wrapper.run(suspect, 1)
    assert calls.beside["suspect"] == {"suspect"}
    assert task(house, suspect) is None


def test_ec121_a_suspect_call_is_made_alone(house: House) -> None:
    """EC-121: it waits for the calls that are being made, and nobody begins beside it."""
    calls = Calls()
    wrapper = impatient(house, calls, seconds=30)
    slow, suspect = call_of(house, "slow"), call_of(house, "suspect")
    change_task(house, suspect, "starts = 1, lease_token = 1, lease_until = now()")
    threads = [
        threading.Thread(target=wrapper.run, args=(task_id, 1)) for task_id in (slow, suspect)
    ]
    threads[0].start()
    assert calls.begun.wait(timeout=30)
    threads[1].start()
    company = wrapper._company
    with company._changed:
        assert company._changed.wait_for(lambda: company._has_loner, timeout=30)
    calls.may_end.set()
    for thread in threads:
        thread.join(timeout=30)

    assert calls.beside == {"slow": {"slow"}, "suspect": {"suspect"}}
    assert [task(house, slow), task(house, suspect)] == [None, None]


def test_a_call_whose_lease_runs_is_no_suspect(house: House) -> None:
    task_id = call_of(house, "other")
    change_task(house, task_id, "starts = 1, lease_until = now() + interval '1 hour'")

    assert suspected(house, task_id) is False
