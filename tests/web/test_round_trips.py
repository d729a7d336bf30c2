"""How often the checkout's requests of a storefront ask PostgreSQL (docs/benchmark.md)."""

import pytest
from flask import Flask

from models.base import new_id
from pipelines.wiring import House
from tests.discounting import asked, make_discount
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.statements import statements
from tests.web.conftest import Caller


@pytest.fixture
def till(app: Flask, house: House, seeded: Seeded) -> Caller:
    """A storefront whose key was used a moment ago: that is written once a minute."""
    make_discount(house, seeded)
    key = key_caller(app, house, seeded.client_id)
    assert key.post("/discounts/apply", asked()).status_code == 201
    return key


def test_a_validation_asks_postgresql_seven_times(till: Caller, house: House):
    """Whose key, in two; then the scope, who it is, their cards, the code and what they have of it."""
    query = f"code=SAVE10&subtotal_minor=5000&currency=USD&customer={new_id()}@x.example"

    with statements(house) as sent:
        answer = till.get(f"/discounts/validate?{query}")

    assert answer.json["valid"] is True
    assert len(sent) == 7


def test_an_application_is_three_transactions_of_twenty_statements(till: Caller, house: House):
    """Whose key; what the cart has, before a try is counted; and the slot with all that follows."""
    with statements(house) as sent:
        answer = till.post("/discounts/apply", asked())

    assert answer.status_code == 201
    assert sum(one.startswith("BEGIN") for one in sent) == 3
    assert len(sent) == 20
