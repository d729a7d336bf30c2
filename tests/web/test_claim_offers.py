"""From which offers a claim takes its coupon, and who is given none; whose codes are told to whom (S0-22)."""

from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import act, finish, put_codes
from tests.driving import rows
from tests.partnering import Partner, make_partner, shown, told, visit
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.web.conftest import Caller


@pytest.fixture
def book(house: House, seeded: Seeded) -> UUID:
    return make_book(house, seeded)


@pytest.fixture
def partner(house: House, seeded: Seeded, book: UUID) -> Partner:
    return make_partner(house, seeded, book)


def test_a_claim_of_an_offer_takes_a_coupon_of_its_book(
    app: Flask, house: House, seeded: Seeded
) -> None:
    books = [make_book(house, seeded) for _ in range(2)]
    for one in books:
        put_codes(house, seeded, one, 1)
    me = visit(app, make_partner(house, seeded, *books))
    second = me.get("/available-coupons").json["data"][1]["offer"]["id"]

    answer = me.post("/claims", {"offer_id": second})

    assert answer.json["coupon"]["book_id"] == str(books[1])
    assert answer.json["coupon"]["title"] == "Offer 2"


def test_without_a_wish_the_first_offer_that_has_coupons_gives_one(
    app: Flask, house: House, seeded: Seeded
) -> None:
    books = [make_book(house, seeded) for _ in range(2)]
    put_codes(house, seeded, books[1], 1)
    me = visit(app, make_partner(house, seeded, *books))

    assert me.post("/claims", {}).json["coupon"]["title"] == "Offer 2"


def test_the_list_goes_on_page_by_page_through_all_offers(
    app: Flask, house: House, seeded: Seeded
) -> None:
    books = [make_book(house, seeded) for _ in range(3)]
    for one in books:
        put_codes(house, seeded, one, 3)
    me = visit(app, make_partner(house, seeded, *books))
    found: list[str] = []
    cursor = ""
    while True:
        page = me.get(f"/available-coupons?limit=2{cursor}").json
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert len(found) == len(set(found)) == 9
    assert found == shown(me)


def test_sec017_the_code_of_a_sealed_book_is_told_to_its_claimant_and_each_time_audited(
    app: Flask, house: House, seeded: Seeded, client_admin: Caller
) -> None:
    book = make_book(house, seeded, seals_codes=True)
    (code,) = put_codes(house, seeded, book, 1, seals=True)
    partner = make_partner(house, seeded, book)
    me = visit(app, partner)

    assert me.post("/claims", {}).json["coupon"]["code"] == code
    assert me.get("/claims").json["data"][0]["coupon"]["code"] == code
    entries = rows(house, "SELECT actor_role FROM audit_entries WHERE action = 'coupon.revealed'")
    assert [entry.actor_role for entry in entries] == ["partner_session"] * 2
    managed = client_admin.get(f"/vendors/{partner.id}/claims").json["data"]
    assert managed[0]["code"] == f"****{code[-4:]}"
    assert managed[0]["external_id"] == "user-1"


def test_a_suspended_client_gives_nothing(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 1)
    me = visit(app, partner)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE clients SET suspended_at = now()"))

    assert shown(me) == []
    assert told(me.post("/claims", {})) == (403, "account_suspended")


def test_somebody_who_was_disabled_claims_nothing(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 1)
    me = visit(app, partner)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(text("UPDATE client_users SET disabled_at = now() WHERE email IS NULL"))

    assert shown(me) == []
    assert told(me.post("/claims", {})) == (409, "recipient_inactive")


def test_of_one_partner_nobody_sees_what_was_claimed_at_another(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 2)
    assert visit(app, partner).post("/claims", {}).status_code == 201
    other = visit(app, make_partner(house, seeded, book, name="Other"))

    assert other.get("/claims").json["data"] == []
    assert other.get("/available-coupons").json["claimed_this_month"] is False


def test_a_claimed_coupon_is_redeemed_by_the_clients_shop_and_the_claimant_sees_it(
    app: Flask, house: House, seeded: Seeded
) -> None:
    book = make_book(house, seeded)
    put_codes(house, seeded, book, 1)
    me = visit(app, make_partner(house, seeded, book))
    code = me.post("/claims", {}).json["coupon"]["code"]
    shop = key_caller(app, house, seeded.client_id)

    accepted = act(shop, f"/coupons/redeem/{code}")

    assert accepted.status_code == 202, accepted.text
    finish(house)
    assert me.get("/available-coupons").json["coupon"]["state"] == "redeemed"
