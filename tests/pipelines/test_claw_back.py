"""A top-up that is refunded or disputed after it was spent is owed, and its account restricted (EC-077)."""

from collections.abc import Callable
from contextvars import Context
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, tenant_scope
from pipelines.alerts.fold import fold_signals
from pipelines.credit.adjust import reverse
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.claw_back import write_off
from pipelines.credit.refusals import (
    AccountRestricted,
    AlreadyReversed,
    BeyondTopUp,
    ClawedBack,
    DisputeNameUsed,
    NotDisputable,
)
from pipelines.errors import NotFound
from pipelines.monitoring.monitor import monitor
from pipelines.provisioning.restricted import go_on, stand
from pipelines.wiring import House
from tests.clawing import account, dispute, owed, top_up_of
from tests.driving import (
    drain,
    hasten,
    recipients_csv,
    rows,
    submit,
    view,
)
from tests.funding import PRICE, campaign, funded, top_up
from tests.proof import assert_proven
from tests.racing import race
from tests.seeding import ACTOR, Seeded


def spend(house: House, seeded: Seeded, cards: int) -> UUID:
    job_id = submit(house, seeded, recipients_csv(cards))
    drain(house)
    assert view(house, job_id)["state"] == "succeeded"
    return job_id


def alerts(house: House) -> list[tuple[str, dict[str, object]]]:
    with tenant_scope(SYSTEM):
        monitor(house.sessions, limits=house.limits)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_signals(session)
    found = rows(
        house,
        "SELECT severity, detail FROM alerts WHERE kind = 'credit_owed' AND state <> 'resolved'",
    )
    return [(row.severity, row.detail) for row in found]


def test_ec077_what_is_left_is_taken_and_what_was_spent_is_owed(house: House) -> None:
    """EC-077: top up 10 cards' worth, spend 9, dispute: nothing remains, 9 are owed."""
    seeded = funded(house, cards=9, minor=10 * PRICE)
    spend(house, seeded, 9)

    made = dispute(house, top_up_of(house, seeded.client_account))

    assert owed(house, made) == (10 * PRICE, PRICE, 0, False)
    assert tuple(account(house, seeded.client_account)) == (0, 0, True)
    assert account(house, seeded.agency_account).balance == PRICE
    assert alerts(house) == [("critical", {"owed_minor": 9 * PRICE, "currency": "USD"})]
    drain(house)
    assert campaign(house, seeded) == ("paused", "credit_exhausted")
    assert_proven(house)


def test_ec077_what_was_not_spent_is_taken_and_nothing_is_owed(house: House) -> None:
    seeded = funded(house, cards=0, minor=10 * PRICE)

    made = dispute(house, top_up_of(house, seeded.client_account), 4 * PRICE)

    assert owed(house, made) == (4 * PRICE, 4 * PRICE, 0, True)
    assert tuple(account(house, seeded.client_account)) == (6 * PRICE, 0, False)
    assert alerts(house) == []
    assert_proven(house)


def test_ec077_a_dispute_is_taken_once_whoever_tells_of_it_and_how_often(house: House) -> None:
    """EC-077: idempotent by the dispute's id; eight tell of it at once."""
    seeded = funded(house, cards=0, minor=10 * PRICE)
    disputed = top_up_of(house, seeded.client_account)
    told: list[UUID] = []

    def tell() -> bool:
        told.append(dispute(house, disputed, PRICE, name="dp_1"))
        return True

    assert race(8, tell) == 8
    assert len(set(told)) == 1
    assert account(house, seeded.client_account).balance == 9 * PRICE
    for transfer, amount in (
        (disputed, 2 * PRICE),
        (top_up_of(house, seeded.agency_account), PRICE),
    ):
        with pytest.raises(DisputeNameUsed):
            dispute(house, transfer, amount, name="dp_1")
    assert_proven(house)


def test_ec077_no_more_is_claimed_than_came_in_and_only_once_of_what_came_in(house: House) -> None:
    """EC-077: disputes of one top-up sum to it; it is not reversed besides, nor the other way."""
    seeded = funded(house, cards=1, minor=10 * PRICE)
    spend(house, seeded, 1)
    disputed = top_up_of(house, seeded.client_account)
    dispute(house, disputed, 6 * PRICE)

    with pytest.raises(BeyondTopUp):
        dispute(house, disputed, 4 * PRICE + 1)
    with pytest.raises(ClawedBack):
        undone(house, disputed)
    undone(house, top_up_of_agency := reversible(house, seeded))
    with pytest.raises(AlreadyReversed):
        dispute(house, top_up_of_agency)
    (capture,) = rows(house, "SELECT id FROM transfers WHERE kind = 'capture'")
    with pytest.raises(NotDisputable):
        dispute(house, capture.id)
    with pytest.raises(NotFound):
        dispute(house, new_id())
    assert_proven(house)


def test_ec077_a_top_up_that_is_reversed_and_disputed_at_once_goes_once(house: House) -> None:
    seeded = funded(house, cards=0, minor=4 * PRICE)
    taken = top_up_of(house, seeded.client_account)
    ways = [lambda: undone(house, taken), lambda: dispute(house, taken)]

    def attempt() -> bool:
        try:
            ways.pop()()
        except (AlreadyReversed, ClawedBack):
            return False
        return True

    assert race(2, attempt) == 1
    assert tuple(account(house, seeded.client_account)) == (0, 0, False)
    assert_proven(house)


def reversible(house: House, seeded: Seeded) -> UUID:
    """One more allocation to the client, small enough to be moved back."""
    move(house, allocate, seeded, PRICE)
    return top_up_of(house, seeded.client_account)


