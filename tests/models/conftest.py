"""One database per module here: these tests look and are refused, or undo what they did."""

import secrets
from collections.abc import Iterator

import pytest

from ops.bootstrap import create_from_template, drop_database
from ops.embedded import role_urls
from pipelines import telemetry
from pipelines.wiring import House, build_house
from tests.conftest import TEMPLATE, Database, Ground, load_settings, process_environment
from tests.models.two_tenants import Two, two_tenants


@pytest.fixture(scope="module")
def database(ground: Ground) -> Iterator[Database]:
    admin_url, name = ground.servers.admin_url, f"largesse_{secrets.token_hex(6)}"
    create_from_template(admin_url, TEMPLATE, name)
    yield Database(name, admin_url, role_urls(ground.home, admin_url, name))
    drop_database(admin_url, name)


@pytest.fixture(scope="module")
def house(ground: Ground, database: Database) -> Iterator[House]:
    environment = process_environment(database.urls, ground.servers.redis_url)
    telemetry.configure("tests", level=50)
    built = build_house(load_settings("tools", environment))
    yield built
    built.sessions.kw["bind"].dispose()


@pytest.fixture(scope="module")
def two(house: House) -> Two:
    return two_tenants(house)
