"""A job is run again: the same recipients and settings through the same intake, with new choices."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.jobs import Priority
from models.scope import SYSTEM, client
from pipelines.credit.refusals import InsufficientCredit
from pipelines.errors import NotFound
from pipelines.jobs.control import cancel_job
from pipelines.jobs.create import AcceptedJob
from pipelines.jobs.kinds import InvalidJobState, OnError
from pipelines.jobs.refusals import PreviewStale
from pipelines.jobs.retention import forget_people
from pipelines.provisioning.clone import CloneChoices, preview_clone, submit_clone
from pipelines.provisioning.clone_rows import Only
from pipelines.provisioning.plan import Dedupe
from pipelines.provisioning.refusals import (
    AmountNeeded,
    NotClonable,
    NothingToClone,
    PreviewTooLarge,
    RecipientsForgotten,
    RowsRefused,
)
from pipelines.queue.keys import RequestKey
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, money_of, new_brand, submit_file, table_sizes, with_limits
from tests.moves import control
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import coded_job, served_job, undo

CREDIT = 500_000
AGAIN = CloneChoices(allow_repeat=True)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def clone(
    house: House,
    seeded: Seeded,
    job_id: UUID,
    choices: CloneChoices = AGAIN,
    key: RequestKey | None = None,
) -> AcceptedJob:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_clone(
            session,
            job_id,
            choices,
            actor_id=ACTOR,
            key=key,
            person_secret=house.person_secret,
            limits=house.limits,
        )


def plan_of(
    house: House, seeded: Seeded, job_id: UUID, choices: CloneChoices = AGAIN
) -> dict[str, Any]:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return preview_clone(
            session, job_id, choices, person_secret=house.person_secret, limits=house.limits
        )


PEOPLE = ("position", "reference", "email", "name", "phone", "denomination_minor", "person_key")


def test_a_clone_gives_the_same_people_cards_again(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 3)
    import_cards_now(house, seeded.csv_pool, cards_csv(3, "MORE"))

    cloned = clone(house, seeded, job_id).job_id
    drain(house)

    assert items_of(house, cloned, *PEOPLE) == items_of(house, job_id, *PEOPLE)
    assert view(house, cloned)["state"] == "succeeded"
    assert view(house, cloned)["cloned_from_id"] == job_id
    told = "SELECT detail->>'clone' FROM audit_entries WHERE action = 'job.cloned'"
    assert rows(house, told) == [(str(cloned),)]
    assert money_of(house, seeded.client_account) == (CREDIT - 6 * 2500, 0)
    assert_proven(house)


def test_a_clone_judges_people_as_any_intake_does(house: House, seeded: Seeded) -> None:
    """Nobody gets a second card of a campaign by accident: a repeat is asked for by name."""
    job_id = served_job(house, seeded, 2)
    before = table_sizes(house)

    with pytest.raises(RowsRefused) as refused:
        clone(house, seeded, job_id, CloneChoices())

    assert [error.code for error in refused.value.errors] == ["already_served"] * 2
    assert table_sizes(house) == before


def test_rows_keep_their_own_amounts_unless_another_is_given(house: House, seeded: Seeded) -> None:
    listed = [{"reference": "a", "denomination_minor": 1000}, {"reference": "b"}]
    job_id = submit_file(house, seeded, listed).job_id
    drain(house)

    same = clone(house, seeded, job_id).job_id
    other = clone(house, seeded, job_id, replace(AGAIN, denomination_minor=700)).job_id

    assert items_of(house, same, "reference", "denomination_minor") == [("a", 1000), ("b", 2500)]
    assert items_of(house, other, "reference", "denomination_minor") == [("a", 700), ("b", 700)]


def test_rows_keep_their_own_brands_unless_another_is_given(house: House, seeded: Seeded) -> None:
    books, games = new_brand(house, "Books"), new_brand(house, "Games")
    job_id = submit_file(house, seeded, [{"reference": "a", "brand": "books"}]).job_id
    drain(house)

    same = clone(house, seeded, job_id).job_id
    other = clone(house, seeded, job_id, replace(AGAIN, brand_id=games)).job_id

    assert items_of(house, same, "brand_id") == [(books,)]
    assert items_of(house, other, "brand_id") == [(games,)]


def test_an_amount_is_not_carried_into_another_currency(house: House, seeded: Seeded) -> None:
    """2500 cents are not 2500 yen."""
    yen = new_brand(house, "Depato", "JPY")
    job_id = served_job(house, seeded, 1)

    with pytest.raises(AmountNeeded) as refused:
        clone(house, seeded, job_id, replace(AGAIN, brand_id=yen))

    assert refused.value.extra == {"currency": "JPY"}


def test_only_the_failed_are_cloned(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    content = recipients_csv(3) + b"bad,not-an-address,,\n"
    job_id = submit_file(house, seeded, content, on_error=OnError.SKIP).job_id
    drain(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(1, "MORE"))

    cloned = clone(house, seeded, job_id, CloneChoices(only=Only.FAILED)).job_id
    drain(house)

    assert items_of(house, cloned, "position", "state", "email") == [
        (3, "succeeded", "person2@example.com")
    ]
    assert_proven(house)


def test_rows_refused_for_their_own_text_stay_refused(house: House, seeded: Seeded) -> None:
    content = recipients_csv(1) + b"bad,not-an-address,,\n"
    job_id = submit_file(house, seeded, content, on_error=OnError.SKIP).job_id
    drain(house)

    cloned = clone(house, seeded, job_id).job_id

    assert items_of(house, cloned, "state", "code", "field", "charge_minor") == [
        ("pending", None, None, 2500),
        ("failed", "invalid_email", "email", 0),
    ]


def test_the_cancelled_and_the_undone_are_cloned_by_themselves(
    house: House, seeded: Seeded
) -> None:
    waiting = submit_file(house, seeded, recipients_csv(2, start=10)).job_id
    control(house, seeded, cancel_job, waiting)
    drain(house)
    job_id = served_job(house, seeded, 2)
    undo(house, seeded, job_id)

    cancelled = clone(house, seeded, waiting, CloneChoices(only=Only.CANCELLED)).job_id
    undone = clone(house, seeded, job_id, CloneChoices(only=Only.UNDONE)).job_id

    assert items_of(house, cancelled, "position", "state") == [(1, "pending"), (2, "pending")]
    assert items_of(house, undone, "position", "state") == [(1, "pending"), (2, "pending")]


def test_settings_are_those_of_the_original(house: House, seeded: Seeded) -> None:
    chosen: dict[str, Any] = {
        "on_error": OnError.SKIP,
        "dedupe": Dedupe.ALLOW,
        "allow_repeat": True,
        "priority": Priority.HIGH,
    }
    job_id = submit_file(house, seeded, recipients_csv(1), **chosen).job_id
    drain(house)

    cloned = clone(house, seeded, job_id, CloneChoices()).job_id

    statement = "SELECT spec, priority FROM jobs WHERE id = :id"
    assert rows(house, statement, id=cloned) == rows(house, statement, id=job_id)


def test_a_preview_shows_the_plan_and_a_stale_one_is_refused(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 2)
    before = table_sizes(house)

    plan = plan_of(house, seeded, job_id)

    assert (plan["rows"], plan["valid"], plan["cost"]["charge_minor"]) == (2, 2, 5000)
    assert table_sizes(house) == before
    with pytest.raises(PreviewStale):
        clone(house, seeded, job_id, replace(AGAIN, plan_hash="another"))
    assert clone(house, seeded, job_id, replace(AGAIN, plan_hash=plan["plan_hash"])).job_id


def test_a_clone_without_credit_changes_nothing(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 2)
    before = table_sizes(house)

    with pytest.raises(InsufficientCredit):
        clone(house, seeded, job_id, replace(AGAIN, denomination_minor=CREDIT))

    assert table_sizes(house) == before
    assert money_of(house, seeded.client_account) == (CREDIT - 5000, 0)


def test_a_key_makes_one_clone(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 1)
    key = RequestKey(ACTOR, "clone-1", b"f" * 32)

    first = clone(house, seeded, job_id, key=key)
    again = clone(house, seeded, job_id, key=key)

    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.job_id == first.job_id


def test_a_large_job_is_cloned_by_a_worker_with_the_same_outcome(
    house: House, seeded: Seeded
) -> None:
    small = with_limits(house, clone_inline_items_max=2)
    job_id = served_job(small, seeded, 3)
    import_cards_now(small, seeded.csv_pool, cards_csv(3, "MORE"))

    with pytest.raises(PreviewTooLarge) as refused:
        plan_of(small, seeded, job_id)
    cloned = clone(small, seeded, job_id).job_id
    accepted = view(small, cloned)
    drain(small)

    assert refused.value.extra == {"items_max": 2}
    assert (accepted["state"], accepted["counts"]["total"]) == ("queued", 0)
    assert items_of(small, cloned, *PEOPLE) == items_of(small, job_id, *PEOPLE)
    assert view(small, cloned)["state"] == "succeeded"
    assert view(small, cloned)["cloned_from_id"] == job_id
    assert_proven(small)


def test_a_large_clone_that_is_refused_ends_with_the_refusal(house: House, seeded: Seeded) -> None:
    small = with_limits(house, clone_inline_items_max=2)
    job_id = served_job(small, seeded, 3)

    cloned = clone(small, seeded, job_id, CloneChoices()).job_id
    drain(small)

    assert view(small, cloned)["state"] == "failed"
    assert view(small, cloned)["error"]["code"] == "rows_refused"
    assert_proven(small)


def test_people_who_were_forgotten_are_not_cloned(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 1)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE jobs SET retain_until = current_date - 1"))
        forget_people(session, clock.now(session))

    with pytest.raises(RecipientsForgotten):
        clone(house, seeded, job_id)


def test_a_redemption_code_gives_no_second_card_by_way_of_a_clone(
    house: House, seeded: Seeded
) -> None:
    """One code, one card: neither a served nor a failed request for a code is run again."""
    given = coded_job(house, seeded, "SPRING-1", cards=1)
    failed = coded_job(house, seeded, "SPRING-2", cards=0)
    import_cards_now(house, seeded.csv_pool, cards_csv(2, "MORE"))
    before = table_sizes(house)

    for job_id in (given, failed):
        for ask in (clone, plan_of):
            with pytest.raises(NotClonable) as refused:
                ask(house, seeded, job_id)
            assert "redemption code" in refused.value.detail

    assert [view(house, job_id)["state"] for job_id in (given, failed)] == ["succeeded", "failed"]
    assert table_sizes(house) == before


def test_what_cannot_be_cloned_is_refused_and_changes_nothing(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 1)
    undo_id = undo(house, seeded, job_id)
    waiting = submit_file(house, seeded, recipients_csv(1, start=5)).job_id
    other = seed(house, vendor=False)
    before = table_sizes(house)

    with pytest.raises(NotClonable):
        clone(house, seeded, undo_id)
    with pytest.raises(InvalidJobState):
        clone(house, seeded, waiting)
    with pytest.raises(NothingToClone):
        clone(house, seeded, job_id, CloneChoices(only=Only.FAILED))
    with pytest.raises(NotFound):
        clone(house, other, job_id)
    with pytest.raises(NotFound):
        clone(house, seeded, job_id, replace(AGAIN, campaign_id=other.campaign_id))

    assert table_sizes(house) == before
