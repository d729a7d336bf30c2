"""Locks of coupons: five minutes, for who holds their token, never extended (EC-082, EC-083, EC-086)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from models import clock
from models.books import CouponState
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.queue.schedule import fire_due
from pipelines.redemption.lock import tidy_locks
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import (
    act,
    bring,
    coupon_in,
    end_of,
    events,
    id_of,
    other_person,
    put_codes,
    state_of,
)
from tests.driving import drain, rows
from tests.later import later
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from web.app import create_app

S = CouponState


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")


@pytest.fixture
def code(house: House, seeded: Seeded, ann: Caller) -> str:
    return coupon_in(house, seeded, S.ASSIGNED, id_of(ann))


@contextmanager
def in_time(house: House, caller: Caller, **ahead: float) -> Iterator[tuple[House, Caller]]:
    """The same caller, so much later; their sign-in lasts."""
    with later(house, **ahead) as then:
        yield then, Caller(create_app(then).test_client(), caller.headers)


def lock(caller: Caller, code: str, key: str = "a") -> Any:
    return caller.post(f"/coupons/lock/{code}", {}, Idempotency_Key=key)


def locked_until(house: House, code: str) -> datetime:
    (row,) = rows(house, "SELECT locked_until FROM coupons WHERE code = :code", code=code)
    return row.locked_until


def test_ec082_a_locked_coupon_is_refused_without_its_token_and_redeemed_with_it(
    house: House, ann: Caller, code: str
) -> None:
    """S3-031, S3-080: lock, redeem fails, redeem with the token; the row is unchanged meanwhile."""
    locked = lock(ann, code).json
    before = (locked_until(house, code), events(house, code))

    without = act(ann, f"/coupons/redeem/{code}")
    wrong = act(ann, f"/coupons/redeem/{code}", {"lock_token": "0" * 64})
    after = (locked_until(house, code), events(house, code))
    token = {"lock_token": locked["lock_token"]}
    status, _body = end_of(house, ann, act(ann, f"/coupons/redeem/{code}", token))

    for refused in (without, wrong):
        assert (refused.status_code, refused.json["code"]) == (409, "coupon_locked")
        assert refused.json["detail"] == "Cannot redeem LOCKED coupon"
        assert datetime.fromisoformat(refused.json["locked_until"]) == before[0]
    assert after == before == (before[0], ["assigned", "locked"])
    assert (status, state_of(house, code)) == (200, "redeemed")
    assert events(house, code) == ["assigned", "locked", "redeemed"]


def test_ec082_the_token_of_an_earlier_lock_redeems_nothing(
    house: House, ann: Caller, code: str
) -> None:
    """Neither at accept nor when it was accepted and the coupon was locked anew since."""
    first = {"lock_token": lock(ann, code, "a").json["lock_token"]}
    accepted = act(ann, f"/coupons/redeem/{code}", first)
    act(ann, f"/coupons/unlock/{code}")
    second = lock(ann, code, "b").json["lock_token"]

    late = act(ann, f"/coupons/redeem/{code}", first)
    status, body = end_of(house, ann, accepted)

    assert (late.status_code, late.json["code"]) == (409, "coupon_locked")
    assert (status, body["code"]) == (409, "coupon_locked")
    assert state_of(house, code) == "locked"
    with_token = act(ann, f"/coupons/redeem/{code}", {"lock_token": second})
    assert end_of(house, ann, with_token)[0] == 200


def test_ec083_a_second_lock_is_refused_and_does_not_extend_the_first(
    house: House, ann: Caller, code: str
) -> None:
    """S3-033, S3-081: five minutes from the first."""
    first = lock(ann, code, "a").json
    before = (locked_until(house, code), events(house, code))

    second = lock(ann, code, "b")

    assert (second.status_code, second.json["code"]) == (409, "already_locked")
    assert second.json["detail"] == "Already locked"
    assert (locked_until(house, code), events(house, code)) == before
    assert datetime.fromisoformat(first["locked_until"]) == before[0]
    (event,) = rows(house, "SELECT at FROM coupon_events WHERE move = 'locked'")
    assert before[0] - event.at == timedelta(minutes=5)


def test_ec083_the_same_key_shows_the_same_lock(house: House, ann: Caller, code: str) -> None:
    """EC-083: a replay, its time not extended; with another body the key is refused."""
    first = lock(ann, code, "a")

    again = lock(ann, code, "a")
    other = ann.post(f"/coupons/lock/{code}", {"user_id": str(id_of(ann))}, Idempotency_Key="a")

    assert (again.status_code, again.json) == (200, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert events(house, code) == ["assigned", "locked"]


def test_ec083_a_replay_of_an_earlier_lock_does_not_show_the_token_of_a_later_one(
    house: House, ann: Caller, code: str
) -> None:
    first = lock(ann, code, "a").json["lock_token"]
    act(ann, f"/coupons/unlock/{code}")
    second = lock(ann, code, "b").json["lock_token"]

    again = lock(ann, code, "a")

    assert (again.status_code, again.json["lock_token"], again.json["locked_until"]) == (
        200,
        None,
        None,
    )
    assert first != second
    assert events(house, code) == ["assigned", "locked", "unlocked", "locked"]


def test_ec035_unlocking_again_with_the_same_key_does_it_once(
    house: House, ann: Caller, code: str
) -> None:
    """The lock that came after it stands."""
    lock(ann, code, "a")
    path, key = f"/coupons/unlock/{code}", {"Idempotency_Key": "u"}
    first = ann.post(path, {}, **key)
    lock(ann, code, "b")

    again = ann.post(path, {}, **key)

    assert (first.status_code, first.json["state"]) == (200, "assigned")
    assert (again.status_code, again.json["state"]) == (200, "locked")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert events(house, code) == ["assigned", "locked", "unlocked", "locked"]


def test_ec086_after_five_minutes_the_owner_redeems_without_the_token(
    house: House, ann: Caller, code: str
) -> None:
    """EC-086 *clock*: at 4:59 it is locked, at 5:01 it is none; the history says that it ran out."""
    lock(ann, code)
    with in_time(house, ann, minutes=4, seconds=50) as (_then, early):
        refused = act(early, f"/coupons/redeem/{code}")
        shown_early = early.get(f"/coupons/{code}").json["state"]

    with in_time(house, ann, minutes=5, seconds=1) as (then, late):
        shown = late.get(f"/coupons/{code}").json
        status, _body = end_of(then, late, act(late, f"/coupons/redeem/{code}"))

    assert (refused.status_code, shown_early) == (409, "locked")
    assert (shown["state"], shown["locked_until"]) == ("assigned", None)
    assert shown["moves"]["redeem"] == {"code": None, "detail": None}
    assert (status, state_of(house, code)) == (200, "redeemed")
    assert events(house, code) == ["assigned", "locked", "lock_expired", "redeemed"]


def test_ec086_a_redemption_accepted_under_a_lock_that_ran_out_is_done(
    house: House, ann: Caller, code: str
) -> None:
    """The worker came late; the lock was the caller's own."""
    token = {"lock_token": lock(ann, code).json["lock_token"]}
    accepted = act(ann, f"/coupons/redeem/{code}", token)

    with in_time(house, ann, minutes=6) as (then, late):
        status, _body = end_of(then, late, accepted)

    assert (status, state_of(house, code)) == (200, "redeemed")


