"""Where somebody is signed in: listed, ended one by one, ended by those above (S1-102, SEC-01)."""

from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import PASSWORD, Caller, signed_in


def sign_in_again(browser: FlaskClient, seeded: Seeded) -> Caller:
    answer = browser.post(
        "/api/v1/auth/login",
        json={"email": f"client_admin.{seeded.client_id}@x.example", "password": PASSWORD},
        headers={"User-Agent": "shop/1.0"},
        environ_base={"REMOTE_ADDR": "203.0.113.9"},
    )
    return Caller(browser, {"Authorization": f"Bearer {answer.json['access_token']}"})


def test_the_list_tells_each_place_and_which_is_this_one(
    client_admin: Caller, browser: FlaskClient, seeded: Seeded
):
    shop = sign_in_again(browser, seeded)

    places = shop.get("/auth/sessions").json["data"]

    assert [place["current"] for place in places] == [True, False]
    assert places[0]["network"] == "203.0.113.0/24"
    assert places[0]["user_agent"] == "shop/1.0"
    assert places[0]["kind"] == "refresh"
    assert len(client_admin.get("/auth/sessions").json["data"]) == 2


def test_one_place_is_ended_at_once_and_the_others_stay(
    client_admin: Caller, browser: FlaskClient, seeded: Seeded
):
    shop = sign_in_again(browser, seeded)
    there = next(
        p["id"] for p in client_admin.get("/auth/sessions").json["data"] if not p["current"]
    )

    assert client_admin.call("DELETE", f"/auth/sessions/{there}").status_code == 204

    assert shop.get("/auth/me").status_code == 401
    assert len(client_admin.get("/auth/sessions").json["data"]) == 1


def test_nobody_ends_anothers_and_cannot_tell_it_from_none(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded
):
    other = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    theirs = other.get("/auth/sessions").json["data"][0]["id"]

    answers = [
        client_admin.call("DELETE", f"/auth/sessions/{identity}") for identity in (theirs, uuid4())
    ]

    bodies = [{**answer.json, "request_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert bodies[0] == bodies[1]
    assert other.get("/auth/me").status_code == 200


def test_all_others_are_ended_and_this_one_stays(
    client_admin: Caller, browser: FlaskClient, seeded: Seeded
):
    shop = sign_in_again(browser, seeded)

    assert client_admin.call("DELETE", "/auth/sessions").status_code == 204

    assert client_admin.get("/auth/me").status_code == 200
    assert shop.get("/auth/me").status_code == 401


def test_those_above_sign_a_person_out_everywhere(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded
):
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    identity = viewer.get("/auth/me").json["id"]

    assert client_admin.post(f"/users/{identity}/sign-out").status_code == 204

    assert viewer.get("/auth/me").status_code == 401
    (entry,) = rows(house, "SELECT client_id FROM audit_entries WHERE action = 'user.signed_out'")
    assert entry.client_id == seeded.client_id
