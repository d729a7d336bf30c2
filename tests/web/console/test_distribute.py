"""Coupons are distributed to a pool from the console: asked for, foreseen, done once (S3-048..055)."""

from html import unescape
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.distributing import assigned, make_pool, stocked_book
from tests.driving import drain, rows
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

DRAWN = {"mode": "random", "count": "10"}


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def pool(house: House, seeded: Seeded) -> UUID:
    """Four people, of whom the first is disabled."""
    made, people = make_pool(house, seeded, 4)
    rows(house, "UPDATE user_pools SET name = 'Beta Testers' RETURNING 1")
    rows(
        house,
        "UPDATE client_users SET disabled_at = now() WHERE user_id = :one RETURNING 1",
        one=people[0],
    )
    return made


@pytest.fixture
def book(house: House, seeded: Seeded) -> UUID:
    return stocked_book(house, seeded, 20, name="Summer Sale", max_assignments_per_user=5)


def path(pool: UUID) -> str:
    return f"/console/user-pools/{pool}/distribute"


def check(bob: Visitor, pool: UUID, book: UUID, **fields: str):
    return bob.send(path(pool), book_id=str(book), **(DRAWN | {"do": "check"} | fields))


def submit(bob: Visitor, pool: UUID, checked: Any, **fields: str):
    form = hidden(checked.text) | {"do": "submit"} | fields
    return bob.client.post(path(pool), data=form, headers=SAME_ORIGIN)


def hidden(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in HIDDEN.findall(page.rpartition("<form")[2])}


def jobs(house: House) -> list[Any]:
    return rows(house, "SELECT * FROM jobs WHERE kind = 'distribution' ORDER BY id")


