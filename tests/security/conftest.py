"""Two full tenants and a caller of every role, once for a module."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import insert

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from models.tenants import Client
from pipelines.wiring import House
from tests.models.two_tenants import Two, two_tenants
from tests.security.tenants import CALLERS, NEIGHBOUR, Known, key_caller, known_of
from tests.standing import admin, app, database, house
from tests.web.conftest import Caller, signed_in

__all__ = ["admin", "app", "database", "house"]


@pytest.fixture(scope="module")
def two(house: House, app: Flask) -> Iterator[Two]:
    """The first is whose callers we are; the other must stay unknown to them."""
    made = two_tenants(house)
    signed_in(app, house, Role.CAMPAIGN_MANAGER, made.other)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        for tenant in (made.one, made.other):
            session.execute(
                insert(Client).values(
                    id=NEIGHBOUR[tenant is made.one],
                    client_id=NEIGHBOUR[tenant is made.one],
                    agency_id=tenant.agency_id,
                    name="Neighbour",
                )
            )
    yield made


@pytest.fixture(scope="module")
def known(house: House, app: Flask, two: Two) -> Known:
    """Everything by which the other tenant could be recognised."""
    key_caller(app, house, two.other.client_id)
    return known_of(house, two.other)


@pytest.fixture(scope="module")
def callers(app: Flask, house: House, two: Two) -> dict[str, Caller]:
    """Every role of the first tenant, its key, and the key of a client beside the other one."""
    found = {role.value: signed_in(app, house, role, two.one) for role in CALLERS}
    found["storefront_key"] = key_caller(app, house, two.one.client_id)
    found["neighbour's key"] = key_caller(app, house, NEIGHBOUR[False])
    return found