def test_ec086_nobody_else_unlocks_it_before_or_after(
    app: Flask, house: House, seeded: Seeded, ann: Caller, code: str
) -> None:
    """EC-087: 404; a lock that ran out is no lock to its owner either."""
    bob = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="bob.")
    lock(ann, code)
    before = events(house, code)

    strange = act(bob, f"/coupons/unlock/{code}")
    with in_time(house, bob, minutes=6) as (_then, late):
        later_on = act(late, f"/coupons/unlock/{code}")
    with in_time(house, ann, minutes=6) as (_then, owner):
        own = act(owner, f"/coupons/unlock/{code}")

    assert [strange.status_code, later_on.status_code] == [404, 404]
    assert (own.status_code, own.json["code"]) == (409, "invalid_transition")
    assert (state_of(house, code), events(house, code)) == ("locked", before)


def test_ec086_a_lock_that_ran_out_can_be_taken_anew(house: House, ann: Caller, code: str) -> None:
    """And the first key shows no token of the second lock."""
    first = lock(ann, code, "a").json["lock_token"]

    with in_time(house, ann, minutes=6) as (_then, late):
        second = lock(late, code, "b")
        replay = lock(late, code, "a")

    assert second.status_code == 200
    assert second.json["lock_token"] not in {first, None}
    assert replay.json["lock_token"] is None
    assert events(house, code) == ["assigned", "locked", "lock_expired", "locked"]


