"""A distribution is cancelled while it is worked on: what was given stays, the rest is the book's (EC-097)."""

import threading
from contextlib import suppress

import pytest

from models.database import scoped_transaction
from models.scope import client
from pipelines.distribution.submit import available_in
from pipelines.jobs.control import cancel_job
from pipelines.jobs.kinds import InvalidJobState
from pipelines.wiring import House
from tests.distributing import assigned, distribute, job_of, make_pool, options, stocked_book
from tests.driving import drain, rows
from tests.intake import with_limits
from tests.moves import control, one_step
from tests.proof import assert_proven
from tests.seeding import Seeded, seed

COUPONS = 45


@pytest.fixture
def small(house: House) -> House:
    """Chunks of ten rows, one released at a time."""
    return with_limits(house, chunk_items_max=10, chunks_released_max=1)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.mark.parametrize("chunks", range(5))
def test_ec097_a_cancel_between_two_chunks_keeps_what_was_given(
    small: House, seeded: Seeded, chunks: int
) -> None:
    pool, _people = make_pool(small, seeded, 7)
    book = stocked_book(small, seeded, 60)
    job_id = distribute(small, seeded, options(pool, book, COUPONS))
    for _ in range(chunks):
        one_step(small)

    control(small, seeded, cancel_job, job_id)
    drain(small)

    job = job_of(small, job_id)
    assert (job.state, job.succeeded, job.cancelled) == (
        "cancelled",
        chunks * 10,
        COUPONS - chunks * 10,
    )
    assert len(assigned(small, job_id)) == chunks * 10
    with scoped_transaction(small.sessions, client(seeded.client_id)) as session:
        assert available_in(session, book) == 60 - chunks * 10
    with pytest.raises(InvalidJobState):
        control(small, seeded, cancel_job, job_id)
    assert_proven(small)


@pytest.mark.parametrize("chunks", range(1, 6))
def test_ec097_a_cancel_beside_a_chunk_ends_the_job_one_way_or_the_other(
    small: House, seeded: Seeded, chunks: int
) -> None:
    """The last chunk included: the job is cancelled or done, and its sums hold."""
    pool, _people = make_pool(small, seeded, 7)
    book = stocked_book(small, seeded, 60)
    job_id = distribute(small, seeded, options(pool, book, COUPONS))
    for _ in range(chunks - 1):
        one_step(small)
    together = threading.Barrier(2)

    def cancel() -> None:
        together.wait(timeout=30)
        with suppress(InvalidJobState):
            control(small, seeded, cancel_job, job_id)

    thread = threading.Thread(target=cancel)
    thread.start()
    together.wait(timeout=30)
    one_step(small)
    thread.join(timeout=30)
    drain(small)

    job = job_of(small, job_id)
    given = len(assigned(small, job_id))
    assert given in {(chunks - 1) * 10, min(chunks * 10, COUPONS)}
    assert (job.succeeded, job.cancelled, job.pending) == (given, COUPONS - given, 0)
    assert job.state in {"cancelled", "succeeded"}
    assert rows(small, "SELECT FROM draws WHERE closed_at IS NULL") == []
    assert_proven(small)
