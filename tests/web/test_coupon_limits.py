"""Limits of books, per person, coupon and book, and who or what gets nothing (EC-090, EC-091, S1-010)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from models.base import new_id
from models.books import WHOLE_BOOK, CouponState
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
    other_person,
    put_codes,
    state_of,
)
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in

S = CouponState


@dataclass(frozen=True, slots=True)
class Shop:
    """A client with a manager, and people who get coupons."""

    house: House
    seeded: Seeded
    manager: Caller
    ann: Caller
    bob: UUID

    def assign(self, book_id: UUID, user_id: UUID | None = None) -> tuple[int, dict[str, Any]]:
        asked = {"book_id": str(book_id), "user_id": str(user_id or id_of(self.ann))}
        return end_of(self.house, self.manager, act(self.manager, "/coupons/assign", asked))

    def redeem(self, code: str) -> tuple[int, dict[str, Any]]:
        return end_of(self.house, self.ann, act(self.ann, f"/coupons/redeem/{code}"))

    def book(self, coupons: int, **rules: Any) -> UUID:
        book_id = make_book(self.house, self.seeded, **rules)
        put_codes(self.house, self.seeded, book_id, coupons)
        return book_id


@pytest.fixture
def shop(app: Flask, house: House, seeded: Seeded, manager: Caller) -> Shop:
    ann = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")
    return Shop(house, seeded, manager, ann, other_person(house, seeded))


def said(outcome: tuple[int, dict[str, Any]]) -> tuple[int, str, str]:
    status, body = outcome
    return status, body.get("code", ""), body.get("detail", "")


def state(house: House) -> list[Any]:
    """Everything that giving and redeeming may change."""
    return [
        sorted(map(tuple, rows(house, f"SELECT * FROM {table}")))
        for table in ("coupon_counts", "coupon_events", "open_redemptions", "client_users")
    ] + [sorted(tuple(row) for row in rows(house, "SELECT id, state, version FROM coupons"))]


def test_s3_084_the_sixth_of_five_is_refused_in_the_notes_words(shop: Shop) -> None:
    """S3-046, S3-058, EC-090: per person; another person still gets one."""
    book_id = shop.book(7, max_assignments_per_user=5)
    given = [shop.assign(book_id)[0] for _ in range(5)]
    before = state(shop.house)

    sixth = shop.assign(book_id)

    assert given == [200] * 5
    assert said(sixth) == (409, "user_limit_reached", "Maximum assignments exceeded (5/5)")
    assert state(shop.house) == before
    assert shop.assign(book_id, shop.bob)[0] == 200


def test_s1_061_the_third_of_two_is_refused(shop: Shop) -> None:
    """S1-060, S1-061: the showcase's numbers."""
    book_id = shop.book(3, max_assignments_per_user=2)

    told = [said(shop.assign(book_id)) for _ in range(3)]

    assert [status for status, *_rest in told] == [200, 200, 409]
    assert told[2][2] == "Maximum assignments exceeded (2/2)"


def test_s1_010_a_book_gives_as_many_as_it_may_whoever_gets_them(shop: Shop) -> None:
    """S1-010: what came back can be given again."""
    book_id = shop.book(5, max_assignments=2)
    shop.assign(book_id)
    code = shop.assign(book_id, shop.bob)[1]["result"]["coupon"]["code"]
    before = state(shop.house)

    third = shop.assign(book_id, other_person(shop.house, shop.seeded, "third"))
    after = state(shop.house)
    act(shop.manager, f"/coupons/{code}/release")
    again = shop.assign(book_id)

    words = "Maximum assignments of this book exceeded (2/2)"
    assert said(third) == (409, "book_limit_reached", words)
    assert [after[0], after[1], after[4]] == [before[0], before[1], before[4]]
    assert again[0] == 200


def test_a_released_or_voided_coupon_no_longer_counts_for_its_holder(shop: Shop) -> None:
    book_id = shop.book(4, max_assignments_per_user=1)

    for verb in ("release", "void"):
        code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
        assert shop.assign(book_id)[0] == 409
        act(shop.manager, f"/coupons/{code}/{verb}")

    assert shop.assign(book_id)[0] == 200


def test_a_redeemed_coupon_still_counts_for_its_holder(shop: Shop) -> None:
    """The limit is on what a person was given, not on what is left of it."""
    book_id = shop.book(2, max_assignments_per_user=1)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]

    assert shop.redeem(code)[0] == 200
    assert said(shop.assign(book_id))[:2] == (409, "user_limit_reached")


