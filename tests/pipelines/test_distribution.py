"""Distributions on real PostgreSQL: who gets what, limits, remainders, all or nothing (S3-049..055)."""

import itertools
from collections import Counter
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.distribution.draw import Mode, RemainderPolicy, draw_members, shuffled
from pipelines.distribution.plan import OnFailure
from pipelines.jobs.control import cancel_job
from pipelines.wiring import House
from tests.distributing import (
    assigned,
    distribute,
    job_of,
    make_pool,
    options,
    stocked_book,
)
from tests.driving import change, drain, rows
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def per_person(house: House, job_id: UUID) -> Counter[UUID]:
    return Counter(person for _position, person, _coupon in assigned(house, job_id))


def verdicts(house: House, job_id: UUID) -> Counter[tuple[str, str | None]]:
    found = rows(house, "SELECT state, code FROM items WHERE job_id = :job", job=job_id)
    return Counter((row.state, row.code) for row in found)


def test_s3_049_ten_coupons_are_drawn_for_the_people_of_a_pool(
    house: House, seeded: Seeded
) -> None:
    """S3-049, S3-082, S1-018: ten of the pool's people's, and all ten are assigned."""
    pool, people = make_pool(house, seeded, 4)
    book = stocked_book(house, seeded, 30)

    job_id = distribute(house, seeded, options(pool, book, 10))
    drain(house)

    job = job_of(house, job_id)
    assert (job.state, job.succeeded, job.total) == ("succeeded", 10, 10)
    assert set(per_person(house, job_id)) <= set(people)
    assert len({coupon for _position, _person, coupon in assigned(house, job_id)}) == 10
    assert (
        rows(house, "SELECT sum(unassigned) AS n FROM book_stock WHERE book_id = :b", b=book)[0].n
        == 20
    )


def test_the_draw_can_be_drawn_again_from_its_seed(house: House, seeded: Seeded) -> None:
    """Idea 13: the seed, the members and the coupons that were given say who got which."""
    pool, people = make_pool(house, seeded, 7)
    book = stocked_book(house, seeded, 40)

    job_id = distribute(house, seeded, options(pool, book, 20, seed="a seed of ours"))
    drain(house)

    found = assigned(house, job_id)
    members = [people[place] for place in draw_members("a seed of ours", [2**31 - 1] * 7, 20)]
    coupons = shuffled("a seed of ours", [coupon for _position, _person, coupon in found])
    assert found == list(zip(itertools.count(1), members, coupons, strict=False))


@pytest.mark.parametrize(
    ("policy", "total", "most"),
    [(RemainderPolicy.KEEP, 9, 3), (RemainderPolicy.FIRST, 11, 4), (RemainderPolicy.RANDOM, 11, 4)],
)
def test_s3_052_equal_shares_with_each_way_for_the_remainder(
    house: House, seeded: Seeded, policy: RemainderPolicy, total: int, most: int
) -> None:
    """S3-052, S3-053, EC-093: eleven for three people."""
    pool, people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 20)

    asked = options(pool, book, 11, mode=Mode.EQUAL, remainder_policy=policy)
    job_id = distribute(house, seeded, asked)
    drain(house)

    given = per_person(house, job_id)
    assert (given.total(), min(given.values()), max(given.values())) == (total, 3, most)
    if policy is RemainderPolicy.FIRST:
        assert [given[person] for person in people] == [4, 4, 3]


def test_ec094_people_who_have_as_many_as_they_may_are_passed_over(
    house: House, seeded: Seeded
) -> None:
    """EC-094, S1-019, S1-062: their rows are skipped, and no coupon is taken for them."""
    pool, _people = make_pool(house, seeded, 5)
    book = stocked_book(house, seeded, 50, max_assignments_per_user=2)
    first = distribute(house, seeded, options(pool, book, 6, mode=Mode.EQUAL))
    drain(house)
    assert per_person(house, first).total() == 5

    job_id = distribute(house, seeded, options(pool, book, 15, mode=Mode.EQUAL))
    drain(house)

    job = job_of(house, job_id)
    assert (job.state, job.succeeded, job.skipped) == ("partially_succeeded", 5, 10)
    assert verdicts(house, job_id)[("skipped", "user_limit_reached")] == 10
    counts = rows(house, "SELECT assigned FROM coupon_counts WHERE book_id = :b", b=book)
    assert [row.assigned for row in counts] == [2] * 5
    stock = rows(house, "SELECT sum(unassigned) AS n FROM book_stock WHERE book_id = :b", b=book)
    assert stock[0].n == 40


def test_a_random_draw_gives_everything_while_somebody_can_take_it(
    house: House, seeded: Seeded
) -> None:
    """S1-019: two of three have all they may; the third gets what is left for them."""
    pool, people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 20, max_assignments_per_user=3)
    pool_of_two, _ = make_pool(house, seeded, 0)
    for person in people[:2]:
        change(
            house,
            "INSERT INTO user_pool_members (pool_id, user_id, agency_id, client_id, added_by) "
            "VALUES (:pool, :user, :agency, :client, :user)",
            pool=pool_of_two,
            user=person,
            agency=seeded.agency_id,
            client=seeded.client_id,
        )
    distribute(house, seeded, options(pool_of_two, book, 6, mode=Mode.EQUAL))
    drain(house)

    job_id = distribute(house, seeded, options(pool, book, 3))
    drain(house)

    assert per_person(house, job_id) == {people[2]: 3}


