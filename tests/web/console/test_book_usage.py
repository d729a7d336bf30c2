"""The card "Use" of a book, and coupons on the overview: a drawing, and a table that says it (S1-118, S3-150)."""

import re
from uuid import UUID

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.seeding import seed
from tests.shopping import Shop, shop
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.test_dashboards import CELL

__all__ = ["shop"]

TITLE = "Coupons assigned, redeemed and taken back per day"


def drawn_days(page: str) -> list[list[str]]:
    """What the table of the drawing says, a day after the other."""
    drawn = page.partition('id="coupons-used-title"')[2].partition("</figure>")[0]
    body = drawn.partition("<tbody>")[2].partition("</tbody>")[0]
    return [CELL.findall(row) for row in body.split("<tr>")[1:]]


def used_book(shop: Shop) -> UUID:
    """Two coupons were given, and one of them redeemed."""
    book_id = shop.book(3)
    first, _second = (shop.assign(book_id)[1]["result"]["coupon"]["code"] for _ in range(2))
    assert shop.redeem(first)[0] == 200
    return book_id


def test_s1_118_s3_150_a_book_draws_its_use_and_says_the_same_in_a_table(
    shop: Shop, bob: Visitor
) -> None:
    book_id = used_book(shop)

    page = bob.get(f"/console/books/{book_id}").text
    days = drawn_days(page)

    assert '<h2 id="use">Use</h2>' in page
    assert "days (UTC) 2 assigned, 1 redeemed, 0 released, 0 voided." in page
    assert f"{TITLE} as a table" in page
    assert re.findall(r'<path class="chart-path tone-(\w+)"', page) == ["one", "two", "three"]
    assert len(days) == 30
    assert days[-1][1:] == ["2", "1", "0"]
    assert {tuple(day[1:]) for day in days[:-1]} == {("0", "0", "0")}


def test_s1_118_a_book_that_nobody_used_draws_zeros(shop: Shop, bob: Visitor) -> None:
    days = drawn_days(bob.get(f"/console/books/{shop.book(1)}").text)

    assert {tuple(day[1:]) for day in days} == {("0", "0", "0")}


def test_s3_150_the_overview_draws_the_coupons_of_all_books_in_sight(
    app: Flask, house: House, shop: Shop, bob: Visitor
) -> None:
    stranger = seed(house, vendor=False)
    before = bob.get("/console/").text
    used_book(shop)
    used_book(shop)

    readers = [
        bob,
        visitor_of(app, house, Role.AGENCY_VIEWER, shop.seeded),
        visitor_of(app, house, Role.PLATFORM_ADMIN),
    ]
    pages = [reader.get("/console/").text for reader in readers]
    foreign = visitor_of(app, house, Role.CLIENT_VIEWER, stranger).get("/console/").text

    assert [drawn_days(page)[-1][1:] for page in pages] == [["4", "2", "0"]] * 3
    assert [TITLE in page for page in (before, foreign)] == [False, False]
