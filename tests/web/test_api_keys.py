"""API keys over HTTP: for a while, from some networks, replaced without a gap (SEC-05, S1-100)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

NEW = {"name": "shop", "scopes": ["jobs:read"]}


def made(caller: Caller, **changed: Any) -> dict[str, Any]:
    answer = caller.post("/api-keys", NEW | changed)
    assert answer.status_code == 201, answer.json
    return dict(answer.json)


def used(app: Flask, key: str, *, address: str = "127.0.0.1") -> TestResponse:
    return app.test_client().get(
        "/api/v1/jobs",
        headers={"Authorization": f"Bearer {key}"},
        environ_overrides={"REMOTE_ADDR": address},
    )


def life(key: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])


def test_a_key_lives_as_long_as_asked_and_a_year_at_most(client_admin: Caller, house: House):
    lives = [life(made(client_admin)), life(made(client_admin, expires_in_days=30))]

    refused = [
        client_admin.post("/api-keys", NEW | {"expires_in_days": days})
        for days in (0, 366, -1, "30", 1.5)
    ]

    assert lives == [timedelta(days=365), timedelta(days=30)]
    assert [answer.status_code for answer in refused] == [422] * 5
    assert {answer.json["errors"][0]["pointer"] for answer in refused} == {"/expires_in_days"}
    assert rows(house, "SELECT count(*) FROM api_keys") == [(2,)]


def test_an_expired_key_is_like_none(app: Flask, client_admin: Caller, house: House):
    key = made(client_admin)["key"]
    rows(house, "UPDATE api_keys SET expires_at = now() RETURNING 1")

    expired, nonsense = used(app, key), used(app, "lg_test_" + "0" * 52)

    assert [answer.status_code for answer in (expired, nonsense)] == [401, 401]
    assert expired.json["code"] == nonsense.json["code"] == "unauthenticated"


def test_a_key_works_from_its_networks_only(app: Flask, client_admin: Caller, house: House):
    networks = ["203.0.113.0/24", "2001:DB8::/32", "203.0.113.0/24"]
    key = made(client_admin, allowed_cidrs=networks)

    inside = [used(app, key["key"], address=a) for a in ("203.0.113.7", "2001:db8::1")]
    rows(house, "UPDATE api_keys SET last_used_at = NULL RETURNING 1")
    outside = used(app, key["key"], address="198.51.100.1")
    wrong = used(app, key["key"][:-1] + "!", address="198.51.100.1")

    assert key["allowed_cidrs"] == ["203.0.113.0/24", "2001:db8::/32"]
    assert [answer.status_code for answer in inside] == [200, 200]
    assert (outside.status_code, outside.json["code"]) == (403, "address_not_allowed")
    assert wrong.status_code == 401, "only the holder of a genuine key is told why"
    assert rows(house, "SELECT last_used_at FROM api_keys") == [(None,)]


@pytest.mark.parametrize(
    ("networks", "pointer"),
    [
        (["10.0.0.1/8"], "/allowed_cidrs/0"),
        (["203.0.113.0/24", "shop.example"], "/allowed_cidrs/1"),
        (["203.0.113.7"] * 21, "/allowed_cidrs"),
        ("203.0.113.0/24", "/allowed_cidrs"),
        ([None], "/allowed_cidrs/0"),
    ],
)
def test_what_is_no_network_is_refused(client_admin: Caller, networks: Any, pointer: str):
    answer = client_admin.post("/api-keys", NEW | {"allowed_cidrs": networks})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_a_key_is_replaced_without_a_gap(app: Flask, client_admin: Caller, house: House):
    old = made(client_admin, allowed_cidrs=["127.0.0.0/8"])

    answer = client_admin.post(f"/api-keys/{old['id']}/rotate", {"overlap_seconds": 3600})
    new = answer.json
    old_now = client_admin.get(f"/api-keys/{old['id']}").json

    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    assert [used(app, key["key"]).status_code for key in (old, new)] == [200, 200]
    assert new["replaces"] == old["id"]
    same = ("name", "client_id", "scopes", "allowed_cidrs")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert timedelta(minutes=59) < life(old_now) < timedelta(minutes=61)
    (told,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'api_key.rotated'")
    assert told.detail == {"overlap_seconds": 3600}
    rows(house, "UPDATE api_keys SET expires_at = now() WHERE replaces IS NULL RETURNING 1")
    assert [used(app, key["key"]).status_code for key in (old, new)] == [401, 200]


def test_without_a_word_the_old_key_goes_on_for_a_day(client_admin: Caller):
    old = made(client_admin)

    answer = client_admin.post(f"/api-keys/{old['id']}/rotate")

    left = life(client_admin.get(f"/api-keys/{old['id']}").json)
    assert answer.status_code == 201
    assert timedelta(hours=23) < left < timedelta(hours=25)


def test_an_overlap_does_not_lengthen_a_life(client_admin: Caller):
    old = made(client_admin, expires_in_days=1)

    client_admin.post(f"/api-keys/{old['id']}/rotate", {"overlap_seconds": 30 * 86_400})

    assert client_admin.get(f"/api-keys/{old['id']}").json["expires_at"] == old["expires_at"]


def test_two_keys_at_most_live_in_one_place(client_admin: Caller, house: House):
    """SEC-05"""
    first = made(client_admin)
    second = client_admin.post(f"/api-keys/{first['id']}/rotate").json
    before = table_sizes(house)

    refused = [client_admin.post(f"/api-keys/{key['id']}/rotate") for key in (first, second)]
    unchanged = table_sizes(house)
    client_admin.call("DELETE", f"/api-keys/{first['id']}")
    third = client_admin.post(f"/api-keys/{second['id']}/rotate")
    ended = client_admin.post(f"/api-keys/{first['id']}/rotate")

    assert [(a.status_code, a.json["code"]) for a in refused] == [(409, "rotation_under_way")] * 2
    assert unchanged == before
    assert third.status_code == 201
    assert (ended.status_code, ended.json["code"]) == (409, "key_ended")


def test_a_repeated_rotation_names_the_key_and_hides_it(client_admin: Caller, house: House):
    path = f"/api-keys/{made(client_admin)['id']}/rotate"

    first = client_admin.post(path, {}, Idempotency_Key="k")
    again = client_admin.post(path, {}, Idempotency_Key="k")

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json | {"key": None}
    assert rows(house, "SELECT count(*) FROM api_keys") == [(2,)]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/rotate")])
def test_a_foreign_key_is_not_found_like_nobodys(
    app: Flask, house: House, client_admin: Caller, method: str, path: str
):
    """SEC-10"""
    key = made(client_admin)
    stranger = signed_in(app, house, Role.AGENCY_ADMIN, seed(house, vendor=False))

    answers = [stranger.call(method, f"/api-keys/{i}{path}") for i in (key["id"], str(uuid4()))]

    told = [{**a.json, "request_id": "", "instance": ""} for a in answers]
    assert [a.status_code for a in answers] == [404, 404]
    assert told[0] == told[1]
    assert used(app, key["key"]).status_code == 200
    assert stranger.get("/api-keys").json["data"] == []


def test_nobody_makes_a_key_for_a_strangers_client(
    app: Flask, house: House, seeded: Seeded, client_admin: Caller
):
    other = seed(house, vendor=False)
    agency_admin = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    answers = [
        caller.post("/api-keys", NEW | {"client_id": str(other.client_id)})
        for caller in (client_admin, agency_admin)
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert rows(house, "SELECT count(*) FROM api_keys") == [(0,)]


def test_a_key_in_the_address_or_elsewhere_is_none(app: Flask, client_admin: Caller):
    """SEC-05: an address is written into logs."""
    key = made(client_admin)["key"]
    browser = app.test_client()

    answers = [
        *(browser.get(f"/api/v1/jobs?{name}={key}") for name in ("key", "api_key", "access_token")),
        browser.get("/api/v1/jobs", headers={"X-Api-Key": key}),
        browser.get("/api/v1/jobs", headers={"Authorization": key}),
        browser.get("/api/v1/jobs", headers={"Authorization": f"Basic {key}"}),
        browser.get("/api/v1/jobs", headers={"Cookie": f"api_key={key}"}),
        browser.get("/console/jobs", headers={"Authorization": f"Bearer {key}"}),
    ]

    assert [answer.status_code for answer in answers] == [401] * 7 + [303]


def test_what_is_kept_of_a_key_is_a_digest(client_admin: Caller, house: House):
    key = made(client_admin)

    (kept,) = rows(house, "SELECT id, prefix, octet_length(key_hash) AS octets FROM api_keys")

    assert (kept.id, kept.prefix, kept.octets) == (UUID(key["id"]), key["prefix"], 32)
    assert key["prefix"] == key["key"][:16]
