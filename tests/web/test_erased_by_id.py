"""A client's person is forgotten by our id or by the client's own; what they were given stays counted (EC-041)."""

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.base import new_id
from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.conftest import Database
from tests.couponing import coupon_in
from tests.driving import drain, rows
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.test_erasures import ANN, ask, dump, fetch, traces_of

REASON = {"reason": "asked by letter"}
CRM = "crm-Q7x4711"
NAME = "Quirina Lee"
#: Ann by address and by id, somebody by id alone; and a row that is left out, which names her again.
FILES = {
    "address": f"email,external_id,name\n{ANN},{CRM},{NAME}\nbob@x.de,{CRM},{NAME}\n",
    "id alone": f"email,external_id,name\n,{CRM},{NAME}\n,{CRM},{NAME}\n",
}


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def other(house: House) -> Seeded:
    return seed(house, vendor=False)


def imported(house: House, caller: Caller, content: str) -> UUID:
    """The person whom the client knows by the external id after a file with the rest left out."""
    pool = caller.post("/pools", {"name": "Beta Testers"}).json["id"]
    headers = caller.headers | {"Content-Type": "text/csv", "Idempotency-Key": "file"}
    path = f"/api/v1/pools/{pool}/users?create_missing=true&on_error=skip"
    assert caller.client.post(path, data=content.encode(), headers=headers).status_code == 202
    drain(house)
    (member,) = caller.get(f"/pools/{pool}/users?q={CRM}").json["data"]
    return UUID(member["user_id"])


