"""What is refused before a distribution is accepted, and changes nothing (EC-092..100)."""

from datetime import timedelta
from typing import Any

import pytest

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.books.refusals import BookClosed, BookExhausted, BookExpired
from pipelines.distribution.draw import Mode, commitment_of
from pipelines.distribution.plan import OnFailure
from pipelines.distribution.preview import preview_json
from pipelines.distribution.refusals import (
    AtomicImpossible,
    AtomicTooLarge,
    EmptyPool,
    TooFewForEqual,
)
from pipelines.distribution.submit import Submission, preview_distribution
from pipelines.errors import NotFound, Refusal
from pipelines.jobs.control import cancel_job, retry_job
from pipelines.jobs.refusals import DuplicateJobSuspected, PreviewStale
from pipelines.wiring import House
from tests.distributing import (
    DRAW_KEY,
    assigned,
    distribute,
    job_of,
    make_pool,
    options,
    stocked_book,
)
from tests.driving import change, drain, hasten, rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed

TABLES = ("jobs", "items", "chunks", "draws", "draw_members", "draw_chunks", "tasks")


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def written(house: House) -> dict[str, int]:
    return {table: rows(house, f"SELECT count(*) AS n FROM {table}")[0].n for table in TABLES} | {
        "draws made": rows(house, "SELECT coalesce(sum(draws), 0) AS n FROM books")[0].n
    }


def refused(house: House, seeded: Seeded, why: type[Refusal], asked: Any, **more: Any) -> Refusal:
    before = written(house)
    with pytest.raises(why) as caught:
        distribute(house, seeded, asked, **more)
    assert written(house) == before
    return caught.value


def preview(house: House, seeded: Seeded, asked: Any, **more: Any) -> dict[str, Any]:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        foreseen, job_id = preview_distribution(
            session,
            Submission(asked, **more),
            actor_id=ACTOR,
            draw_key=DRAW_KEY,
            limits=house.limits,
        )
        shown = preview_json(session, foreseen, job_id)
        session.rollback()
    return shown


def test_ec099_an_empty_pool_is_refused(house: House, seeded: Seeded) -> None:
    """EC-099"""
    pool, _people = make_pool(house, seeded, 0)
    book = stocked_book(house, seeded, 5)

    assert refused(house, seeded, EmptyPool, options(pool, book, 1)).extra == {"members": 0}


def test_ec093_too_few_for_an_equal_share(house: House, seeded: Seeded) -> None:
    """EC-093"""
    pool, _people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 5)

    refusal = refused(house, seeded, TooFewForEqual, options(pool, book, 2, mode=Mode.EQUAL))
    assert refusal.extra == {"count": 2, "members": 3}


def test_more_than_the_book_has_is_refused_unless_part_of_it_will_do(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 4)
    book = stocked_book(house, seeded, 5)
    asked = options(pool, book, 8, mode=Mode.EQUAL)

    refusal = refused(house, seeded, BookExhausted, asked)
    assert refusal.extra == {"available": 5, "required": 8}

    job_id = distribute(house, seeded, asked, allow_partial=True)
    drain(house)
    assert (job_of(house, job_id).succeeded, job_of(house, job_id).failed) == (5, 3)
    found = rows(house, "SELECT DISTINCT code FROM items WHERE state = 'failed'")
    assert [row.code for row in found] == ["book_exhausted"]
    assert_proven(house)


def test_what_another_distribution_has_spoken_for_is_not_there(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 10)
    first = distribute(house, seeded, options(pool, book, 7))

    refusal = refused(house, seeded, BookExhausted, options(pool, book, 4))
    assert refusal.extra == {"available": 3, "required": 4}

    second = distribute(house, seeded, options(pool, book, 3))
    drain(house)
    coupons = {c for job in (first, second) for _at, _person, c in assigned(house, job)}
    assert len(coupons) == 10


