"""One database per module here: these tests look and are refused, or undo what they did."""

import logging
from collections.abc import Iterator

import pytest

from pipelines import telemetry
from pipelines.wiring import House, build_house
from tests.conftest import Database, Ground, load_settings, process_environment
from tests.emptied import own_database
from tests.models.two_tenants import Two, two_tenants


@pytest.fixture(scope="module")
def database(ground: Ground) -> Iterator[Database]:
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
def two(house: House) -> Two:
    return two_tenants(house)
