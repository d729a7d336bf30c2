"""A distribution is taken back: coupons that nobody used go into the book again (mission, idea 8)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.books import CouponMove
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.books.history import Moved, Step, move_coupons
from pipelines.distribution.draw import Mode
from pipelines.jobs.refusals import NothingToUndo, NotUndoable
from pipelines.wiring import House
from tests.distributing import assigned, distribute, job_of, make_pool, options, stocked_book
from tests.driving import drain, rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import preview, undo


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def move(house: House, seeded: Seeded, coupon: UUID, what: CouponMove, **more: Any) -> None:
    (found,) = rows(house, "SELECT book_id, version, user_id FROM coupons WHERE id = :c", c=coupon)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        until = now + timedelta(minutes=5)
        step = Step(coupon, found.version, found.user_id)
        assert move_coupons(
            session, found.book_id, [step], Moved(what, now, ACTOR, until=until, **more)
        )


def test_an_undo_takes_back_what_nobody_used_and_says_what_stays(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 5)
    book = stocked_book(house, seeded, 12, max_assignments_per_user=2, max_assignments=11)
    job_id = distribute(house, seeded, options(pool, book, 10, mode=Mode.EQUAL))
    drain(house)
    coupons = [coupon for _at, _person, coupon in assigned(house, job_id)]
    move(house, seeded, coupons[0], CouponMove.REDEEMED)
    move(house, seeded, coupons[1], CouponMove.LOCKED)
    move(house, seeded, coupons[2], CouponMove.VOIDED)

    foreseen = preview(house, seeded, job_id)
    undo_id = undo(house, seeded, job_id)

    assert (
        foreseen["undoable"],
        {one["code"]: one["count"] for one in foreseen["not_undoable"]},
    ) == (
        7,
        {"already_redeemed": 1, "coupon_locked": 1, "coupon_void": 1},
    )
    job = job_of(house, undo_id)
    assert (job.state, job.succeeded, job.failed, job.skipped) == ("partially_succeeded", 7, 2, 1)
    assert [coupon for _at, _person, coupon in assigned(house, job_id)] == coupons[:3]
    history = rows(house, "SELECT count(*) AS n FROM coupon_events WHERE move = 'released'")
    assert history[0].n == 7
    again = distribute(house, seeded, options(pool, book, 5, mode=Mode.EQUAL), force=True)
    drain(house)
    assert job_of(house, again).succeeded > 0
    assert job_of(house, job_id).undone_count == 7


def test_every_count_is_exact_after_an_undo(house: House, seeded: Seeded) -> None:
    pool, people = make_pool(house, seeded, 600)
    book = stocked_book(house, seeded, 700, max_assignments_per_user=1, max_assignments=600)
    job_id = distribute(house, seeded, options(pool, book, 600, mode=Mode.EQUAL))
    drain(house)

    undo(house, seeded, job_id)

    counts = rows(house, "SELECT sum(assigned) AS n FROM coupon_counts WHERE book_id = :b", b=book)
    assert (counts[0].n, len(people)) == (0, 600)
    stock = rows(house, "SELECT sum(unassigned) AS n FROM book_stock WHERE book_id = :b", b=book)
    assert stock[0].n == 700
    assert_proven(house)


def test_a_lock_that_ran_out_does_not_keep_a_coupon(house: House, seeded: Seeded) -> None:
    """EC-086"""
    pool, _people = make_pool(house, seeded, 1)
    book = stocked_book(house, seeded, 2)
    job_id = distribute(house, seeded, options(pool, book, 1))
    drain(house)
    ((_at, _person, coupon),) = assigned(house, job_id)
    move(house, seeded, coupon, CouponMove.LOCKED)
    rows_of = "SELECT move FROM coupon_events WHERE coupon_id = :c ORDER BY number"
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        past = clock.now(session) - timedelta(minutes=1)
    move_past(house, coupon, past)

    undo(house, seeded, job_id)

    assert assigned(house, job_id) == []
    moves = [row.move for row in rows(house, rows_of, c=coupon)]
    assert moves[-2:] == ["lock_expired", "released"]


def move_past(house: House, coupon: UUID, past: Any) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE coupons SET locked_until = :past, version = version + 1 WHERE id = :c"),
            {"past": past, "c": coupon},
        )


def test_there_is_nothing_to_undo_twice_and_an_undo_is_not_undone(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 4)
    job_id = distribute(house, seeded, options(pool, book, 2))
    drain(house)
    undo_id = undo(house, seeded, job_id)

    with pytest.raises(NothingToUndo):
        undo(house, seeded, job_id)
    with pytest.raises(NotUndoable):
        undo(house, seeded, undo_id)
