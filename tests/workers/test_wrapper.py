"""A task runs once, in its tenant's scope, and whatever happens to it becomes its row."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog
from sqlalchemy import text
from structlog.testing import LogCapture

from models import clock, scope
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, NoScope
from pipelines.queue.handlers import Handler
from pipelines.queue.kinds import PURGE_KEYS, RUN_CHUNK, SETTLE_JOB, TASK_VERSION
from pipelines.queue.work import Postpone, TaskInHand
from pipelines.wiring import House, build_handlers
from tests.canary import MARK
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows, view
from tests.intake import submit_file, table_sizes
from tests.seeding import seed
from tests.workers.tasks import change_task, put, task, wrapper_with
from workers import wrapper as wrapper_module
from workers.wrapper import Wrapper

TENANT = UUID(int=7)
CANARY = f"{MARK}-4111-1111"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the wrapper tells its log, before anything is scrubbed from it."""
    capture = LogCapture()
    monkeypatch.setattr(
        wrapper_module,
        "log",
        structlog.wrap_logger(
            None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0)
        ),
    )
    return capture.entries


class Noted:
    """Work that only notes that it was done, and in whose scope."""

    def __init__(self) -> None:
        self.scopes: list[scope.Scope] = []
        self.lock = threading.Lock()

    def __call__(self, session: Any, in_hand: TaskInHand, _now: Any = None) -> None:
        with self.lock:
            self.scopes.append(scope.current())


def failing(fault: Exception) -> Any:
    def run(*_anything: Any) -> None:
        raise fault

    return run


def test_ec064_a_second_message_for_a_finished_task_is_forgotten(house: House) -> None:
    """EC-064: redelivered after the commit, before the acknowledgement."""
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    job_id = submit_file(house, seeded, recipients_csv(2)).job_id
    (chunk,) = rows(house, "SELECT id FROM tasks")
    wrapper = Wrapper(house.sessions, build_handlers(house))
    wrapper.run(chunk.id, 1)
    after = table_sizes(house), view(house, job_id)["counts"]

    wrapper.run(chunk.id, 1)

    assert (table_sizes(house), view(house, job_id)["counts"]) == after


def test_a_message_for_a_task_that_never_was_is_forgotten(house: House) -> None:
    noted = Noted()

    wrapper_with(house, Handler(RUN_CHUNK, noted)).run(new_id(), 1)

    assert noted.scopes == []


def test_a_message_that_comes_early_starts_nothing(house: House) -> None:
    noted = Noted()
    task_id = put(house, tenant_id=TENANT)
    change_task(house, task_id, "run_after = now() + interval '1 minute'")

    wrapper_with(house, Handler(RUN_CHUNK, noted)).run(task_id, 1)

    assert noted.scopes == []
    assert (task(house, task_id).starts, task(house, task_id).attempts) == (0, 0)


@pytest.mark.parametrize("version", [0, TASK_VERSION + 1, 99])
def test_a_message_of_another_version_is_left_to_another_worker(house: House, version: int) -> None:
    noted = Noted()
    task_id = put(house, tenant_id=TENANT)

    wrapper_with(house, Handler(RUN_CHUNK, noted)).run(task_id, version)

    assert noted.scopes == []
    assert task(house, task_id).starts == 0


@pytest.mark.parametrize("version", [0, TASK_VERSION + 1])
def test_ec045_a_row_of_another_version_is_left_alone_whatever_its_message_says(
    house: House, version: int
) -> None:
    """EC-045: an older relay rings with its own version for what newer code has written."""
    noted = Noted()
    task_id = put(house, tenant_id=TENANT)
    change_task(house, task_id, f"v = {version}")

    wrapper_with(house, Handler(RUN_CHUNK, noted)).run(task_id, TASK_VERSION)

    assert noted.scopes == []
    assert (task(house, task_id).state, task(house, task_id).starts) == ("ready", 0)


def test_ec045_a_row_of_the_version_before_is_done(house: House) -> None:
    """EC-045: what the last deploy left behind."""
    noted = Noted()
    task_id = put(house, tenant_id=TENANT)
    change_task(house, task_id, f"v = {TASK_VERSION - 1}")

    wrapper_with(house, Handler(RUN_CHUNK, noted)).run(task_id, TASK_VERSION - 1)

    assert len(noted.scopes) == 1
    assert task(house, task_id) is None


def test_a_task_of_a_kind_this_worker_does_not_know_is_left_alone(house: House) -> None:
    task_id = put(house, tenant_id=TENANT)
    change_task(house, task_id, "kind = 'from_tomorrow'")

    wrapper_with(house).run(task_id, 1)

    row = task(house, task_id)
    assert (row.state, row.starts, row.attempts) == ("ready", 0, 0)


def test_two_messages_at_once_do_the_work_once(house: House) -> None:
    noted = Noted()
    task_id = put(house, tenant_id=TENANT)
    wrapper = wrapper_with(house, Handler(RUN_CHUNK, noted))
    start = threading.Barrier(5)

    def run(_number: int) -> None:
        start.wait(timeout=10)
        wrapper.run(task_id, 1)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(run, range(5)))

    assert len(noted.scopes) == 1
    assert task(house, task_id) is None


def test_ec138_work_runs_in_the_scope_of_its_row_and_leaves_none_behind(house: House) -> None:
    """EC-138: the tenant comes from the row, never from the message."""
    noted = Noted()
    wrapper = wrapper_with(house, Handler(RUN_CHUNK, noted), Handler(PURGE_KEYS, noted))

    wrapper.run(put(house, tenant_id=TENANT), 1)
    wrapper.run(put(house, PURGE_KEYS), 1)

    assert noted.scopes == [scope.client(TENANT), SYSTEM]
    with pytest.raises(NoScope):
        scope.current()


