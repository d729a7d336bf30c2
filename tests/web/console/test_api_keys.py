"""API keys at the console: made and shown once, replaced with an overlap, ended after a question."""

import re
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of

KEY = re.compile(r'id="key" value="(lg_test_[0-9a-f]{8}_[\w-]{43})"')
GIVEN = {"name": "Web shop", "scopes": "jobs:read", "networks": "", "days": "90"}


def key_on(page: str) -> str:
    found = KEY.search(page)
    assert found is not None
    return found[1]


def works(app: Flask, key: str) -> int:
    shop = Caller(app.test_client(), {"Authorization": f"Bearer {key}"})
    return shop.get("/jobs").status_code


def only_id(house: House) -> UUID:
    (row,) = rows(house, "SELECT id FROM api_keys WHERE replaces IS NULL")
    return UUID(str(row.id))


def test_a_key_is_shown_once_and_works(app: Flask, house: House, bob: Visitor):
    form = bob.get("/console/api-keys/new").text.rpartition("<form")[2]
    sent = dict(HIDDEN.findall(form)) | GIVEN
    form_name = re.findall(r'form_name" value="([\w-]+)"', form)[0]

    made, again = (
        bob.client.post(
            "/console/api-keys/new", data=sent | {"form_name": form_name}, headers=SAME_ORIGIN
        )
        for _ in range(2)
    )

    key = key_on(made.text)
    (kept,) = rows(house, "SELECT prefix, expires_at - created_at AS life FROM api_keys")
    assert (made.headers["Cache-Control"], again.status_code) == ("no-store", 200)
    assert "was shown then" in again.text
    assert (key in again.text, key in bob.get("/console/api-keys").text) == (False, False)
    assert kept.prefix in bob.get("/console/api-keys").text
    assert kept.life.days == 90
    assert works(app, key) == 200


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"name": ""}, "name", "Name the key"),
        ({"scopes": "everything"}, "scopes", "Choose at least one"),
        ({"networks": "203.0.113.0/24\n10.0.0.1/8"}, "networks", "“10.0.0.1/8” is not a network"),
        ({"days": "9999"}, "days", "Choose how long"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    house: House, bob: Visitor, changed: dict[str, str], field: str, words: str
):
    answer = bob.send("/console/api-keys/new", **(GIVEN | changed))

    assert answer.status_code == 422
    assert f'<a href="#{field}">{words}' in answer.text
    assert f'id="{field}-wrong"' in answer.text
    assert rows(house, "SELECT 1 FROM api_keys") == []


def test_an_agency_chooses_the_client(app: Flask, house: House, seeded: Seeded):
    agency = visitor_of(app, house, Role.PLATFORM_ADMIN)
    other = seed(house, vendor=False)

    nobody = agency.send("/console/api-keys/new", **GIVEN)
    agency.send("/console/api-keys/new", client_id=str(other.client_id), **GIVEN)

    assert (nobody.status_code, '<a href="#client_id">' in nobody.text) == (422, True)
    assert rows(house, "SELECT client_id FROM api_keys") == [(other.client_id,)]


def test_a_key_is_replaced_and_both_work_for_a_while(app: Flask, house: House, bob: Visitor):
    old = key_on(bob.send("/console/api-keys/new", **GIVEN).text)
    page = f"/console/api-keys/{only_id(house)}/rotate"

    question = bob.get(page).text
    new = key_on(bob.send(page, overlap="3600", days="30").text)
    listed = bob.get("/console/api-keys").text
    twice = bob.send(page, overlap="3600", days="30")

    assert "takes the place of" in question
    assert (works(app, old), works(app, new)) == (200, 200)
    assert "Replaced, ends soon" in listed
    assert (twice.status_code, "Two keys live in this place" in twice.text) == (422, True)


def test_a_key_is_replaced_at_once(app: Flask, house: House, bob: Visitor):
    old = key_on(bob.send("/console/api-keys/new", **GIVEN).text)

    page = f"/console/api-keys/{only_id(house)}/rotate"
    wrong = bob.send(page, overlap="5", days="30")
    new = key_on(bob.send(page, overlap="0", days="30").text)

    assert wrong.status_code == 422
    assert (works(app, old), works(app, new)) == (401, 200)
    assert bob.get(page).status_code == 303, "what has ended is not asked about"


def test_a_key_is_ended_after_a_question_that_names_the_effect(
    app: Flask, house: House, bob: Visitor
):
    key = key_on(bob.send("/console/api-keys/new", **GIVEN).text)
    page = f"/console/api-keys/{only_id(house)}/end"

    unused = bob.get(page).text
    works(app, key)
    used = bob.get(page).text
    ended = bob.send(page)

    assert "It has never been used." in unused
    assert "It was last used" in used
    assert (ended.status_code, works(app, key)) == (303, 401)
    assert "Ended" in bob.get("/console/api-keys").text


def test_a_strangers_key_is_not_there(app: Flask, house: House, bob: Visitor):
    bob.send("/console/api-keys/new", **GIVEN)
    key_id = only_id(house)
    eve = visitor_of(app, house, Role.AGENCY_ADMIN, seed(house, vendor=False))
    token = eve.get("/console/").text.partition('csrf_token" value="')[2][:64]

    for verb in ("end", "rotate"):
        path = f"/console/api-keys/{key_id}/{verb}"
        data = {"csrf_token": token, "overlap": "0", "days": "30"}
        assert eve.get(path).status_code == 404
        assert eve.client.post(path, data=data, headers=SAME_ORIGIN).status_code == 404
    assert rows(house, "SELECT 1 FROM api_keys WHERE revoked_at IS NOT NULL") == []


def test_each_emptiness_says_what_to_do(bob: Visitor, browser: FlaskClient):
    assert "No API keys yet" in bob.get("/console/api-keys").text
    assert "No older keys" in bob.get(f"/console/api-keys?before={UUID(int=1)}").text
