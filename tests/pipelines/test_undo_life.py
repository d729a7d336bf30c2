"""The life of an undo: asked for once, paused, cancelled, retried."""

import pytest
from sqlalchemy import text

from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.errors import NotFound
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.kinds import InvalidJobState, NothingToRetry, UndoInProgress
from pipelines.jobs.refusals import NothingToUndo, NotUndoable
from pipelines.queue.keys import RequestKey
from pipelines.wiring import House
from tests.driving import (
    cards_csv,
    drain,
    hasten,
    import_cards_now,
    recipients_csv,
    view,
)
from tests.intake import accept_cards, items_of, money_of, submit_file, table_sizes, with_limits
from tests.moves import control, one_step, retry
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import (
    ask_undo,
    card_states,
    coded_job,
    open_card,
    preview,
    provision_of,
    served_job,
    undo,
)

CREDIT = 500_000


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def test_a_second_undo_finds_nothing_and_writes_nothing(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 2)
    undo(house, seeded, job_id)
    before = table_sizes(house)

    with pytest.raises(NothingToUndo):
        ask_undo(house, seeded, job_id)

    assert table_sizes(house) == before
    assert preview(house, seeded, job_id)["undoable"] == 0


def test_what_an_undo_did_not_reach_another_one_takes_back(house: House, seeded: Seeded) -> None:
    small = with_limits(house, chunk_items_max=2, chunks_released_max=1)
    job_id = served_job(small, seeded, 4)
    first = ask_undo(small, seeded, job_id).resource_id
    one_step(small)  # plans
    one_step(small)  # takes back the first chunk
    control(small, seeded, cancel_job, first)
    drain(small)

    second = undo(small, seeded, job_id)

    assert view(small, first)["state"] == "cancelled"
    assert items_of(small, first, "state", "code")[2:] == [("cancelled", "job_cancelled")] * 2
    assert items_of(small, second, "state", "code") == [
        *[("skipped", "already_undone")] * 2,
        *[("succeeded", None)] * 2,
    ]
    assert view(small, job_id)["undone"] == {
        "count": 4,
        "refunded_minor": 10_000,
        "job_ids": [first, second],
    }
    assert money_of(small, seeded.client_account) == (CREDIT, 0)
    assert_proven(small)


def test_an_undo_is_paused_and_goes_on_where_it_stood(house: House, seeded: Seeded) -> None:
    small = with_limits(house, chunk_items_max=2, chunks_released_max=1)
    job_id = served_job(small, seeded, 4)
    undo_id = ask_undo(small, seeded, job_id).resource_id
    one_step(small)
    one_step(small)
    control(small, seeded, pause_job, undo_id)
    drain(small)
    paused = view(small, undo_id)

    control(small, seeded, resume_job, undo_id)
    drain(small)

    assert (paused["state"], paused["counts"]["pending"]) == ("paused", 2)
    assert view(small, undo_id)["state"] == "succeeded"
    assert_proven(small)


def test_an_undo_cancelled_before_it_was_planned_takes_nothing_back(
    house: House, seeded: Seeded
) -> None:
    job_id = served_job(house, seeded, 2)
    undo_id = ask_undo(house, seeded, job_id).resource_id

    control(house, seeded, cancel_job, undo_id)
    drain(house)

    assert (view(house, undo_id)["state"], view(house, undo_id)["counts"]["total"]) == (
        "cancelled",
        0,
    )
    assert card_states(house) == {"issued": 2}
    assert_proven(house)


def test_ec121_an_undo_cancelled_before_its_plan_is_given_up_ends(
    house: House, seeded: Seeded
) -> None:
    """EC-121: the settlement came first and left the end to a plan that kills its workers."""
    job_id = served_job(house, seeded, 2)
    undo_id = ask_undo(house, seeded, job_id).resource_id
    control(house, seeded, cancel_job, undo_id)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE tasks SET starts = 3, run_after = now() + interval '1 hour' "
                "WHERE kind = 'plan_job'"
            )
        )
    drain(house)
    settled_first = view(house, undo_id)["state"]

    hasten(house)
    drain(house)

    assert settled_first == "cancelling"
    assert (view(house, undo_id)["state"], view(house, undo_id)["counts"]["total"]) == (
        "cancelled",
        0,
    )
    assert card_states(house) == {"issued": 2}
    assert_proven(house)


def test_one_undo_of_a_job_at_a_time(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 2)
    first = ask_undo(house, seeded, job_id).resource_id

    with pytest.raises(UndoInProgress) as refused:
        ask_undo(house, seeded, job_id)
    with pytest.raises(UndoInProgress):
        preview(house, seeded, job_id)

    assert refused.value.extra == {"job_id": str(first)}
    drain(house)
    assert_proven(house)


