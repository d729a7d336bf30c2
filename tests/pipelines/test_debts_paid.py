"""EC-077: how what is owed is paid, written off, and seen by who owes."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.credit.adjust import unfreeze
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.claw_back import claw_back
from pipelines.credit.drift import Sums
from pipelines.credit.refusals import (
    AccountRestricted,
    OwesLess,
)
from pipelines.errors import NotFound
from pipelines.jobs.control import cancel_job
from pipelines.wiring import House
from tests.clawing import account, dispute, owed, top_up_of
from tests.driving import (
    cards_csv,
    drain,
    import_cards_now,
    recipients_csv,
    rows,
    submit,
)
from tests.funding import PRICE, funded
from tests.ledger_verbs import switch_budget
from tests.pipelines.test_claw_back import forgive, move, spend
from tests.proof import assert_proven
from tests.seeding import ACTOR, seed
from tests.undoing import undo
from tests.until import until


def test_ec077_what_a_cancelled_job_gives_back_and_an_undo_refunds_pays_too(house: House) -> None:
    seeded = funded(house, cards=2, minor=6 * PRICE)
    served = spend(house, seeded, 2)
    standing = submit(house, seeded, recipients_csv(3, start=5))
    made = dispute(house, top_up_of(house, seeded.client_account))
    drain(house)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, standing, actor_id=ACTOR, now=clock.now(session))
    drain(house)
    assert owed(house, made) == (6 * PRICE, 4 * PRICE, 0, False)

    undo(house, seeded, served)
    assert owed(house, made) == (6 * PRICE, 6 * PRICE, 0, True)
    assert tuple(account(house, seeded.client_account)) == (0, 0, False)
    assert_proven(house)


def test_ec077_what_is_written_off_is_asked_for_no_more(house: House) -> None:
    seeded = funded(house, cards=2, minor=2 * PRICE)
    spend(house, seeded, 2)
    made = dispute(house, top_up_of(house, seeded.client_account))

    with pytest.raises(OwesLess):
        forgive(house, made, 2 * PRICE + 1)
    forgive(house, made, PRICE)
    assert account(house, seeded.client_account).restricted
    forgive(house, made, PRICE)

    assert owed(house, made) == (2 * PRICE, 0, 2 * PRICE, True)
    assert tuple(account(house, seeded.client_account)) == (0, 0, False)
    assert_proven(house)


def test_ec077_two_disputes_are_paid_one_after_the_other(house: House) -> None:
    """EC-077: an agency that owes pays with what it takes back from its client."""
    seeded = seed(house, credit_minor=10 * PRICE, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    disputed = top_up_of(house, seeded.agency_account)
    one, two = dispute(house, disputed, 3 * PRICE), dispute(house, disputed, 2 * PRICE)
    assert account(house, seeded.agency_account).restricted
    with pytest.raises(AccountRestricted):
        move(house, allocate, seeded, 1)
    spend(house, seeded, 1)  # the client's own credit is its own

    move(house, recall, seeded, 4 * PRICE)
    drain(house)
    assert [owed(house, each)[1] for each in (one, two)] == [3 * PRICE, PRICE]
    move(house, recall, seeded, 2 * PRICE)
    drain(house)

    assert tuple(account(house, seeded.agency_account)) == (PRICE, 0, False)
    assert account(house, seeded.platform_account).balance == 5 * PRICE
    assert_proven(house)


def test_ec077_of_an_account_in_doubt_nothing_is_taken_until_it_is_decided(house: House) -> None:
    """EC-074 and EC-077: a frozen account keeps what it says, and owes all of it."""
    seeded = funded(house, cards=0, minor=2 * PRICE)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        freeze = "UPDATE accounts SET frozen_at = now() WHERE id = :id"
        session.execute(text(freeze), {"id": seeded.client_account})

    made = dispute(house, top_up_of(house, seeded.client_account))
    drain(house)

    assert owed(house, made) == (2 * PRICE, 0, 0, False)
    assert account(house, seeded.client_account).balance == 2 * PRICE

    with scoped_transaction(house.sessions, PLATFORM) as session:
        nothing = Sums(0, 0)
        unfreeze(session, frozen_id=seeded.client_account, agreed=nothing, actor_id=ACTOR)
    drain(house)
    assert owed(house, made) == (2 * PRICE, 2 * PRICE, 0, True)
    assert tuple(account(house, seeded.client_account)) == (0, 0, False)
    assert_proven(house)


def test_ec077_a_tenant_sees_what_it_owes_and_changes_nothing_of_it(house: House) -> None:
    seeded = funded(house, cards=0, minor=2 * PRICE)
    disputed = top_up_of(house, seeded.client_account)

    with (
        pytest.raises(NotFound),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        claw_back(
            session,
            transfer_id=disputed,
            dispute_id="x",
            amount=1,
            reason="",
            actor_id=ACTOR,
            now=clock.now(session),
        )
    dispute(house, disputed, 1)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        assert session.execute(text("SELECT claimed FROM receivables")).scalars().all() == [1]


def test_ec077_a_claw_back_and_a_budget_that_is_shared_again_take_turns(house: House) -> None:
    """EC-077: whoever comes second sees what the first did, though it had not committed."""
    seeded = funded(house, cards=1, minor=4 * PRICE)
    switch_budget(house, seeded, PRICE)
    submit(house, seeded, recipients_csv(1))
    drain(house)
    (own,) = rows(
        house,
        "SELECT id FROM accounts WHERE owner_id = :id AND kind = 'credit'",
        id=seeded.campaign_id,
    )
    top_up, is_taken, may_commit = top_up_of(house, own.id), Event(), Event()

    def claw_back_slowly() -> None:
        with scoped_transaction(house.sessions, PLATFORM) as session:
            claw_back(
                session,
                transfer_id=top_up,
                dispute_id="dp_slow",
                amount=None,
                reason="chargeback",
                actor_id=None,
                now=clock.now(session),
            )
            is_taken.set()
            may_commit.wait(60)

    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(claw_back_slowly)
        is_taken.wait(60)
        late = pool.submit(switch_budget, house, seeded, None)
        until(lambda: rows(house, "SELECT 1 FROM pg_locks WHERE NOT granted") or late.done())
        may_commit.set()
        early.result()
        with pytest.raises(AccountRestricted):
            late.result()
    assert account(house, own.id).restricted
