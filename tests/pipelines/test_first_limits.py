"""A limit that is set on what a book has given already counts that first (EC-025)."""

import threading

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.books import change as change_module
from pipelines.books import recount
from pipelines.books.change import change_book
from pipelines.books.recount import TooManyToCount
from pipelines.wiring import House
from tests.distributing import assigned, distribute, make_pool, options, stocked_book
from tests.driving import drain, rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def test_a_first_limit_beside_a_distribution_waits_for_it_and_counts_it(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lock the book's row before its deck: they wait in no circle."""
    pool, _people = make_pool(house, seeded, 4)
    book = stocked_book(house, seeded, 20)
    begun, gone_on = threading.Event(), threading.Event()
    wait = change_module.wait_for_lock

    def slowly(*args: object) -> None:
        begun.set()
        gone_on.wait(timeout=1)
        wait(*args)  # type: ignore[arg-type]

    def limit() -> None:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            change_book(
                session,
                book,
                {"max_assignments_per_user": 50},
                version=None,
                actor_id=ACTOR,
                now=clock.now(session),
            )

    monkeypatch.setattr(change_module, "wait_for_lock", slowly)
    thread = threading.Thread(target=limit)
    thread.start()
    assert begun.wait(timeout=30)
    job_id = distribute(house, seeded, options(pool, book, 8))
    gone_on.set()
    thread.join(timeout=30)
    drain(house)

    (counted,) = rows(
        house, "SELECT sum(assigned) AS n FROM coupon_counts WHERE book_id = :b", b=book
    )
    assert (len(assigned(house, job_id)), counted.n) == (8, 8)
    assert_proven(house)


def test_a_first_limit_is_refused_where_counting_would_keep_everybody_waiting(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recount, "COUNTED_AT_ONCE_MAX", 3)
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 20)
    distribute(house, seeded, options(pool, book, 4))
    drain(house)

    with (
        pytest.raises(TooManyToCount) as refused,
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        now = clock.now(session)
        values = {"max_assignments": 10}
        change_book(session, book, values, version=None, actor_id=ACTOR, now=now)

    assert [(error.code, error.pointer) for error in refused.value.errors] == [
        ("too_many_to_count", "/max_assignments")
    ]
    assert rows(house, "SELECT FROM books WHERE max_assignments IS NOT NULL") == []
