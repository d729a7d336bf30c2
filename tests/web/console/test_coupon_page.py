"""A coupon's page: every action is there, and says why it cannot be done (S1-057, S1-058, S3-001, S3-028)."""

import re
from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import coupon, coupon_in, events, finish, put_codes, state_of
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import make_user
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of
from web.console import coupon_acts

S = CouponState
VERBS = ("assign", "lock", "unlock", "redeem", "release", "void")
#: State -> verb -> how the reason begins; None: the button can be pressed.
REASONS: dict[CouponState, tuple[str | None, ...]] = {
    S.UNASSIGNED: (None, "Invalid transition", "Invalid", "Invalid", "Invalid", None),
    S.ASSIGNED: ("Coupon not available", None, "Invalid transition", None, None, None),
    S.LOCKED: (
        "Coupon not available",
        "Already locked",
        None,
        "Cannot redeem LOCKED coupon",
        "Cannot release LOCKED coupon",
        None,
    ),
    S.REDEEMED: ("Terminal state", "Invalid transition", *["Terminal state"] * 4),
    S.VOID: ("The coupon was withdrawn",) * 6,
}


@pytest.fixture(autouse=True)
def _nobody_waits_for_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coupon_acts, "WAIT_SECONDS", 0.0)


@pytest.fixture
def mia(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.CAMPAIGN_MANAGER, seeded)


@pytest.fixture
def alice(house: House, seeded: Seeded) -> UUID:
    return make_user(house, "alice@example.com", Role.CLIENT_VIEWER, seeded)


def path_of(house: House, seeded: Seeded, code: str) -> str:
    found = coupon(house, seeded, code)
    return f"/console/books/{found.book_id}/coupons/{found.id}"


def press(visitor: Visitor, path: str, verb: str, **fields: str) -> str:
    """Send the form of an action and follow it; the text of the page that tells what came of it."""
    form = dict(HIDDEN.findall(visitor.get(path).text))
    answer = visitor.client.post(f"{path}/{verb}", data=form | fields, headers=SAME_ORIGIN)
    if answer.status_code != 303:
        return answer.text
    return visitor.get(answer.headers["Location"]).text


def toast(page: str) -> tuple[str, str]:
    """Its role and its words."""
    ((role, words),) = re.findall(
        r'class="notice toast[^>]*role="(\w+)".*?<strong>([^<]*)', page, re.DOTALL
    )
    return role, unescape(words)


@pytest.mark.parametrize("state", REASONS)
def test_s1_057_every_action_is_shown_with_its_button_or_the_very_reason(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID, state: CouponState
) -> None:
    path = path_of(house, seeded, coupon_in(house, seeded, state, alice))

    page = mia.get(path).text

    for verb, reason in zip(VERBS, REASONS[state], strict=True):
        (told,) = re.findall(rf'<p id="{verb}-why">([^<]*)</p>', page)
        (button,) = re.findall(rf'<button [^>]*aria-describedby="{verb}-why"( disabled)?>', page)
        assert bool(button) == (reason is not None), verb
        assert told.startswith(reason or told), verb


def test_who_may_not_act_sees_every_action_with_who_may(
    app: Flask, house: House, seeded: Seeded, alice: UUID
) -> None:
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    path = path_of(house, seeded, coupon_in(house, seeded, S.ASSIGNED, alice))

    page = viewer.get(path).text

    assert page.count("Only campaign managers and administrators do this.") == 6
    for verb in VERBS:
        form = dict(HIDDEN.findall(page))
        sent = viewer.client.post(f"{path}/{verb}", data=form, headers=SAME_ORIGIN)
        assert sent.status_code == 403, verb