def test_s3_048_the_first_step_offers_open_books_with_their_stock(
    house: House, seeded: Seeded, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """S1-018, S3-048"""
    stocked_book(house, seeded, 1, name="Shut", closed_at="2020-01-01T00:00:00Z")
    stocked_book(house, seeded, 1, name="Ran out", expires_at="2020-01-01T00:00:00Z")
    stocked_book(house, seed(house, vendor=False), 1, name="Foreign")

    page = bob.get(path(pool)).text
    proposed = bob.get(f"{path(pool)}?book_id={book}").text
    from_book = bob.get(f"/console/books/{book}").text
    chosen = bob.get(f"/console/user-pools?book_id={book}").text

    assert "Summer Sale – 20 coupons left, at most 5 for each person" in page
    assert not {name for name in ("Shut", "Ran out", "Foreign") if name in page}
    assert "A person is drawn for every coupon" in page
    assert "Everybody in the pool gets the same number" in page
    assert f'<option value="{book}" selected>' in proposed
    assert f'href="/console/user-pools?book_id={book}">Distribute…</a>' in from_book
    assert "Choose the pool whose people get coupons of <strong>Summer Sale</strong>" in chosen
    assert f"{path(pool)}?book_id={book}" in chosen


def test_s3_050_the_check_says_who_may_get_some_and_writes_nothing(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """S3-050, S3-055"""
    page = check(bob, pool, book)

    text = unescape(page.text)
    assert page.status_code == 200
    assert "10 coupons of Summer Sale are drawn among 3 people of Beta Testers" in text
    assert text.count("<td>May be drawn</td>") == 3
    assert (
        text.count("<td>The account of this person is disabled; nothing is assigned to it.</td>")
        == 1
    )
    assert "<dt>Coupons left now</dt><dd>20</dd>" in text
    assert "<dt>Left afterwards</dt><dd>10</dd>" in text
    assert "Digest of the seed" in text
    assert "Distribute 10 coupons" in text
    assert jobs(house) == []
    assert rows(house, "SELECT draws FROM books WHERE id = :book", book=book) == [(0,)]


def test_s3_052_an_equal_share_says_how_many_for_each_and_what_is_left_over(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """S3-052..054, EC-093"""
    kept = unescape(check(bob, pool, book, mode="equal").text)
    drawn = unescape(check(bob, pool, book, mode="equal", remainder_policy="random").text)

    assert "9 coupons of Summer Sale go to 3 people of Beta Testers: 3 for each." in kept
    assert kept.count("<td>3 coupons</td>") == 3
    assert "<dd>1: they stay in the book</dd>" in kept
    assert "3 or 4 for each" in drawn
    assert "<dd>1: one more for people who are drawn</dd>" in drawn


def test_s3_052_an_equal_share_beyond_the_limit_says_what_each_gets(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """Seven for each were asked for, and the book gives five."""
    page = unescape(check(bob, pool, book, mode="equal", count="21").text)

    assert "15 coupons of Summer Sale go to 3 people of Beta Testers: 5 for each." in page
    assert page.count("The person has, or gets here, as many coupons of the book as one may.") == 3


def test_s3_049_what_was_shown_is_done_once(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """S1-018, S3-049, S3-061, EC-035"""
    checked = check(bob, pool, book)

    first, again = submit(bob, pool, checked), submit(bob, pool, checked)
    drain(house)

    (job,) = jobs(house)
    assert {first.headers["Location"], again.headers["Location"]} == {f"/console/jobs/{job.id}"}
    assert len(assigned(house, job.id)) == 10
    page = bob.get(first.headers["Location"]).text
    assert "10 of 10 assigned" in page
    assert "Summer Sale · Beta Testers" in page
    assert f'href="/console/books/{book}">Open the book</a>' in page


def test_ec092_a_plan_that_is_stale_says_what_changed_and_offers_the_new_one(
    house: House, seeded: Seeded, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """EC-092"""
    checked = check(bob, pool, book)
    bob.send(f"/console/user-pools/{pool}/add", people="new@x.example", create_missing="1")

    stale = submit(bob, pool, checked)
    nothing = jobs(house)
    now = submit(bob, pool, stale)

    assert stale.status_code == 409
    assert "People were added to the pool or removed from it." in stale.text
    assert "among 4 people" in stale.text
    assert nothing == []
    assert now.status_code == 303
    assert len(jobs(house)) == 1


def test_ec098_the_same_again_is_done_only_on_purpose(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """EC-098"""
    first = submit(bob, pool, check(bob, pool, book)).headers["Location"]

    again = submit(bob, pool, check(bob, pool, book))
    forced = submit(bob, pool, again, force="1")

    assert again.status_code == 409
    assert first in again.text
    assert "Distribute the same again on purpose" in again.text
    assert forced.status_code == 303
    assert len(jobs(house)) == 2


def test_s1_062_limits_and_stock_stand_in_the_way_before_anything_is_done(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """S1-019, S1-062, EC-094"""
    short = check(bob, pool, book, mode="equal", count="30", max_per_recipient="9")
    too_few = check(bob, pool, book, mode="equal", count="2")
    strict = check(bob, pool, book, mode="equal", all_or_nothing="1")
    stock = check(bob, pool, stocked_book(house, _seeded(house), 2, name="Small"))
    partial = check(
        bob, pool, stocked_book(house, _seeded(house), 2, name="Tiny"), allow_partial="1"
    )

    assert "as many coupons of the book as one may" in unescape(short.text)
    assert "Coupons that nobody may take</dt><dd>15" in short.text
    assert too_few.status_code == 422
    assert "2 coupons are not enough for 3 members" in too_few.text
    assert "It cannot be submitted yet" in strict.text
    assert "Distribute 9 coupons" not in strict.text
    assert "The book has 2 coupons left and 10 are needed." in stock.text
    assert "Back, and change it" in stock.text
    assert "Distribute 2 coupons" in partial.text
    assert jobs(house) == []


def _seeded(house: House) -> Any:
    """The tenant of the pool, as helpers want it."""
    (pool,) = rows(house, "SELECT agency_id, client_id FROM user_pools")
    return pool


def test_back_loses_nothing_and_mistakes_are_named(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    fields = {
        "mode": "equal",
        "count": "12",
        "remainder_policy": "first",
        "max_per_recipient": "5",
        "all_or_nothing": "",
        "seed": "lottery 7",
        "starts_at": (at := _tomorrow(house)),
        "priority": "high",
    }
    checked = check(bob, pool, book, **fields)
    back = submit(bob, pool, checked, do="back").text
    wrong = check(bob, pool, book, mode="", count="none", seed="x" * 129, starts_at="soon")

    assert "Digest of your seed" in checked.text
    for shown in ('value="12"', 'value="lottery 7"', f'value="{at}"', 'value="5"'):
        assert shown in back
    assert '<option value="first" selected>' in back
    assert '<option value="high" selected>' in back
    assert 'name="all_or_nothing" value="1" checked' in back
    assert wrong.status_code == 422
    for field in ("mode", "count", "seed", "starts_at"):
        assert f'href="#{field}"' in wrong.text
    assert 'value="none"' in wrong.text


def test_a_start_in_the_past_goes_back_to_its_field(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    past = check(bob, pool, book, starts_at="2020-01-01T00:00")

    assert past.status_code == 422
    assert 'href="#starts_at"' in past.text


def test_a_start_to_come_is_kept_with_the_job(
    house: House, bob: Visitor, pool: UUID, book: UUID
) -> None:
    checked = check(bob, pool, book, starts_at=_tomorrow(house), seed="mine")
    sent = submit(bob, pool, checked)
    drain(house)

    (job,) = jobs(house)
    page = bob.get(sent.headers["Location"]).text
    assert job.scheduled_for is not None
    assert "Starts at" in page
    assert "Its credit is held" not in page
    assert assigned(house, job.id) == []


def _tomorrow(house: House) -> str:
    (row,) = rows(house, "SELECT to_char(now() + interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI') AS at")
    return str(row.at)


def test_nobody_distributes_to_a_pool_that_is_empty_or_put_away(
    house: House, seeded: Seeded, bob: Visitor, pool: UUID, book: UUID
) -> None:
    """EC-099"""
    empty, _people = make_pool(house, seeded, 0)
    page = bob.get(path(empty)).text
    rows(house, "UPDATE client_users SET disabled_at = now() RETURNING 1")
    inactive = check(bob, pool, book)
    bob.send(f"/console/user-pools/{pool}/archive", f"/console/user-pools/{pool}")

    assert "Nobody is in the pool" in page
    assert inactive.status_code == 422
    assert "Nobody in the pool is active." in inactive.text
    assert "The pool is put away" in bob.get(path(pool)).text


@pytest.mark.parametrize("step", ["check", "submit"])
def test_ec099_a_pool_put_away_meanwhile_says_so_and_nothing_is_done(
    house: House, bob: Visitor, pool: UUID, book: UUID, step: str
) -> None:
    """EC-099: between two steps, by somebody else."""
    checked = check(bob, pool, book)
    bob.send(f"/console/user-pools/{pool}/archive", f"/console/user-pools/{pool}")

    answer = submit(bob, pool, checked, do=step)

    assert answer.status_code == 409
    assert "The pool is put away" in answer.text
    assert "Take it back into use before you distribute to it." in answer.text
    assert jobs(house) == []


def test_who_may_not_assign_cannot_distribute(
    app: Flask, house: House, seeded: Seeded, pool: UUID, book: UUID
) -> None:
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    other = seed(house, vendor=False)
    foreign = visitor_of(app, house, Role.CAMPAIGN_MANAGER, other)
    manager = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    not_ours = check(manager, pool, stocked_book(house, other, 20, name="Theirs"))

    assert str(book) in not_ours.text
    assert not_ours.status_code == 422
    assert "Choose the book whose coupons are given." in not_ours.text
    assert "Theirs" not in not_ours.text
    assert viewer.get(path(pool)).status_code == 403
    assert "Distribute" not in viewer.get(f"/console/user-pools/{pool}").text
    assert foreign.get(path(pool)).status_code == 404
    assert foreign.get(f"/console/user-pools/{pool}").status_code == 404
