"""S4-128: when a campaign is counted, who waits for whom meanwhile, and that a lost count is told."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import PLATFORM, client
from pipelines.errors import Refusal
from pipelines.provisioning import run_chunk as chunks
from pipelines.provisioning.conditions import lock_count
from pipelines.wiring import House
from tests.conditions import counted, limit
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows, view
from tests.intake import submit_file, with_limits
from tests.pipelines.test_conditions import CREDIT, ask, code_of, finish
from tests.proof import assert_proven, violations
from tests.seeding import Seeded, seed
from tests.until import until

_SHARE = text("SELECT FROM campaigns WHERE id = :campaign FOR KEY SHARE")
_WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted"


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def counts(house: House) -> int:
    return len(rows(house, "SELECT 1 FROM reward_counts"))


def apart(attempt: Callable[[], object]) -> object:
    """In a thread of its own: a transaction does not begin inside another one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(attempt).result()


def test_s4_128_a_limit_that_is_lifted_leaves_no_count_for_anybody_to_wait_for(
    house: House, seeded: Seeded
) -> None:
    """Single requests lock it before accounts; who did not lock it must not meet it after them."""
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    limit(house, seeded, max_rewards=9, max_rewards_per_recipient=2)
    submit_file(house, seeded, recipients_csv(2))
    both = counts(house)
    limit(house, seeded, max_rewards_per_recipient=None)
    in_all = counts(house)
    assert_proven(house)

    limit(house, seeded, max_rewards=None)
    finish(house)
    ask(house, seeded)

    assert (both, in_all, counts(house)) == (3, 1, 0)
    limit(house, seeded, max_rewards=3)
    assert counted(house, seeded) == 3
    assert_proven(house)


def test_s4_128_a_limit_is_lifted_while_a_chunk_holds_the_count(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lifts it waits for the campaign, which the chunk shares, and only then takes the count."""
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    limit(house, seeded, max_rewards=9)
    job_id = submit_file(house, seeded, recipients_csv(2)).job_id
    original, lifting = chunks.stop_verdict, list[Future[None]]()

    with ThreadPoolExecutor(1) as pool:

        def while_it_is_held(*args: Any, **kwargs: Any) -> Any:
            lifting.append(pool.submit(limit, house, seeded, max_rewards=None))
            until(lambda: lifting[0].done() or apart(lambda: rows(house, _WAITING)))
            return original(*args, **kwargs)

        monkeypatch.setattr(chunks, "stop_verdict", while_it_is_held)
        finish(house)
        lifting[0].result()

    assert (view(house, job_id)["state"], counts(house)) == ("succeeded", 0)
    assert_proven(house)


def test_s4_128_what_begins_and_ends_no_counting_waits_for_no_request(
    house: House, seeded: Seeded
) -> None:
    """Requests share the campaign one after another without a gap: whoever waits for one, starves."""
    limit(house, seeded, max_rewards=9)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(_SHARE, {"campaign": seeded.campaign_id})
        apart(lambda: limit(house, seeded, time_zone="Asia/Tokyo", max_rewards=8))

    found = rows(house, "SELECT time_zone, max_rewards FROM campaigns")
    assert [tuple(row) for row in found] == [("Asia/Tokyo", 8)]


def test_s4_128_a_limit_for_each_recipient_is_refused_where_too_many_rewards_count(
    house: House, seeded: Seeded
) -> None:
    """Its recipients would be counted while everybody else waits."""
    small = with_limits(house, counted_later_max=2)
    submit_file(house, seeded, recipients_csv(3))

    with pytest.raises(Refusal) as refused:
        limit(small, seeded, max_rewards_per_recipient=1)

    assert code_of(refused) == "too_many_to_count"
    assert "Make a new campaign" in str(refused.value.detail)
    assert counts(house) == 0
    limit(small, seeded, max_rewards=9)
    assert counted(house, seeded) == 3


@pytest.mark.parametrize("gone", ["person_key <> ''", "true"])
def test_s4_128_a_count_that_is_lost_is_no_limit_lost(
    house: House, seeded: Seeded, gone: str
) -> None:
    """The proof tells of it, and nothing is given without the count of the whole."""
    limit(house, seeded, max_rewards=5, max_rewards_per_recipient=1)
    submit_file(house, seeded, recipients_csv(2))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(text(f"DELETE FROM reward_counts WHERE {gone}"))

    assert set(violations(house)) == {"rewards"}
    if gone == "true":
        with (
            pytest.raises(LookupError),
            scoped_transaction(house.sessions, client(seeded.client_id)) as session,
        ):
            lock_count(session, seeded.campaign_id)
