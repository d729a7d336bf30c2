"""One database per module here: these tests look and are refused, or undo what they did."""

import secrets
from collections.abc import Iterator

import pytest

from ops.bootstrap import drop_database, ensure_database
from ops.embedded import role_passwords, role_urls
from pipelines.wiring import House
from tests.conftest import Ground
from tests.models.two_tenants import Two, two_tenants
from tests.standing import database, house

__all__ = ["database", "house"]


@pytest.fixture(scope="module")
def two(house: House) -> Two:
    return two_tenants(house)


@pytest.fixture
def empty(ground: Ground) -> Iterator[str]:
    """The owner's address of a database that has roles and rights, and no tables yet."""
    admin_url, name = ground.servers.admin_url, f"largesse_{secrets.token_hex(6)}"
    ensure_database(admin_url, database=name, passwords=role_passwords(ground.home))
    yield role_urls(ground.home, admin_url, name)["largesse_owner"]
    drop_database(admin_url, name)
