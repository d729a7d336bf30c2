"""Coupons over HTTP: every verb in every state, in the notes' words (S3-028..047, EC-084)."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.base import new_id
from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.couponing import act, coupon_in, end_of, events, id_of, state_of
from tests.driving import rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

S = CouponState

_NOT_HELD = {
    "redeem": ("invalid_transition", "Invalid transition: a coupon that is unassigned"),
    "lock": ("invalid_transition", "Invalid transition: a coupon that is unassigned"),
    "unlock": ("invalid_transition", "Invalid transition: a coupon that is unassigned"),
    "release": ("invalid_transition", "Invalid transition: a coupon that is unassigned"),
}
_REDEEMED = dict.fromkeys(("redeem", "unlock", "assign"), ("terminal_state", "Terminal state"))
_VOID = ("coupon_void", "The coupon was withdrawn and is worth nothing.")
VERBS = ("assign", "lock", "unlock", "redeem", "release", "void")
#: State, verb -> the new state, or the code and the words of the notes: all of them 409.
TABLE: dict[CouponState, dict[str, CouponState | tuple[str, str]]] = {
    S.UNASSIGNED: {"assign": S.ASSIGNED, **_NOT_HELD, "void": S.VOID},
    S.ASSIGNED: {
        "assign": ("coupon_not_available", "Coupon not available"),
        "lock": S.LOCKED,
        "unlock": ("invalid_transition", "Invalid transition: a coupon that is assigned"),
        "redeem": S.REDEEMED,
        "release": S.UNASSIGNED,
        "void": S.VOID,
    },
    S.LOCKED: {
        "assign": ("coupon_not_available", "Coupon not available"),
        "lock": ("already_locked", "Already locked"),
        "unlock": S.ASSIGNED,
        "redeem": ("coupon_locked", "Cannot redeem LOCKED coupon"),
        "release": ("coupon_locked", "Cannot release LOCKED coupon"),
        "void": S.VOID,
    },
    S.REDEEMED: {
        **_REDEEMED,
        "lock": ("invalid_transition", "Invalid transition: a coupon that is redeemed"),
        "release": ("terminal_state", "Terminal state"),
        "void": ("terminal_state", "Terminal state"),
    },
    S.VOID: dict.fromkeys(VERBS, _VOID),
}
#: What stands in the history of each move.
TOLD = {
    "assign": "assigned",
    "lock": "locked",
    "unlock": "unlocked",
    "redeem": "redeemed",
    "release": "released",
    "void": "voided",
}
CASES = [(state, verb) for state in S for verb in VERBS]


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Caller:
    """A person of the client who holds coupons."""
    return signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")


@pytest.fixture
def program(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


def path_of(verb: str, code: str) -> str:
    return f"/coupons/{code}/{verb}" if verb in {"release", "void"} else f"/coupons/{verb}/{code}"


def tried(caller: Caller, verb: str, code: str, person: UUID) -> Any:
    return act(caller, path_of(verb, code), {"user_id": str(person)} if verb == "assign" else {})


@pytest.mark.parametrize(("state", "verb"), CASES)
def test_ec084_each_verb_in_each_state_is_done_or_refused_in_its_words(
    house: House,
    seeded: Seeded,
    ann: Caller,
    manager: Caller,
    program: Caller,
    state: CouponState,
    verb: str,
) -> None:
    """S3-029..036, EC-082..084: what is refused changes nothing, and `moves` foretold it."""
    person = id_of(ann)
    code = coupon_in(house, seeded, state, person)
    before = events(house, code)
    foretold = manager.get(f"/coupons/{code}").json["moves"][verb]
    by_whom = manager if verb in {"assign", "release", "void"} else program

    status, body = end_of(house, by_whom, tried(by_whom, verb, code, person))

    expected = TABLE[state][verb]
    if isinstance(expected, CouponState):
        assert (status, state_of(house, code)) == (200, expected)
        assert events(house, code) == [*before, TOLD[verb]]
        assert foretold == {"code": None, "detail": None}
    else:
        assert (status, body["code"]) == (409, expected[0])
        assert body["detail"].startswith(expected[1])
        assert (state_of(house, code), events(house, code)) == (state, before)
        assert foretold == {"code": body["code"], "detail": body["detail"]}
        assert rows(house, "SELECT FROM open_redemptions") == []


@pytest.mark.parametrize(
    ("state", "verb"),
    [(state, verb) for state, verb in CASES if state in {S.ASSIGNED, S.LOCKED, S.REDEEMED}],
)
def test_s3_028_a_holder_is_told_the_same_of_their_own_coupon(
    house: House, seeded: Seeded, ann: Caller, state: CouponState, verb: str
) -> None:
    """S3-029..035: redeem, lock and unlock are theirs; the rest is not their right."""
    code = coupon_in(house, seeded, state, id_of(ann))
    before = events(house, code)

    status, body = end_of(house, ann, tried(ann, verb, code, id_of(ann)))

    expected = TABLE[state][verb]
    if verb in {"assign", "release", "void"}:
        assert (status, body["code"]) == (403, "forbidden")
        assert (state_of(house, code), events(house, code)) == (state, before)
    elif isinstance(expected, CouponState):
        assert (status, state_of(house, code)) == (200, expected)
    else:
        assert (status, body["code"]) == (409, expected[0])
        assert (state_of(house, code), events(house, code)) == (state, before)


def test_s3_080_the_second_scenario_of_the_notes(house: House, seeded: Seeded, ann: Caller) -> None:
    """S3-080: lock, redeem fails, unlock, redeem succeeds."""
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))

    told = [
        end_of(house, ann, act(ann, f"/coupons/{verb}/{code}"))[0]
        for verb in ("lock", "redeem", "unlock", "redeem")
    ]

    assert told == [200, 409, 200, 200]
    assert events(house, code) == ["assigned", "locked", "unlocked", "redeemed"]


def test_s3_123_the_history_tells_who_did_what_page_by_page(
    house: House, seeded: Seeded, ann: Caller, manager: Caller
) -> None:
    """S1-015, S3-014: released with a reason, given again, redeemed."""
    person, by = str(id_of(ann)), str(id_of(manager))
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    act(manager, f"/coupons/{code}/release", {"reason": "wrong person"})
    end_of(house, manager, act(manager, f"/coupons/assign/{code}", {"user_id": person}))
    redeemed = end_of(house, ann, act(ann, f"/coupons/redeem/{code}"))[1]

    first = ann.get(f"/coupons/{code}/history?limit=3").json
    last = ann.get(f"/coupons/{code}/history?limit=3&cursor={first['next_cursor']}").json

    told = [*first["data"], *last["data"]]
    assert [(event["number"], event["move"]) for event in told] == [
        (1, "assigned"),
        (2, "released"),
        (3, "assigned"),
        (4, "redeemed"),
    ]
    assert (first["has_more"], last["has_more"], last["next_cursor"]) == (True, False, None)
    assert (told[1]["actor_id"], told[1]["reason"], told[1]["user_id"]) == (
        by,
        "wrong person",
        person,
    )
    assert (told[3]["job_id"], told[3]["actor_id"]) == (redeemed["id"], person)


def test_a_released_coupon_comes_back_into_the_deck_and_its_holder_may_get_another(
    house: House, seeded: Seeded, ann: Caller, manager: Caller
) -> None:
    """The audit log says who took it back."""
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))

    released = act(manager, f"/coupons/{code}/release", {"reason": "returned"})

    assert (released.status_code, released.json["state"]) == (200, "unassigned")
    assert (released.json["user_id"], ann.get("/users/me/coupons").json["data"]) == (None, [])
    (entry,) = rows(
        house,
        "SELECT actor_id, detail FROM audit_entries WHERE action = 'coupon.released'",
    )
    assert (entry.actor_id, entry.detail["reason"]) == (id_of(manager), "returned")


@pytest.mark.parametrize("verb", ["release", "void"])
def test_ec035_taking_back_again_with_the_same_key_does_it_once(
    house: House, seeded: Seeded, ann: Caller, manager: Caller, verb: str
) -> None:
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    path, key = f"/coupons/{code}/{verb}", {"Idempotency_Key": "once"}
    first = manager.post(path, {"reason": "a"}, **key)

    again = manager.post(path, {"reason": "a"}, **key)
    other = manager.post(path, {"reason": "b"}, **key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json["state"] == first.json["state"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert events(house, code) == ["assigned", TOLD[verb]]


def test_ec024_every_spelling_of_a_code_is_one_code(
    house: House, seeded: Seeded, ann: Caller
) -> None:
    """Small letters and blanks around it; what is no code is not found."""
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))

    found = [
        ann.get(f"/coupons/{text}") for text in (code.lower(), f"%20{code}%20", f"{code}%EF%BC%A1")
    ]
    strange = [
        ann.get(f"/coupons/{text}").status_code for text in ("%00", "a_b_c", "x" * 200, "É" * 8)
    ]

    assert [answer.status_code for answer in found] == [200, 200, 404]
    assert strange == [404] * 4


def test_ec087_a_coupon_of_another_client_is_none_to_a_manager(
    house: House, seeded: Seeded, ann: Caller, app: Flask
) -> None:
    """EC-087: for whoever runs books of another tenant, by every verb."""
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    own = {"client_id": str(seeded.client_id)}

    answers = [tried(stranger, verb, code, new_id()).status_code for verb in VERBS]
    named = [act(stranger, path_of(verb, code), own).status_code for verb in ("release", "void")]

    assert (answers, named) == ([404] * 6, [404, 404])
    assert (state_of(house, code), events(house, code)) == ("assigned", ["assigned"])