def test_a_key_asks_for_an_undo_once(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 2)
    key = RequestKey(ACTOR, "undo-1", b"f" * 32)

    first = ask_undo(house, seeded, job_id, key)
    again = ask_undo(house, seeded, job_id, key)

    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.resource_id == first.resource_id


def test_only_a_job_that_has_ended_is_undone(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    job_id = submit_file(house, seeded, recipients_csv(2)).job_id
    before = table_sizes(house)

    for ask in (ask_undo, preview):
        with pytest.raises(InvalidJobState) as refused:
            ask(house, seeded, job_id)
        assert refused.value.extra["state"] == "queued"

    assert table_sizes(house) == before


def test_an_undo_is_not_undone(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 1)
    undo_id = undo(house, seeded, job_id)

    with pytest.raises(NotUndoable):
        ask_undo(house, seeded, undo_id)


def test_an_import_or_another_client_s_job_is_not_found(house: House, seeded: Seeded) -> None:
    """Jobs beyond the scope and jobs that never were give one answer."""
    other = seed(house, vendor=False)
    job_id = served_job(house, other, 1)
    import_id = accept_cards(house, seeded.csv_pool, cards_csv(1, "LATER"))

    for unknown in (job_id, import_id, new_id()):
        with pytest.raises(NotFound):
            ask_undo(house, seeded, unknown)


def test_the_original_is_not_retried_beside_its_undo(house: House, seeded: Seeded) -> None:
    """What the retry gives would be taken back by the undo at once."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job_id = submit_file(house, seeded, recipients_csv(2)).job_id
    drain(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(3, "MORE"))
    undo_id = ask_undo(house, seeded, job_id).resource_id
    before = table_sizes(house)

    with pytest.raises(UndoInProgress) as refused:
        retry(house, seeded, job_id)
    unchanged = (view(house, job_id)["state"], table_sizes(house))
    drain(house)

    assert refused.value.extra == {"job_id": str(undo_id)}
    assert unchanged == ("partially_succeeded", before)
    assert items_of(house, undo_id, "position", "state") == [(1, "succeeded")]
    assert retry(house, seeded, job_id) == 1
    drain(house)
    assert card_states(house) == {"available": 3, "issued": 1}
    assert_proven(house)


def test_what_was_given_after_the_undo_was_accepted_is_not_taken_back(
    house: House, seeded: Seeded
) -> None:
    small = with_limits(house, chunk_items_max=2)
    job_id = served_job(small, seeded, 5)
    undo_id = ask_undo(small, seeded, job_id).resource_id
    with scoped_transaction(small.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE provisions SET created_at = now() + interval '1 hour' WHERE position IN (2, 5)"
            )
        )

    drain(small)

    assert items_of(small, undo_id, "position", "state") == [
        (1, "succeeded"),
        (3, "succeeded"),
        (4, "succeeded"),
    ]
    assert view(small, undo_id)["state"] == "succeeded"
    assert card_states(small) == {"available": 3, "issued": 2}
    assert_proven(small)


def test_nothing_that_was_revealed_is_tried_again(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 2)
    open_card(house, seeded, provision_of(house, job_id, 1).id)
    undo_id = undo(house, seeded, job_id)

    with pytest.raises(NothingToRetry):
        retry(house, seeded, undo_id)

    assert view(house, undo_id)["state"] == "partially_succeeded"


def test_a_request_whose_code_was_spent_is_not_undone(house: House, seeded: Seeded) -> None:
    job_id = coded_job(house, seeded, "SPRING-1", cards=1)
    before = table_sizes(house)

    with pytest.raises(NotUndoable) as refused:
        ask_undo(house, seeded, job_id)

    assert "redemption code" in refused.value.detail
    assert (card_states(house), table_sizes(house)) == ({"issued": 1}, before)


def test_a_failed_undo_is_not_retried_beside_another_undo(house: House, seeded: Seeded) -> None:
    """The database itself keeps two undos of one job from being open."""
    job_id = served_job(house, seeded, 2)
    open_card(house, seeded, provision_of(house, job_id, 1).id)
    first = undo(house, seeded, job_id)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE provisions SET revealed_at = NULL"))
    ask_undo(house, seeded, job_id)

    with pytest.raises(UndoInProgress):
        retry(house, seeded, first)

    assert view(house, first)["state"] == "partially_succeeded"
