"""One database per module here: these tests look and are refused, or undo what they did."""

import pytest

from pipelines.wiring import House
from tests.models.two_tenants import Two, two_tenants
from tests.standing import database, house

__all__ = ["database", "house"]


@pytest.fixture(scope="module")
def two(house: House) -> Two:
    return two_tenants(house)
