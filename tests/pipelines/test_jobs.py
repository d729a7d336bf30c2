"""People stop, pause and resume jobs; what the state does not allow is refused."""

import io
from typing import Any

import pytest

from models.database import scoped_transaction
from models.scope import client
from pipelines.errors import NotFound
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.kinds import InvalidJobState
from pipelines.provisioning.large import submit_large
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, money_of, options, submit_file, table_sizes, with_limits
from tests.moves import control, one_step, retry, states
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from workers.wrapper import Wrapper

CREDIT = 100_000


@pytest.fixture
def small(house: House) -> House:
    """Chunks of two items, one released at a time."""
    return with_limits(house, chunk_items_max=2, chunks_released_max=1)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def test_a_job_cancelled_in_the_middle_keeps_what_was_served(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(10))
    job_id = submit_file(small, seeded, recipients_csv(6)).job_id
    one_step(small)

    control(small, seeded, cancel_job, job_id)
    asked = view(small, job_id)
    drain(small)

    assert (asked["state"], asked["finished_at"]) == ("cancelling", None)
    job = view(small, job_id)
    assert job["state"] == "cancelled"
    assert items_of(small, job_id, "state", "code") == [
        *[("succeeded", None)] * 2,
        *[("cancelled", "job_cancelled")] * 4,
    ]
    assert job["money"] == {
        "currency": "USD",
        "held_minor": 0,
        "captured_minor": 5_000,
        "released_minor": 10_000,
        "refunded_minor": 0,
    }
    assert money_of(small, seeded.client_account) == (CREDIT - 5_000, 0)
    assert_proven(small)


def test_what_a_chunk_refuses_is_given_back_with_the_chunk(small: House, seeded: Seeded) -> None:
    """The hold covers the open items at every moment, not only at the end."""
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id

    one_step(small)

    job = view(small, job_id)
    assert (job["counts"]["failed"], job["counts"]["pending"]) == (2, 2)
    assert (job["money"]["held_minor"], job["money"]["released_minor"]) == (5000, 5000)
    assert_proven(small)


def test_a_job_cancelled_before_it_began_gives_everything_back(
    small: House, seeded: Seeded
) -> None:
    job_id = submit_file(small, seeded, recipients_csv(5)).job_id

    control(small, seeded, cancel_job, job_id)
    drain(small)

    assert view(small, job_id)["state"] == "cancelled"
    assert states(small, job_id) == ["cancelled"] * 5
    assert money_of(small, seeded.client_account) == (CREDIT, 0)
    assert_proven(small)


def test_a_paused_job_rests_and_goes_on_where_it_stood(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(6))
    job_id = submit_file(small, seeded, recipients_csv(6)).job_id
    one_step(small)

    control(small, seeded, pause_job, job_id)
    paused = view(small, job_id)
    assert drain(small) == 0
    assert states(small, job_id) == ["succeeded"] * 2 + ["pending"] * 4
    control(small, seeded, resume_job, job_id)
    resumed = view(small, job_id)
    drain(small)

    assert (paused["state"], paused["pause"]["reason"]) == ("paused", "user")
    assert paused["pause"]["by"] == str(ACTOR)
    assert (resumed["state"], resumed["pause"]) == ("running", None)
    assert view(small, job_id)["state"] == "succeeded"
    assert_proven(small)


def test_a_job_paused_before_it_began_knows_when_it_started(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(2))
    job_id = submit_file(small, seeded, recipients_csv(2)).job_id

    control(small, seeded, pause_job, job_id)
    assert drain(small) == 0
    control(small, seeded, resume_job, job_id)
    drain(small)

    (job,) = rows(
        small,
        "SELECT state, started_at <= finished_at AS ordered FROM jobs WHERE id = :id",
        id=job_id,
    )
    assert tuple(job) == ("succeeded", True)


def test_a_large_file_paused_and_resumed_before_it_was_read_is_still_worked_in(
    house: House, seeded: Seeded
) -> None:
    """A job without chunks has not ended: nobody has looked at its rows yet."""
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        job_id = submit_large(
            session,
            options(seeded),
            io.BytesIO(recipients_csv(3)),
            sha256=b"s" * 32,
            file_name=None,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id
    control(house, seeded, pause_job, job_id)
    control(house, seeded, resume_job, job_id)
    (settle,) = rows(house, "SELECT id FROM tasks WHERE kind = 'settle_job'")

    Wrapper(house.sessions, build_handlers(house)).run(settle.id, 1)
    assert view(house, job_id)["state"] == "running"
    drain(house)

    assert view(house, job_id)["state"] == "succeeded"
    assert view(house, job_id)["counts"]["succeeded"] == 3
    assert_proven(house)


def test_a_paused_job_can_be_cancelled(small: House, seeded: Seeded) -> None:
    job_id = submit_file(small, seeded, recipients_csv(3)).job_id
    control(small, seeded, pause_job, job_id)

    control(small, seeded, cancel_job, job_id)
    drain(small)

    assert view(small, job_id)["state"] == "cancelled"
    assert view(small, job_id)["pause"] is None
    assert money_of(small, seeded.client_account) == (CREDIT, 0)


@pytest.mark.parametrize(
    ("moves", "refused"),
    [
        ([], [resume_job]),
        ([pause_job], [pause_job]),
        ([cancel_job], [cancel_job, pause_job, resume_job]),
        (["end"], [cancel_job, pause_job, resume_job]),
        ([cancel_job, "end"], [cancel_job, pause_job, resume_job, "retry"]),
        ([], ["retry"]),
        ([pause_job], ["retry"]),
    ],
)
def test_ec129_a_move_that_the_state_does_not_allow_is_refused(
    small: House, seeded: Seeded, moves: list[Any], refused: list[Any]
) -> None:
    """EC-129: and the refusal names the state."""
    import_cards_now(small, seeded.csv_pool, cards_csv(3))
    job_id = submit_file(small, seeded, recipients_csv(3)).job_id
    for move in moves:
        drain(small) if move == "end" else control(small, seeded, move, job_id)
    before = table_sizes(small), view(small, job_id)["state"]

    for move in refused:
        with pytest.raises(InvalidJobState) as refusal:
            if move == "retry":
                retry(small, seeded, job_id)
            else:
                control(small, seeded, move, job_id)
        assert refusal.value.extra["state"] == before[1]

    assert (table_sizes(small), view(small, job_id)["state"]) == before


def test_a_job_of_another_client_cannot_be_touched(small: House, seeded: Seeded) -> None:
    other = seed(small, vendor=False)
    job_id = submit_file(small, seeded, recipients_csv(3)).job_id

    for verb in (cancel_job, pause_job, resume_job):
        with pytest.raises(NotFound):
            control(small, other, verb, job_id)

    assert view(small, job_id)["state"] == "queued"
