"""What a draw has set aside is what it draws, and nothing else of the book (EC-088, EC-097)."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.assignment.accept import AssignmentRequest, submit_assignment
from pipelines.books import deck
from pipelines.books import import_codes as import_module
from pipelines.books.accept_codes import accept_codes, listed_codes
from pipelines.books.coupon_view import coupon_view
from pipelines.books.deck import KEYS, places_in
from pipelines.distribution import plan_job
from pipelines.distribution.draw import Mode
from pipelines.distribution.submit import available_in
from pipelines.jobs.control import cancel_job
from pipelines.jobs.kinds import OnError
from pipelines.jobs.schedule import reschedule
from pipelines.redemption.withdraw import release_coupon
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import coupon, put_codes
from tests.distributing import (
    assigned,
    distribute,
    job_of,
    make_pool,
    options,
    stocked_book,
)
from tests.driving import change, drain, rows
from tests.moves import control
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def held_for_a_week(house: House, seeded: Seeded, pool: UUID, book: UUID, count: int) -> UUID:
    """A distribution that starts in a week; its coupons are set aside."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        at = clock.now(session) + timedelta(days=7)
    asked = options(pool, book, count)
    return distribute(house, seeded, asked, scheduled_for=at, allow_partial=True)


def available(house: House, seeded: Seeded, book: UUID) -> int:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return available_in(session, book)


def assign_one_by_one(house: House, seeded: Seeded, book: UUID, people: list[UUID]) -> None:
    for person in people:
        asked = AssignmentRequest(seeded.client_id, person, book_id=book)
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            submit_assignment(
                session,
                asked,
                actor_id=ACTOR,
                key=None,
                keyring=house.settings.keyring,
                limits=house.limits,
            )
    change(house, "UPDATE tasks SET rung_at = NULL WHERE kind = 'run_single'")
    drain(house)


def singles(house: House) -> dict[str, int]:
    found = rows(
        house,
        "SELECT i.state, count(*) AS n FROM items i JOIN jobs j ON j.id = i.job_id "
        "WHERE j.kind = 'coupon_assignment' GROUP BY 1",
    )
    return {row.state: row.n for row in found}


@given(
    st.lists(st.integers(0, KEYS - 1), min_size=2, max_size=12, unique=True).map(sorted),
    st.integers(1, 40),
)
def test_new_places_lie_in_the_parts_that_are_free(bounds: list[int], count: int) -> None:
    parts = list(zip(bounds[::2], bounds[1::2], strict=False))

    places = places_in(parts, count)

    assert len(places) == count
    assert all(0 <= place < KEYS for place in places)
    if any(high - low >= KEYS >> 8 for low, high in parts):
        assert all(any(low < place <= high for low, high in parts) for place in places)


def test_ec088_draws_that_take_everything_leave_room_for_what_comes_after_them() -> None:
    """EC-088: ten, one upon the other, all open, each of whatever came in since the last."""
    upto = -1
    for _ in range(10):
        places = places_in([(upto, KEYS - 1)], 20_000)

        assert len(set(places)) == 20_000
        assert min(places) > upto
        upto = max(places)


def test_ec088_coupons_that_come_in_beside_an_open_draw_are_everybodys_at_once(
    house: House, seeded: Seeded
) -> None:
    pool, people = make_pool(house, seeded, 10)
    book = stocked_book(house, seeded, 100)
    waits = held_for_a_week(house, seeded, pool, book, 100)

    put_codes(house, seeded, book, 60)
    told = available(house, seeded, book)
    assign_one_by_one(house, seeded, book, people)
    second = distribute(house, seeded, options(pool, book, 50, mode=Mode.EQUAL))
    left = available(house, seeded, book)
    drain(house)
    more = {"at": None, "kinds": house.job_kinds, "limits": house.limits}
    control(house, seeded, reschedule, waits, **more)
    drain(house)

    assert (told, left) == (60, 0)
    assert singles(house) == {"succeeded": 10}
    assert [len(assigned(house, job)) for job in (second, waits)] == [50, 100]
    assert_proven(house)


def test_ec088_what_a_partial_draw_could_not_get_is_not_missing_from_what_comes_in(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 10)
    held_for_a_week(house, seeded, pool, book, 500)
    put_codes(house, seeded, book, 8)

    told = available(house, seeded, book)
    job_id = distribute(house, seeded, options(pool, book, 8))
    drain(house)

    assert (told, len(assigned(house, job_id))) == (8, 8)
    assert_proven(house)