def test_ec086_a_duty_tidies_locks_that_ran_out(house: House, seeded: Seeded) -> None:
    """EC-086: those of several books in one pass; what is not over, or in somebody's hands, waits."""
    person = other_person(house, seeded)
    codes = [coupon_in(house, seeded, S.LOCKED, person) for _ in range(3)]

    with later(house, minutes=4) as soon:
        tick(soon)
    early = [state_of(house, code) for code in codes]
    with later(house, minutes=6) as then, in_hand(house, codes[0]):
        tick(then)
    beside = [state_of(house, code) for code in codes]
    with later(house, minutes=8) as at_last:
        tick(at_last)

    assert early == ["locked"] * 3
    assert beside == ["locked", "assigned", "assigned"]
    assert [state_of(house, code) for code in codes] == ["assigned"] * 3
    tidied = "SELECT user_id, actor_id FROM coupon_events WHERE move = 'lock_expired'"
    assert [tuple(row) for row in rows(house, tidied)] == [(person, None)] * 3


def tick(house: House) -> None:
    """The minute's duties are done."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fire_due(session, clock.now(session))
    drain(house)


@contextmanager
def in_hand(house: House, code: str) -> Iterator[None]:
    """While somebody else has the coupon locked in a transaction."""
    with house.sessions.kw["bind"].connect() as connection, connection.begin():
        connection.execute(text("SET LOCAL ROLE largesse_system"))
        connection.execute(
            text("SELECT FROM coupons WHERE code = :code FOR UPDATE"), {"code": code}
        )
        yield


def test_ec086_a_pass_that_is_full_says_that_there_may_be_more(
    house: House, seeded: Seeded
) -> None:
    person = other_person(house, seeded)
    book_id = make_book(house, seeded)
    for code in put_codes(house, seeded, book_id, 3):
        bring(house, seeded, code, S.LOCKED, person)

    with later(house, minutes=6) as then:
        more = []
        for _ in range(2):
            with scoped_transaction(then.sessions, SYSTEM) as session:
                more.append(tidy_locks(session, now=clock.now(session), limit=2))

    assert more == [True, False]
    states = rows(house, "SELECT state, version FROM coupons")
    assert [tuple(row) for row in states] == [("assigned", 3)] * 3


def test_a_coupon_of_a_closed_book_is_not_locked(house: House, ann: Caller, code: str) -> None:
    rows(house, "UPDATE books SET closed_at = now() RETURNING 1")

    refused = lock(ann, code)

    assert (refused.status_code, refused.json["code"]) == (409, "book_closed")
    assert (state_of(house, code), rows(house, "SELECT FROM idempotency_keys")) == ("assigned", [])


def test_a_lock_needs_a_key(house: House, ann: Caller, code: str) -> None:
    for verb in ("lock", "unlock", "redeem"):
        answer = ann.post(f"/coupons/{verb}/{code}", {})
        assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_required")

    assert state_of(house, code) == "assigned"
