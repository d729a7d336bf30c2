"""A tenant disables people for itself alone; the platform for everybody (decision 0039, SEC-10)."""

from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.seeding import Seeded, seed
from tests.web.conftest import PASSWORD, Caller, signed_in

PAT = "pat@example.com"


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def other(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def manager(app: Flask, house: House, other: Seeded) -> Caller:
    return signed_in(app, house, Role.CAMPAIGN_MANAGER, other, name="other.")


def pool_with(manager: Caller, email: str) -> UUID:
    pool = manager.post("/pools", {"name": "Guests"}).json["id"]
    added = manager.post(f"/pools/{pool}/users", {"emails": [email], "create_missing": True})
    assert added.json["added"] == 1
    return UUID(pool)


def is_active(manager: Caller, pool: UUID) -> bool:
    (member,) = manager.get(f"/pools/{pool}/users").json["data"]
    return bool(member["is_active"])


def disable(caller: Caller, user_id: str, *, disabled: bool = True) -> None:
    answer = caller.call("PATCH", f"/users/{user_id}", {"disabled": disabled})
    assert (answer.status_code, answer.json["disabled"]) == (200, disabled)


def test_sec010_who_gives_a_person_an_account_cannot_disable_them_for_other_clients(
    app: Flask, house: House, seeded: Seeded, manager: Caller
) -> None:
    pool = pool_with(manager, PAT)
    owner = signed_in(app, house, Role.CLIENT_ADMIN, seeded)
    made = owner.post("/users", {"email": PAT, "role": "client_viewer", "password": PASSWORD})
    own_pool = pool_with(owner, PAT)

    disable(owner, made.json["id"])

    assert made.status_code == 201
    assert (is_active(owner, own_pool), is_active(manager, pool)) == (False, True)
    disable(owner, made.json["id"], disabled=False)
    assert (is_active(owner, own_pool), is_active(manager, pool)) == (True, True)


def test_sec010_a_client_does_not_learn_that_another_one_has_disabled_a_person(
    app: Flask, house: House, seeded: Seeded, manager: Caller
) -> None:
    owner = signed_in(app, house, Role.CLIENT_ADMIN, seeded)
    made = owner.post("/users", {"email": PAT, "role": "client_viewer", "password": PASSWORD})
    disable(owner, made.json["id"])

    assert is_active(manager, pool_with(manager, PAT))


def test_who_is_disabled_by_the_platform_is_so_for_every_client(
    app: Flask, house: House, seeded: Seeded, manager: Caller, admin: Caller
) -> None:
    pool = pool_with(manager, PAT)
    owner = signed_in(app, house, Role.CLIENT_ADMIN, seeded)
    made = owner.post("/users", {"email": PAT, "role": "client_viewer", "password": PASSWORD})

    disable(admin, made.json["id"])

    assert not is_active(manager, pool)