def undone(house: House, transfer_id: UUID) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        name = f"r:{new_id()}"
        reverse(session, transfer_id=transfer_id, notes="", client_ref=name, actor_id=ACTOR)


def move(house: House, verb: object, seeded: Seeded, amount: int) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        verb(  # type: ignore[operator]
            session,
            parent_id=seeded.agency_account,
            child_id=seeded.client_account,
            amount=amount,
            notes="",
            client_ref=f"c:{new_id()}",
            actor_id=ACTOR,
        )


def test_ec077_nothing_new_is_paid_by_who_owes(house: House) -> None:
    """EC-077: no hold, no way out downwards or upwards; credit may come in."""
    seeded = funded(house, cards=2, minor=3 * PRICE)
    spend(house, seeded, 2)
    made = dispute(house, top_up_of(house, seeded.client_account))
    before = rows(house, "SELECT id, balance, held FROM accounts ORDER BY id")

    with pytest.raises(AccountRestricted):
        submit(house, seeded, recipients_csv(1, start=9))
    with pytest.raises(AccountRestricted):
        move(house, recall, seeded, 1)

    assert rows(house, "SELECT id, balance, held FROM accounts ORDER BY id") == before
    assert owed(house, made) == (3 * PRICE, PRICE, 0, False)


def test_ec077_new_credit_pays_what_is_owed_first_and_then_all_goes_on(house: House) -> None:
    """EC-077: in part, then whole; the campaign resumes by itself, the alert is over."""
    seeded = funded(house, cards=3, minor=2 * PRICE)
    spend(house, seeded, 2)
    made = dispute(house, top_up_of(house, seeded.client_account))
    drain(house)

    top_up(house, seeded, PRICE)
    drain(house)
    assert owed(house, made) == (2 * PRICE, PRICE, 0, False)
    assert tuple(account(house, seeded.client_account)) == (0, 0, True)

    top_up(house, seeded, 3 * PRICE)
    drain(house)
    assert owed(house, made) == (2 * PRICE, 2 * PRICE, 0, True)
    assert tuple(account(house, seeded.client_account)) == (2 * PRICE, 0, False)
    assert campaign(house, seeded) == ("active", None)
    assert alerts(house) == []
    spend_one = submit(house, seeded, recipients_csv(1, start=9))
    drain(house)
    assert view(house, spend_one)["state"] == "succeeded"
    assert_proven(house)


def test_ec077_a_running_job_stands_with_what_it_holds_and_goes_on(house: House) -> None:
    """EC-077: its credit was set aside before; nothing is issued for it until the debt is paid."""
    seeded = funded(house, cards=4, minor=4 * PRICE)
    job_id = submit(house, seeded, recipients_csv(3))

    made = dispute(house, top_up_of(house, seeded.client_account))
    drain(house)
    hasten(house)
    drain(house)

    stands = view(house, job_id)
    assert (stands["state"], stands["counts"]["pending"]) == ("paused", 3)
    assert stands["pause"]["reason"] == "account_restricted"
    assert tuple(account(house, seeded.client_account)) == (3 * PRICE, 3 * PRICE, True)
    assert owed(house, made) == (4 * PRICE, PRICE, 0, False)
    assert_proven(house)

    top_up(house, seeded, 3 * PRICE)
    drain(house)

    assert view(house, job_id)["state"] == "succeeded"
    assert owed(house, made) == (4 * PRICE, 4 * PRICE, 0, True)
    assert tuple(account(house, seeded.client_account)) == (0, 0, False)
    assert_proven(house)


def test_ec077_who_pays_while_its_jobs_are_being_paused_does_not_leave_them_so(
    house: House,
) -> None:
    """EC-077: a task that saw the debt pauses after it was forgiven; and one that comes too late."""
    seeded = funded(house, cards=4, minor=4 * PRICE)
    job_id = submit(house, seeded, recipients_csv(3))
    made = dispute(house, top_up_of(house, seeded.client_account), 2 * PRICE)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        stand(session, seeded.client_account, clock.now(session))
        aside(lambda: forgive(house, made, PRICE))
        aside(lambda: look(house, seeded, go_on))
    assert view(house, job_id)["pause"]["reason"] == "account_restricted"
    look(house, seeded, go_on)
    look(house, seeded, stand)
    assert view(house, job_id)["state"] == "running"
    drain(house)

    assert view(house, job_id)["state"] == "succeeded"
    assert_proven(house)


def test_ec077_who_owes_anew_while_its_jobs_go_on_has_them_paused(house: House) -> None:
    """EC-077: the other way round."""
    seeded = funded(house, cards=4, minor=4 * PRICE)
    job_id = submit(house, seeded, recipients_csv(3))
    disputed = top_up_of(house, seeded.client_account)
    made = dispute(house, disputed, 2 * PRICE)
    look(house, seeded, stand)
    look(house, seeded, go_on)
    assert view(house, job_id)["state"] == "paused"
    forgive(house, made, PRICE)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        go_on(session, seeded.client_account, clock.now(session))
        aside(lambda: dispute(house, disputed, PRICE))
        aside(lambda: look(house, seeded, stand))
    assert view(house, job_id)["state"] == "running"
    drain(house)

    assert view(house, job_id)["pause"]["reason"] == "account_restricted"
    assert_proven(house)


def look(house: House, seeded: Seeded, act: Callable[[Session, UUID, datetime], None]) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        act(session, seeded.client_account, clock.now(session))


def aside(act: Callable[[], object]) -> None:
    """What somebody else does and commits while this transaction is open."""
    Context().run(act)


def forgive(house: House, receivable_id: UUID, amount: int) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        write_off(session, receivable_id, amount=amount, reason="goodwill", actor_id=ACTOR, now=now)
