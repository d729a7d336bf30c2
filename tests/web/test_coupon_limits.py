"""Limits of books, per person, coupon and book, and who or what gets nothing (EC-090, EC-091, S1-010)."""

from typing import Any
from uuid import UUID

import pytest

from models.books import WHOLE_BOOK, CouponState
from tests.couponing import (
    act,
    end_of,
    events,
    id_of,
    other_person,
    state_of,
)
from tests.driving import rows
from tests.shopping import Shop, said, shop, state

__all__ = ["shop"]

S = CouponState


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


def lowered(shop: Shop) -> tuple[UUID, str]:
    """A book whose coupons may be redeemed twice by now, and the code of one that was so already."""
    book_id = shop.book(1, allow_multi_redemption=True, max_redemptions_per_coupon=3)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    assert [shop.redeem(code)[0] for _ in range(2)] == [200, 200]
    limit_to(shop, book_id, 2)
    return book_id, code


def limit_to(shop: Shop, book_id: UUID, most: int) -> None:
    version = shop.manager.get(f"/books/{book_id}").headers["ETag"]
    limits = {"max_redemptions_per_coupon": most}
    changed = shop.manager.call("PATCH", f"/books/{book_id}", limits, If_Match=version)
    assert changed.status_code == 200


def test_ec091_moves_foretell_that_a_coupon_is_used_up_by_a_lowered_limit(shop: Shop) -> None:
    """EC-091, S1-058: to its holder and its manager, and it is refused at once with the same words."""
    _book, code = lowered(shop)
    before = state(shop.house)

    foretold = [
        who.get(f"/coupons/{code}").json["moves"]["redeem"] for who in (shop.ann, shop.manager)
    ]
    refused = act(shop.ann, f"/coupons/redeem/{code}")

    words = "Maximum redemptions of this coupon exceeded (2/2)"
    assert foretold == [{"code": "coupon_limit_reached", "detail": words}] * 2
    assert said((refused.status_code, refused.json)) == (409, "coupon_limit_reached", words)
    assert state(shop.house) == before
    assert (
        rows(
            shop.house, "SELECT FROM jobs WHERE kind = 'coupon_redemption' AND state <> 'succeeded'"
        )
        == []
    )


def test_ec091_the_token_of_a_lock_redeems_no_more_than_the_limit(shop: Shop) -> None:
    _book, code = lowered(shop)
    token = act(shop.ann, f"/coupons/lock/{code}").json["lock_token"]

    refused = act(shop.ann, f"/coupons/redeem/{code}", {"lock_token": token})

    assert (refused.status_code, refused.json["code"]) == (409, "coupon_limit_reached")


def test_ec091_a_limit_lowered_after_accept_refuses_what_was_accepted(shop: Shop) -> None:
    book_id = shop.book(1, allow_multi_redemption=True, max_redemptions_per_coupon=3)
    code = shop.assign(book_id)[1]["result"]["coupon"]["code"]
    assert shop.redeem(code)[0] == 200
    accepted = act(shop.ann, f"/coupons/redeem/{code}")
    limit_to(shop, book_id, 1)

    assert said(end_of(shop.house, shop.ann, accepted))[:2] == (409, "coupon_limit_reached")


@pytest.mark.parametrize(("verb", "foretold"), [("void", None), ("release", "coupon_in_use")])
def test_a_coupon_used_up_by_a_lowered_limit_can_be_voided_and_not_released(
    shop: Shop, verb: str, foretold: str | None
) -> None:
    _book, code = lowered(shop)
    moves = shop.manager.get(f"/coupons/{code}").json["moves"]

    done = act(shop.manager, f"/coupons/{code}/{verb}")

    assert moves[verb]["code"] == foretold
    assert done.status_code == (409 if foretold else 200)
    assert state_of(shop.house, code) == ("assigned" if foretold else "void")


def test_a_coupon_used_up_by_a_lowered_limit_is_redeemed_again_when_it_is_raised(
    shop: Shop,
) -> None:
    book_id, code = lowered(shop)
    limit_to(shop, book_id, 3)

    assert shop.redeem(code)[0] == 200
    assert state_of(shop.house, code) == "redeemed"


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