@pytest.mark.parametrize(
    ("column", "why"), [("closed_at", BookClosed), ("expires_at", BookExpired)]
)
def test_ec100_a_book_that_has_ended_gives_nothing(
    house: House, seeded: Seeded, column: str, why: type[Refusal]
) -> None:
    """EC-100"""
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 5)
    change(house, f"UPDATE books SET {column} = now() WHERE id = :book", book=book)

    refused(house, seeded, why, options(pool, book, 2))


def test_a_book_that_ends_before_a_scheduled_start_is_refused(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 5)
    change(house, "UPDATE books SET expires_at = now() + interval '1 hour' WHERE id = :b", b=book)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        later = clock.now(session) + timedelta(hours=2)

    refused(house, seeded, BookExpired, options(pool, book, 2), scheduled_for=later)
    (blocker,) = preview(house, seeded, options(pool, book, 2), scheduled_for=later)["blockers"]
    assert blocker["code"] == "book_expired"


def test_a_strangers_pool_and_book_are_unknown(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 5)
    stranger = seed(house, vendor=False)
    theirs, _ = make_pool(house, stranger, 2)
    their_book = stocked_book(house, stranger, 5)

    for asked in (
        options(theirs, book, 2),
        options(pool, their_book, 2),
        options(new_id(), book, 2),
    ):
        refused(house, seeded, NotFound, asked)


def test_ec098_the_same_a_moment_later_is_taken_for_a_mistake(house: House, seeded: Seeded) -> None:
    """EC-098: unless it is forced, or something about it is another."""
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 20)
    first = distribute(house, seeded, options(pool, book, 2))

    refusal = refused(house, seeded, DuplicateJobSuspected, options(pool, book, 2))
    assert refusal.extra == {"job_id": str(first)}

    distribute(house, seeded, options(pool, book, 2), force=True)
    distribute(house, seeded, options(pool, book, 3))


def test_ec092_a_plan_that_changed_since_its_preview_is_refused(
    house: House, seeded: Seeded
) -> None:
    """EC-092: what changed is said; with `allow_drift` it is submitted all the same."""
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 20)
    shown = preview(house, seeded, options(pool, book, 4))
    _, (person,) = make_pool(house, seeded, 1)
    change(
        house,
        "INSERT INTO user_pool_members (pool_id, user_id, agency_id, client_id, added_by) "
        "VALUES (:pool, :user, :agency, :client, :user)",
        pool=pool,
        user=person,
        agency=seeded.agency_id,
        client=seeded.client_id,
    )

    refusal = refused(
        house, seeded, PreviewStale, options(pool, book, 4), plan_hash=shown["plan_hash"]
    )
    assert refusal.extra["changes"] == ["pool"]
    distribute(
        house, seeded, options(pool, book, 4), plan_hash=shown["plan_hash"], allow_drift=True
    )


def test_s3_050_a_preview_shows_what_will_be_and_writes_nothing(
    house: House, seeded: Seeded
) -> None:
    """S3-050, S3-054, EC-094: who gets how many, who does not and why, and the seed's digest."""
    pool, people = make_pool(house, seeded, 4)
    change(house, "UPDATE users SET disabled_at = now() WHERE id = :user", user=people[0])
    book = stocked_book(house, seeded, 20, max_assignments_per_user=3)
    before = written(house)

    shown = preview(house, seeded, options(pool, book, 13, mode=Mode.EQUAL))

    assert written(house) == before
    assert (shown["per_user"], shown["remainder"], shown["to_assign"]) == (4, 1, 9)
    assert [(one["user_id"], one["count"]) for one in shown["affected"]] == [
        (person, 3) for person in people[1:]
    ]
    assert {(one["user_id"], one["code"]) for one in shown["refused"]} == {
        (people[0], "recipient_inactive"),
        *((person, "user_limit_reached") for person in people[1:]),
    }
    assert shown["stock"] == {"available": 20, "after": 11}
    job_id = distribute(
        house,
        seeded,
        options(pool, book, 13, mode=Mode.EQUAL),
        plan_hash=shown["plan_hash"],
    )
    (draw,) = rows(house, "SELECT seed FROM draws WHERE job_id = :job", job=job_id)
    assert commitment_of(draw.seed) == shown["seed_sha256"]


