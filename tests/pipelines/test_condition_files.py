"""S4-128: a file is written while others take rewards of its campaign, and nobody gets too much."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipelines.jobs.kinds import OnError
from pipelines.jobs.refusals import PreviewStale
from pipelines.provisioning import submit
from pipelines.provisioning.refusals import RowsRefused
from pipelines.wiring import House
from tests.conditions import counted, limit
from tests.driving import cards_csv, import_cards_now, recipients_csv, view
from tests.intake import items_of, money_of, preview_file, submit_file
from tests.pipelines.test_conditions import CREDIT, ask, finish
from tests.pipelines.test_large_intake import submit as submit_large
from tests.proof import assert_proven
from tests.seeding import Seeded, seed

EXHAUSTED = ("failed", "campaign_rewards_exhausted", 0)


@pytest.fixture
def seeded(house: House) -> Seeded:
    seeded = seed(house, vendor=False, credit_minor=CREDIT)
    import_cards_now(house, seeded.csv_pool, cards_csv(9))
    return seeded


@pytest.fixture
def meanwhile(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Somebody asks for a card once a file is judged and before its items are written."""
    original = submit.lay_chunks

    def then(email: str) -> None:
        def lay(*args: Any, **kwargs: Any) -> None:
            monkeypatch.setattr(submit, "lay_chunks", original)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(ask, house, seeded, email).result()
            original(*args, **kwargs)

        monkeypatch.setattr(submit, "lay_chunks", lay)

    return then


@pytest.mark.parametrize("is_large", [False, True])
def test_s4_128_who_asks_while_a_file_is_written_does_not_wait_and_the_last_row_has_no_place(
    house: House, seeded: Seeded, meanwhile: Callable[[str], None], is_large: bool
) -> None:
    limit(house, seeded, max_rewards=3)
    meanwhile("shopper@example.com")

    if is_large:
        job_id = submit_large(house, seeded, recipients_csv(3), on_error=OnError.SKIP)
    else:
        job_id = submit_file(house, seeded, recipients_csv(3), on_error=OnError.SKIP).job_id
    finish(house)
    finish(house)  # who asked while a worker wrote

    assert items_of(house, job_id, "state", "code", "charge_minor") == [
        *[("succeeded", None, 2500)] * 2,
        EXHAUSTED,
    ]
    assert view(house, job_id)["state"] == "partially_succeeded"
    assert money_of(house, seeded.client_account) == (CREDIT - 3 * 2500, 0)
    assert counted(house, seeded) == 3
    assert_proven(house)


def test_s4_128_a_recipient_who_is_served_while_a_file_is_written_is_told_in_its_row(
    house: House, seeded: Seeded, meanwhile: Callable[[str], None]
) -> None:
    limit(house, seeded, max_rewards=3, max_rewards_per_recipient=1)
    meanwhile("person1@example.com")

    job_id = submit_file(house, seeded, recipients_csv(3), on_error=OnError.SKIP).job_id
    finish(house)

    assert items_of(house, job_id, "state", "code") == [
        ("succeeded", None),
        ("failed", "recipient_limit_reached"),
        ("succeeded", None),
    ]
    assert counted(house, seeded) == 3
    assert_proven(house)


def test_s4_128_a_file_that_has_no_place_left_as_a_whole_writes_nothing(
    house: House, seeded: Seeded, meanwhile: Callable[[str], None]
) -> None:
    limit(house, seeded, max_rewards=4)
    content = recipients_csv(3)
    agreed = preview_file(house, seeded, content, on_error=OnError.SKIP)["plan_hash"]
    ask(house, seeded, "early@example.com")

    meanwhile("late@example.com")
    with pytest.raises(RowsRefused) as refused:
        submit_file(house, seeded, content)
    after_abort = counted(house, seeded)
    limit(house, seeded, max_rewards=5)
    meanwhile("later@example.com")
    with pytest.raises(PreviewStale):
        submit_file(house, seeded, content, on_error=OnError.SKIP, plan_hash=agreed)

    assert [(one.row, one.code) for one in refused.value.errors] == [
        (3, "campaign_rewards_exhausted")
    ]
    assert (after_abort, counted(house, seeded)) == (2, 3)
    finish(house)
    assert_proven(house)
