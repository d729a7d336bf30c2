"""Who and what gets nothing: strangers, the disabled, books out of their time, suspended clients."""

import pytest
from flask import Flask
from sqlalchemy import text

from models.base import new_id
from models.books import CouponState
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import (
    act,
    coupon_in,
    end_of,
    events,
    finish,
    id_of,
    put_codes,
    state_of,
)
from tests.driving import rows
from tests.shopping import Shop, said, shop, state
from tests.web.conftest import signed_in

__all__ = ["shop"]

S = CouponState


def test_s3_045_an_unknown_person_gets_nothing(shop: Shop) -> None:
    """S3-045: by id here; one of another client is as unknown."""
    book_id = shop.book(1)
    before = state(shop.house)

    outcome = shop.assign(book_id, new_id())

    assert said(outcome) == (404, "user_not_found", "User not found")
    assert (state(shop.house), rows(shop.house, "SELECT FROM jobs")) == (before, [])


def test_whom_the_platform_sees_the_client_comes_to_know(
    shop: Shop, app: Flask, house: House
) -> None:
    """An end user of nobody's; a request that is refused introduces nobody."""
    book_id = shop.book(1)
    admin = signed_in(app, house, Role.PLATFORM_ADMIN)
    stranger = id_of(signed_in(app, house, Role.END_USER, name="x."))
    taken = coupon_in(house, shop.seeded, S.ASSIGNED, shop.bob)
    before = state(house)

    asked = {"user_id": str(stranger), "client_id": str(shop.seeded.client_id)}
    refused = act(admin, f"/coupons/assign/{taken}", asked)
    after = state(house)
    by_manager = shop.assign(book_id, stranger)
    given = act(admin, "/coupons/assign", {"book_id": str(book_id), "user_id": str(stranger)})

    assert (refused.status_code, refused.json["code"]) == (409, "coupon_not_available")
    assert after == before
    assert by_manager[0] == 404
    assert end_of(house, admin, given)[0] == 200


def test_a_disabled_person_gets_nothing_at_once_or_later(shop: Shop) -> None:
    """Refused at submit; disabled after that, the item ends with the same words."""
    book_id = shop.book(2)
    asked = {"book_id": str(book_id), "user_id": str(shop.bob)}
    accepted = act(shop.manager, "/coupons/assign", asked)
    rows(shop.house, "UPDATE users SET disabled_at = now() WHERE id = :id RETURNING 1", id=shop.bob)
    before = state(shop.house)

    at_once = said(shop.assign(book_id, shop.bob))
    later_on = said(end_of(shop.house, shop.manager, accepted))

    words = "The account of this person is disabled; nothing is assigned to it."
    assert at_once == later_on == (409, "recipient_inactive", words)
    assert state(shop.house) == before


#: What became of the book, and what assignment and redemption say then.
ENDS = {
    "closed_at = now()": ("book_closed", "book_closed"),
    "expires_at = now()": ("book_expired", "book_expired"),
    "starts_at = now() + interval '1 day'": (None, "book_not_started"),
}


@pytest.mark.parametrize("change", ENDS)
def test_ec100_a_book_out_of_its_time_gives_and_redeems_nothing(shop: Shop, change: str) -> None:
    """Before it starts its coupons are given, and not yet redeemed."""
    book_id = shop.book(2)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    rows(shop.house, f"UPDATE books SET {change} RETURNING 1")
    before = state(shop.house)
    for_assignment, for_redemption = ENDS[change]

    redeemed = said(shop.redeem(code))
    between = state(shop.house)
    assigned = said(shop.assign(book_id))

    assert (redeemed[:2], between) == ((409, for_redemption), before)
    assert shop.ann.get(f"/coupons/{code}").json["moves"]["redeem"]["code"] == for_redemption
    if for_assignment is None:
        assert assigned[0] == 200
    else:
        assert (assigned[:2], state(shop.house)) == ((409, for_assignment), before)


@pytest.mark.parametrize("change", ["closed_at = now()", "expires_at = now()"])
def test_ec100_what_was_accepted_before_the_book_ended_is_refused_by_the_worker(
    shop: Shop, change: str
) -> None:
    book_id = shop.book(2)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    asked = {"book_id": str(book_id), "user_id": str(shop.bob)}
    assignment = act(shop.manager, "/coupons/assign", asked)
    redemption = act(shop.ann, f"/coupons/redeem/{code}")
    before = state(shop.house)
    rows(shop.house, f"UPDATE books SET {change} RETURNING 1")

    told = [
        said(end_of(shop.house, who, asked))[:2]
        for who, asked in ((shop.manager, assignment), (shop.ann, redemption))
    ]

    assert told == [(409, ENDS[change][0]), (409, ENDS[change][1])]
    after = state(shop.house)
    assert [after[0], after[1], after[4]] == [before[0], before[1], before[4]]
    assert after[2] == []


def test_ec080_a_suspended_client_gives_and_redeems_nothing(shop: Shop) -> None:
    """EC-080: what waits ends `account_suspended`, and the coupon is free again."""
    book_id = shop.book(2)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    asked = {"book_id": str(book_id), "user_id": str(shop.bob)}
    assignment = act(shop.manager, "/coupons/assign", asked)
    redemption = act(shop.ann, f"/coupons/redeem/{code}")
    with scoped_transaction(shop.house.sessions, PLATFORM) as session:
        session.execute(text("UPDATE clients SET suspended_at = now()"))

    told = [
        said(end_of(shop.house, who, asked))
        for who, asked in ((shop.manager, assignment), (shop.ann, redemption))
    ]

    assert [(status, word) for status, word, _ in told] == [(403, "account_suspended")] * 2
    assert events(shop.house, code) == ["assigned"]
    assert rows(shop.house, "SELECT FROM open_redemptions") == []


def test_ec080_a_suspended_client_is_told_so_at_submit(shop: Shop) -> None:
    book_id = shop.book(2)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    with scoped_transaction(shop.house.sessions, PLATFORM) as session:
        session.execute(text("UPDATE clients SET suspended_at = now()"))
    before = (state(shop.house), len(rows(shop.house, "SELECT FROM jobs")))

    asked = {"book_id": str(book_id), "user_id": str(shop.bob)}
    assigned = act(shop.manager, "/coupons/assign", asked)
    redeemed = act(shop.ann, f"/coupons/redeem/{code}")
    locked = act(shop.ann, f"/coupons/lock/{code}")

    told = [(answer.status_code, answer.json["code"]) for answer in (assigned, redeemed, locked)]
    assert told == [(403, "account_suspended")] * 3
    assert (state(shop.house), len(rows(shop.house, "SELECT FROM jobs"))) == before


def test_ec089_a_certain_code_that_somebody_has_is_not_available(shop: Shop) -> None:
    """S3-047: at submit; taken between accept and work, the item says the same."""
    book_id = make_book(shop.house, shop.seeded)
    first, second = put_codes(shop.house, shop.seeded, book_id, 2)
    for_ann, for_bob = ({"user_id": str(who)} for who in (id_of(shop.ann), shop.bob))
    both = [act(shop.manager, f"/coupons/assign/{first}", whom) for whom in (for_ann, for_bob)]
    finish(shop.house)

    late = act(shop.manager, f"/coupons/assign/{first}", for_bob)
    told = [said(end_of(shop.house, shop.manager, one)) for one in both]

    assert (late.status_code, late.json["detail"]) == (409, "Coupon not available")
    assert [status for status, *_rest in told] == [200, 409]
    assert told[1][1:] == ("coupon_not_available", "Coupon not available")
    assert events(shop.house, first) == ["assigned"]
    assert state_of(shop.house, second) == "unassigned"
