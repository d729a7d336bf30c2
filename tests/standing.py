"""One house, one front and its tenants for a whole module: for tests that are refused, or only look."""

import logging
from collections.abc import Iterator

import pytest
from flask import Flask

from models.people import Role
from pipelines import telemetry
from pipelines.wiring import House, build_house
from tests.conftest import Database, Ground, forget_rates, load_settings, process_environment
from tests.emptied import own_database
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from web.app import create_app


@pytest.fixture(scope="module")
def database(ground: Ground) -> Iterator[Database]:
    forget_rates(ground.servers.redis_url)
    with own_database(ground) as made:
        yield made


@pytest.fixture(scope="module")
def house(ground: Ground, database: Database) -> Iterator[House]:
    environment = process_environment(database.urls, ground.servers.redis_url)
    telemetry.configure("tests", level=logging.DEBUG)
    built = build_house(load_settings("tools", environment))
    yield built
    built.sessions.kw["bind"].dispose()


@pytest.fixture(scope="module")
def app(house: House) -> Flask:
    return create_app(house)


@pytest.fixture(scope="module")
def seeded(house: House) -> Seeded:
    return seed(house)


@pytest.fixture(scope="module")
def admin(app: Flask, house: House) -> Caller:
    return signed_in(app, house, Role.PLATFORM_ADMIN)


@pytest.fixture(scope="module")
def client_admin(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_ADMIN, seeded)
