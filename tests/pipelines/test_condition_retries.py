"""S4-128: what is tried again, or moved, is held to its campaign's conditions, what is owed is not."""

import pytest

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.errors import Refusal
from pipelines.jobs.schedule import reschedule
from pipelines.wiring import House
from tests.conditions import HOUR, counted, limit
from tests.driving import cards_csv, import_cards_now, recipients_csv, view
from tests.intake import items_of, money_of, submit_file
from tests.pipelines.test_conditions import CREDIT, ask, code_of, finish, retry
from tests.pipelines.test_margin import set_floor
from tests.proof import assert_proven
from tests.replacing import report
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import provision_of


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def test_s4_128_a_replacement_that_found_no_card_is_owed_still(
    house: House, seeded: Seeded
) -> None:
    """Somebody else took the place meanwhile, and the campaign has ended: it is given all the same."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    limit(house, seeded, max_rewards=1)
    job_id = ask(house, seeded)
    finish(house)
    replacement = report(house, seeded, provision_of(house, job_id, 1).id)
    finish(house)
    without_card = view(house, replacement)["state"]
    import_cards_now(house, seeded.csv_pool, cards_csv(2, prefix="MORE"))
    ask(house, seeded, "two@example.com")
    finish(house)
    limit(house, seeded, ends_at=-HOUR)

    retry(house, seeded, replacement)
    finish(house)

    assert (without_card, view(house, replacement)["state"]) == ("failed", "succeeded")
    assert counted(house, seeded) == 2
    assert_proven(house)


def test_s4_128_what_waits_for_its_margin_has_its_place_and_needs_no_other(
    house: House, seeded: Seeded
) -> None:
    """Limits that were lowered meanwhile, in all and for each, strand nobody who is counted."""
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    submit_file(house, seeded, recipients_csv(2))
    finish(house)
    waiting = submit_file(house, seeded, recipients_csv(1), allow_repeat=True, force=True).job_id
    set_floor(house, 100_000)
    finish(house)
    limit(house, seeded, max_rewards=1, max_rewards_per_recipient=1)
    set_floor(house, None)
    before = items_of(house, waiting, "state", "code")

    retry(house, seeded, waiting)
    finish(house)

    assert before == [("needs_review", "margin_below_floor")]
    assert (view(house, waiting)["state"], counted(house, seeded)) == ("succeeded", 3)
    assert_proven(house)


def test_s4_128_what_failed_beside_what_waits_is_refused_where_no_place_is_left(
    house: House, seeded: Seeded
) -> None:
    job_id = submit_file(house, seeded, recipients_csv(1)).job_id
    finish(house)
    limit(house, seeded, max_rewards=1)
    ask(house, seeded)

    with pytest.raises(Refusal) as refused:
        retry(house, seeded, job_id)

    assert code_of(refused) == "campaign_rewards_exhausted"
    assert counted(house, seeded) == 1


def test_s4_128_a_single_request_is_not_begun_anew_after_the_campaign_has_ended(
    house: House, seeded: Seeded
) -> None:
    """It was accepted in time and failed; what is tried again begins again."""
    job_id = ask(house, seeded)
    finish(house)
    limit(house, seeded, ends_at=-HOUR)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))

    retry(house, seeded, job_id)
    finish(house)

    assert items_of(house, job_id, "state", "code") == [("failed", "campaign_ended")]
    assert money_of(house, seeded.client_account) == (CREDIT, 0)
    limit(house, seeded, ends_at=None)
    retry(house, seeded, job_id)
    finish(house)
    assert items_of(house, job_id, "state") == [("succeeded",)]
    assert_proven(house)


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ({"ends_at": 3 * HOUR}, "campaign_ended"),
        ({"starts_at": 6 * HOUR}, "campaign_not_started"),
    ],
)
def test_s4_128_a_job_is_not_moved_to_a_start_outside_the_window(
    house: House, seeded: Seeded, window: dict[str, object], code: str
) -> None:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
    first, beyond = now + HOUR, now + 5 * HOUR
    job_id = submit_file(house, seeded, recipients_csv(1), scheduled_for=first).job_id
    limit(house, seeded, **window)

    with (
        pytest.raises(Refusal) as refused,
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        reschedule(
            session,
            job_id,
            beyond,
            actor_id=ACTOR,
            now=now,
            kinds=house.job_kinds,
            limits=house.limits,
        )

    assert code_of(refused) == code
    assert view(house, job_id)["scheduled_for"] == first
