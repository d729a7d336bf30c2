"""Codes of sealed books: shown by their end, opened for their holder and for who may (SEC-17)."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.base import new_id
from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import act, end_of, id_of, put_codes, sealed_coupon
from tests.driving import rows
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

OPENED = """
SELECT actor_id, object_id, detail, client_id FROM audit_entries WHERE action = 'coupon.revealed'
"""


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")


def opened(house: House) -> list[Any]:
    return rows(house, OPENED)


def by_staff(caller: Caller, book_id: UUID, coupon_id: UUID) -> Any:
    return caller.post(f"/books/{book_id}/coupons/{coupon_id}/reveal")


def test_sec017_whoever_may_opens_a_code_and_the_audit_says_so(
    house: House, seeded: Seeded, ann: Caller, client_admin: Caller
) -> None:
    """The entry names the coupon, and never its code."""
    code, held = sealed_coupon(house, seeded, id_of(ann))

    answer = by_staff(client_admin, held.book_id, held.id)

    assert (answer.status_code, answer.json) == (200, {"code": code})
    assert answer.headers["Cache-Control"] == "no-store"
    (entry,) = opened(house)
    assert (entry.actor_id, entry.object_id) == (id_of(client_admin), held.id)
    assert (entry.client_id, entry.detail) == (seeded.client_id, {"book_id": str(held.book_id)})


def test_sec004_an_old_proof_opens_no_code(
    house: House, seeded: Seeded, ann: Caller, client_admin: Caller
) -> None:
    _code, held = sealed_coupon(house, seeded, id_of(ann))
    later = "UPDATE sign_ins SET proven_at = now() - interval '301 seconds' RETURNING 1"
    rows(house, later)

    answer = by_staff(client_admin, held.book_id, held.id)

    assert (answer.status_code, answer.json["code"]) == (403, "step_up_required")
    assert opened(house) == []


def test_sec009_who_may_not_opens_no_code(
    app: Flask, house: House, seeded: Seeded, ann: Caller, manager: Caller
) -> None:
    """Not an agency, which opens its clients' cards neither; and no program."""
    _code, held = sealed_coupon(house, seeded, id_of(ann))
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    program = key_caller(app, house, seeded.client_id)

    told = [by_staff(who, held.book_id, held.id) for who in (agency, manager, program)]

    assert [answer.status_code for answer in told] == [403, 403, 403]
    assert opened(house) == []


def test_ec087_a_coupon_of_another_client_or_book_opens_for_nobody(
    app: Flask, house: House, seeded: Seeded, ann: Caller, client_admin: Caller
) -> None:
    _code, held = sealed_coupon(house, seeded, id_of(ann))
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))
    other_book = make_book(house, seeded)

    told = [
        by_staff(stranger, held.book_id, held.id),
        by_staff(client_admin, other_book, held.id),
        by_staff(client_admin, held.book_id, new_id()),
    ]

    assert [answer.status_code for answer in told] == [404, 404, 404]
    assert opened(house) == []


def test_its_holder_opens_it_and_nobody_elses(
    app: Flask, house: House, seeded: Seeded, ann: Caller
) -> None:
    code, held = sealed_coupon(house, seeded, id_of(ann))
    bob = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="bob.")
    path = f"/users/me/coupons/{held.id}/reveal"

    strange = bob.post(path)
    unopened = opened(house)
    own = ann.post(path)

    (shown,) = ann.get("/users/me/coupons").json["data"]
    assert (shown["code"], shown["is_sealed"]) == (f"****{code[-4:]}", True)
    assert (strange.status_code, unopened) == (404, [])
    assert (own.status_code, own.json) == (200, {"code": code})
    assert own.headers["Cache-Control"] == "no-store"
    assert [(entry.actor_id, entry.object_id) for entry in opened(house)] == [(id_of(ann), held.id)]


def test_a_sealed_code_is_shown_by_its_end_wherever_it_is_given_and_redeemed(
    house: House, seeded: Seeded, ann: Caller, manager: Caller
) -> None:
    """The result of the assignment, of the redemption, the coupon and its history."""
    book_id = make_book(house, seeded, seals_codes=True)
    (code,) = put_codes(house, seeded, book_id, 1, seals=True)
    asked = {"book_id": str(book_id), "user_id": str(id_of(ann))}

    given = end_of(house, manager, act(manager, "/coupons/assign", asked))[1]
    shown = [ann.get(f"/coupons/{code}{what}") for what in ("", "/history")]
    locked = act(ann, f"/coupons/lock/{code}")
    token = {"lock_token": locked.json["lock_token"]}
    redeemed = end_of(house, ann, act(ann, f"/coupons/redeem/{code}", token))[1]

    end = f"****{code[-4:]}"
    assert given["result"]["coupon"]["code"] == redeemed["result"]["coupon"]["code"] == end
    assert (shown[0].json["code"], locked.json["coupon"]["code"]) == (end, end)
    assert all(code not in answer.text for answer in (*shown, locked))
    assert code not in str(given) + str(redeemed)
    assert opened(house) == []


def test_a_code_that_is_not_sealed_is_no_secret(
    house: House, seeded: Seeded, ann: Caller, client_admin: Caller
) -> None:
    """It is answered, and nothing was opened."""
    book_id = make_book(house, seeded)
    (code,) = put_codes(house, seeded, book_id, 1)
    (found,) = rows(house, "SELECT id FROM coupons")

    answer = by_staff(client_admin, book_id, found.id)

    assert (answer.json, opened(house)) == ({"code": code}, [])