def everything(house: House) -> list[list[Any]]:
    tables = ("users", "client_users", "user_pool_members", "items", "erasures", "tasks")
    return [rows(house, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@pytest.mark.parametrize("by", ["user_id", "external_id"])
@pytest.mark.parametrize("known_by", FILES)
def test_ec041_a_client_s_person_is_forgotten_by_an_id_and_their_coupons_stay(
    house: House,
    database: Database,
    client_admin: Caller,
    seeded: Seeded,
    by: str,
    known_by: str,
) -> None:
    content = FILES[known_by].replace("bob@x.de", ANN)
    user_id = imported(house, client_admin, content)
    coupon_in(house, seeded, CouponState.ASSIGNED, user_id)
    coupon = rows(house, "SELECT * FROM coupons")

    asked = ask(client_admin, REASON | {by: {"user_id": str(user_id), "external_id": CRM}[by]})
    drain(house)

    told = fetch(client_admin, asked["id"])
    assert (told["state"], told["erased"]["users"], told["erased"]["items"]) == ("finished", 1, 1)
    assert rows(house, "SELECT * FROM coupons") == coupon
    assert coupon[0].user_id == user_id
    left = dump(database)
    assert (traces_of(left), CRM.lower() in left, NAME.lower() in left) == (0, False, False)
    assert rows(house, "SELECT user_id, sealed_email FROM erasures") == [(None, None)]
    (row,) = rows(house, "SELECT * FROM users WHERE id = :id", id=user_id)
    assert (row.email, row.disabled_at is not None) == (f"erased-{user_id}@erased.invalid", True)
    assert rows(house, "SELECT 1 FROM user_pool_members WHERE user_id = :id", id=user_id) == []
    assert_proven(house)


def test_ec041_by_address_no_external_id_is_left_either(
    house: House, database: Database, client_admin: Caller
) -> None:
    """Nor in a row that was left out and names the person by it alone."""
    content = f"email,external_id,name\n{ANN},{CRM},{NAME}\n,{CRM},{NAME}\n"
    imported(house, client_admin, content)

    ask(client_admin, REASON | {"email": ANN})
    drain(house)

    left = dump(database)
    assert (traces_of(left), CRM.lower() in left, NAME.lower() in left) == (0, False, False)


@pytest.mark.parametrize("by", ["user_id", "external_id"])
def test_ec041_the_same_id_of_another_client_is_another_s(
    app: Flask, house: House, client_admin: Caller, other: Seeded, by: str
) -> None:
    neighbour = signed_in(app, house, Role.CLIENT_ADMIN, other)
    theirs = imported(house, neighbour, FILES["address"])
    mine = imported(house, client_admin, FILES["address"])
    sides = "SELECT * FROM client_users WHERE client_id = :id AND user_id = :user"
    lines = "SELECT * FROM items WHERE client_id = :id ORDER BY job_id, position"
    before = rows(house, sides, id=other.client_id, user=theirs)
    left_out = rows(house, lines, id=other.client_id)

    ask(client_admin, REASON | {by: {"user_id": str(mine), "external_id": CRM}[by]})
    drain(house)

    assert mine == theirs
    assert rows(house, sides, id=other.client_id, user=theirs) == before
    assert rows(house, lines, id=other.client_id) == left_out
    (person,) = rows(house, "SELECT email, name FROM users WHERE id = :id", id=mine)
    assert person == (ANN, ""), "somebody to the other client, which gave no word of this one's"


def test_ec041_the_platform_forgets_a_person_everywhere_by_their_id(
    app: Flask,
    house: House,
    database: Database,
    admin: Caller,
    client_admin: Caller,
    other: Seeded,
) -> None:
    neighbour = signed_in(app, house, Role.CLIENT_ADMIN, other)
    imported(house, neighbour, FILES["address"])
    user_id = imported(house, client_admin, FILES["address"])

    asked = ask(admin, REASON | {"user_id": str(user_id)})
    drain(house)

    assert fetch(admin, asked["id"])["erased"]["users"] == 1
    left = dump(database)
    assert (traces_of(left), CRM.lower() in left, NAME.lower() in left) == (0, False, False)


def test_sec010_whom_the_client_does_not_know_is_nobody_to_it(
    app: Flask, house: House, client_admin: Caller, other: Seeded
) -> None:
    neighbour = signed_in(app, house, Role.CLIENT_ADMIN, other)
    stranger = imported(house, neighbour, FILES["address"])
    before = everything(house)

    def told(whom: dict[str, str]) -> dict[str, Any]:
        answer = client_admin.post("/erasures", REASON | whom, Idempotency_Key="k")
        return {**answer.json, "request_id": ""}

    nobody = told({"user_id": str(new_id())})
    assert (nobody["status"], nobody["code"]) == (404, "user_not_found")
    assert told({"user_id": str(stranger)}) == told({"external_id": CRM}) == nobody
    assert everything(house) == before


def test_an_external_id_is_a_client_s(
    house: House, admin: Caller, client_admin: Caller, seeded: Seeded
) -> None:
    imported(house, client_admin, FILES["id alone"])
    before = everything(house)
    body = REASON | {"external_id": CRM}

    refused = admin.post("/erasures", body, Idempotency_Key="k")
    unchanged = everything(house)
    named = ask(admin, body | {"client_id": str(seeded.client_id)}, key="other")

    assert (refused.status_code, refused.json["code"]) == (422, "client_required")
    assert unchanged == before
    assert named["client_id"] == str(seeded.client_id)


@pytest.mark.parametrize(
    ("whom", "pointer"),
    [
        ({}, "/email"),
        ({"email": ANN, "user_id": str(UUID(int=1))}, "/user_id"),
        ({"email": ANN, "external_id": CRM}, "/external_id"),
        ({"external_id": " "}, "/external_id"),
        ({"external_id": "a\0b"}, "/external_id"),
        ({"external_id": "x" * 256}, "/external_id"),
        ({"user_id": "me"}, "/user_id"),
        ({"email": None}, "/email"),
    ],
)
def test_a_person_is_named_in_one_way(
    house: House, client_admin: Caller, whom: dict[str, Any], pointer: str
) -> None:
    answer = client_admin.post("/erasures", REASON | whom, Idempotency_Key="k")

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert rows(house, "SELECT 1 FROM erasures") == []


def test_ec035_an_erasure_by_an_external_id_is_asked_once_per_key(
    house: House, client_admin: Caller
) -> None:
    """Also when the person is forgotten by then."""
    imported(house, client_admin, FILES["id alone"])
    body = REASON | {"external_id": CRM}

    first = ask(client_admin, body)
    drain(house)
    again = client_admin.post("/erasures", body, Idempotency_Key="k")
    other = client_admin.post("/erasures", body | {"external_id": "x"}, Idempotency_Key="k")

    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (first["id"], "true")
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert rows(house, "SELECT count(*) FROM erasures") == [(1,)]
