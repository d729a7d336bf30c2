"""Coupons are assigned in an order that nobody can foretell (S1-007, S3-024, S3-116, EC-088).

Each bound is missed by chance less than once in a thousand million runs.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from pipelines.books.deck import KEYS
from tests.couponing import act, finish, id_of, put_codes
from tests.distributing import distribute, make_pool, options
from tests.driving import drain, rows
from tests.shopping import Shop, shop
from tests.undoing import undo

__all__ = ["shop"]

BATCHES, BATCH = 4, 25
COUPONS = BATCHES * BATCH
#: Of a hundred places drawn at random the correlation of ranks has a standard deviation of 0.1.
CORRELATION_MAX = 0.7
PATTERN = {"prefix": "SUN", "random_length": 10}


def generated(shop: Shop, book_id: str) -> list[str]:
    """Fill the book by its pattern, batch by batch; the codes by their batches.

    Within a batch rows lie as their deck does (decision 0040).
    """
    for _ in range(BATCHES):
        assert act(shop.manager, f"/books/{book_id}/generate", {"count": BATCH}).status_code == 202
        finish(shop.house)
    return [
        row.code for row in rows(shop.house, "SELECT code FROM coupons ORDER BY load_job_id, code")
    ]


def uploaded(shop: Shop, book_id: str) -> list[str]:
    """Upload codes that count up, batch by batch; in this order."""
    codes = [f"SUMMER-{number:04}" for number in range(COUPONS)]
    for first in range(0, COUPONS, BATCH):
        body = {"codes": codes[first : first + BATCH]}
        assert act(shop.manager, f"/books/{book_id}/codes", body).status_code == 202
        finish(shop.house)
    return codes


def given_in_turn(shop: Shop, book_id: str, count: int) -> list[str]:
    """Assign so many coupons of the book, whichever they are; their codes, the first first."""
    asked = {"book_id": book_id, "user_id": str(id_of(shop.ann))}
    for _ in range(count):
        assert act(shop.manager, "/coupons/assign", asked).status_code == 202
    finish(shop.house)
    told = rows(
        shop.house,
        "SELECT c.code FROM coupon_events e JOIN coupons c ON c.id = e.coupon_id "
        "WHERE e.move = 'assigned' ORDER BY e.at, e.job_id",
    )
    return [row.code for row in told]


def correlation(one: Sequence[Any], other: Sequence[Any]) -> float:
    """Spearman's, of two orders of the same things: 1 for the same order, -1 for the reverse."""
    assert sorted(one) == sorted(other)
    place = {thing: number for number, thing in enumerate(other)}
    apart = sum((number - place[thing]) ** 2 for number, thing in enumerate(one))
    count = len(one)
    return 1 - 6 * apart / (count * (count**2 - 1))


@pytest.mark.parametrize("filled", [generated, uploaded])
def test_s3_116_coupons_are_assigned_in_no_order_in_which_they_came_in(
    shop: Shop, filled: Any
) -> None:
    """S1-007, S3-024, S3-116, EC-088: neither that of the file, nor of the batches, nor of the codes."""
    made = shop.manager.post("/books", {"name": "Sun", "pattern": PATTERN}).json["id"]
    came_in = filled(shop, made)

    given = given_in_turn(shop, made, COUPONS)

    assert len(set(given)) == COUPONS
    for order in (came_in, sorted(given)):
        assert abs(correlation(given, order)) < CORRELATION_MAX


def places(shop: Shop, codes: Sequence[str]) -> list[float]:
    """Where these coupons lie on the first floor of the deck: 0 is its top, 1 its bottom."""
    found = rows(shop.house, "SELECT code, draw_key FROM coupons")
    keys = {row.code: row.draw_key for row in found}
    return [keys[code] / (KEYS >> 1) for code in codes]


def assert_spread(found: list[float]) -> None:
    """As so many numbers drawn from 0 to 1 are; of forty, all are in one half in 2 of 2^40 cases.

    That their mean is below 0.15, or above 0.85, is less likely than 6^40 / 40!, which is 2e-17.
    """
    assert len(found) >= 40
    assert len(set(found)) == len(found)
    assert {place < 0.5 for place in found} == {True, False}
    assert 0.15 < sum(found) / len(found) < 0.85
    assert abs(correlation(found, sorted(found))) < 0.9


def test_s1_007_a_released_coupon_comes_back_at_a_random_place_and_not_as_the_next(
    shop: Shop,
) -> None:
    """S1-007, S3-024, EC-088: the one given next is another, and where each lies nobody can say."""
    book_id = str(shop.book(2_000))
    asked = {"book_id": book_id, "user_id": str(id_of(shop.ann))}
    given, back = [], []
    for _ in range(40):
        job = act(shop.manager, "/coupons/assign", asked).json["id"]
        finish(shop.house)
        code = shop.manager.get(f"/jobs/{job}").json["result"]["coupon"]["code"]
        assert act(shop.manager, f"/coupons/{code}/release").status_code == 200
        given.append(code)
        back += places(shop, [code])

    assert_spread(back)
    # The next one lies before the 40th of 2,000 random places, and that before 0.05 but in 1 of 10^11
    # cases; that twenty of forty come back before 0.05 is less likely than C(40, 20) * 0.05^20 = 2e-15.
    assert sum(one == other for one, other in pairwise(given)) < 20


def test_s3_024_coupons_that_an_undo_takes_back_come_at_random_places(shop: Shop) -> None:
    """S3-024, EC-088: of a distribution of a whole book none lies where it lay."""
    book_id = shop.book(0)
    codes = put_codes(shop.house, shop.seeded, book_id, 60)
    pool, _people = make_pool(shop.house, shop.seeded, 5)
    job_id: UUID = distribute(shop.house, shop.seeded, options(pool, book_id, 60))
    drain(shop.house)
    in_turn = rows(
        shop.house,
        "SELECT code FROM coupons WHERE assigned_job_id = :job ORDER BY assigned_position",
        job=job_id,
    )
    before = places(shop, codes)

    undo(shop.house, shop.seeded, job_id)
    drain(shop.house)

    assert rows(shop.house, "SELECT FROM coupons WHERE state <> 'unassigned'") == []
    assert_spread(places(shop, [row.code for row in in_turn]))
    assert [
        pair for pair in zip(before, places(shop, codes), strict=True) if len({*pair}) == 1
    ] == []
