"""Visits of partners' users: when they end, and where alone they are good for something (EC-113, EC-114)."""

import pytest
from flask import Flask

from pipelines.wiring import House
from tests.later import later
from tests.partnering import SITE, Partner, make_partner, present, told, visit
from tests.seeding import Seeded
from tests.web.conftest import Caller
from web.app import create_app


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    return make_partner(house, seeded)


def test_ec113_a_session_is_over_after_seven_days(
    house: House, app: Flask, partner: Partner
) -> None:
    me = visit(app, partner)

    with later(house, days=6, hours=23) as then:
        still = Caller(create_app(then).test_client(), me.headers)
        assert still.get("/available-coupons").status_code == 200
    with later(house, days=7, minutes=1) as then:
        over = Caller(create_app(then).test_client(), me.headers)
        assert told(over.get("/available-coupons")) == (401, "session_expired")


@pytest.mark.parametrize("bearer", ["", "Bearer ", "Bearer lgw_no", f"Bearer lgw_{'a' * 43}"])
def test_ec113_no_other_credential_is_a_visit(app: Flask, bearer: str) -> None:
    headers = {"Authorization": bearer} if bearer else {}

    answers = [
        Caller(app.test_client(), headers).get("/available-coupons"),
        Caller(app.test_client(), headers).post("/claims", {}),
    ]

    assert [told(answer) for answer in answers] == [(401, "session_expired")] * 2


def test_ec113_a_visit_is_no_credential_anywhere_else(
    app: Flask, partner: Partner, manager: Caller
) -> None:
    me = visit(app, partner)

    for path in ("/vendors", f"/vendors/{partner.id}", "/books", "/users/me/coupons", "/auth/me"):
        assert told(me.get(path)) == (401, "unauthenticated")
    assert told(Caller(app.test_client(), manager.headers).get("/claims")) == (
        401,
        "session_expired",
    )


def test_ec114_a_session_is_bound_to_the_site_it_was_opened_for(
    app: Flask, house: House, seeded: Seeded
) -> None:
    other = "https://other.example"
    partner = make_partner(house, seeded, origins=[SITE, other])
    me = visit(app, partner, Origin=SITE)
    bearer = {"Authorization": me.headers["Authorization"]}

    assert me.get("/available-coupons").status_code == 200
    for headers in ({"Origin": other}, {"Origin": "null"}, {}):
        elsewhere = Caller(app.test_client(), bearer | headers)
        assert told(elsewhere.get("/available-coupons")) == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    "origin",
    ["https://shop.example.evil.io", "null", "http://shop.example", "https://SHOP.example", "*"],
)
def test_ec114_another_site_opens_no_session_with_a_good_token(
    app: Flask, house: House, partner: Partner, origin: str
) -> None:
    token = partner.token()

    assert told(present(app, token, Origin=origin)) == (403, "origin_not_allowed")
    around = Caller(app.test_client()).post(
        "/session-from-token", {"token": token, "host_origin": origin}
    )
    assert told(around) == (403, "origin_not_allowed")
    # It was not spent by that.
    assert present(app, token, Origin=SITE).status_code == 201


def test_ec114_a_frame_loses_its_session_with_the_site_around_it(
    app: Flask, house: House, seeded: Seeded, partner: Partner, client_admin: Caller
) -> None:
    own = {"Origin": "http://localhost"}
    answer = Caller(app.test_client(), own).post(
        "/session-from-token", {"token": partner.token(), "host_origin": SITE}
    )
    bearer = {"Authorization": f"Bearer {answer.json['session_token']}"}
    frame = Caller(app.test_client(), bearer)
    assert frame.get("/available-coupons").status_code == 200
    assert Caller(app.test_client(), bearer | own).get("/claims").status_code == 200

    changed = client_admin.call("PATCH", f"/vendors/{partner.id}", {"origins": []})

    assert changed.status_code == 200
    assert told(frame.get("/available-coupons")) == (403, "origin_not_allowed")


def test_a_disabled_partner_loses_its_sessions_for_good(
    app: Flask, partner: Partner, client_admin: Caller
) -> None:
    me = visit(app, partner)

    for state in ("disabled", "active"):
        changed = client_admin.call("PATCH", f"/vendors/{partner.id}", {"state": state})
        assert changed.json["state"] == state
        assert told(me.get("/available-coupons")) == (401, "session_expired")
    assert present(app, partner.token()).status_code == 201
