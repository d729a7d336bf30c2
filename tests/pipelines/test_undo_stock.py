"""What an undo puts back into stock is anybody's, and nobody's card can be put back so."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from models.base import new_id
from models.database import scoped_transaction
from models.scope import client
from pipelines.wiring import House
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.intake import submit_file
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.undoing import card_states, open_card, provision_of, served_job, undo
from tests.vendor import Sandbox

_RETURN = text("SELECT return_cards(:client, :job, ARRAY[CAST(:card AS uuid)])")
#: The client's own row, as an undo in this very transaction would write it.
_UNDO_ANEW = text("""
UPDATE provisions SET undone_at = transaction_timestamp(), undone_job_id = :job
WHERE id = :provision
""")


def bought(house: House, seeded: Seeded, count: int) -> UUID:
    """A finished job whose cards a vendor sold."""
    job_id = submit(house, seeded, recipients_csv(count))
    while view(house, job_id)["finished_at"] is None:
        hasten(house)
        drain(house)
    return job_id


def test_a_vendor_s_card_that_joins_the_platform_s_pool_is_given_to_any_client(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house)
    other = seed(vendor_house, vendor=False)
    job_id = bought(vendor_house, seeded, 1)

    undo(vendor_house, seeded, job_id)

    assert rows(vendor_house, "SELECT source, state, pool_id, client_id FROM cards") == [
        ("buffer", "available", seeded.buffer_pool, None)
    ]
    again = submit_file(vendor_house, other, recipients_csv(1), brand_id=seeded.brand_id).job_id
    drain(vendor_house)
    assert provision_of(vendor_house, again, 1).card_id == (
        provision_of(vendor_house, job_id, 1).card_id
    )
    assert_proven(vendor_house)


@pytest.fixture
def handed_on(house: House) -> tuple[Seeded, Any, UUID, Seeded, Any]:
    """A client, its undone provision and the undo; the client who has that card now, and how."""
    mine, theirs = seed(house, vendor=False), seed(house, vendor=False)
    job_id = served_job(house, mine, 1)
    undo_id = undo(house, mine, job_id)
    again = submit_file(house, theirs, recipients_csv(1, start=9), brand_id=mine.brand_id).job_id
    drain(house)
    given = provision_of(house, again, 1)
    gone = provision_of(house, job_id, 1)
    assert gone.card_id == given.card_id
    return mine, gone, undo_id, theirs, given


def test_a_card_that_somebody_else_has_by_now_is_not_returned_again(
    house: House, handed_on: tuple[Seeded, Any, UUID, Seeded, Any]
) -> None:
    """The door that undo goes through takes nobody's live card, whoever asks."""
    mine, gone, undo_id, theirs, given = handed_on
    values = {"client": mine.client_id, "card": gone.card_id}

    with scoped_transaction(house.sessions, client(mine.client_id)) as session:
        by_the_undo = session.execute(_RETURN, values | {"job": undo_id}).scalar_one()
    with scoped_transaction(house.sessions, client(mine.client_id)) as session:
        session.execute(_UNDO_ANEW, {"job": undo_id, "provision": gone.id})
        written_anew = session.execute(_RETURN, values | {"job": undo_id}).scalar_one()

    assert (by_the_undo, written_anew) == (0, 0)
    assert card_states(house) == {"issued": 1}
    assert open_card(house, theirs, given.id).value_minor == 2500
    assert_proven(house)


def test_only_what_the_job_has_just_undone_is_returned(house: House) -> None:
    mine = seed(house, vendor=False)
    given = provision_of(house, served_job(house, mine, 1), 1)
    job_id, other_id = new_id(), new_id()
    values = {"client": mine.client_id, "card": given.card_id}

    def returned_after(assignment: str, job: UUID) -> int:
        with scoped_transaction(house.sessions, client(mine.client_id)) as session:
            trial = session.begin_nested()
            changed = text(f"UPDATE provisions SET {assignment}, undone_job_id = :job")
            session.execute(changed, {"job": job_id})
            count: int = session.execute(_RETURN, values | {"job": job}).scalar_one()
            trial.rollback()
        return count

    assert returned_after("undone_at = now()", job_id) == 1
    assert returned_after("undone_at = now()", other_id) == 0
    assert returned_after("undone_at = now() - interval '1 second'", job_id) == 0
    assert returned_after("undone_at = now(), revealed_at = now()", job_id) == 0
    assert card_states(house) == {"issued": 1}
