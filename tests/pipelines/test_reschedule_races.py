"""A job that is given another time while its first chunk runs, or after it ran unnoticed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.jobs.kinds import InvalidJobState
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now, recipients_csv, view
from tests.intake import submit_file, with_limits
from tests.later import tomorrow
from tests.moves import due, one_step, states
from tests.pipelines.test_scheduled_start import CREDIT, move
from tests.seeding import Seeded, seed


@pytest.fixture
def small(house: House) -> House:
    """Chunks of two items, one released at a time."""
    return with_limits(house, chunk_items_max=2, chunks_released_max=1)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def test_a_job_whose_first_chunk_is_in_hand_is_not_rescheduled(
    small: House, seeded: Seeded
) -> None:
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id
    at = tomorrow(small)
    with scoped_transaction(small.sessions, SYSTEM) as worker:
        worker.execute(text("SELECT 1 FROM tasks FOR UPDATE"))

        with pytest.raises(InvalidJobState) as refused:
            _in_a_thread(move, small, seeded, job_id, at)

    assert refused.value.extra["state"] == "running"
    assert view(small, job_id)["scheduled_for"] is None


@pytest.mark.parametrize("cards", [2, 0])
def test_a_job_that_began_while_somebody_held_its_row_is_not_rescheduled(
    small: House, seeded: Seeded, cards: int
) -> None:
    """The chunk does not wait for the row, which says `queued` although cards were given."""
    if cards:
        import_cards_now(small, seeded.csv_pool, cards_csv(cards))
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id
    _begin_beside_a_holder(small, job_id)
    began = view(small, job_id)["state"], states(small, job_id)

    with pytest.raises(InvalidJobState) as refused:
        move(small, seeded, job_id, tomorrow(small))

    assert began == ("queued", ["succeeded" if cards else "failed"] * 2 + ["pending"] * 2)
    assert refused.value.extra["state"] == "running"
    assert view(small, job_id)["scheduled_for"] is None
    assert due(small) == ["run_chunk"]


def test_orders_on_their_way_are_not_put_off_with_their_job(house: House) -> None:
    with_vendor = seed(house, credit_minor=CREDIT)
    small = with_limits(house, chunk_items_max=2, chunks_released_max=1)
    job_id = submit_file(small, with_vendor, recipients_csv(2)).job_id
    _begin_beside_a_holder(small, job_id)

    with pytest.raises(InvalidJobState):
        move(small, with_vendor, job_id, tomorrow(small))

    assert due(small) == ["place_order"] * 2


def _begin_beside_a_holder(house: House, job_id: UUID) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as holder:
        holder.execute(
            text("SELECT 1 FROM jobs WHERE id = :job FOR NO KEY UPDATE"), {"job": job_id}
        )
        _in_a_thread(one_step, house)


def _in_a_thread(work: Callable[..., object], *asked: object) -> None:
    """Transactions do not nest in one thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work, *asked).result()