def test_s3_028_the_way_of_a_coupon_by_buttons(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    """S3-029, S3-030, S3-032: assigned, locked, unlocked, redeemed; its history says all of it."""
    code = coupon_in(house, seeded, S.UNASSIGNED, alice)
    path = path_of(house, seeded, code)

    press(mia, path, "assign", email="alice@example.com")
    finish(house)
    locked = press(mia, path, "lock")
    unlocked = press(mia, path, "unlock")
    press(mia, path, "redeem")
    finish(house)
    page = mia.get(path).text

    assert toast(locked) == ("status", "The coupon is locked for 5 minutes")
    assert toast(unlocked) == ("status", "The coupon is unlocked")
    assert events(house, code) == ["assigned", "locked", "unlocked", "redeemed"]
    words = re.findall(r'<td class="nowrap">[^<]*</td><th scope="row">([^<]*)', page)
    assert words == ["Assigned to alice@example.com", "Locked", "Unlocked", "Redeemed"]


@pytest.mark.parametrize(
    ("state", "verb", "words"),
    [
        (S.LOCKED, "redeem", "Cannot redeem LOCKED coupon"),
        (S.LOCKED, "lock", "Already locked"),
        (S.REDEEMED, "redeem", "Terminal state"),
        (S.REDEEMED, "lock", "Invalid transition"),
        (S.ASSIGNED, "assign", "Coupon not available"),
        (S.ASSIGNED, "unlock", "Invalid transition"),
    ],
)
def test_s3_036_what_a_state_does_not_allow_is_told_in_passing_and_changes_nothing(
    house: House,
    seeded: Seeded,
    mia: Visitor,
    alice: UUID,
    state: CouponState,
    verb: str,
    words: str,
) -> None:
    """S3-031, S3-033..035, S3-047: in the notes' words, as an alert that blocks nothing."""
    code = coupon_in(house, seeded, state, alice)
    path, before = path_of(house, seeded, code), events(house, code)

    page = press(mia, path, verb, email="alice@example.com")

    role, told = toast(page)
    assert (role, told.startswith(words)) == ("alert", True)
    assert (state_of(house, code), events(house, code)) == (state, before)
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_s3_045_nobody_with_the_address_is_user_not_found(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    code = coupon_in(house, seeded, S.UNASSIGNED, alice)
    make_user(house, "them@example.com", Role.CLIENT_VIEWER, seed(house, vendor=False))
    path = path_of(house, seeded, code)

    told = [
        toast(press(mia, path, "assign", email=email))
        for email in ("nobody@example.com", "them@example.com", "no address")
    ]

    assert told == [("alert", "User not found")] * 3
    assert state_of(house, code) == S.UNASSIGNED


def test_a_coupon_is_released_and_made_void_for_a_reason(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    code = coupon_in(house, seeded, S.ASSIGNED, alice)
    path = path_of(house, seeded, code)

    silent = press(mia, path, "release")
    released = press(mia, path, "release", reason="Wrong person")
    voided = press(mia, path, "void", reason="Printed twice")

    assert toast(silent)[0] == "alert"
    assert toast(released) == ("status", "The coupon is back in its book")
    assert toast(voided) == ("status", "The coupon is worthless now")
    assert events(house, code) == ["assigned", "released", "voided"]
    assert "Wrong person" in voided
    assert "Taken back from alice@example.com into the book" in voided


def test_a_form_sent_twice_acts_once(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    code = coupon_in(house, seeded, S.ASSIGNED, alice)
    path = path_of(house, seeded, code)
    form = dict(HIDDEN.findall(mia.get(path).text))

    sent = [
        mia.client.post(f"{path}/{verb}", data=form, headers=SAME_ORIGIN).status_code
        for verb in ("lock", "lock", "unlock", "unlock", "redeem", "redeem")
    ]

    assert sent == [303] * 6
    assert events(house, code) == ["assigned", "locked", "unlocked"]
    assert len(rows(house, "SELECT 1 FROM jobs")) == 1


def test_a_coupon_of_another_book_or_client_is_as_unknown_as_none(
    house: House, seeded: Seeded, mia: Visitor, alice: UUID
) -> None:
    other = seed(house, vendor=False)
    theirs = make_book(house, other)
    (code,) = put_codes(house, other, theirs, 1)
    mine = coupon(house, seeded, coupon_in(house, seeded, S.ASSIGNED, alice))
    found = coupon(house, other, code)
    books = make_book(house, seeded)

    for book_id, coupon_id in ((theirs, found.id), (books, mine.id), (books, found.id)):
        path = f"/console/books/{book_id}/coupons/{coupon_id}"
        assert mia.get(path).status_code == 404
        form = dict(HIDDEN.findall(mia.get("/console/books/new").text))
        assert mia.client.post(f"{path}/lock", data=form, headers=SAME_ORIGIN).status_code == 404
