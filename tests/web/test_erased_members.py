"""An erasure makes a person nobody to the clients that know them, and takes them out of pools (EC-041)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import drain, rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.test_erasures import ANN, BODY, ask, dump, fetch, traces_of


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def pool_with(house: House, caller: Caller, emails: list[str]) -> str:
    """A pool filled by a file, with a row that was left out and named the person once more."""
    pool = caller.post("/pools", {"name": "Beta Testers"}).json["id"]
    lines = "".join(f"{email},x{n},Some Body\n" for n, email in enumerate(emails))
    content = f"email,external_id,name\n{lines}{emails[0]},,\n".encode()
    headers = caller.headers | {"Content-Type": "text/csv", "Idempotency-Key": "file"}
    path = f"/api/v1/pools/{pool}/users?create_missing=true&on_error=skip"
    assert caller.client.post(path, data=content, headers=headers).status_code == 202
    drain(house)
    return pool


def test_ec041_a_member_is_nobody_and_in_no_pool_any_more(
    house: House, database: Database, client_admin: Caller
) -> None:
    pool = pool_with(house, client_admin, [ANN, "other@x.de"])

    asked = ask(client_admin)
    drain(house)

    told = fetch(client_admin, asked["id"])
    assert (told["state"], told["erased"]["users"], told["erased"]["items"]) == ("finished", 1, 1)
    left = client_admin.get(f"/pools/{pool}/users").json["data"]
    assert [person["email"] for person in left] == ["other@x.de"]
    assert client_admin.get(f"/pools/{pool}").json["members"] == 1
    (gone,) = rows(house, "SELECT * FROM client_users WHERE email IS NULL")
    assert (gone.email_normalised, gone.name, gone.external_id) == (None, "", None)
    assert gone.disabled_at is not None
    assert traces_of(dump(database)) == 0


def test_ec041_one_client_s_request_leaves_what_another_knows(
    app: Flask, house: House, client_admin: Caller
) -> None:
    """The person is the same to both, and comes anew where they were forgotten."""
    other = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))
    theirs = pool_with(house, other, [ANN])
    mine = pool_with(house, client_admin, [ANN])
    before = other.get(f"/pools/{theirs}/users").json

    ask(client_admin)
    drain(house)
    forgotten = client_admin.get(f"/pools/{mine}/users").json["data"]
    kept = other.get(f"/pools/{theirs}/users").json
    again = client_admin.post(
        f"/pools/{mine}/users", {"emails": [ANN], "create_missing": True}
    ).json

    assert (forgotten, kept) == ([], before)
    assert (again["added"], again["new_people"]) == (1, 1)
    (person,) = client_admin.get(f"/pools/{mine}/users").json["data"]
    assert (person["name"], person["external_id"], person["is_active"]) == ("", None, True)


def test_ec041_everywhere_is_at_every_client(
    app: Flask, house: House, database: Database, admin: Caller, client_admin: Caller
) -> None:
    other = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))
    pools = [(caller, pool_with(house, caller, [ANN])) for caller in (other, client_admin)]

    asked = ask(admin, BODY)
    drain(house)

    assert fetch(admin, asked["id"])["erased"]["users"] == 1
    assert [caller.get(f"/pools/{pool}").json["members"] for caller, pool in pools] == [0, 0]
    assert traces_of(dump(database)) == 0