def test_a_preview_tells_what_a_submit_would_be_refused_for(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 4)
    book = stocked_book(house, seeded, 5)

    shown = preview(house, seeded, options(pool, book, 8, mode=Mode.EQUAL))

    assert [blocker["code"] for blocker in shown["blockers"]] == ["book_exhausted"]


def test_all_or_nothing_that_cannot_be_all_is_refused_at_once(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 20, max_assignments_per_user=1)
    asked = options(pool, book, 6, mode=Mode.EQUAL, on_failure=OnFailure.ATOMIC)

    assert refused(house, seeded, AtomicImpossible, asked).extra == {"refused": 3}


def test_all_or_nothing_has_a_size(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 5)
    most = house.limits.atomic_items_max
    asked = options(pool, book, most + 2, on_failure=OnFailure.ATOMIC)

    assert refused(house, seeded, AtomicTooLarge, asked).extra == {"max": most}


def test_ec097_a_cancelled_distribution_gives_back_what_it_had_set_aside(
    house: House, seeded: Seeded
) -> None:
    """EC-097: and the deck is everybody's again."""
    pool, _people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 9)
    job_id = distribute(house, seeded, options(pool, book, 9))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, job_id, actor_id=ACTOR, now=clock.now(session))
    drain(house)

    job = job_of(house, job_id)
    assert (job.state, job.cancelled, assigned(house, job_id)) == ("cancelled", 9, [])
    distribute(house, seeded, options(pool, book, 9), force=True)


def test_a_large_one_cancelled_before_it_is_drawn_ends_row_by_row(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 2_100)
    book = stocked_book(house, seeded, 2_200)
    job_id = distribute(house, seeded, options(pool, book, 2_100, mode=Mode.EQUAL))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, job_id, actor_id=ACTOR, now=clock.now(session))
    drain(house)

    assert (job_of(house, job_id).state, job_of(house, job_id).cancelled) == ("cancelled", 2_100)
    assert rows(house, "SELECT FROM draws WHERE closed_at IS NULL") == []
    assert_proven(house)


def test_a_retry_serves_those_who_failed_with_other_coupons(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 10)
    job_id = distribute(house, seeded, options(pool, book, 6, mode=Mode.EQUAL))
    change(house, "UPDATE books SET closed_at = now() WHERE id = :book", book=book)
    drain(house)
    change(house, "UPDATE books SET closed_at = NULL WHERE id = :book", book=book)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        retry_job(
            session,
            job_id,
            actor_id=ACTOR,
            now=clock.now(session),
            kinds=house.job_kinds,
            limits=house.limits,
        )
    drain(house)

    assert (job_of(house, job_id).state, len(assigned(house, job_id))) == ("succeeded", 6)
    assert_proven(house)


def test_s1_117_a_scheduled_distribution_waits_for_its_time_with_its_coupons(
    house: House, seeded: Seeded
) -> None:
    """S1-117: the coupons are spoken for from the moment it is accepted."""
    pool, _people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 6)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        later = clock.now(session) + timedelta(hours=2)
    job_id = distribute(house, seeded, options(pool, book, 6, mode=Mode.EQUAL), scheduled_for=later)
    drain(house)

    assert (job_of(house, job_id).state, assigned(house, job_id)) == ("queued", [])
    refused(house, seeded, BookExhausted, options(pool, book, 1))
    change(house, "UPDATE jobs SET scheduled_for = now() WHERE id = :job", job=job_id)
    hasten(house)
    drain(house)
    assert len(assigned(house, job_id)) == 6