def test_the_book_as_a_whole_gives_no_more_than_it_may(house: House, seeded: Seeded) -> None:
    """S1-010: the first positions are allowed."""
    pool, _people = make_pool(house, seeded, 10)
    book = stocked_book(house, seeded, 20, max_assignments=7)

    job_id = distribute(house, seeded, options(pool, book, 10, mode=Mode.EQUAL))
    drain(house)

    assert verdicts(house, job_id) == {
        ("succeeded", None): 7,
        ("skipped", "book_limit_reached"): 3,
    }
    assert [position for position, _person, _coupon in assigned(house, job_id)] == [*range(1, 8)]


def test_at_most_one_each_draws_winners(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 20)
    book = stocked_book(house, seeded, 20)

    job_id = distribute(house, seeded, options(pool, book, 12, max_per_recipient=1))
    drain(house)

    assert sorted(per_person(house, job_id).values()) == [1] * 12


def test_ec095_who_left_or_was_disabled_meanwhile_is_passed_over(
    house: House, seeded: Seeded
) -> None:
    """EC-095: the pool is as it was at accept; who came later gets nothing."""
    pool, people = make_pool(house, seeded, 4)
    book = stocked_book(house, seeded, 20)
    job_id = distribute(house, seeded, options(pool, book, 8, mode=Mode.EQUAL))
    change(
        house,
        "DELETE FROM user_pool_members WHERE pool_id = :pool AND user_id = :user",
        pool=pool,
        user=people[0],
    )
    change(house, "UPDATE users SET disabled_at = now() WHERE id = :user", user=people[1])
    drain(house)

    assert per_person(house, job_id) == {people[2]: 2, people[3]: 2}
    assert verdicts(house, job_id)[("skipped", "recipient_inactive")] == 4


def test_ec099_inactive_members_are_told_and_get_nothing(house: House, seeded: Seeded) -> None:
    """EC-099: an equal share is for those who are active; the others have a row that says why."""
    pool, people = make_pool(house, seeded, 4)
    change(house, "UPDATE users SET disabled_at = now() WHERE id = :user", user=people[3])
    book = stocked_book(house, seeded, 20)

    job_id = distribute(house, seeded, options(pool, book, 6, mode=Mode.EQUAL))
    drain(house)

    assert [per_person(house, job_id)[person] for person in people] == [2, 2, 2, 0]
    assert verdicts(house, job_id)[("skipped", "recipient_inactive")] == 1


def test_ec100_a_book_that_is_closed_meanwhile_gives_nothing_more(
    house: House, seeded: Seeded
) -> None:
    """EC-100: the rows fail with what happened to the book, and can be tried again."""
    pool, _people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 10)
    job_id = distribute(house, seeded, options(pool, book, 6, mode=Mode.EQUAL))
    change(house, "UPDATE books SET closed_at = now() WHERE id = :book", book=book)
    drain(house)

    assert (job_of(house, job_id).state, verdicts(house, job_id)) == (
        "failed",
        {("failed", "book_closed"): 6},
    )
    assert rows(house, "SELECT FROM draws WHERE closed_at IS NULL") == []


def test_s3_055_all_or_nothing_gives_nothing_if_one_cannot_be_served(
    house: House, seeded: Seeded
) -> None:
    """S3-023, S3-055, ruling 8."""
    pool, people = make_pool(house, seeded, 4)
    book = stocked_book(house, seeded, 10, max_assignments_per_user=5)
    asked = options(pool, book, 4, mode=Mode.EQUAL, on_failure=OnFailure.ATOMIC)
    job_id = distribute(house, seeded, asked)
    change(house, "UPDATE users SET disabled_at = now() WHERE id = :user", user=people[2])
    drain(house)

    assert (job_of(house, job_id).state, assigned(house, job_id)) == ("failed", [])
    assert verdicts(house, job_id) == {
        ("failed", "recipient_inactive"): 1,
        ("failed", "atomic_rolled_back"): 3,
    }
    counts = rows(house, "SELECT FROM coupon_counts WHERE book_id = :b AND assigned > 0", b=book)
    assert counts == []


def test_all_or_nothing_gives_all(house: House, seeded: Seeded) -> None:
    pool, _people = make_pool(house, seeded, 700)
    book = stocked_book(house, seeded, 1_500)
    asked = options(pool, book, 1_400, mode=Mode.EQUAL, on_failure=OnFailure.ATOMIC)

    job_id = distribute(house, seeded, asked)
    drain(house)

    assert job_of(house, job_id).succeeded == 1_400
    assert len(rows(house, "SELECT FROM chunks WHERE job_id = :j", j=job_id)) == 1


def test_a_large_distribution_is_laid_out_by_a_worker_and_drawn_apart(
    house: House, seeded: Seeded
) -> None:
    pool, _people = make_pool(house, seeded, 2_500)
    book = stocked_book(house, seeded, 3_000)

    job_id = distribute(house, seeded, options(pool, book, 2_500, mode=Mode.EQUAL))
    assert job_of(house, job_id).pending == 2_500
    drain(house)

    assert (job_of(house, job_id).state, len(assigned(house, job_id))) == ("succeeded", 2_500)
    assert_proven(house)


def test_a_draw_beside_others_is_shuffled_as_one(house: House, seeded: Seeded) -> None:
    """What others have spoken for divides the deck; the order of what is drawn is still the seed's."""
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 40)
    first = distribute(house, seeded, options(pool, book, 10))
    second = distribute(house, seeded, options(pool, book, 10, seed="two"))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, first, actor_id=ACTOR, now=clock.now(session))
    drain(house)
    third = distribute(house, seeded, options(pool, book, 12, seed="three"))
    fourth = distribute(house, seeded, options(pool, book, 12, seed="four"))
    drain(house)

    for job_id, named in ((second, "two"), (third, "three"), (fourth, "four")):
        coupons = [coupon for _position, _person, coupon in assigned(house, job_id)]
        assert coupons == shuffled(named, coupons)