@pytest.mark.parametrize(
    ("rules", "done", "refusal"),
    [
        (
            {"allow_multi_redemption": True, "max_redemptions_per_coupon": 2},
            [0, 0],
            (0, "terminal_state", "Terminal state"),
        ),
        (
            {"allow_multi_redemption": True, "max_redemptions_per_user": 2},
            [0, 1],
            (0, "user_limit_reached", "Maximum redemptions exceeded (2/2)"),
        ),
        (
            {"allow_multi_redemption": True, "max_redemptions": 2},
            [0, 1],
            (1, "book_limit_reached", "Maximum redemptions of this book exceeded (2/2)"),
        ),
        (
            {
                "allow_multi_redemption": True,
                "max_redemptions_per_coupon": 3,
                "max_redemptions_per_user": 2,
                "max_redemptions": 2,
            },
            [0, 0],
            (0, "user_limit_reached", "Maximum redemptions exceeded (2/2)"),
        ),
        (
            {"max_redemptions_per_user": 1, "max_redemptions": 1},
            [0],
            (1, "user_limit_reached", "Maximum redemptions exceeded (1/1)"),
        ),
    ],
)
def test_ec091_the_first_limit_that_is_reached_names_itself(
    shop: Shop, rules: dict[str, Any], done: list[int], refusal: tuple[int, str, str]
) -> None:
    """EC-091: per coupon, per person, per book, in this order; what is refused changes nothing."""
    book_id = shop.book(2, **rules)
    codes = [shop.assign(book_id)[1]["result"]["coupon"]["code"] for _ in range(2)]
    assert [shop.redeem(codes[number])[0] for number in done] == [200] * len(done)
    before = state(shop.house)

    number, code, words = refusal
    outcome = shop.redeem(codes[number])

    assert said(outcome) == (409, code, words)
    assert state(shop.house) == before


def test_ec091_a_limit_lowered_under_what_a_coupon_had_names_itself(shop: Shop) -> None:
    """The coupon is still its holder's, and has had more redemptions than it may now."""
    book_id = shop.book(1, allow_multi_redemption=True, max_redemptions_per_coupon=3)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    assert [shop.redeem(code)[0] for _ in range(2)] == [200, 200]
    rows(shop.house, "UPDATE books SET max_redemptions_per_coupon = 2 RETURNING 1")

    words = "Maximum redemptions of this coupon exceeded (2/2)"
    assert said(shop.redeem(code)) == (409, "coupon_limit_reached", words)


def test_s3_057_a_coupon_with_several_redemptions_ends_with_its_last(shop: Shop) -> None:
    """S3-021, S3-057, ruling 3: each is an event; it is `assigned` until it is exhausted."""
    book_id = shop.book(1, allow_multi_redemption=True, max_redemptions_per_coupon=3)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]

    seen = []
    for _ in range(3):
        assert shop.redeem(code)[0] == 200
        shown = shop.ann.get(f"/coupons/{code}").json
        seen.append((shown["state"], shown["redemptions"], shown["max_redemptions"]))

    assert seen == [("assigned", 1, 3), ("assigned", 2, 3), ("redeemed", 3, 3)]
    assert said(shop.redeem(code))[:2] == (409, "terminal_state")
    assert events(shop.house, code) == ["assigned", "redeemed", "redeemed", "redeemed"]


def test_ruling_3_a_coupon_without_a_limit_is_never_exhausted(shop: Shop) -> None:
    book_id = shop.book(1, allow_multi_redemption=True)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]

    assert [shop.redeem(code)[0] for _ in range(4)] == [200] * 4
    shown = shop.ann.get(f"/coupons/{code}").json
    assert (shown["state"], shown["redemptions"], shown["max_redemptions"]) == ("assigned", 4, None)


def test_a_coupon_that_was_redeemed_once_is_not_released_and_can_be_voided(shop: Shop) -> None:
    book_id = shop.book(1, allow_multi_redemption=True, max_assignments_per_user=1)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    shop.redeem(code)

    released = act(shop.manager, f"/coupons/{code}/release")
    between = state_of(shop.house, code)
    voided = act(shop.manager, f"/coupons/{code}/void")

    assert (released.status_code, released.json["code"]) == (409, "coupon_in_use")
    assert between == "assigned"
    assert (voided.status_code, voided.json["state"]) == (200, "void")


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


def test_counting_that_begins_later_knows_what_was_given_before(shop: Shop) -> None:
    """A limit that is set on a book in use: what people have counts, and what they redeemed."""
    book_id = shop.book(4, allow_multi_redemption=True)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    shop.redeem(code)
    version = shop.manager.get(f"/books/{book_id}").headers["ETag"]
    limits = {"max_assignments_per_user": 2, "max_redemptions": 2}
    changed = shop.manager.call("PATCH", f"/books/{book_id}", limits, If_Match=version)

    told = [shop.assign(book_id)[0] for _ in range(2)]
    redeemed = [shop.redeem(code)[0] for _ in range(2)]

    assert (changed.status_code, told, redeemed) == (200, [200, 409], [200, 409])
    counted = {
        row.user_id: (row.assigned, row.redeemed)
        for row in rows(shop.house, "SELECT * FROM coupon_counts")
    }
    assert counted == {id_of(shop.ann): (2, 2), WHOLE_BOOK: (2, 2)}
