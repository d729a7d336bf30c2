"""A book's stock is exact whenever it is read; what is generated weighs on nobody's share (S3-010, S3-011)."""

from dataclasses import replace
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.books.add_up import add_up_books
from pipelines.books.generate import accept_generation
from pipelines.books.patterns import PLAIN_ALPHABET
from pipelines.books.read import book_rules, read_book
from pipelines.errors import NotFound
from pipelines.jobs.copying import copy_lines, line
from pipelines.jobs.quotas import admit_job, saturation
from pipelines.wiring import House
from tests.booking import hand_out, make_book
from tests.driving import drain, rows
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def stock(house: House, seeded: Seeded, book_id: UUID) -> dict[str, int]:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return read_book(session, book_id, now=clock.now(session)).stock


def added_up(house: House, *, limit: int = 10_000) -> bool:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return add_up_books(session, limit=limit)


def generated(house: House, seeded: Seeded, book_id: UUID, count: int) -> None:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        accept_generation(session, book_id, count, actor_id=ACTOR, key=None, limits=house.limits)


def test_stock_is_exact_before_and_after_it_is_added_up(house: House, seeded: Seeded):
    book_id = make_book(house, seeded, random_length=12, alphabet=PLAIN_ALPHABET)
    generated(house, seeded, book_id, 5)
    drain(house)
    hand_out(house, book_id, (2, 1))
    rows(
        house,
        "UPDATE coupons SET state = 'redeemed', version = version + 1, redemptions = 4 "
        "WHERE id = (SELECT id FROM coupons WHERE state = 'assigned' LIMIT 1) RETURNING 1",
    )
    states = {"unassigned": 5, "assigned": 2, "locked": 0, "redeemed": 1, "void": 0}
    expected = states | {"total": 8, "redemptions": 6}

    before = stock(house, seeded, book_id)
    full = [added_up(house, limit=2), added_up(house, limit=2), added_up(house, limit=2)]
    hand_out(house, book_id, (1,))
    between = stock(house, seeded, book_id)
    rest = added_up(house)

    assert (before, full, rest) == (expected, [True, True, False], False)
    assert between == stock(house, seeded, book_id)
    assert between == expected | {"assigned": 3, "total": 9, "redemptions": 7}
    assert rows(house, "SELECT 1 FROM book_deltas") == []


def test_a_stranger_reads_neither_rules_nor_stock(house: House, seeded: Seeded):
    book_id = make_book(house, seeded)
    stranger = seed(house, vendor=False)

    for read in (
        lambda session: book_rules(session, book_id),
        lambda session: read_book(session, book_id, now=clock.now(session)),
    ):
        with (
            pytest.raises(NotFound),
            scoped_transaction(house.sessions, client(stranger.client_id)) as session,
        ):
            read(session)


def test_codes_to_be_generated_count_towards_no_share(house: House, seeded: Seeded):
    """Five million codes are the work of a minute, and shut nobody out."""
    book_id = make_book(house, seeded, random_length=12, alphabet=PLAIN_ALPHABET)
    generated(house, seeded, book_id, 5_000_000)
    tight = replace(house.limits, open_items_per_client_max=10, open_items_max=10)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        admit_job(session, seeded.client_id, limits=tight)
        refusal = saturation(session, now=clock.now(session), limits=tight)

    assert refusal is None


def test_a_row_of_copy_holds_whatever_characters_it_has(house: House):
    hostile = "tab\t, line\n, return\r, \\N, \\. and 'ä'"
    with scoped_transaction(house.sessions, SYSTEM) as session:
        connection = session.connection()
        connection.exec_driver_sql("CREATE TEMPORARY TABLE odd (n int, t text) ON COMMIT DROP")
        lines = [line(1, hostile), line(2, None), line(3, "\\.")]
        copy_lines(session, "COPY odd (n, t) FROM STDIN", lines)
        found = connection.exec_driver_sql("SELECT n, t FROM odd ORDER BY n").all()

    assert [tuple(row) for row in found] == [(1, hostile), (2, None), (3, "\\.")]
