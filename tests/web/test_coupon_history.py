"""A coupon's history to whoever holds it now: what was done while it was theirs, and no more (EC-087)."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.couponing import act, coupon, coupon_in, finish, id_of, known_to
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.console.test_my_coupons import MINE, visit

S = CouponState
WORDS = "Ann Smith cheated us, see case 12"
#: What was done to the coupon of `passed_on`, by the numbers of its events.
ALL_MOVES = ["assigned", "released", "assigned", "locked", "unlocked", "released", "assigned"]


@pytest.fixture
def bob(app: Flask, house: House, seeded: Seeded) -> Caller:
    """Somebody without a tenant, whom the client knows."""
    caller = signed_in(app, house, Role.END_USER, name="bob.")
    known_to(house, seeded, id_of(caller))
    return caller


@pytest.fixture
def ann_id(app: Flask, house: House, seeded: Seeded) -> UUID:
    person = id_of(signed_in(app, house, Role.END_USER, name="ann."))
    known_to(house, seeded, person)
    return person


def passed_on(house: House, seeded: Seeded, manager: Caller, caller: Caller, before: UUID) -> str:
    """The code of a coupon that was somebody else's before the caller had it, twice."""
    me = str(id_of(caller))
    code = coupon_in(house, seeded, S.ASSIGNED, before)
    act(manager, f"/coupons/{code}/release", {"reason": WORDS})
    act(manager, f"/coupons/assign/{code}", {"user_id": me})
    finish(house)
    assert act(caller, f"/coupons/lock/{code}").status_code == 200
    assert act(caller, f"/coupons/unlock/{code}").status_code == 200
    act(manager, f"/coupons/{code}/release", {"reason": WORDS})
    act(manager, f"/coupons/assign/{code}", {"user_id": me})
    finish(house)
    return code


def history(caller: Caller, code: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """All of its pages."""
    told: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = caller.get(f"/coupons/{code}/history?limit={limit}{cursor}").json
        assert len(page["data"]) <= limit
        assert page["has_more"] is (page["next_cursor"] is not None)
        told += page["data"]
        if not page["has_more"]:
            return told
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_ec087_a_holder_reads_of_a_coupon_what_was_done_while_it_was_theirs(
    house: House, seeded: Seeded, bob: Caller, ann_id: UUID, manager: Caller, limit: int
) -> None:
    """SEC-11, EC-087: no former holder, no manager, no manager's words; page by page the same."""
    code = passed_on(house, seeded, manager, bob, ann_id)
    me = str(id_of(bob))

    told = history(bob, code, limit=limit)

    assert [(event["number"], event["move"]) for event in told] == list(
        enumerate(ALL_MOVES[2:], start=3)
    )
    assert {event["user_id"] for event in told} == {me}
    assert {event["reason"] for event in told} == {None}
    assert [event["actor_id"] for event in told] == [None, me, me, None, None]


def test_ec087_a_history_names_neither_the_former_holder_nor_who_manages_the_book(
    app: Flask, house: House, seeded: Seeded, bob: Caller, ann_id: UUID, manager: Caller
) -> None:
    """The same in the API and under *My coupons*."""
    code = passed_on(house, seeded, manager, bob, ann_id)
    unsaid = [WORDS, str(ann_id), str(id_of(manager))]

    answer = bob.get(f"/coupons/{code}/history").text
    page = visit(app, house, id_of(bob)).get(f"{MINE}/{coupon(house, seeded, code).id}").text

    assert [text for text in unsaid if text in answer + page] == []
    assert page.count("who manages the book") == 3


def test_ec087_who_runs_other_books_reads_the_history_of_their_own_coupon_as_its_holder(
    app: Flask, house: House, seeded: Seeded, ann_id: UUID, manager: Caller
) -> None:
    """A manager of one client holds a coupon of another: their right to see books ends at theirs."""
    neighbour = signed_in(app, house, Role.CAMPAIGN_MANAGER, seed(house, vendor=False))
    known_to(house, seeded, id_of(neighbour))
    code = passed_on(house, seeded, manager, neighbour, ann_id)

    told = history(neighbour, code)

    assert [event["number"] for event in told] == [3, 4, 5, 6, 7]
    assert {event["reason"] for event in told} == {None}


def test_s3_123_who_sees_the_book_reads_the_whole_history(
    app: Flask, house: House, seeded: Seeded, bob: Caller, ann_id: UUID, manager: Caller
) -> None:
    """S3-123: its managers and viewers, holders or not, and the client's programs."""
    code = passed_on(house, seeded, manager, bob, ann_id)
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="vic.")
    seeing = [manager, viewer, key_caller(app, house, seeded.client_id)]

    told = [history(who, code, limit=3) for who in seeing]

    assert [[event["move"] for event in one] for one in told] == [ALL_MOVES] * 3
    assert [one[1]["reason"] for one in told] == [WORDS] * 3
