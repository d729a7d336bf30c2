"""Claims: one coupon a month for each user of a partner, never one twice (EC-108..112, S0-19..24)."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import act, finish, key, put_codes
from tests.driving import rows
from tests.partnering import Partner, make_partner, visit
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.web.conftest import Caller


@pytest.fixture
def book(house: House, seeded: Seeded) -> UUID:
    return make_book(house, seeded)


@pytest.fixture
def partner(house: House, seeded: Seeded, book: UUID) -> Partner:
    return make_partner(house, seeded, book)


def shown(me: Caller) -> list[str]:
    """The ids of what may be claimed."""
    return [one["id"] for one in me.get("/available-coupons").json["data"]]


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def state(house: House, coupon_id: str) -> str:
    found = rows(house, f"SELECT state FROM coupons WHERE id = '{coupon_id}'")
    return str(found[0].state)


def test_s036_a_claim_gives_the_code_for_good(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    codes = put_codes(house, seeded, book, 3)
    me = visit(app, partner)
    wanted = shown(me)[1]

    answer = me.post("/claims", {"coupon_id": wanted}, **key())

    assert answer.status_code == 201
    assert answer.json["coupon"]["id"] == wanted
    assert answer.json["coupon"]["code"] in codes
    assert answer.json["replayed"] is False
    assert state(house, wanted) == "assigned"
    told = rows(house, "SELECT move, user_id, actor_id FROM coupon_events")
    assert [(row.move, row.user_id == row.actor_id) for row in told] == [("assigned", True)]


def test_s022_the_list_has_coupons_without_codes_and_is_kept_by_nobody(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    codes = put_codes(house, seeded, book, 2)

    answer = visit(app, partner).get("/available-coupons")

    assert len(answer.json["data"]) == 2
    assert not any(code in answer.text for code in codes)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.json["claimed_this_month"] is False


def test_s023_s024_what_is_claimed_is_hidden_from_all_and_the_rest_from_who_claimed(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 3)
    me, other = visit(app, partner), visit(app, partner, "user-2")

    mine = me.post("/claims", {}).json

    after = me.get("/available-coupons").json
    assert (after["data"], after["claimed_this_month"]) == ([], True)
    assert after["coupon"]["code"] == mine["coupon"]["code"]
    assert after["claim"]["id"] == mine["claim"]["id"]
    assert mine["coupon"]["id"] not in shown(other)
    assert len(shown(other)) == 2


@pytest.mark.parametrize(
    "columns",
    [
        {"expires_at": datetime.fromisoformat("2020-01-01T00:00:00+00:00")},
        {"closed_at": datetime.fromisoformat("2020-01-01T00:00:00+00:00")},
    ],
    ids=["expired", "closed"],
)
def test_ec111_a_book_that_is_over_offers_nothing(
    app: Flask, house: House, seeded: Seeded, columns: dict[str, Any]
) -> None:
    over = make_book(house, seeded, **columns)
    put_codes(house, seeded, over, 1)
    me = visit(app, make_partner(house, seeded, over))

    assert shown(me) == []
    assert told(me.post("/claims", {})) == (409, "coupon_unavailable")


def test_ec111_what_a_book_has_given_as_a_whole_or_to_a_person_is_not_offered(
    app: Flask, house: House, seeded: Seeded
) -> None:
    book = make_book(house, seeded, max_assignments=1)
    put_codes(house, seeded, book, 3)
    partner = make_partner(house, seeded, book)
    assert visit(app, partner, "first").post("/claims", {}).status_code == 201

    second = visit(app, partner, "second")

    assert shown(second) == []
    assert told(second.post("/claims", {})) == (409, "coupon_unavailable")


def test_ec111_a_claim_from_an_old_list_is_given_the_next_or_told_what_there_is(
    app: Flask, house: House, seeded: Seeded, partner: Partner, book: UUID
) -> None:
    put_codes(house, seeded, book, 2)
    me, other = visit(app, partner), visit(app, partner, "user-2")
    gone = shown(me)[0]
    assert other.post("/claims", {"coupon_id": gone}).status_code == 201

    answer = me.post("/claims", {"coupon_id": gone})

    assert answer.status_code == 201
    assert answer.json["coupon"]["id"] != gone


@pytest.mark.parametrize("wanted", ["another's", "nobody's"])
def test_ec111_a_coupon_of_nobody_or_of_another_partner_has_the_same_answer(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner, wanted: str
) -> None:
    put_codes(house, seeded, book, 1)
    foreign = make_book(house, seeded)
    put_codes(house, seeded, foreign, 1)
    (theirs,) = shown(visit(app, make_partner(house, seeded, foreign, name="Other")))
    me = visit(app, partner)

    answer = me.post("/claims", {"coupon_id": theirs if wanted == "another's" else str(uuid4())})

    assert told(answer) == (409, "coupon_unavailable")
    assert [one["id"] for one in answer.json["available"]] == shown(me)
    assert state(house, theirs) == "unassigned"


def test_s019_a_claimed_coupon_that_came_back_is_never_claimed_again(
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner, manager: Caller
) -> None:
    put_codes(house, seeded, book, 1)
    me = visit(app, partner)
    code = me.post("/claims", {}).json["coupon"]["code"]
    back = act(manager, f"/coupons/{code}/release", {"reason": "a mistake"})
    assert back.status_code == 200, back.text
    other = visit(app, partner, "user-2")

    assert shown(other) == []
    assert told(other.post("/claims", {})) == (409, "coupon_unavailable")
    # It is theirs no more, whoever has it next.
    mine = me.get("/available-coupons").json["coupon"]
    assert (mine["code"], mine["state"]) == (None, "withdrawn")


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
    app: Flask, house: House, seeded: Seeded, book: UUID, partner: Partner
) -> None:
    put_codes(house, seeded, book, 1)
    me = visit(app, partner)
    code = me.post("/claims", {}).json["coupon"]["code"]
    shop = key_caller(app, house, seeded.client_id)

    accepted = act(shop, f"/coupons/redeem/{code}")

    assert accepted.status_code == 202, accepted.text
    finish(house)
    assert me.get("/available-coupons").json["coupon"]["state"] == "redeemed"
