"""A person whom a partner alone names is forgotten; what was claimed stays, and is nobody's (EC-041)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.conftest import Database
from tests.couponing import key, put_codes
from tests.driving import drain, rows
from tests.partnering import Partner, make_partner, present, visit
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.test_erasures import ask, dump, fetch

REASON = {"reason": "asked by letter"}
SHOPPER = "Shopper-Q7x4711"


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    book = make_book(house, seeded)
    put_codes(house, seeded, book, 2)
    return make_partner(house, seeded, book)


def claimant(client_admin: Caller, partner: Partner) -> str:
    """Who claimed there, as the partner's managers find them by the partner's id."""
    found = client_admin.get(f"/vendors/{partner.id}/claims?external_id={SHOPPER}").json["data"]
    return str(found[0]["user_id"])


def test_ec041_of_a_partner_s_user_nothing_is_left_but_what_was_claimed(
    app: Flask, house: House, database: Database, client_admin: Caller, partner: Partner
) -> None:
    me = visit(app, partner, SHOPPER)
    assert me.post("/claims", {}, **key()).status_code == 201
    user_id = claimant(client_admin, partner)
    before = rows(house, "SELECT * FROM claims"), rows(house, "SELECT * FROM coupons")

    asked = ask(client_admin, REASON | {"user_id": user_id})
    drain(house)

    told = fetch(client_admin, asked["id"])
    assert (told["state"], told["erased"]["users"]) == ("finished", 1)
    assert SHOPPER.lower() not in dump(database)
    assert rows(house, "SELECT 1 FROM partner_users") == []
    answer = me.get("/claims")
    assert (answer.status_code, answer.json["code"]) == (401, "session_expired")
    after = rows(house, "SELECT * FROM claims"), rows(house, "SELECT * FROM coupons")
    assert after == before
    (managed,) = client_admin.get(f"/vendors/{partner.id}/claims").json["data"]
    assert (managed["external_id"], managed["user_id"]) == (None, user_id)
    assert_proven(house)


def test_ec041_whoever_comes_again_is_somebody_new(
    app: Flask, house: House, client_admin: Caller, partner: Partner
) -> None:
    assert visit(app, partner, SHOPPER).post("/claims", {}, **key()).status_code == 201
    user_id = claimant(client_admin, partner)
    ask(client_admin, REASON | {"user_id": user_id})
    drain(house)

    again = present(app, partner.token(SHOPPER)).json

    assert again["user_id"] != user_id
    me = Caller(app.test_client(), {"Authorization": f"Bearer {again['session_token']}"})
    assert me.get("/claims").json["data"] == []
    assert_proven(house)


def test_ec041_another_client_s_request_leaves_them_alone(
    app: Flask, house: House, client_admin: Caller, partner: Partner
) -> None:
    me = visit(app, partner, SHOPPER)
    assert me.post("/claims", {}, **key()).status_code == 201
    user_id = claimant(client_admin, partner)
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))

    answer = stranger.post("/erasures", REASON | {"user_id": user_id}, Idempotency_Key="k")
    drain(house)

    assert answer.status_code in {202, 404, 422}
    assert me.get("/claims").status_code == 200
    assert [row.external_id for row in rows(house, "SELECT external_id FROM partner_users")] == [
        SHOPPER
    ]
