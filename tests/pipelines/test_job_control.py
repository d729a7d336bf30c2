"""What people ask of a job, in every state: done, or refused and nothing changed (EC-129)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.jobs import JobState, Priority
from models.scope import SYSTEM
from pipelines.jobs.control import cancel_job, pause_job, resume_job, retry_job
from pipelines.jobs.kinds import InvalidJobState
from pipelines.jobs.schedule import reschedule, set_priority
from pipelines.jobs.states import Move, allowed_in, instead_of
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import submit_file, table_sizes, with_limits
from tests.moves import control, one_step, retry
from tests.proof import assert_proven
from tests.seeding import Seeded, seed

S = JobState
#: Undo and clone make another job and leave this one's state alone; they have tests of their own.
MOVES = [move for move in Move if move not in {Move.UNDO, Move.CLONE}]
#: The state that each possible move leads to; a pair that is not here is refused.
LEADS_TO = {
    (S.QUEUED, Move.PAUSE): S.PAUSED,
    (S.QUEUED, Move.CANCEL): S.CANCELLING,
    (S.QUEUED, Move.PRIORITISE): S.QUEUED,
    (S.QUEUED, Move.RESCHEDULE): S.QUEUED,
    (S.RUNNING, Move.PAUSE): S.PAUSED,
    (S.RUNNING, Move.CANCEL): S.CANCELLING,
    (S.RUNNING, Move.PRIORITISE): S.RUNNING,
    (S.PAUSED, Move.RESUME): S.RUNNING,
    (S.PAUSED, Move.CANCEL): S.CANCELLING,
    (S.PAUSED, Move.PRIORITISE): S.PAUSED,
    (S.CANCELLING, Move.PRIORITISE): S.CANCELLING,
    (S.PARTIALLY_SUCCEEDED, Move.RETRY): S.RUNNING,
    (S.FAILED, Move.RETRY): S.RUNNING,
}
#: Cards in stock for a job of four, and what happens to it.
HOW: dict[JobState, tuple[int, list[str]]] = {
    S.QUEUED: (0, []),
    S.RUNNING: (4, ["step"]),
    S.PAUSED: (4, ["step", "pause"]),
    S.CANCELLING: (4, ["step", "cancel"]),
    S.SUCCEEDED: (4, ["end"]),
    S.PARTIALLY_SUCCEEDED: (2, ["end"]),
    S.FAILED: (0, ["end"]),
    S.CANCELLED: (4, ["step", "cancel", "end"]),
}


@pytest.fixture
def small(house: House) -> House:
    """Chunks of two items, one released at a time."""
    return with_limits(house, chunk_items_max=2, chunks_released_max=1)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def job_in(house: House, seeded: Seeded, state: JobState) -> UUID:
    stock, happens = HOW[state]
    if stock:
        import_cards_now(house, seeded.csv_pool, cards_csv(stock))
    job_id = submit_file(house, seeded, recipients_csv(4)).job_id
    for step in happens:
        match step:
            case "step":
                one_step(house)
            case "end":
                drain(house)
            case "pause":
                control(house, seeded, pause_job, job_id)
            case "cancel":
                control(house, seeded, cancel_job, job_id)
    return job_id


def ask(house: House, seeded: Seeded, move: Move, job_id: UUID) -> Any:
    match move:
        case Move.PAUSE:
            return control(house, seeded, pause_job, job_id)
        case Move.RESUME:
            return control(house, seeded, resume_job, job_id)
        case Move.CANCEL:
            return control(house, seeded, cancel_job, job_id)
        case Move.RETRY:
            return retry(house, seeded, job_id)
        case Move.PRIORITISE:
            return control(house, seeded, set_priority, job_id, priority=Priority.LOW)
        case Move.RESCHEDULE:
            at = in_a_day(house)
            return control(
                house, seeded, reschedule, job_id, at=at, kinds=house.job_kinds, limits=house.limits
            )


def in_a_day(house: House) -> datetime:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return clock.now(session) + timedelta(days=1)


def everything(house: House) -> list[Any]:
    """All that a move could change."""
    tables = ("jobs", "chunks", "items", "tasks", "holds", "accounts")
    return [table_sizes(house)] + [
        rows(house, f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text")
        for table in tables
    ]


@pytest.mark.parametrize(("state", "move"), list(product(S, MOVES)), ids=str)
def test_ec129_every_move_in_every_state_is_done_or_refused(
    small: House, seeded: Seeded, state: JobState, move: Move
) -> None:
    """EC-129: a refusal names the state, and nothing has changed."""
    job_id = job_in(small, seeded, state)
    assert view(small, job_id)["state"] == state
    before = everything(small)

    if (state, move) in LEADS_TO:
        ask(small, seeded, move, job_id)
        assert view(small, job_id)["state"] == LEADS_TO[state, move]
    else:
        with pytest.raises(InvalidJobState) as refused:
            ask(small, seeded, move, job_id)
        assert refused.value.extra == {"state": state.value, "allowed": allowed_in(state)}
        words = f"A job that is {state} cannot be {move}. {instead_of(move, state)}"
        assert refused.value.detail == words
        assert everything(small) == before

    assert_proven(small)


@pytest.mark.parametrize("verbs", [(pause_job, pause_job), (cancel_job, cancel_job)])
def test_ec129_of_two_people_who_ask_the_same_at_once_one_does_it(
    small: House, seeded: Seeded, verbs: tuple[Any, Any]
) -> None:
    """EC-129: the other is told that it is done."""
    job_id = job_in(small, seeded, S.RUNNING)

    answers = at_once(small, seeded, job_id, verbs)

    refused = [answer for answer in answers if isinstance(answer, InvalidJobState)]
    assert len(refused) == 1
    state = "paused" if verbs[0] is pause_job else "cancelling"
    assert (refused[0].extra["state"], view(small, job_id)["state"]) == (state, state)
    assert_proven(small)


def test_ec129_a_pause_beside_a_cancel_never_takes_it_back(small: House, seeded: Seeded) -> None:
    """EC-129: whoever comes first, the job ends cancelled and every card is accounted for."""
    for _ in range(5):
        job_id = submit_file(small, seeded, recipients_csv(4), force=True).job_id

        paused, cancelled = at_once(small, seeded, job_id, (pause_job, cancel_job))

        assert cancelled is None
        assert paused is None or paused.extra["state"] == "cancelling"
        assert view(small, job_id)["state"] == "cancelling"
    drain(small)
    assert {row.state for row in rows(small, "SELECT state FROM jobs")} == {"cancelled"}
    assert_proven(small)


def test_ec129_two_retries_at_once_open_one_round(small: House, seeded: Seeded) -> None:
    """EC-129: and one hold."""
    job_id = job_in(small, seeded, S.FAILED)

    def again(session: Any, job: UUID, **who: Any) -> None:
        retry_job(session, job, kinds=small.job_kinds, limits=small.limits, **who)

    answers = at_once(small, seeded, job_id, (again, again))

    assert sorted(type(answer).__name__ for answer in answers) == ["InvalidJobState", "NoneType"]
    assert view(small, job_id)["round"] == 2
    assert view(small, job_id)["money"]["held_minor"] == 4 * 2500
    assert_proven(small)


def at_once(house: House, seeded: Seeded, job_id: UUID, verbs: tuple[Any, Any]) -> list[Any]:
    """What each of them gets, both having begun before either ended."""
    start = threading.Barrier(len(verbs))

    def one(verb: Any) -> Any:
        start.wait(timeout=10)
        try:
            return control(house, seeded, verb, job_id)
        except InvalidJobState as refused:
            return refused

    with ThreadPoolExecutor(len(verbs)) as pool:
        return list(pool.map(one, verbs))
