"""Whom a coupon is for: a storefront names people as it knows them (S3-116)."""

from typing import Any

import pytest
from flask import Flask

from tests.couponing import act, end_of, id_of
from tests.driving import change, rows
from tests.security.tenants import key_caller
from tests.seeding import seed
from tests.shopping import Shop, shop
from tests.web.conftest import Caller

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
    # Neither the address nor the client's own id is kept with the job.
    (kept,) = rows(shop.house, "SELECT spec::text || coalesce(error::text, '') AS all FROM jobs")
    assert [word for word in (ADDRESS, OWN_ID) if word.lower() in kept.all.lower()] == []


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