def test_ec088_a_coupon_that_comes_back_beside_an_open_draw_is_free(
    house: House, seeded: Seeded
) -> None:
    pool, people = make_pool(house, seeded, 3)
    book = make_book(house, seeded)
    codes = put_codes(house, seeded, book, 20)
    assign_one_by_one(house, seeded, book, people[:1])
    held_for_a_week(house, seeded, pool, book, 19)
    (given,) = (code for code in codes if coupon(house, seeded, code).facts.user_id)

    found = coupon(house, seeded, given)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        release_coupon(session, found, actor_id=ACTOR, reason=None, now=now)

    all_of_them = [coupon(house, seeded, code) for code in codes]
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        views = [coupon_view(session, one, now=now) for one in all_of_them]
    free = [view.code for view in views if view.moves()["assign"] is None]
    drawn = {
        (view.moves()["assign"].code, view.moves()["void"].code)  # type: ignore[union-attr]
        for view in views
        if view.code != given
    }
    assert free == [given]
    assert drawn == {("coupon_not_available", "coupon_not_available")}
    assign_one_by_one(house, seeded, book, people[1:2])
    assert singles(house) == {"succeeded": 2}


def test_ec088_a_file_that_is_read_while_a_draw_begins_is_everybodys_at_once(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its places were drawn before, and committed after, the draw set its part aside."""
    pool, people = make_pool(house, seeded, 4)
    book = stocked_book(house, seeded, 50)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        accept_codes(
            session,
            book,
            listed_codes([f"NEW-{n:04}" for n in range(40)], OnError.ABORT),
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        )
    land = import_module.land_unseen

    def landed_beside(*args: object) -> object:
        beside(lambda: held_for_a_week(house, seeded, pool, book, 50))
        return land(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(import_module, "land_unseen", landed_beside)
    drain(house)

    assert available(house, seeded, book) == 40
    assign_one_by_one(house, seeded, book, people * 10)
    assert singles(house) == {"succeeded": 40}
    assert_proven(house)


def beside(act: Callable[[], object]) -> None:
    """Do it in another thread, to its end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=30)
    assert not failed, failed


@pytest.mark.parametrize("left", [2_500, 1_000])
def test_ec097_a_cancel_beside_the_plan_of_a_large_distribution_ends_it(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """EC-097: after the plan has looked whether it was cancelled, with coupons enough or too few."""
    pool, _people = make_pool(house, seeded, 10)
    book = stocked_book(house, seeded, 2_500)
    job_id = distribute(house, seeded, options(pool, book, 2_400))
    change(
        house,
        "UPDATE coupons SET state = 'void', version = version + 1 WHERE id IN "
        "(SELECT id FROM coupons WHERE book_id = :book LIMIT :less)",
        book=book,
        less=2_500 - left,
    )
    set_aside = plan_job.set_aside

    def cancelled_first(*args: object, **more: object) -> object:
        monkeypatch.setattr(plan_job, "set_aside", set_aside)
        beside(lambda: control(house, seeded, cancel_job, job_id))
        return set_aside(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(plan_job, "set_aside", cancelled_first)
    drain(house)

    job = job_of(house, job_id)
    assert (job.state, job.cancelled, job.pending) == ("cancelled", 2_400, 0)
    assert rows(house, "SELECT FROM draws WHERE closed_at IS NULL") == []
    assert_proven(house)


def test_ec097_a_large_distribution_cancelled_before_its_plan_is_given_up_ends(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 10)
    book = stocked_book(house, seeded, 2_500)
    job_id = distribute(house, seeded, options(pool, book, 2_400))
    control(house, seeded, cancel_job, job_id)
    change(house, "UPDATE tasks SET starts = 3 WHERE kind = 'plan_job'")

    drain(house)

    assert job_of(house, job_id).state == "cancelled"
    assert rows(house, "SELECT FROM draws WHERE closed_at IS NULL") == []
    assert_proven(house)


def test_ec088_two_who_want_more_than_is_free_wait_in_no_circle(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC-088: the first finds 18 of 30, the second the 12 that were in other hands until then."""
    book = stocked_book(house, seeded, 30)
    first_has, both = threading.Event(), threading.Barrier(2)
    top, got = deck._top, list[int]()

    def looked(session: Any, statement: Any, *args: Any) -> Any:
        found = top(session, statement, *args)
        if statement is deck._TAKE_FREE:
            first_has.set()
            both.wait(timeout=30)
        return found

    def take() -> None:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            got.append(len(deck.take_from_deck(session, book, 20)))

    threads = [threading.Thread(target=take) for _ in range(2)]
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        deck.take_from_deck(session, book, 12)
        monkeypatch.setattr(deck, "_top", looked)
        threads[0].start()
        assert first_has.wait(timeout=30)
    threads[1].start()
    for thread in threads:
        thread.join(timeout=30)

    assert got == [20, 20]
