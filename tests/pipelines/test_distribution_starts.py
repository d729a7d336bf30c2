"""A distribution is given another time to start at, while its book still gives then (EC-100)."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.books.refusals import BookClosed, BookExpired
from pipelines.errors import Refusal
from pipelines.jobs.schedule import reschedule
from pipelines.wiring import House
from tests.distributing import distribute, job_of, make_pool, options, stocked_book
from tests.driving import change, rows
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("expires_at = now() + interval '2 hours'", BookExpired),
        ("expires_at = now() + interval '5 hours'", BookExpired),
        ("closed_at = now()", BookClosed),
    ],
)
def test_ec100_a_distribution_is_not_moved_to_when_its_book_has_ended(
    house: House, seeded: Seeded, what: str, why: type[Refusal]
) -> None:
    """EC-100: as at submit; the start that it had stays."""
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 5)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
    first, beyond = now + timedelta(hours=1), now + timedelta(hours=6)
    job_id = distribute(house, seeded, options(pool, book, 2), scheduled_for=first)
    change(house, f"UPDATE books SET {what} WHERE id = :book", book=book)

    with pytest.raises(why):
        move(house, seeded, job_id, beyond)

    assert job_of(house, job_id).scheduled_for == first
    assert rows(house, "SELECT FROM audit_entries WHERE action = 'job.rescheduled'") == []


@pytest.mark.parametrize("hours", [None, 1, 4])
def test_a_distribution_is_moved_to_any_time_before_the_end_of_its_book(
    house: House, seeded: Seeded, hours: int | None
) -> None:
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 5)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
    job_id = distribute(
        house, seeded, options(pool, book, 2), scheduled_for=now + timedelta(hours=2)
    )
    change(house, "UPDATE books SET expires_at = now() + interval '5 hours' WHERE id = :b", b=book)
    at = None if hours is None else now + timedelta(hours=hours)

    move(house, seeded, job_id, at)

    assert job_of(house, job_id).scheduled_for == at or at is None
    assert len(rows(house, "SELECT FROM audit_entries WHERE action = 'job.rescheduled'")) == 1


def move(house: House, seeded: Seeded, job_id: UUID, at: datetime | None) -> None:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        reschedule(
            session,
            job_id,
            at,
            actor_id=ACTOR,
            now=clock.now(session),
            kinds=house.job_kinds,
            limits=house.limits,
        )
