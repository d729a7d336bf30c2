"""S4-128: a campaign gives rewards in its window, and as many as it has, whoever asks at once."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.errors import Refusal, ValidationFailed
from pipelines.jobs.control import retry_job
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.refusals import RowsRefused
from pipelines.provisioning.replace import replace_card
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.wiring import House
from tests.conditions import HOUR, counted, limit
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, money_of, preview_file, submit_file, table_sizes
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import provision_of, undo

CREDIT = 500_000


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def ask(house: House, seeded: Seeded, email: str | None = "one@example.com", **more: Any) -> UUID:
    request = SingleRequest(
        seeded.campaign_id, seeded.brand_id, 2500, DeliveryMethod.NONE, {"email": email}, **more
    )
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_single(
            session,
            request,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        ).job_id


def finish(house: House) -> None:
    hasten(house)
    drain(house)


def retry(house: House, seeded: Seeded, job_id: UUID) -> None:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now, kinds = clock.now(session), house.job_kinds
        retry_job(session, job_id, actor_id=ACTOR, now=now, kinds=kinds, limits=house.limits)


def code_of(refused: Any) -> str:
    return str(refused.value.code)


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ({"starts_at": HOUR}, "campaign_not_started"),
        ({"ends_at": -HOUR}, "campaign_ended"),
        ({"starts_at": -2 * HOUR, "ends_at": timedelta(0)}, "campaign_ended"),
    ],
)
def test_s4_128_outside_its_window_a_campaign_accepts_nothing(
    house: House, seeded: Seeded, window: dict[str, timedelta], code: str
) -> None:
    limit(house, seeded, **window)
    before = table_sizes(house)

    for attempt in (
        lambda: ask(house, seeded, redemption_code="KANARIE"),
        lambda: preview_file(house, seeded, recipients_csv(2)),
        lambda: submit_file(house, seeded, recipients_csv(2)),
    ):
        with pytest.raises(Refusal) as refused:
            attempt()
        assert code_of(refused) == code
    assert table_sizes(house) == before


def test_s4_128_a_job_may_be_accepted_for_a_start_inside_the_window(
    house: House, seeded: Seeded
) -> None:
    limit(house, seeded, starts_at=HOUR, ends_at=3 * HOUR)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)

    submit_file(house, seeded, recipients_csv(1), scheduled_for=now + 2 * HOUR)
    with pytest.raises(Refusal) as refused:
        submit_file(house, seeded, recipients_csv(2), scheduled_for=now + 4 * HOUR)

    assert code_of(refused) == "campaign_ended"


def test_s4_128_what_is_not_begun_when_the_window_closes_ends_uncharged_and_may_be_retried(
    house: House, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    bulk = submit_file(house, seeded, recipients_csv(2)).job_id
    single = ask(house, seeded)
    limit(house, seeded, ends_at=-HOUR)

    finish(house)

    assert items_of(house, bulk, "state", "code") == [("failed", "campaign_ended")] * 2
    assert items_of(house, single, "state") == [("succeeded",)]
    assert money_of(house, seeded.client_account) == (CREDIT - 2500, 0)
    limit(house, seeded, ends_at=None)
    retry(house, seeded, bulk)
    finish(house)
    assert view(house, bulk)["state"] == "succeeded"
    assert_proven(house)


def test_s4_128_a_window_that_ends_before_it_begins_is_refused(
    house: House, seeded: Seeded
) -> None:
    limit(house, seeded, starts_at=HOUR)

    with pytest.raises(ValidationFailed) as refused:
        limit(house, seeded, ends_at=HOUR / 2)

    assert [error.code for error in refused.value.errors] == ["window_ends_first"]


def test_s4_128_fifty_shoppers_race_for_twenty_rewards_and_twenty_get_one(
    house: House, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(50))
    limit(house, seeded, max_rewards=20)
    start = threading.Barrier(50)

    def attempt(number: int) -> str:
        start.wait(timeout=30)
        try:
            ask(house, seeded, f"p{number}@example.com")
        except Refusal as refusal:
            return refusal.code
        return "accepted"

    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(attempt, range(50)))
    finish(house)

    assert answers == {"accepted": 20, "campaign_rewards_exhausted": 30}
    assert rows(house, "SELECT count(*) AS n FROM provisions")[0].n == 20
    assert money_of(house, seeded.client_account) == (CREDIT - 20 * 2500, 0)
    assert counted(house, seeded) == 20
    assert_proven(house)


def test_s4_128_rows_beyond_the_rewards_are_told_one_by_one_before_and_after(
    house: House, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(5))
    limit(house, seeded, max_rewards=3)
    content = recipients_csv(5)

    plan = preview_file(house, seeded, content, on_error=OnError.SKIP)
    with pytest.raises(RowsRefused) as refused:
        submit_file(house, seeded, content)
    job_id = submit_file(
        house, seeded, content, on_error=OnError.SKIP, plan_hash=plan["plan_hash"]
    ).job_id
    finish(house)

    assert (plan["valid"], plan["cost"]["charge_minor"]) == (3, 7500)
    told = [(error["row"], error["code"]) for error in plan["invalid"]]
    assert told == [(4, "campaign_rewards_exhausted"), (5, "campaign_rewards_exhausted")]
    assert [error.row for error in refused.value.errors] == [4, 5]
    assert items_of(house, job_id, "state", "code") == [
        *[("succeeded", None)] * 3,
        *[("failed", "campaign_rewards_exhausted")] * 2,
    ]
    assert counted(house, seeded) == 3
    assert_proven(house)


def test_s4_128_a_place_comes_free_when_nothing_was_given_or_it_was_taken_back(
    house: House, seeded: Seeded
) -> None:
    limit(house, seeded, max_rewards=2)
    nothing = submit_file(house, seeded, recipients_csv(2)).job_id
    finish(house)
    assert (view(house, nothing)["state"], counted(house, seeded)) == ("failed", 0)

    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    given = submit_file(house, seeded, recipients_csv(2, start=5)).job_id
    finish(house)
    with pytest.raises(Refusal) as refused:
        retry(house, seeded, nothing)
    undo(house, seeded, given)
    after_undo = counted(house, seeded)
    retry(house, seeded, nothing)
    finish(house)

    assert code_of(refused) == "campaign_rewards_exhausted"
    assert after_undo == 0
    assert (view(house, nothing)["state"], counted(house, seeded)) == ("succeeded", 2)
    assert_proven(house)


def test_s4_128_a_card_that_did_not_work_is_replaced_even_where_all_rewards_are_given(
    house: House, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    limit(house, seeded, max_rewards=1, max_rewards_per_recipient=1)
    job_id = ask(house, seeded)
    finish(house)
    provision_id = provision_of(house, job_id, 1).id

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        replace_card(
            session,
            provision_id,
            reason="empty",
            actor_id=ACTOR,
            limits=house.limits,
        )
    finish(house)

    assert rows(house, "SELECT count(*) AS n FROM provisions")[0].n == 2
    assert counted(house, seeded) == 1
    assert_proven(house)


def test_s4_128_a_limit_that_is_set_later_counts_what_is_open_and_given(
    house: House, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    taken_back = submit_file(house, seeded, recipients_csv(1)).job_id
    finish(house)
    undo(house, seeded, taken_back)
    submit_file(house, seeded, recipients_csv(1, start=5))
    finish(house)
    ask(house, seeded)
    before = counted(house, seeded)

    limit(house, seeded, max_rewards=2, max_rewards_per_recipient=1)

    assert (before, counted(house, seeded)) == (None, 2)
    with pytest.raises(Refusal) as refused:
        ask(house, seeded, "two@example.com")
    assert code_of(refused) == "campaign_rewards_exhausted"
    limit(house, seeded, max_rewards=9)
    with pytest.raises(Refusal) as refused:
        ask(house, seeded)
    assert code_of(refused) == "recipient_limit_reached"
    finish(house)
    assert_proven(house)


def test_s4_128_a_limit_below_what_was_given_takes_nothing_back_and_gives_no_more(
    house: House, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    submit_file(house, seeded, recipients_csv(3))
    finish(house)

    limit(house, seeded, max_rewards=1)

    with pytest.raises(Refusal) as refused:
        ask(house, seeded)
    assert code_of(refused) == "campaign_rewards_exhausted"
    assert counted(house, seeded) == 3
    assert_proven(house)
