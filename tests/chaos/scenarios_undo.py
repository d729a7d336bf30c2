"""Workers die in the middle of an undo: what was given is taken back once, to the cent."""

from uuid import UUID

from models.database import scoped_transaction
from models.scope import client
from pipelines.jobs.undo import submit_undo
from tests.chaos.exact import (
    PRICE_MINOR,
    Scenario,
    Size,
    assert_exact,
    assert_quiet,
    assert_vendor_sold,
    begin,
    hurry,
)
from tests.chaos.stand import Stand
from tests.driving import rows, view
from tests.intake import items_of, money_of
from tests.seeding import ACTOR, Seeded
from tests.undoing import card_states, open_card, provision_of

#: Recipients who have seen their card before the undo; they keep it.
SEEN = (1, 2, 3)


def undone_with_kills(stand: Stand, size: Size) -> None:
    """Killed before the first card and before the commit: nothing is left half taken back."""
    seeded, job_id = begin(stand, size)
    assert_exact(stand, job_id, size, meanwhile=lambda: hurry(stand))
    paid, _held = money_of(stand.house, seeded.client_account)
    for position in SEEN:
        open_card(stand.house, seeded, provision_of(stand.house, job_id, position).id)
    stand.kill("bulk")
    undo_id = _ask(stand, seeded, job_id)
    for held in (
        f"SELECT 1 FROM provisions WHERE job_id = '{job_id}' FOR UPDATE",
        f"SELECT 1 FROM accounts WHERE id = '{seeded.client_account}' FOR UPDATE",
    ):
        with stand.connected() as blocker:
            blocker.execute(held.encode())
            stand.start("bulk")
            stand.until(lambda: stand.waiting_for_locks() > 0)
            stand.kill("bulk")
            assert _taken_back(stand, job_id) == 0
    stand.start("bulk")
    stand.flush_queue()
    undo = stand.until_ended(undo_id, meanwhile=lambda: hurry(stand))
    back = size.items - len(SEEN)
    assert (undo["state"], undo["counts"]["succeeded"]) == ("partially_succeeded", back), undo
    left = [row for row in items_of(stand.house, undo_id, "position", "state", "code") if row[2]]
    assert left == [(position, "failed", "already_revealed") for position in SEEN], left
    assert undo["money"]["refunded_minor"] == back * PRICE_MINOR
    assert money_of(stand.house, seeded.client_account) == (paid + back * PRICE_MINOR, 0)
    assert view(stand.house, job_id)["undone"]["count"] == _taken_back(stand, job_id) == back
    assert card_states(stand.house) == {"available": back, "issued": len(SEEN)}
    assert_vendor_sold(stand, size.api)
    assert_quiet(stand)


def _ask(stand: Stand, seeded: Seeded, job_id: UUID) -> UUID:
    with scoped_transaction(stand.house.sessions, client(seeded.client_id)) as session:
        done = submit_undo(
            session,
            job_id,
            actor_id=ACTOR,
            key=None,
            kinds=stand.house.job_kinds,
            limits=stand.house.limits,
        )
    return done.resource_id


def _taken_back(stand: Stand, job_id: UUID) -> int:
    statement = "SELECT id FROM provisions WHERE job_id = :job AND undone_at IS NOT NULL"
    return len(rows(stand.house, statement, job=job_id))


SCENARIOS = (
    Scenario(
        "undo killed", "a job is undone, its worker killed mid-undo, twice", undone_with_kills
    ),
)
