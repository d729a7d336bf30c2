"""A house without an account at Stripe: nothing is begun that could not be paid, and slots come back."""

import pytest
from flask import Flask

from pipelines.wiring import House
from tests.discounting import asked, cart, counted, expire, make_discount, said, sweep
from tests.paying import WHERE
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller
from web.app import create_app


@pytest.fixture
def app(house: House) -> Flask:
    return create_app(house)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house)


@pytest.fixture
def shop(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


def test_a_purchase_that_nobody_can_be_paid_for_is_not_begun(
    shop: Caller, house: House, seeded: Seeded
) -> None:
    code_id = make_discount(house, seeded, max_uses=1)
    reservation = shop.post("/discounts/apply", asked()).json["reservation"]

    refused = shop.post("/checkout", WHERE | {"reservation_id": reservation["id"]})
    expire(house)
    sweep(house)

    assert said(refused) == (503, "payments_not_set_up")
    assert counted(house, code_id) == (0, {"released": 1})


def test_what_costs_nothing_needs_no_account(shop: Caller, house: House, seeded: Seeded) -> None:
    code_id = make_discount(house, seeded, percent_bp=10_000)
    who, bought = {"email": "ann@x.example"}, cart(5_000)
    shop.post("/discounts/apply", asked(cart=bought, customer=who))

    free = shop.post("/checkout", WHERE | {"cart": bought, "customer": who})

    assert (free.status_code, free.json["state"]) == (201, "confirmed")
    assert counted(house, code_id) == (1, {"confirmed": 1})


def test_ec031_nobody_s_signature_is_good_where_there_is_no_secret(app: Flask) -> None:
    answer = app.test_client().post(
        "/api/v1/webhooks/stripe", data=b"{}", headers={"Stripe-Signature": "t=1,v1=" + "0" * 64}
    )

    assert said(answer) == (400, "invalid_signature")