def test_ec138_tenant_work_without_a_tenant_is_refused_and_ends_as_a_dead_letter(
    house: House,
) -> None:
    """EC-138: it never runs with eyes that see nothing and 'succeed'."""
    noted = Noted()
    task_id = put(house)
    wrapper = wrapper_with(house, Handler(RUN_CHUNK, noted, noted, attempts_max=2))

    wrapper.run(task_id, 1)
    first = task(house, task_id)
    change_task(house, task_id, "run_after = now()")
    wrapper.run(task_id, 1)

    assert noted.scopes == []
    assert (first.state, first.attempts, first.last_error) == ("ready", 1, "RuntimeError")
    last = task(house, task_id)
    assert (last.state, last.attempts, last.last_error) == ("dead", 2, "RuntimeError")


def test_a_fault_spends_an_attempt_and_waits_longer_each_time(house: House) -> None:
    task_id = put(house, tenant_id=TENANT)
    wrapper = wrapper_with(house, Handler(RUN_CHUNK, failing(ValueError())))
    waits = []
    for attempt in range(1, 5):
        wrapper.run(task_id, 1)
        row = task(house, task_id)
        assert (row.starts, row.attempts, row.last_error) == (attempt, attempt, "ValueError")
        waits.append(row.due_in)
        change_task(house, task_id, "run_after = now()")

    assert waits == pytest.approx([0.5, 1.0, 2.0, 4.0], abs=0.4)


def test_the_work_of_a_failed_attempt_is_rolled_back(house: House) -> None:
    def half(session: Any, _task: TaskInHand, _now: Any) -> None:
        session.execute(text("DELETE FROM tasks"))
        raise ValueError

    task_id = put(house, tenant_id=TENANT)

    wrapper_with(house, Handler(RUN_CHUNK, half)).run(task_id, 1)

    assert task(house, task_id).attempts == 1


def test_work_without_a_job_ends_as_a_dead_letter(house: House) -> None:
    task_id = put(house, PURGE_KEYS)
    wrapper = wrapper_with(house, Handler(PURGE_KEYS, failing(ValueError())))
    for _ in range(house.limits.attempts_max):
        assert task(house, task_id).state == "ready"
        wrapper.run(task_id, 1)
        change_task(house, task_id, "run_after = now()")

    row = task(house, task_id)
    assert (row.state, row.attempts, row.last_error) == ("dead", 8, "ValueError")
    wrapper.run(task_id, 1)
    assert task(house, task_id).starts == row.starts


def test_a_postponed_task_spends_no_attempt(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        later = clock.now(session) + timedelta(minutes=3)
    task_id = put(house, tenant_id=TENANT)
    wrapper = wrapper_with(house, Handler(RUN_CHUNK, failing(Postpone(later, "rate_limit"))))
    for _ in range(5):
        change_task(house, task_id, "run_after = now()")
        wrapper.run(task_id, 1)

    row = task(house, task_id)
    assert (row.starts, row.attempts, row.last_error) == (0, 0, None)
    assert (row.postponed_for, row.run_after, row.state) == ("rate_limit", later, "ready")


def test_a_database_that_says_not_now_costs_no_attempt(house: House) -> None:
    other = put(house, PURGE_KEYS)
    task_id = put(house, tenant_id=TENANT)

    def want_the_row(session: Any, _task: TaskInHand, _now: Any) -> None:
        session.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE NOWAIT"), {"id": other})

    def run() -> None:
        wrapper_with(house, Handler(RUN_CHUNK, want_the_row)).run(task_id, 1)

    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        session.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE"), {"id": other})
        elsewhere.submit(run).result(timeout=10)

    row = task(house, task_id)
    assert (row.starts, row.attempts, row.postponed_for) == (0, 0, "database")


def test_ec124_a_fault_leaves_its_class_and_none_of_its_words(
    house: House, told: list[Any]
) -> None:
    """EC-124: neither the row nor the log says what was in the exception."""
    refused = text("SELECT CAST(:value AS integer)")

    def by_database(session: Any, _task: TaskInHand, _now: Any) -> None:
        session.execute(refused, {"value": CANARY})

    by_us, by_them = put(house, tenant_id=TENANT), put(house, SETTLE_JOB, tenant_id=TENANT)
    wrapper = wrapper_with(
        house,
        Handler(RUN_CHUNK, failing(ValueError(CANARY))),
        Handler(SETTLE_JOB, by_database),
    )
    wrapper.run(by_us, 1)
    wrapper.run(by_them, 1)

    assert task(house, by_us).last_error == "ValueError"
    assert task(house, by_them).last_error == "InvalidTextRepresentation"
    written = rows(house, "SELECT to_jsonb(t)::text AS row FROM tasks t")
    assert [row for row in written if CANARY in row.row] == []
    assert [entry["fault"] for entry in told] == ["ValueError", "InvalidTextRepresentation"]
    assert CANARY not in repr(told)


def test_ec124_a_fault_while_giving_up_is_not_shown_to_the_broker(
    house: House, told: list[Any]
) -> None:
    """EC-124: Dramatiq would print it with its words; the row stays and waits."""
    task_id = put(house, tenant_id=TENANT)
    fails = failing(ValueError(CANARY))

    wrapper_with(house, Handler(RUN_CHUNK, fails, fails, attempts_max=1)).run(task_id, 1)

    assert [(entry["event"], entry["fault"]) for entry in told] == [
        ("task.failed", "ValueError"),
        ("task.not_given_up", "ValueError"),
    ]
    assert CANARY not in repr(told)
    row = task(house, task_id)
    assert (row.state, row.starts, row.attempts) == ("ready", 1, 1)
