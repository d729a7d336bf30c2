"""People are found by address, listed by what is wanted, and say their own name (S1-026, S1-027)."""

from datetime import datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.access.permissions import GRANTS
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import PASSWORD, Caller, make_user, signed_in

LIST = "/auth/admin/users"


@pytest.fixture
def stranger(house: House) -> Seeded:
    return seed(house, vendor=False)


def emails(caller: Caller, query: str) -> list[str]:
    return [user["email"] for user in caller.get(f"{LIST}?{query}").json["data"]]


@pytest.mark.parametrize("typed", ["max@example.com", "MAX@Example.COM", "%EF%BC%ADax@example.com"])
def test_a_person_is_found_by_the_whole_address(
    house: House, client_admin: Caller, seeded: Seeded, typed: str
):
    """S3-129: however the address is spelt."""
    user_id = make_user(house, "Max@example.com", Role.CLIENT_VIEWER, seeded)

    answer = client_admin.get(f"/users/search/by-email?email={typed}")

    assert (answer.status_code, answer.json["id"]) == (200, str(user_id))
    assert "password" not in answer.text


def test_sec010_a_strangers_address_is_like_nobodys(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded, stranger: Seeded
):
    make_user(house, "theirs@example.com", Role.CLIENT_VIEWER, stranger)
    make_user(house, "above@example.com", Role.AGENCY_VIEWER, seeded)
    make_user(house, "top@example.com", Role.PLATFORM_SUPPORT)
    agency_admin = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    def told(caller: Caller, name: str) -> dict[str, object]:
        answer = caller.get(f"/users/search/by-email?email={name}@example.com")
        return {**answer.json, "request_id": ""}

    nobody = told(client_admin, "nobody")
    assert (nobody["status"], nobody["code"]) == (404, "user_not_found")
    assert nobody["detail"] == "User not found"
    assert [told(client_admin, name) for name in ("theirs", "above", "top")] == [nobody] * 3
    assert [told(agency_admin, name) for name in ("theirs", "top")] == [nobody] * 2
    assert told(agency_admin, "above")["email"] == "above@example.com"


def test_s3_044_whom_a_client_knows_is_found_as_it_knows_them(
    app: Flask, house: House, client_admin: Caller, seeded: Seeded, stranger: Seeded
):
    """S3-044, S3-045, S3-129: from address to id, and nothing of what they are to others."""
    user_id = make_user(house, "max@example.com", Role.CLIENT_ADMIN, stranger)
    path = "/users/search/by-email?email=MAX@example.com"
    unknown = client_admin.get(path)
    pool = client_admin.post("/pools", {"name": "Beta Testers"}).json["id"]
    body = {"emails": ["Max@example.com"], "create_missing": True}
    client_admin.post(f"/pools/{pool}/users", body)

    found = client_admin.get(path)
    above = signed_in(app, house, Role.AGENCY_ADMIN, seeded).get(path)

    assert (unknown.status_code, unknown.json["detail"]) == (404, "User not found")
    assert {**found.json, "created_at": None} == {
        "id": str(user_id),
        "email": "Max@example.com",
        "name": "",
        "role": "end_user",
        "agency_id": None,
        "client_id": None,
        "disabled": False,
        "created_at": None,
        "last_sign_in_at": None,
        "rests_until": None,
    }
    assert above.json["id"] == str(user_id)
    assert client_admin.get(f"/users/{user_id}").status_code == 404


@pytest.mark.parametrize("query", ["", "email=", "email=no%20address"])
def test_what_is_no_address_is_refused(client_admin: Caller, query: str):
    answer = client_admin.get(f"/users/search/by-email?{query}")

    assert answer.status_code == 422


