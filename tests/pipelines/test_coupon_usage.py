"""Usage of coupons by day is exact whenever it is read: each move once, on its day (S1-118, S3-150)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models import clock
from models.books import CouponMove
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, Scope, agency, client
from pipelines.books.add_up import add_up_books
from pipelines.books.history import Moved, Step, move_coupons
from pipelines.books.usage import Usage, in_all, usage_of_book, usage_of_scope
from pipelines.distribution.draw import Mode
from pipelines.errors import NotFound
from pipelines.queue.defer import defer
from pipelines.queue.kinds import ADD_UP_BOOKS
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import coupon, put_codes
from tests.distributing import distribute, make_pool, options, stocked_book
from tests.driving import drain, rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import undo

M = CouponMove
ANN = uuid4()


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def move(house: House, seeded: Seeded, code: str, *moves: CouponMove, **more: Any) -> None:
    """Move a coupon past all limits, step by step; `at` says when."""
    for what in moves:
        found = coupon(house, seeded, code)
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            now = clock.now(session)
            moved = Moved(what, now, ACTOR, until=now + timedelta(minutes=5))
            step = Step(found.id, found.version, ANN, draw_key=7)
            assert move_coupons(session, found.book_id, [step], replace(moved, **more))


def days_of(house: House, seeded: Seeded, book_id: UUID, days: int = 30) -> list[Usage]:
    """The last days, today being the last of them."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        usage = usage_of_book(session, book_id, today=clock.now(session).date(), days=days)
    assert list(usage) == sorted(usage)
    return list(usage.values())


def today(house: House, seeded: Seeded, book_id: UUID) -> Usage:
    return days_of(house, seeded, book_id)[-1]


def added_up(house: House, *, limit: int = 10_000) -> bool:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return add_up_books(session, limit=limit)


def busy_book(house: House, seeded: Seeded) -> UUID:
    """Four assigned, of which one was released, one redeemed three times and one voided."""
    book_id = make_book(house, seeded, allow_multi_redemption=True)
    codes = put_codes(house, seeded, book_id, 4)
    for code in codes:
        move(house, seeded, code, M.ASSIGNED)
    move(house, seeded, codes[0], M.RELEASED)
    move(house, seeded, codes[1], M.REDEEMED, M.LOCKED, M.REDEEMED, exhausts=False)
    move(house, seeded, codes[1], M.LOCKED, M.LOCK_EXPIRED, M.LOCKED, M.UNLOCKED, M.REDEEMED)
    move(house, seeded, codes[2], M.VOIDED)
    return book_id


def test_s1_118_s3_150_each_move_is_counted_once_and_a_lock_is_no_use(
    house: House, seeded: Seeded
) -> None:
    book_id = busy_book(house, seeded)

    assert today(house, seeded, book_id) == Usage(4, 1, 3, 1)
    assert_proven(house)


def test_s1_118_s3_150_usage_is_exact_before_and_after_it_is_added_up(
    house: House, seeded: Seeded
) -> None:
    book_id = busy_book(house, seeded)
    before = days_of(house, seeded, book_id)
    passes = 0

    while added_up(house, limit=2):
        passes += 1
        assert days_of(house, seeded, book_id) == before

    assert passes > 2
    assert rows(house, "SELECT 1 FROM coupon_usage_deltas") == []
    assert rows(house, "SELECT assigned, released, redeemed, voided FROM coupon_usage_daily") == [
        (4, 1, 3, 1)
    ]
    move(house, seeded, put_codes(house, seeded, book_id, 1)[0], M.ASSIGNED)
    added_up(house)
    assert today(house, seeded, book_id) == Usage(5, 1, 3, 1)
    assert_proven(house)


def test_s1_118_s3_150_the_duty_of_the_stock_adds_usage_up(house: House, seeded: Seeded) -> None:
    busy_book(house, seeded)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        defer(session, ADD_UP_BOOKS, args={}, now=clock.now(session))

    drain(house)

    assert rows(house, "SELECT 1 FROM coupon_usage_deltas") == []


def test_s3_150_a_distribution_and_its_undo_are_counted_in_one_row_a_statement(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 600)
    book_id = stocked_book(house, seeded, 700)
    job_id = distribute(house, seeded, options(pool, book_id, 600, mode=Mode.EQUAL))
    drain(house)
    given = today(house, seeded, book_id)
    deltas = rows(house, "SELECT assigned FROM coupon_usage_deltas ORDER BY assigned")

    undo(house, seeded, job_id)
    drain(house)

    assert (given, [row.assigned for row in deltas]) == (Usage(assigned=600), [100, 500])
    assert today(house, seeded, book_id) == Usage(assigned=600, released=600)
    assert_proven(house)


def test_s1_118_a_day_is_one_in_utc_and_a_day_without_anything_is_zeros(
    house: House, seeded: Seeded
) -> None:
    book_id = make_book(house, seeded)
    first, second = put_codes(house, seeded, book_id, 2)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    late, early = midnight - timedelta(days=2, microseconds=1), midnight - timedelta(days=2)
    move(house, seeded, first, M.ASSIGNED, at=late)
    move(house, seeded, second, M.ASSIGNED, M.REDEEMED, at=early)

    assert days_of(house, seeded, book_id, 4) == [
        Usage(assigned=1),
        Usage(assigned=1, redeemed=1),
        Usage(),
        Usage(),
    ]
    assert days_of(house, seeded, book_id, 3) == days_of(house, seeded, book_id, 4)[1:]
    assert days_of(house, seeded, book_id, 1) == [Usage()]
    added_up(house)
    assert in_all(dict(enumerate(days_of(house, seeded, book_id, 366)))) == Usage(2, 0, 1, 0)


def whole(house: House, scope: Scope) -> Usage:
    with scoped_transaction(house.sessions, scope) as session:
        return in_all(usage_of_scope(session, today=clock.now(session).date()))


def test_s1_118_each_scope_is_told_of_its_own_books_alone(house: House, seeded: Seeded) -> None:
    stranger = seed(house, vendor=False)
    book_id = busy_book(house, seeded)
    added_up(house)
    other_book = busy_book(house, stranger)

    own, both = Usage(4, 1, 3, 1), Usage(8, 2, 6, 2)
    for tenant in (seeded, stranger):
        assert whole(house, client(tenant.client_id)) == own
        assert whole(house, agency(tenant.agency_id)) == own
    assert whole(house, PLATFORM) == both
    for reader, theirs in ((stranger, book_id), (seeded, other_book)):
        with pytest.raises(NotFound):
            days_of(house, reader, theirs)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO coupon_usage_daily SELECT id, current_date, agency_id, client_id, 9, 9, 9, 9 FROM books",
        "UPDATE coupon_usage_daily SET redeemed = redeemed + 1",
        "UPDATE coupon_usage_deltas SET redeemed = redeemed + 1",
        "DELETE FROM coupon_usage_deltas",
    ],
)
def test_a_tenant_neither_writes_sums_nor_changes_what_is_counted(
    house: House, seeded: Seeded, statement: str
) -> None:
    busy_book(house, seeded)
    added_up(house)

    with (
        pytest.raises(DBAPIError, match="permission denied"),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        session.execute(text(statement))
