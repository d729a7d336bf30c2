"""A brand sells in a currency whose minor units are known, or it is not made."""

import pytest

from models.database import scoped_transaction
from models.scope import PLATFORM
from pipelines.errors import ValidationFailed
from pipelines.tenants.brands import create_brand
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import items_of, new_brand, submit_file
from tests.seeding import ACTOR, seed


@pytest.mark.parametrize("currency", ["ZZZ", "XAU", "CLF"])
def test_a_brand_in_an_unknown_currency_is_not_made(house: House, currency: str) -> None:
    with (
        pytest.raises(ValidationFailed) as caught,
        scoped_transaction(house.sessions, PLATFORM) as session,
    ):
        create_brand(session, name="Shop", currency=currency, routes=(), actor_id=ACTOR)

    assert [(e.code, e.pointer) for e in caught.value.errors] == [("unknown_currency", "/currency")]
    assert rows(house, "SELECT 1 FROM brands") == []


@pytest.mark.parametrize(("currency", "minor"), [("UGX", 25), ("ISK", 25), ("JOD", 25_000)])
def test_amounts_in_a_file_are_read_in_the_digits_of_its_currency(
    house: House, currency: str, minor: int
) -> None:
    seeded = seed(house, vendor=False, credit_minor=0)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        create_brand(session, name="Opens accounts", currency=currency, routes=(), actor_id=ACTOR)
    rows(house, "UPDATE accounts SET unlimited = true WHERE currency = :c RETURNING 1", c=currency)
    brand_id = new_brand(house, "Shop", currency)

    job_id = submit_file(house, seeded, b"reference,amount\nr1,25\n", brand_id=brand_id).job_id

    assert items_of(house, job_id, "denomination_minor", "charge_minor") == [(minor, minor)]