def test_a_list_is_narrowed_by_role_state_and_words(
    house: House, client_admin: Caller, seeded: Seeded
):
    make_user(house, "max@example.com", Role.CAMPAIGN_MANAGER, seeded)
    viewer = make_user(house, "vera@example.com", Role.CLIENT_VIEWER, seeded)
    make_user(house, "end@example.com", Role.END_USER, seeded)
    client_admin.call("PATCH", f"/users/{viewer}", {"disabled": True, "name": "Vera O'Hara 100%"})
    own = client_admin.get("/auth/me").json["email"]

    assert emails(client_admin, "") == ["vera@example.com", "max@example.com", own]
    assert emails(client_admin, "role=campaign_manager") == ["max@example.com"]
    assert emails(client_admin, "disabled=true") == ["vera@example.com"]
    assert emails(client_admin, "disabled=false") == ["max@example.com", own]
    assert emails(client_admin, "q=o%27HARA") == ["vera@example.com"]
    assert emails(client_admin, "q=100%25") == ["vera@example.com"]
    assert emails(client_admin, "q=m%25x") == [], "a percent sign is only a percent sign"
    assert emails(client_admin, "q=max%40&role=client_viewer") == []
    assert emails(client_admin, "role=end_user") == ["end@example.com"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("role=king", "choice"),
        ("role=storefront_key", "choice"),
        ("disabled=maybe", "type"),
        ("q=", "required"),
        ("colour=red", "unknown_field"),
    ],
)
def test_a_filter_that_is_none_is_refused(client_admin: Caller, query: str, code: str):
    answer = client_admin.get(f"{LIST}?{query}")

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, code)


def test_end_users_are_not_looked_through(client_admin: Caller):
    answer = client_admin.get(f"{LIST}?role=end_user&q=ann")

    assert (answer.status_code, answer.json["code"]) == (422, "search_by_address")


def test_a_person_says_by_what_name_they_are_called_and_nothing_else(
    app: Flask, house: House, seeded: Seeded, stranger: Seeded
):
    """S1-027: everybody, also who manages nobody."""
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    make_user(house, "other@example.com", Role.CLIENT_VIEWER, stranger)

    changed = viewer.call("PATCH", "/users/me", {"name": "Vera"})
    refused = [
        viewer.call("PATCH", "/users/me", body)
        for body in ({"role": "client_admin"}, {"name": "x", "disabled": False}, {}, {"name": " "})
    ]

    assert (changed.status_code, changed.json["name"]) == (200, "Vera")
    assert viewer.get("/auth/me").json["name"] == "Vera"
    assert [answer.status_code for answer in refused] == [422] * 4
    assert rows(house, "SELECT count(*) FROM users WHERE name <> ''") == [(1,)]
    (told,) = rows(house, "SELECT * FROM audit_entries WHERE action = 'user.changed'")
    assert (told.detail, told.actor_id) == ({"name": "changed"}, told.object_id)


def test_the_last_sign_in_is_told(
    app: Flask, house: House, browser: FlaskClient, client_admin: Caller, seeded: Seeded
):
    user_id = make_user(house, "max@example.com", Role.CLIENT_VIEWER, seeded)

    never = client_admin.get(f"/users/{user_id}").json["last_sign_in_at"]
    browser.post("/api/v1/auth/login", json={"email": "max@example.com", "password": PASSWORD})
    (opened,) = rows(house, "SELECT created_at FROM sign_ins WHERE user_id = :u", u=user_id)
    once = client_admin.get(f"/users/{user_id}").json["last_sign_in_at"]

    assert (never, datetime.fromisoformat(once)) == (None, opened.created_at)


def test_a_reason_is_kept_in_the_audit_log(house: House, client_admin: Caller, seeded: Seeded):
    user_id = make_user(house, "max@example.com", Role.CLIENT_VIEWER, seeded)

    body = {"disabled": True, "reason": "left the company"}
    client_admin.call("PATCH", f"/users/{user_id}", body)
    client_admin.call("PATCH", f"/users/{user_id}", body)

    told = rows(house, "SELECT detail FROM audit_entries WHERE action = 'user.changed'")
    assert [row.detail for row in told] == [
        {"disabled": [False, True], "reason": "left the company"}
    ]


def test_the_roles_are_told_as_the_guards_read_them(app: Flask, house: House, seeded: Seeded):
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)

    told = viewer.get("/roles").json

    shown = {role["role"]: role for role in told["data"]}
    assert {name: set(role["permissions"]) for name, role in shown.items()} == {
        role.value: {permission.value for permission in GRANTS[role]} for role in Role
    }
    assert shown["client_admin"]["manages"] == ["campaign_manager", "client_viewer", "end_user"]
    assert {pair["scope"] for pair in told["key_scopes"]} == {
        "provision",
        "jobs:read",
        "credit:read",
        "books:read",
        "coupons",
        "discounts",
    }
