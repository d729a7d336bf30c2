"""Whom a coupon is for: a storefront names people as it knows them (S3-116)."""

from typing import Any

import pytest
from flask import Flask

from models.base import new_id
from models.people import Role
from tests.couponing import act, end_of, id_of
from tests.driving import change, rows
from tests.security.tenants import key_caller
from tests.seeding import seed
from tests.shopping import Shop, shop
from tests.web.conftest import Caller, make_user, signed_in

__all__ = ["shop"]

ADDRESS, OWN_ID = "Ann@X.example", "customer-41"
ONE_OF = "Give one of `user_id`, `email` and `external_id`."


@pytest.fixture
def storefront(app: Flask, shop: Shop) -> Caller:
    """A key of the client, who knows Ann by an address and by an id of its own."""
    change(
        shop.house,
        "UPDATE client_users SET email = :address, email_normalised = lower(:address), "
        "external_id = :own WHERE user_id = :ann",
        address=ADDRESS,
        own=OWN_ID,
        ann=id_of(shop.ann),
    )
    return key_caller(app, shop.house, shop.seeded.client_id)


def kept_of(shop: Shop, *tables: str) -> list[str]:
    """Where the address or the client's own id is written down, of these tables."""
    return [
        table
        for table in tables
        for row in rows(shop.house, f"SELECT lower(to_jsonb(t)::text) AS told FROM {table} t")
        if ADDRESS.lower() in row.told or OWN_ID in row.told
    ]


@pytest.mark.parametrize(
    "whom", [{"email": ADDRESS}, {"email": " ann@x.EXAMPLE "}, {"external_id": OWN_ID}]
)
def test_s3_116_a_storefront_gives_a_coupon_to_whom_it_knows_by_its_own_words(
    shop: Shop, storefront: Caller, whom: dict[str, str]
) -> None:
    book_id = str(shop.book(1))

    accepted = act(storefront, "/coupons/assign", {"book_id": book_id} | whom)
    status, job = end_of(shop.house, storefront, accepted)

    assert (status, job["result"]["coupon"]["user_id"]) == (200, str(id_of(shop.ann)))
    assert kept_of(shop, "jobs", "items", "tasks", "audit_entries", "coupon_events") == []


def test_s3_116_a_certain_coupon_goes_to_whom_the_client_knows_by_an_address(
    shop: Shop, storefront: Caller
) -> None:
    shop.book(1)
    (coupon,) = rows(shop.house, "SELECT code FROM coupons")

    accepted = act(storefront, f"/coupons/assign/{coupon.code}", {"email": ADDRESS})

    assert end_of(shop.house, storefront, accepted)[0] == 200


@pytest.mark.parametrize("whom", [{"email": "nobody@x.example"}, {"external_id": "customer-42"}])
def test_nobody_of_this_name_is_said_with_what_to_do(
    shop: Shop, storefront: Caller, whom: dict[str, str]
) -> None:
    """A person of another client is as unknown as nobody."""
    stranger = seed(shop.house, vendor=False)
    change(
        shop.house,
        "INSERT INTO client_users (client_id, agency_id, user_id, email, email_normalised, "
        "external_id) SELECT :client, :agency, user_id, 'nobody@x.example', 'nobody@x.example', "
        "'customer-42' FROM client_users WHERE user_id = :ann",
        client=stranger.client_id,
        agency=stranger.agency_id,
        ann=id_of(shop.ann),
    )
    book_id = str(shop.book(1))

    refused = act(storefront, "/coupons/assign", {"book_id": book_id} | whom)

    assert (refused.status_code, refused.json["code"]) == (404, "user_not_found")
    assert "create_missing" in refused.json["detail"]
    assert rows(shop.house, "SELECT 1 FROM jobs") == []


@pytest.mark.parametrize("whom", [{}, {"email": ADDRESS, "external_id": OWN_ID}])
def test_a_coupon_is_for_exactly_one_person(
    shop: Shop, storefront: Caller, whom: dict[str, Any]
) -> None:
    book_id = str(shop.book(1))

    refused = act(storefront, "/coupons/assign", {"book_id": book_id} | whom)

    assert (refused.status_code, refused.json["errors"][0]["detail"]) == (422, ONE_OF)


def test_s3_116_an_address_is_read_as_files_of_people_are(shop: Shop, manager: Caller) -> None:
    """A domain of other letters is kept in its ASCII form."""
    pool = manager.post("/pools", {"name": "Testers"}).json["id"]
    address = "max@b\u00fccher.example"
    add = {"emails": [address], "create_missing": True}
    assert manager.post(f"/pools/{pool}/users", add).status_code == 200
    book_id = str(shop.book(1))

    accepted = act(manager, "/coupons/assign", {"book_id": book_id, "email": address})

    assert end_of(shop.house, manager, accepted)[0] == 200


@pytest.mark.parametrize(
    ("whom", "code"), [({"email": "no address"}, "invalid_email"), ({"email": " "}, "required")]
)
def test_what_is_no_address_is_said_so(
    shop: Shop, storefront: Caller, whom: dict[str, str], code: str
) -> None:
    refused = act(storefront, "/coupons/assign", {"book_id": str(shop.book(1))} | whom)

    assert (refused.status_code, refused.json["errors"][0]["code"]) == (422, code)


def test_a_suspended_client_is_told_before_anybody_is_looked_up(
    shop: Shop, storefront: Caller
) -> None:
    book_id = str(shop.book(1))
    change(shop.house, "UPDATE clients SET suspended_at = now()")

    refused = act(storefront, "/coupons/assign", {"book_id": book_id, "email": "nobody@x.example"})

    assert (refused.status_code, refused.json["code"]) == (403, "account_suspended")


def test_a_repeat_by_address_is_the_same_job(shop: Shop, storefront: Caller) -> None:
    asked = {"book_id": str(shop.book(2)), "email": ADDRESS}
    headers = {"Idempotency-Key": str(new_id())}

    first, again = (storefront.post("/coupons/assign", asked, **headers) for _ in range(2))

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json["id"] == again.json["id"]


def test_who_sees_beyond_the_client_gives_to_whom_the_client_does_not_know_yet(
    app: Flask, shop: Shop
) -> None:
    """The client comes to know them on the way."""
    boss = signed_in(app, shop.house, Role.PLATFORM_ADMIN, name="boss")
    address = "known.elsewhere@x.example"
    stranger = seed(shop.house, vendor=False)
    other = make_user(shop.house, address, Role.CLIENT_VIEWER, stranger)
    book_id = str(shop.book(1))

    accepted = act(boss, "/coupons/assign", {"book_id": book_id, "email": address})
    status, job = end_of(shop.house, boss, accepted)

    assert (status, job["result"]["coupon"]["user_id"]) == (200, str(other))


def test_ec029_whoever_tries_addresses_is_counted(shop: Shop, storefront: Caller) -> None:
    """Each address once; a hundred of nobody within an hour end it for a while."""
    book_id = str(shop.book(1))
    asked = [{"book_id": book_id, "email": f"nobody.{number}@x.example"} for number in range(102)]

    told = [act(storefront, "/coupons/assign", one).status_code for one in asked]

    assert (set(told[:100]), told[-1]) == ({404}, 429)
