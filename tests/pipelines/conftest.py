"""These tests share one database, emptied before each of them."""

from collections.abc import Iterator

import pytest

from tests.conftest import Database, Ground
from tests.emptied import emptied, own_database


@pytest.fixture(scope="package")
def shared_database(ground: Ground) -> Iterator[Database]:
    with own_database(ground) as made:
        yield made


@pytest.fixture
def database(shared_database: Database) -> Iterator[Database]:
    yield from emptied(shared_database)
