"""Usage of a book's coupons over time, over HTTP and from a terminal (S1-118, S3-150)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.api_keys import NewKey, draw_key, make_key
from pipelines.access.permissions import KeyScope
from pipelines.books.add_up import add_up_books
from pipelines.wiring import House
from tests.couponing import act
from tests.proof import assert_proven
from tests.seeding import ACTOR, seed
from tests.shopping import Shop, shop
from tests.web.conftest import Caller, signed_in
from tests.web.shells import a_shell

__all__ = ["shop"]

NOTHING = {"assigned": 0, "released": 0, "redeemed": 0, "voided": 0}
DONE = {"assigned": 4, "released": 1, "redeemed": 3, "voided": 1}


def used_book(shop: Shop) -> UUID:
    """Four were given; one was released, one redeemed, one redeemed twice and then voided."""
    rules = {"allow_multi_redemption": True, "max_redemptions_per_coupon": 3}
    book_id = shop.book(6, **rules)
    given = [shop.assign(book_id)[1]["result"]["coupon"]["code"] for _ in range(4)]
    outcomes = [shop.redeem(code)[0] for code in (given[0], given[1], given[1])]
    assert outcomes == [200] * 3
    assert act(shop.manager, f"/coupons/{given[1]}/void").status_code == 200
    assert act(shop.manager, f"/coupons/{given[2]}/release").status_code == 200
    return book_id


def usage(caller: Caller, book_id: UUID | str, query: str = "") -> Any:
    return caller.get(f"/books/{book_id}/usage{query}")


def last_days(days: int) -> list[str]:
    today = datetime.now(UTC).date()
    return [(today - timedelta(days=ago)).isoformat() for ago in reversed(range(days))]


def test_s1_118_s3_150_usage_is_told_by_day_with_its_totals(shop: Shop, house: House) -> None:
    book_id = used_book(shop)
    quiet = shop.book(1)

    told = usage(shop.manager, book_id)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        add_up_books(session)

    assert told.status_code == 200
    assert [day["day"] for day in told.json["data"]] == last_days(30)
    assert told.json["data"][-1] == DONE | {"day": last_days(1)[0]}
    assert [NOTHING | {"day": day} for day in last_days(30)[:-1]] == told.json["data"][:-1]
    assert told.json["totals"] == DONE
    assert usage(shop.manager, book_id).json == told.json
    assert usage(shop.manager, quiet).json["totals"] == NOTHING
    assert_proven(house)


def test_s3_150_as_many_days_are_told_as_were_asked_for(shop: Shop) -> None:
    book_id = shop.book(1)

    for days in (1, 7, 366):
        told = usage(shop.manager, book_id, f"?days={days}").json["data"]
        assert [day["day"] for day in told] == last_days(days)


@pytest.mark.parametrize("days", ["0", "367", "-1", "1.5", "week", ""])
def test_days_that_are_no_number_from_1_to_366_are_refused(shop: Shop, days: str) -> None:
    refused = usage(shop.manager, new_id(), f"?days={days}")

    assert (refused.status_code, refused.json["code"]) == (422, "validation_failed")


def test_s1_118_who_reads_books_reads_their_usage_and_nobody_else(
    app: Flask, house: House, shop: Shop
) -> None:
    book_id = used_book(shop)
    stranger, agency = seed(house, vendor=False), shop.seeded
    readers = [
        signed_in(app, house, Role.PLATFORM_ADMIN),
        signed_in(app, house, Role.AGENCY_VIEWER, agency),
        shop.ann,
        storefront(app, house, agency.client_id, KeyScope.BOOKS_READ),
    ]
    strangers = [
        signed_in(app, house, Role.AGENCY_ADMIN, stranger),
        signed_in(app, house, Role.CLIENT_ADMIN, stranger),
        storefront(app, house, stranger.client_id, KeyScope.BOOKS_READ),
    ]
    provisioner = storefront(app, house, agency.client_id, KeyScope.PROVISION)

    assert [usage(reader, book_id).json["totals"] for reader in readers] == [DONE] * 4
    assert [usage(caller, book_id).status_code for caller in strangers] == [404] * 3
    assert usage(provisioner, book_id).status_code == 403
    assert usage(Caller(app.test_client()), book_id).status_code == 401


def storefront(app: Flask, house: House, client_id: UUID, scope: KeyScope) -> Caller:
    drawn = draw_key(is_live=False)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        key = NewKey("Shop", client_id, [scope])
        make_key(session, drawn, key, actor_id=ACTOR, now=clock.now(session))
    return Caller(app.test_client(), {"Authorization": f"Bearer {drawn.text}"})


def test_s3_150_the_terminal_tells_the_same(app: Flask, shop: Shop) -> None:
    book_id, quiet = str(used_book(shop)), str(shop.book(1))

    with a_shell(app, shop.manager) as shell:
        told = shell.run("books", "usage", book_id)
        nothing = shell.run("books", "usage", quiet, "--days", "7")
        in_json = shell.run("books", "usage", book_id, "--json")
        refused = shell.run("books", "usage", book_id, "--days", "367")

    *table, summed = told.output.splitlines()
    assert [line.split() for line in table] == [
        ["day", "assigned", "released", "redeemed", "voided"],
        [last_days(1)[0], "4", "1", "3", "1"],
    ]
    assert summed == "In 30 days: 4 assigned, 1 released, 3 redeemed, 1 voided."
    assert nothing.output == "In 7 days: 0 assigned, 0 released, 0 redeemed, 0 voided.\n"
    assert json.loads(in_json.output)["totals"] == DONE
    assert (refused.exit_code, "367 is not in the range" in refused.output) == (2, True)
