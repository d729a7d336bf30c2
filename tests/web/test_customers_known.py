"""Who a customer of a discount is: by an address of other letters, and after an erasure (EC-014, EC-052)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.discounting import asked, counted, expire, make_discount, said
from tests.driving import change, drain, rows
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.web.conftest import Caller, make_user, signed_in

APPLY = "/discounts/apply"
ERASE = {"email": "ann@x.example", "reason": "Asked for by the person"}


@pytest.fixture
def storefront(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


def test_ec014_an_address_of_other_letters_is_the_one_that_the_client_knows(
    storefront: Caller, manager: Caller, house: House, seeded: Seeded
) -> None:
    """A file of people keeps its domain in ASCII."""
    make_discount(house, seeded)
    pool = manager.post("/pools", {"name": "Testers"}).json["id"]
    address = "max@b\u00fccher.example"
    manager.post(f"/pools/{pool}/users", {"emails": [address], "create_missing": True})
    (person,) = rows(house, "SELECT user_id FROM client_users WHERE email LIKE 'max@%'")

    first = storefront.post(APPLY, asked(who=address))
    second = storefront.post(APPLY, asked(customer={"id": str(person.user_id)}))
    looked = storefront.get(
        f"/discounts/validate?code=save10&subtotal_minor=9&currency=USD&customer={address}"
    )

    assert first.json["reservation"]["user_id"] == str(person.user_id)
    assert said(second) == (409, "already_reserved")
    assert looked.json["reason"] == "already_reserved"


def test_what_is_no_address_is_said_so(storefront: Caller, house: House, seeded: Seeded) -> None:
    make_discount(house, seeded)

    refused = storefront.post(APPLY, asked(who="no address"))
    looked = storefront.get(
        "/discounts/validate?code=save10&subtotal_minor=9&currency=USD&customer=nobody"
    )

    assert [answer.json["errors"][0]["code"] for answer in (refused, looked)] == [
        "invalid_email",
        "invalid_email",
    ]
    assert (refused.status_code, looked.status_code) == (422, 422)


def test_ec052_who_was_erased_and_comes_again_has_used_the_code(
    app: Flask, storefront: Caller, house: House, seeded: Seeded
) -> None:
    """As a guest, and once the shop knows the address anew."""
    code_id = make_discount(house, seeded)
    make_user(house, "ann@x.example", Role.END_USER)
    change(
        house,
        "INSERT INTO client_users (client_id, agency_id, user_id, email, email_normalised) "
        "SELECT :client, :agency, id, email, email_normalised FROM users "
        "WHERE email = 'ann@x.example'",
        client=seeded.client_id,
        agency=seeded.agency_id,
    )
    assert storefront.post(APPLY, asked(who="ann@x.example")).status_code == 201
    change(
        house,
        "UPDATE discount_usages SET state = 'confirmed', ended_at = now(), "
        "expires_at = now() + interval '1 day'",
    )
    change(house, "UPDATE discount_customers SET live = 0, purchases = 1")
    admin = signed_in(app, house, Role.CLIENT_ADMIN, seeded, name="admin")
    erased = admin.post("/erasures", ERASE, Idempotency_Key="erase")
    drain(house)

    again = storefront.post(APPLY, asked(who="Ann@X.example"))

    assert erased.status_code in {201, 202}
    assert rows(house, "SELECT 1 FROM client_users WHERE email = 'ann@x.example'") == []
    assert said(again) == (409, "already_used")
    assert counted(house, code_id) == (1, {"confirmed": 1})


def test_ec013_more_abandoned_slots_than_one_pass_are_in_nobody_s_way(
    storefront: Caller, house: House, seeded: Seeded
) -> None:
    """Their own cart and name come first, however many others of the code are over."""
    code_id = make_discount(house, seeded)
    body = asked(who="ann@x.example")
    change(
        house,
        "INSERT INTO discount_usages (id, agency_id, client_id, code_id, rules_version, "
        "cart_reference, cart_digest, quote, currency, subtotal_minor, discount_minor, total_minor, "
        "customer_keys, expires_at) SELECT uuidv7(), :agency, :client, :code, 1, 'old-' || n, '', "
        "'{}', 'USD', 0, 0, 0, ARRAY[sha256(n::text::bytea)], now() - interval '1 hour' "
        "FROM generate_series(1, 600) n",
        agency=seeded.agency_id,
        client=seeded.client_id,
        code=code_id,
    )
    change(
        house,
        "INSERT INTO discount_customers (client_id, customer_key, agency_id, live) "
        "SELECT client_id, customer_keys[1], agency_id, 1 FROM discount_usages",
    )
    change(
        house,
        "INSERT INTO discount_customer_uses (code_id, customer_key, agency_id, client_id, uses) "
        "SELECT code_id, customer_keys[1], agency_id, client_id, 1 FROM discount_usages",
    )
    change(house, "UPDATE discount_codes SET used = 600")
    first = storefront.post(APPLY, body)
    expire(house)

    same_cart = storefront.post(APPLY, body)
    expire(house)
    other_cart = storefront.post(APPLY, asked(who="ann@x.example"))

    assert (first.status_code, same_cart.status_code, other_cart.status_code) == (201, 201, 201)
    assert_proven(house)
