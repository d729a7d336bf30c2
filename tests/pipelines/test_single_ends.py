"""How requests of one card end beside others: a code freed this moment, a client suspended."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM
from pipelines.jobs.refusals import ClientSuspended
from pipelines.provisioning.refusals import CampaignNotActive
from pipelines.queue.keys import RequestInProgress
from pipelines.wiring import House
from tests.driving import rows
from tests.intake import table_sizes
from tests.pipelines.test_singles import ask, finish, outcome
from tests.seeding import Seeded, seed
from web.errors import STATUS


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=10_000)


@contextmanager
def code_freed_and_taken(house: House, *, freed: int, taken: int) -> Iterator[None]:
    """Others free the code before the first looks at its owner, and take it before inserts."""
    engine = house.sessions.kw["bind"]
    left = {"SELECT job_id, person_key FROM redemption_codes": freed}
    left["INSERT INTO redemption_codes"] = taken
    other = {
        "SELECT job_id, person_key FROM redemption_codes": "UPDATE redemption_codes "
        "SET blind_index = CAST('freed' AS bytea) || blind_index",
        "INSERT INTO redemption_codes": "UPDATE redemption_codes "
        "SET blind_index = substring(blind_index FROM 6) WHERE length(blind_index) > 32",
    }

    def beside(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        for begins, work in other.items():
            if statement.strip().startswith(begins) and left[begins]:
                left[begins] -= 1
                thread = threading.Thread(target=_in_own_transaction, args=(house, work))
                thread.start()
                thread.join()

    event.listen(engine, "before_cursor_execute", beside)
    yield
    event.remove(engine, "before_cursor_execute", beside)


def _in_own_transaction(house: House, work: str) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(work))


def test_ec065_a_code_freed_between_two_looks_is_taken(house: House, seeded: Seeded) -> None:
    """EC-065: a settlement gives back the code of a request that bought nothing."""
    first = ask(house, seeded, code="KANARIE-1")

    with code_freed_and_taken(house, freed=1, taken=0):
        second = ask(house, seeded, code="KANARIE-1", email="two@example.com")

    assert (second.is_replay, second.job_id == first.job_id) == (False, False)
    mine = "SELECT job_id FROM redemption_codes WHERE length(blind_index) = 32"
    assert rows(house, mine) == [(second.job_id,)]


def test_ec065_a_code_that_is_freed_again_and_again_is_asked_for_later(
    house: House, seeded: Seeded
) -> None:
    """EC-065: a refusal that says when to come, and nothing written."""
    ask(house, seeded, code="KANARIE-1")
    before = table_sizes(house)

    with (
        code_freed_and_taken(house, freed=2, taken=2),
        pytest.raises(RequestInProgress) as refused,
    ):
        ask(house, seeded, code="KANARIE-1", email="two@example.com")

    assert (refused.value.code, refused.value.retry_after_seconds) == ("request_in_progress", 1)
    assert table_sizes(house) == before


@pytest.mark.parametrize(
    ("meanwhile", "refusal"),
    [
        ("UPDATE campaigns SET state = 'closed'", CampaignNotActive),
        ("UPDATE clients SET suspended_at = now()", ClientSuspended),
    ],
)
def test_a_request_that_ends_with_its_account_says_so_as_at_submit(
    house: House, seeded: Seeded, meanwhile: str, refusal: Any
) -> None:
    accepted = ask(house, seeded)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(text(meanwhile))

    finish(house)

    result, error = outcome(house, seeded, accepted)
    assert result is None
    assert (error["code"], error["status"]) == (refusal.code, STATUS[refusal.kind])
