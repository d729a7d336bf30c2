"""Jobs asked for, worked on and interfered with in any order: a small model says what they are."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from models.jobs import ItemState, JobState, Priority
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.kinds import InvalidJobState, NothingToRetry
from pipelines.jobs.schedule import reschedule, set_priority
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import submit_file, with_limits
from tests.later import tomorrow
from tests.moves import control, retry
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from workers.wrapper import Wrapper

S = JobState
CHUNK = 2


@dataclass(slots=True)
class Chunk:
    pending: int
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class Model:
    """What a job is, without a database: its chunks, its state, and whether its time is ahead."""

    id: UUID
    chunks: list[Chunk]
    state: JobState = S.QUEUED
    has_started: bool = False
    is_scheduled: bool = False
    is_ahead: bool = False
    priority: Priority = Priority.NORMAL
    round: int = 1
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = self.sum("pending")

    def sum(self, state: str) -> int:
        return sum(getattr(chunk, state) for chunk in self.chunks)

    def resume(self) -> None:
        waits = self.is_scheduled and not self.has_started
        self.state = S.QUEUED if waits else S.RUNNING
        self.has_started = not waits

    def reopen(self) -> None:
        self.state, self.round = S.RUNNING, self.round + 1
        for chunk in self.chunks:
            chunk.pending, chunk.failed = chunk.failed, 0

    def work(self, number: int, stock: int) -> int:
        """Chunk `number` gets its turn; returns how many cards it takes."""
        if self.state is S.PAUSED or (self.state is S.QUEUED and self.is_ahead):
            return 0
        chunk = self.chunks[number - 1]
        if self.state is S.CANCELLING:
            chunk.cancelled, chunk.pending = chunk.cancelled + chunk.pending, 0
            return 0
        if self.state is S.QUEUED:
            self.state, self.has_started = S.RUNNING, True
        served = min(stock, chunk.pending)
        chunk.succeeded += served
        chunk.failed += chunk.pending - served
        chunk.pending = 0
        return served

    def settle(self) -> None:
        if self.sum("pending") or self.state not in OPEN:
            return
        if self.state is S.CANCELLING:
            self.state = S.CANCELLED
        elif self.sum("succeeded") == self.total:
            self.state = S.SUCCEEDED
        else:
            self.state = S.PARTIALLY_SUCCEEDED if self.sum("succeeded") else S.FAILED


OPEN = {S.QUEUED, S.RUNNING, S.PAUSED, S.CANCELLING}


class People(RuleBasedStateMachine):
    """Several jobs share one stock; after every step each is exactly what its model is."""

    house: ClassVar[House]
    numbers: ClassVar[Any] = count(step=100)
    jobs = Bundle("jobs")

    @initialize()
    def begin(self) -> None:
        self.seeded: Seeded = seed(self.house, vendor=False)
        self.stock = 0
        self.models: dict[UUID, Model] = {}

    @rule(target=jobs, items=st.integers(1, 5), is_ahead=st.booleans())
    def submit(self, items: int, is_ahead: bool) -> UUID:
        at = tomorrow(self.house) if is_ahead else None
        content = recipients_csv(items, next(self.numbers))
        job_id = submit_file(self.house, self.seeded, content, scheduled_for=at).job_id
        sizes = [min(CHUNK, items - first) for first in range(0, items, CHUNK)]
        self.models[job_id] = Model(
            job_id, [Chunk(size) for size in sizes], is_scheduled=is_ahead, is_ahead=is_ahead
        )
        return job_id

    @rule(cards=st.integers(1, 4))
    def restock(self, cards: int) -> None:
        waiting = (
            "UPDATE tasks SET queue = queue || '.later' WHERE kind <> 'import_cards' RETURNING 1"
        )
        rows(self.house, waiting)
        import_cards_now(self.house, self.seeded.csv_pool, cards_csv(cards))
        rows(self.house, "UPDATE tasks SET queue = replace(queue, '.later', '') RETURNING 1")
        self.stock += cards

    @rule(job=jobs)
    def pause(self, job: UUID) -> None:
        if self.asked(job, pause_job, {S.QUEUED, S.RUNNING}):
            self.models[job].state = S.PAUSED

    @rule(job=jobs)
    def resume(self, job: UUID) -> None:
        if self.asked(job, resume_job, {S.PAUSED}):
            self.models[job].resume()

    @rule(job=jobs)
    def cancel(self, job: UUID) -> None:
        if self.asked(job, cancel_job, {S.QUEUED, S.RUNNING, S.PAUSED}):
            self.models[job].state = S.CANCELLING

    @rule(job=jobs, priority=st.sampled_from(Priority))
    def prioritise(self, job: UUID, priority: Priority) -> None:
        if self.asked(job, set_priority, OPEN, priority=priority):
            self.models[job].priority = priority

    @rule(job=jobs, is_ahead=st.booleans())
    def move(self, job: UUID, is_ahead: bool) -> None:
        at = tomorrow(self.house) if is_ahead else None
        if self.asked(
            job, reschedule, {S.QUEUED}, at=at, kinds=self.house.job_kinds, limits=self.house.limits
        ):
            self.models[job].is_scheduled, self.models[job].is_ahead = True, is_ahead

    @rule(job=jobs)
    def retry(self, job: UUID) -> None:
        model = self.models[job]
        if model.state not in {S.PARTIALLY_SUCCEEDED, S.FAILED}:
            with pytest.raises(InvalidJobState):
                retry(self.house, self.seeded, job)
        elif model.sum("failed") == 0:
            with pytest.raises(NothingToRetry):
                retry(self.house, self.seeded, job)
        else:
            assert retry(self.house, self.seeded, job) == model.sum("failed")
            model.reopen()

    @rule(data=st.data())
    def one_task(self, data: st.DataObject) -> None:
        """Any task of any job, due or not: a doorbell may come late, early or twice."""
        tasks = rows(
            self.house, "SELECT id, kind, args, run_after <= now() AS due FROM tasks ORDER BY id"
        )
        if not tasks:
            return
        task = data.draw(st.sampled_from(tasks))
        Wrapper(self.house.sessions, build_handlers(self.house), draw=lambda: 0.0).run(task.id, 1)
        if task.due:
            self.done(task)

    @rule()
    def everything(self) -> None:
        """All that is due, in the order in which the relay would have it."""
        for _ in range(200):
            due = rows(
                self.house,
                "SELECT t.id, t.kind, t.args FROM tasks t JOIN jobs j ON j.id = t.job_id "
                "WHERE t.run_after <= now() AND (j.state <> 'paused' OR t.kind = 'settle_job') "
                "ORDER BY t.id LIMIT 1",
            )
            if not due:
                return
            Wrapper(self.house.sessions, build_handlers(self.house)).run(due[0].id, 1)
            self.done(due[0])
        raise AssertionError("work does not come to an end")

    def done(self, task: Any) -> None:
        model = self.models[UUID(task.args["job_id"])]
        if task.kind == "run_chunk":
            self.stock -= model.work(int(task.args["chunk"]), self.stock)
        else:
            model.settle()

    def asked(self, job: UUID, verb: Any, possible: set[JobState], **more: Any) -> bool:
        """Whether the model allows it, which the database must have found too."""
        was = self.models[job].state
        if was in possible:
            control(self.house, self.seeded, verb, job, **more)
            return True
        with pytest.raises(InvalidJobState) as refused:
            control(self.house, self.seeded, verb, job, **more)
        assert refused.value.extra["state"] == was
        return False

    @invariant()
    def every_job_is_what_its_model_says(self) -> None:
        for model in getattr(self, "models", {}).values():
            job = view(self.house, model.id)
            counts = {state.value: 0 for state in ItemState} | {
                state: model.sum(state) for state in ("pending", "succeeded", "failed", "cancelled")
            }
            assert job["counts"] == {"total": model.total} | counts
            assert (job["state"], job["round"]) == (model.state, model.round)
            assert job["priority"] == model.priority.name.lower()
            assert (job["started_at"] is not None) is model.has_started
            assert job["money"]["held_minor"] == 2500 * model.sum("pending")
            assert job["money"]["captured_minor"] == 2500 * model.sum("succeeded")

    @invariant()
    def the_work_that_waits_has_its_jobs_priority(self) -> None:
        wrong = (
            "SELECT 1 FROM tasks t JOIN jobs j ON j.id = t.job_id WHERE t.priority <> j.priority"
        )
        assert rows(self.house, wrong) == []

    def teardown(self) -> None:
        """Whatever was asked, every job can still be brought to its end, and the books agree."""
        assert_proven(self.house)
        for job, model in self.models.items():
            if model.state in OPEN - {S.CANCELLING}:
                control(self.house, self.seeded, cancel_job, job)
        drain(self.house)
        open_jobs = (
            "SELECT 1 FROM jobs WHERE state IN ('queued', 'running', 'paused', 'cancelling')"
        )
        assert rows(self.house, open_jobs) == []
        assert_proven(self.house)


def test_ec129_jobs_are_what_the_model_says_whatever_is_asked_and_done(house: House) -> None:
    """EC-129: pause, resume, cancel, retry, priority and start against work in any order."""
    small = with_limits(house, chunk_items_max=CHUNK, chunks_released_max=1)
    machine = type("PeopleOfThisHouse", (People,), {"house": small})

    run_state_machine_as_test(
        machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
    )
