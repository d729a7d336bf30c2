"""People added to a pool by a list and a key: a repeat adds nobody and answers the same (EC-035)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.queue.keys import RequestKey, first_result
from pipelines.wiring import House
from tests.couponing import id_of
from tests.driving import rows
from tests.intake import table_sizes
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, make_user, signed_in

NAMED = {"Idempotency_Key": "once"}


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def pool(manager: Caller) -> str:
    return str(manager.post("/pools", {"name": "Beta Testers"}).json["id"])


@pytest.fixture
def mixed(manager: Caller, house: House, seeded: Seeded, pool: str) -> dict[str, Any]:
    """A body with an entry of every kind, of whom one is in the pool already."""
    known = make_user(house, "known@example.com", Role.END_USER, seeded)
    gone = make_user(house, "gone@example.com", Role.END_USER, seeded)
    rows(house, "UPDATE users SET disabled_at = now() WHERE id = :id RETURNING 1", id=gone)
    manager.post(f"/pools/{pool}/users", {"emails": ["in@x.de"], "create_missing": True})
    return {
        "user_ids": [str(known), str(gone)],
        "emails": ["new@x.de", "in@x.de", "NEW@x.de", "no address"],
        "external_ids": ["crm-1"],
        "on_error": "skip",
        "create_missing": True,
    }


@pytest.mark.parametrize("role", [Role.CAMPAIGN_MANAGER, Role.AGENCY_ADMIN, Role.PLATFORM_ADMIN])
def test_ec035_a_repeat_with_its_key_adds_nobody_and_answers_as_the_first(
    app: Flask, house: House, seeded: Seeded, pool: str, mixed: dict[str, Any], role: Role
) -> None:
    """EC-035, S3-126: counts and every entry, whoever asks."""
    caller = signed_in(app, house, role, seeded, name="again.")
    first = caller.post(f"/pools/{pool}/users", mixed, **NAMED)
    before = table_sizes(house)

    again = caller.post(f"/pools/{pool}/users", dict(reversed(mixed.items())), **NAMED)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json == first.json
    assert {name: first.json[name] for name in ("added", "new_people", "already_members")} == {
        "added": 3,
        "new_people": 2,
        "already_members": 1,
    }
    assert (first.json["duplicates"], first.json["inactive"]) == (1, 1)
    assert [entry["pointer"] for entry in first.json["unknown"]] == ["/emails/3"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert table_sizes(house) == before


def test_somebody_new_who_is_named_twice_is_one_new_person(manager: Caller, pool: str) -> None:
    """By an address in two spellings, and by an external id."""
    body = {"emails": ["a@x.de", "A@x.de"], "external_ids": ["crm-1", "crm-1"]}

    told = manager.post(f"/pools/{pool}/users", body | {"create_missing": True}).json

    assert (told["added"], told["new_people"], told["duplicates"]) == (2, 2, 2)


def test_an_agencys_own_people_named_by_id_are_told_the_same_in_a_repeat(
    app: Flask, house: House, seeded: Seeded, pool: str
) -> None:
    """They became known to the client by the request, and are nobody new."""
    near = make_user(house, "near@example.com", Role.AGENCY_VIEWER, seeded)
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    told = [
        agency.post(f"/pools/{pool}/users", {"user_ids": [str(near)]}, **NAMED).json
        for _ in range(2)
    ]

    assert told[0] == told[1]
    assert (told[0]["added"], told[0]["new_people"]) == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"emails": ["b@x.de"]},
        {"emails": ["a@x.de", "b@x.de"]},
        {"on_error": "skip"},
        {"create_missing": False},
    ],
)
def test_ec035_a_key_of_another_list_is_refused_and_adds_nobody(
    manager: Caller, house: House, pool: str, change: dict[str, Any]
) -> None:
    body = {"emails": ["a@x.de"], "create_missing": True}
    manager.post(f"/pools/{pool}/users", body, **NAMED)
    before = table_sizes(house)

    reused = manager.post(f"/pools/{pool}/users", body | change, **NAMED)

    assert (reused.status_code, reused.json["code"]) == (422, "idempotency_key_reuse")
    assert table_sizes(house) == before


def test_ec035_who_has_left_the_pool_is_not_added_again_by_a_repeat(
    manager: Caller, pool: str
) -> None:
    """The others are told as in the first answer; another key adds them."""
    body = {"emails": ["a@x.de", "b@x.de"], "create_missing": True}
    manager.post(f"/pools/{pool}/users", body, **NAMED)
    manager.post(f"/pools/{pool}/users/remove", {"emails": ["a@x.de"]})

    again = manager.post(f"/pools/{pool}/users", body, **NAMED).json
    people = manager.get(f"/pools/{pool}/users").json["data"]
    anew = manager.post(f"/pools/{pool}/users", body, Idempotency_Key="anew").json

    assert (again["added"], again["already_members"]) == (1, 0)
    assert [(entry["pointer"], entry["code"]) for entry in again["unknown"]] == [
        ("/emails/0", "not_a_member")
    ]
    assert [person["email"] for person in people] == ["b@x.de"]
    assert (anew["added"], anew["already_members"]) == (1, 1)


def test_ec035_a_repeat_is_answered_when_the_pool_was_put_away_since(
    manager: Caller, pool: str
) -> None:
    body = {"emails": ["a@x.de"], "create_missing": True}
    first = manager.post(f"/pools/{pool}/users", body, **NAMED)
    manager.call("PATCH", f"/pools/{pool}", {"archived": True})

    again = manager.post(f"/pools/{pool}/users", body, **NAMED)

    assert (again.status_code, again.json) == (200, first.json)


def test_ec035_a_refused_list_leaves_no_key(manager: Caller, house: House, pool: str) -> None:
    refused = manager.post(f"/pools/{pool}/users", {"emails": ["a@x.de"]}, **NAMED)
    done = manager.post(
        f"/pools/{pool}/users", {"emails": ["a@x.de"], "create_missing": True}, **NAMED
    )

    assert (refused.status_code, refused.json["code"]) == (422, "user_not_found")
    assert (done.status_code, done.json["added"]) == (200, 1)


def test_ec035_while_the_first_list_has_not_committed_the_second_is_told_to_wait(
    manager: Caller, house: House, pool: str
) -> None:
    body = {"emails": ["a@x.de"], "create_missing": True}
    me: UUID = id_of(manager)
    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        assert first_result(session, RequestKey(me, "once", b"")) is None
        second = elsewhere.submit(manager.post, f"/pools/{pool}/users", body, **NAMED).result(10)

    assert (second.status_code, second.json["code"]) == (409, "request_in_progress")


def test_a_list_without_a_key_is_taken_as_before(manager: Caller, pool: str) -> None:
    body = {"emails": ["a@x.de"], "create_missing": True}

    told = [manager.post(f"/pools/{pool}/users", body).json for _ in range(2)]

    assert [(one["added"], one["already_members"]) for one in told] == [(1, 0), (0, 1)]
