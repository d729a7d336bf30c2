"""An account whose numbers do not agree with its movements is frozen until two people decide (EC-074)."""

from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, tenant_scope
from pipelines.alerts.fold import fold_signals
from pipelines.credit.adjust import unfreeze
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.drift import Sums, check_balances
from pipelines.credit.refusals import AccountFrozen, DriftChanged, NotFrozen
from pipelines.monitoring.monitor import monitor
from pipelines.wiring import House
from tests.driving import (
    cards_csv,
    drain,
    hasten,
    import_cards_now,
    recipients_csv,
    rows,
    submit,
    view,
)
from tests.moves import one_step
from tests.proof import violations
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import undo
from tests.vendor import Sandbox

PRICE = 2500


@pytest.fixture
def seeded(house: House) -> Seeded:
    made = seed(house, credit_minor=100_000, vendor=False)
    import_cards_now(house, made.csv_pool, cards_csv(10))
    return made


def spoil(house: House, account: UUID, change: str) -> None:
    """Somebody edits the account by hand."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(f"UPDATE accounts SET {change} WHERE id = :id"), {"id": account})


def checked(house: House) -> list[UUID]:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return check_balances(session, clock.now(session))


def moved(house: House, verb: object, seeded: Seeded) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        verb(  # type: ignore[operator]
            session,
            parent_id=seeded.agency_account,
            child_id=seeded.client_account,
            amount=1,
            notes="",
            client_ref=f"d:{new_id()}",
            actor_id=ACTOR,
        )


def released(house: House, account: UUID, agreed: Sums) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        unfreeze(session, frozen_id=account, agreed=agreed, actor_id=ACTOR)


def test_ec074_books_that_agree_freeze_nobody(house: House, seeded: Seeded) -> None:
    submit(house, seeded, recipients_csv(2))
    assert checked(house) == []
    drain(house)
    assert checked(house) == []


@pytest.mark.parametrize("change", ["balance = balance + 1", "balance = balance - 1", "held = 7"])
def test_ec074_an_edit_is_found_in_one_run_and_nothing_moves(
    house: House, seeded: Seeded, change: str
) -> None:
    """EC-074: frozen, told of as critical, never corrected; a second run freezes nothing more."""
    spoil(house, seeded.client_account, change)
    before = rows(house, "SELECT id, balance, held FROM accounts ORDER BY id")

    assert checked(house) == [seeded.client_account]
    assert checked(house) == []

    for verb in (allocate, recall):
        with pytest.raises(AccountFrozen):
            moved(house, verb, seeded)
    with pytest.raises(AccountFrozen):
        submit(house, seeded, recipients_csv(1))
    assert rows(house, "SELECT id, balance, held FROM accounts ORDER BY id") == before
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_signals(session)
    (alert,) = rows(
        house,
        "SELECT severity, agency_id FROM alerts WHERE kind = 'ledger_drift' AND subject_id = :id",
        id=seeded.client_account,
    )
    assert (alert.severity, alert.agency_id) == ("critical", None)


def test_ec074_chunks_of_a_running_job_wait_and_go_on(house: House, seeded: Seeded) -> None:
    job_id = submit(house, seeded, recipients_csv(3))
    spoil(house, seeded.client_account, "balance = balance - 5")
    checked(house)

    drain(house)
    assert view(house, job_id)["counts"]["pending"] == 3

    released(house, seeded.client_account, Sums(-5, 0))
    hasten(house)
    drain(house)
    assert view(house, job_id)["state"] == "succeeded"
    assert {name for name, broken in violations(house).items() if broken} == set()


def test_ec074_only_what_was_agreed_to_is_written(house: House, seeded: Seeded) -> None:
    with pytest.raises(NotFrozen):
        released(house, seeded.client_account, Sums(100_000, 0))
    spoil(house, seeded.client_account, "balance = balance + 50")
    checked(house)

    with pytest.raises(DriftChanged):
        released(house, seeded.client_account, Sums(49, 0))

    released(house, seeded.client_account, Sums(50, 0))
    assert checked(house) == []
    moved(house, recall, seeded)


@pytest.mark.parametrize("kind", ["spent", "outside"])
def test_ec074_an_account_that_is_no_credit_is_unfrozen_too(
    house: House, seeded: Seeded, kind: str
) -> None:
    """EC-074: it goes on being moved while it is frozen; what was agreed to is the difference."""
    (account,) = rows(
        house,
        "SELECT id FROM accounts WHERE kind = :kind AND (kind = 'outside' OR client_id = :client)",
        kind=kind,
        client=seeded.client_id,
    )
    spoil(house, account.id, "balance = balance + 3")
    assert checked(house) == [account.id]
    submit(house, seeded, recipients_csv(2))
    drain(house)

    released(house, account.id, Sums(3, 0))

    assert checked(house) == []
    assert {name for name, broken in violations(house).items() if broken} == set()


def test_ec074_the_alert_comes_back_while_the_account_stays_frozen(
    house: House, seeded: Seeded
) -> None:
    """EC-074: resolved by hand it is raised again, with the numbers of the freeze, until it is over."""

    def standing() -> list[dict[str, object]]:
        with tenant_scope(SYSTEM):
            monitor(house.sessions, limits=house.limits)
        with scoped_transaction(house.sessions, SYSTEM) as session:
            fold_signals(session)
        return [
            row.detail
            for row in rows(
                house,
                "SELECT detail FROM alerts WHERE kind = 'ledger_drift' AND state <> 'resolved'",
            )
        ]

    spoil(house, seeded.client_account, "balance = balance + 50")
    checked(house)
    (first,) = standing()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE alerts SET state = 'resolved', resolved_at = now()"))

    assert standing() == [first]
    assert first["posted_minor"] == 100_000

    released(house, seeded.client_account, Sums(50, 0))
    assert standing() == []


def test_ec074_an_undo_gives_its_refund_to_a_frozen_account(house: House, seeded: Seeded) -> None:
    """EC-074: both sides of the comparison move alike, so that what was agreed to stays right."""
    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)
    spoil(house, seeded.client_account, "balance = balance + 50")
    checked(house)

    undo(house, seeded, job_id)

    assert view(house, job_id)["undone"]["refunded_minor"] == 2 * PRICE
    released(house, seeded.client_account, Sums(50, 0))
    assert checked(house) == []
    assert {name for name, broken in violations(house).items() if broken} == set()


def test_ec074_orders_written_before_the_freeze_still_go_out_and_are_paid(
    vendor_house: House, sandbox: Sandbox
) -> None:
    seeded = seed(vendor_house, credit_minor=100_000)
    job_id = submit(vendor_house, seeded, recipients_csv(2))
    one_step(vendor_house)
    assert sandbox.control("GET", "/reloadly/summary")["orders_total"] == 0
    spoil(vendor_house, seeded.client_account, "balance = balance + 50")
    checked(vendor_house)

    drain(vendor_house)

    assert view(vendor_house, job_id)["counts"]["succeeded"] == 2
    assert sandbox.control("GET", "/reloadly/summary")["orders_successful"] == 2
    released(vendor_house, seeded.client_account, Sums(50, 0))
    assert {name for name, broken in violations(vendor_house).items() if broken} == set()
