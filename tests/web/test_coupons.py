"""Coupons over HTTP: the notes' rows, word by word, and everybody else's coupon (S3-028..047)."""

from uuid import UUID

import pytest
from flask import Flask

from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.couponing import act, coupon_in, end_of, events, state_of
from tests.seeding import Seeded
from tests.web.conftest import Caller, make_user, signed_in

S = CouponState


@pytest.fixture
def alice_id(house: House, seeded: Seeded, app: Flask) -> UUID:
    return make_user(house, f"alice.{seeded.client_id}@x.example", Role.CLIENT_VIEWER, seeded)


@pytest.fixture
def holder(app: Flask, house: House, seeded: Seeded) -> tuple[Caller, UUID]:
    """A person of the client who is signed in."""
    caller = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="holder.")
    return caller, UUID(caller.get("/auth/me").get_json()["id"])


#: State, verb -> status, code, words of the notes; None: it is done.
ROWS: dict[tuple[CouponState, str], tuple[int, str, str] | None] = {
    (S.ASSIGNED, "redeem"): None,
    (S.ASSIGNED, "lock"): None,
    (S.ASSIGNED, "unlock"): (409, "invalid_transition", "Invalid transition"),
    (S.LOCKED, "redeem"): (409, "coupon_locked", "Cannot redeem LOCKED coupon"),
    (S.LOCKED, "lock"): (409, "already_locked", "Already locked"),
    (S.LOCKED, "unlock"): None,
    (S.REDEEMED, "redeem"): (409, "terminal_state", "Terminal state"),
    (S.REDEEMED, "lock"): (409, "invalid_transition", "Invalid transition"),
    (S.REDEEMED, "unlock"): (409, "terminal_state", "Terminal state"),
}


@pytest.mark.parametrize(("state", "verb"), ROWS)
def test_ec084_each_move_of_a_holder_is_done_or_refused_in_the_notes_words(
    house: House,
    seeded: Seeded,
    holder: tuple[Caller, UUID],
    state: CouponState,
    verb: str,
) -> None:
    """S3-029..035, EC-082..084: the state is what it was, unless the move is legal."""
    caller, person = holder
    code = coupon_in(house, seeded, state, person)
    before = events(house, code)

    status, body = end_of(house, caller, act(caller, f"/coupons/{verb}/{code}"))

    expected = ROWS[state, verb]
    if expected is None:
        after = {"redeem": S.REDEEMED, "lock": S.LOCKED, "unlock": S.ASSIGNED}[verb]
        assert (status, state_of(house, code)) == (200, after)
        assert len(events(house, code)) == len(before) + 1
    else:
        assert (status, body["code"]) == expected[:2]
        assert body["detail"].startswith(expected[2])
        assert (state_of(house, code), events(house, code)) == (state, before)
