"""A job is taken back as a whole: cards to stock, credit to its payer, links dead, books exact."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.errors import NotFound
from pipelines.provisioning.refusals import ProvisionUndone
from pipelines.provisioning.reveal import facts_by_token, reveal_token
from pipelines.wiring import House
from tests.driving import drain, recipients_csv, rows, view
from tests.intake import items_of, money_of, submit_file, table_sizes, with_limits
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.undoing import (
    card_states,
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


def facts(house: House, token: str) -> Any:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return facts_by_token(session, token, house.settings.keyring)


def test_an_undone_job_leaves_stock_and_credit_as_they_were(house: House, seeded: Seeded) -> None:
    job_id = served_job(house, seeded, 5)
    before = money_of(house, seeded.client_account)

    undo_id = undo(house, seeded, job_id)

    assert before == (CREDIT - 5 * 2500, 0)
    assert money_of(house, seeded.client_account) == (CREDIT, 0)
    assert card_states(house) == {"available": 5}
    done = view(house, undo_id)
    assert (done["kind"], done["state"]) == ("provisioning_undo", "succeeded")
    assert done["counts"] == view(house, job_id)["counts"]
    assert done["sources"] == {"csv": 0, "buffer": 0, "api": 0}
    assert done["money"]["refunded_minor"] == 5 * 2500
    assert_proven(house)


def test_the_original_keeps_its_history_and_says_what_was_taken_back(
    house: House, seeded: Seeded
) -> None:
    job_id = served_job(house, seeded, 3)

    undo_id = undo(house, seeded, job_id)

    original = view(house, job_id)
    assert (original["state"], original["counts"]["succeeded"]) == ("succeeded", 3)
    assert original["undone"] == {"count": 3, "refunded_minor": 7500, "job_ids": [undo_id]}
    assert original["money"]["captured_minor"] == 7500
    assert view(house, undo_id)["undone"] is None


def test_a_preview_says_what_would_be_taken_back_and_writes_nothing(
    house: House, seeded: Seeded
) -> None:
    job_id = served_job(house, seeded, 3)
    open_card(house, seeded, provision_of(house, job_id, 2).id)
    before = table_sizes(house)

    shown = preview(house, seeded, job_id)

    assert shown == {
        "undoable": 2,
        "refund_minor": 5000,
        "currency": "USD",
        "not_undoable": [
            {
                "code": "already_revealed",
                "count": 1,
                "detail": "The recipient has seen this card; it stays with them and stays charged.",
            }
        ],
    }
    assert table_sizes(house) == before


def test_cards_that_their_recipients_have_seen_stay_given_and_charged(
    house: House, seeded: Seeded
) -> None:
    """Undo after partial redemption: every ledger sum and stock count stays exact."""
    job_id = served_job(house, seeded, 4)
    seen = provision_of(house, job_id, 2)
    open_card(house, seeded, seen.id)

    undo_id = undo(house, seeded, job_id)

    assert items_of(house, undo_id, "position", "state", "code", "charge_minor") == [
        (1, "succeeded", None, 2500),
        (2, "failed", "already_revealed", 0),
        (3, "succeeded", None, 2500),
        (4, "succeeded", None, 2500),
    ]
    assert view(house, undo_id)["state"] == "partially_succeeded"
    assert money_of(house, seeded.client_account) == (CREDIT - 2500, 0)
    assert card_states(house) == {"available": 3, "issued": 1}
    assert open_card(house, seeded, seen.id).value_minor == 2500
    assert_proven(house)


def test_an_undone_card_is_given_to_somebody_else_and_its_first_owner_cannot_see_it(
    house: House, seeded: Seeded
) -> None:
    job_id = served_job(house, seeded, 1)
    first = provision_of(house, job_id, 1)
    undo(house, seeded, job_id)

    again = submit_file(house, seeded, recipients_csv(1, start=50)).job_id
    drain(house)

    second = provision_of(house, again, 1)
    assert second.card_id == first.card_id
    with pytest.raises(ProvisionUndone):
        open_card(house, seeded, first.id)
    assert open_card(house, seeded, second.id).value_minor == 2500
    assert rows(house, "SELECT revealed_at FROM provisions WHERE id = :id", id=first.id) == [
        (None,)
    ]
    assert_proven(house)


def test_a_person_whose_card_was_taken_back_can_be_served_again(
    house: House, seeded: Seeded
) -> None:
    job_id = served_job(house, seeded, 2)
    undo(house, seeded, job_id)

    again = submit_file(house, seeded, recipients_csv(2), force=True).job_id
    drain(house)

    assert items_of(house, again, "state", "code") == [("succeeded", None)] * 2
    assert_proven(house)


def test_the_last_good_link_of_an_undone_card_says_so_and_every_other_leads_nowhere(
    house: House, seeded: Seeded
) -> None:
    job_id = served_job(house, seeded, 1)
    provision_id, keyring = provision_of(house, job_id, 1).id, house.settings.keyring
    assert facts(house, reveal_token(provision_id, 1, keyring)).last4 != ""

    undo(house, seeded, job_id)

    assert provision_of(house, job_id, 1).reveal_version == 2
    with pytest.raises(ProvisionUndone):
        facts(house, reveal_token(provision_id, 1, keyring))
    for version in (0, 3):
        with pytest.raises(NotFound):
            facts(house, reveal_token(provision_id, version, keyring))


def test_a_client_no_longer_sees_the_row_of_a_card_it_gave_back(
    house: House, seeded: Seeded
) -> None:
    """The card may be another tenant's by then."""
    job_id = served_job(house, seeded, 2)
    open_card(house, seeded, provision_of(house, job_id, 1).id)
    undo(house, seeded, job_id)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        seen = session.execute(text("SELECT state FROM cards")).all()

    assert seen == [("issued",)]


def test_the_refund_goes_to_the_account_that_paid(house: House, seeded: Seeded) -> None:
    """A campaign that took a budget of its own since then gets nothing back."""
    job_id = served_job(house, seeded, 2)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE campaigns SET budget_mode = 'isolated'"))

    undo(house, seeded, job_id)

    assert money_of(house, seeded.client_account) == (CREDIT, 0)
    assert rows(house, "SELECT amount, kind FROM transfers WHERE kind = 'refund'") == [
        (5000, "refund")
    ]
    assert_proven(house)


def test_an_undo_makes_one_refund_for_a_chunk(house: House, seeded: Seeded) -> None:
    small = with_limits(house, chunk_items_max=2)
    job_id = served_job(small, seeded, 5)

    undo_id = undo(small, seeded, job_id)

    refunds = rows(
        small, "SELECT amount FROM transfers WHERE job_id = :job ORDER BY amount", job=undo_id
    )
    assert refunds == [(2500,), (5000,), (5000,)]
    assert_proven(small)


def test_people_are_kept_no_longer_because_their_job_was_undone(
    house: House, seeded: Seeded
) -> None:
    job_id = served_job(house, seeded, 1)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE jobs SET retain_until = '2030-01-01'"))

    undo_id: UUID = undo(house, seeded, job_id)

    assert str(rows(house, "SELECT retain_until FROM jobs WHERE id = :id", id=undo_id)[0][0]) == (
        "2030-01-01"
    )
