"""A request with a key happens once, wherever something is made, moved or decided (EC-035)."""

import pytest

from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller


@pytest.fixture
def seeded(house: House) -> Seeded:
    """No vendor: what the pools do not have fails at once."""
    return seed(house, vendor=False)


def a_failed_job(house: House, seeded: Seeded) -> str:
    """Two recipients, one card, no vendor that answers: one failed item to retry."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)
    assert view(house, job_id)["state"] == "partially_succeeded"
    return str(job_id)


def test_ec035_a_repeated_retry_does_not_open_a_second_round(
    manager: Caller, house: House, seeded: Seeded
):
    job_id = a_failed_job(house, seeded)

    first = manager.post(f"/jobs/{job_id}/retry", Idempotency_Key="again")
    drain(house)
    repeat = manager.post(f"/jobs/{job_id}/retry", Idempotency_Key="again")

    assert (first.status_code, first.json["state"]) == (200, "running")
    assert "Idempotent-Replayed" not in first.headers
    assert (repeat.status_code, repeat.json["state"]) == (200, "partially_succeeded")
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert rows(house, "SELECT round FROM jobs WHERE id = :id", id=job_id) == [(2,)]
