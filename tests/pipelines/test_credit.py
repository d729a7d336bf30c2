"""Credit moves down and back, never twice, never below zero, and its books cannot be rewritten."""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.base import new_id
from models.database import scoped_transaction
from models.ledger import AccountKind, Tier
from models.scope import PLATFORM, agency, client
from pipelines.credit.accounts import Owner, account_id, open_accounts
from pipelines.credit.allocate import allocate, recall
from pipelines.credit.hold import payer_of, place_hold
from pipelines.credit.refusals import (
    AllocationDirection,
    CurrencyMismatch,
    InsufficientCredit,
    MovementNameUsed,
)
from pipelines.credit.transfer import Posted
from pipelines.errors import NotFound
from pipelines.wiring import House
from tests.driving import rows
from tests.proof import assert_proven
from tests.racing import race
from tests.seeding import ACTOR, Seeded, seed


def move_credit(
    house: House,
    verb: Callable[..., Posted],
    parent: UUID,
    child: UUID,
    amount: int,
    client_ref: str | None = None,
    scope=PLATFORM,
) -> Posted:
    with scoped_transaction(house.sessions, scope) as session:
        return verb(
            session,
            parent_id=parent,
            child_id=child,
            amount=amount,
            notes="",
            client_ref=client_ref or f"test:{new_id()}",
            actor_id=ACTOR,
        )


def balances(house: House) -> dict[UUID, tuple[int, int]]:
    found = rows(house, "SELECT id, balance, held FROM accounts")
    return {row.id: (row.balance, row.held) for row in found}


def postings_of(house: House, posted: Posted) -> dict[UUID, tuple[int, int]]:
    found = rows(
        house,
        "SELECT account_id, amount, balance_after FROM postings WHERE transfer_id = :id",
        id=posted.transfer_id,
    )
    return {row.account_id: (row.amount, row.balance_after) for row in found}


def count(house: House, table: str) -> int:
    return rows(house, f"SELECT count(*) AS n FROM {table}")[0].n


def hold(house: House, seeded: Seeded, amount: int) -> bool:
    """Set credit aside for a job of its own; False if there is not enough."""
    try:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            payer = payer_of(session, seeded.campaign_id, "USD")
            place_hold(session, payer, job_id=new_id(), round_number=1, amount=amount)
    except InsufficientCredit:
        return False
    return True


def test_credit_goes_down_one_tier_and_comes_back(house: House) -> None:
    seeded = seed(house, credit_minor=10_000)
    before = count(house, "transfers")

    back = move_credit(house, recall, seeded.agency_account, seeded.client_account, 4_000)
    down = move_credit(house, allocate, seeded.agency_account, seeded.client_account, 1_500)

    assert (back.source_balance, back.target_balance) == (6_000, 4_000)
    assert (down.source_balance, down.target_balance) == (2_500, 7_500)
    assert postings_of(house, down) == {
        seeded.agency_account: (-1_500, 2_500),
        seeded.client_account: (1_500, 7_500),
    }
    assert postings_of(house, back) == {
        seeded.client_account: (-4_000, 6_000),
        seeded.agency_account: (4_000, 4_000),
    }
    assert count(house, "transfers") == before + 2
    assert_proven(house)


def test_a_movement_is_audited_and_seen_by_the_tenant_it_concerns(house: House) -> None:
    seeded = seed(house, credit_minor=10_000)

    posted = move_credit(house, recall, seeded.agency_account, seeded.client_account, 10)

    entry = rows(
        house,
        "SELECT action, client_id, actor_id, detail FROM audit_entries WHERE object_id = :id",
        id=posted.transfer_id,
    )
    assert [tuple(row) for row in entry] == [
        (
            "credit.recalled",
            seeded.client_id,
            ACTOR,
            {"amount_minor": 10, "currency": "USD", "balance_minor": [10_000, 9_990]},
        )
    ]


def test_ec070_credit_moves_only_from_a_parent_to_its_direct_child(house: House) -> None:
    """EC-070: every other pair of accounts is refused and nothing moves."""
    one, other = seed(house, credit_minor=10_000), seed(house, credit_minor=10_000, vendor=False)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        campaign = open_accounts(
            session,
            Owner(Tier.CAMPAIGN, one.campaign_id, one.agency_id, one.client_id),
            currency="USD",
            parent_id=one.client_account,
        )
        spent = account_id(session, one.client_id, currency="USD", kind=AccountKind.SPENT)
    accounts = (
        one.platform_account,
        one.agency_account,
        one.client_account,
        campaign,
        spent,
        other.agency_account,
        other.client_account,
    )
    legal = {
        (one.platform_account, one.agency_account),
        (one.platform_account, other.agency_account),
        (one.agency_account, one.client_account),
        (other.agency_account, other.client_account),
        (one.client_account, campaign),
    }
    before = balances(house)

    for source in accounts:
        for target in accounts:
            if (source, target) in legal:
                continue
            for verb in (allocate, recall):
                with pytest.raises(AllocationDirection):
                    move_credit(house, verb, source, target, 1)

    assert balances(house) == before


def test_an_allocation_into_another_currency_is_refused(house: House) -> None:
    seeded = seed(house, credit_minor=10_000)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        euros = open_accounts(
            session,
            Owner(Tier.CLIENT, seeded.client_id, seeded.agency_id, seeded.client_id),
            currency="EUR",
            parent_id=seeded.agency_account,
        )

    with pytest.raises(CurrencyMismatch):
        move_credit(house, allocate, seeded.agency_account, euros, 1)


def test_accounts_of_others_do_not_exist_for_an_agency(house: House) -> None:
    one, other = seed(house, credit_minor=10_000), seed(house, credit_minor=10_000, vendor=False)
    scope = agency(one.agency_id)

    with pytest.raises(NotFound):
        move_credit(house, recall, other.agency_account, other.client_account, 1, scope=scope)

    move_credit(house, recall, one.agency_account, one.client_account, 1, scope=scope)
    assert balances(house)[one.client_account] == (9_999, 0)
    assert balances(house)[other.client_account] == (10_000, 0)


def test_ec072_a_repeated_movement_gives_the_first_one(house: House) -> None:
    """EC-072: the caller's own name moves money once."""
    seeded = seed(house, credit_minor=10_000)
    pair = (seeded.agency_account, seeded.client_account)

    first = move_credit(house, recall, *pair, 700, client_ref="once")
    move_credit(house, recall, *pair, 50)
    again = move_credit(house, recall, *pair, 700, client_ref="once")

    assert again == first
    assert balances(house)[seeded.client_account] == (9_250, 0)
    assert_proven(house)


def test_ec072_a_name_already_used_for_another_movement_is_refused(house: House) -> None:
    seeded = seed(house, credit_minor=10_000)
    pair = (seeded.agency_account, seeded.client_account)
    move_credit(house, recall, *pair, 700, client_ref="once")
    before = balances(house)

    for verb, amount in ((recall, 701), (allocate, 700)):
        with pytest.raises(MovementNameUsed):
            move_credit(house, verb, *pair, amount, client_ref="once")

    assert balances(house) == before


def test_ec072_ten_repeats_at_once_move_credit_once(house: House) -> None:
    seeded = seed(house, credit_minor=10_000)
    pair = (seeded.agency_account, seeded.client_account)
    made: list[Posted] = []

    def attempt() -> bool:
        made.append(move_credit(house, recall, *pair, 700, client_ref="once"))
        return True

    assert race(10, attempt) == 10
    assert len(set(made)) == 1
    assert balances(house)[seeded.client_account] == (9_300, 0)


def test_more_than_is_available_is_refused_with_what_there_is(house: House) -> None:
    seeded = seed(house, credit_minor=10_000)
    assert hold(house, seeded, 4_000)
    before, transfers = balances(house), count(house, "transfers")

    with pytest.raises(InsufficientCredit) as refused:
        move_credit(house, recall, seeded.agency_account, seeded.client_account, 6_001)

    assert refused.value.extra == {
        "required_minor": 6_001,
        "available_minor": 6_000,
        "held_by_jobs_minor": 4_000,
    }
    assert (balances(house), count(house, "transfers")) == (before, transfers)


@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_that_is_not_positive_moves_nothing(house: House, amount: int) -> None:
    seeded = seed(house, credit_minor=10_000)
    move_credit(house, recall, seeded.agency_account, seeded.client_account, 5_000)
    before = balances(house)

    with pytest.raises(IntegrityError, match="ck_transfers_amount"):
        move_credit(house, recall, seeded.agency_account, seeded.client_account, amount)

    assert balances(house) == before


def test_ec055_fifty_holds_race_for_credit_that_covers_twenty(house: House) -> None:
    """EC-055: 50 x 25.00 on 500.00 are exactly 20."""
    seeded = seed(house, credit_minor=50_000)

    won = race(50, lambda: hold(house, seeded, 2_500))

    assert won == 20
    assert count(house, "holds") == 20
    assert balances(house)[seeded.client_account] == (50_000, 50_000)


def test_ec071_twenty_allocations_race_for_a_parent_that_covers_ten(house: House) -> None:
    """EC-071: 20 x 10,000 from 100,000 are exactly 10, and the books still sum to zero."""
    seeded = seed(house, credit_minor=100_000)
    move_credit(house, recall, seeded.agency_account, seeded.client_account, 100_000)

    def attempt() -> bool:
        try:
            move_credit(house, allocate, seeded.agency_account, seeded.client_account, 10_000)
        except InsufficientCredit:
            return False
        return True

    assert race(20, attempt) == 10
    assert balances(house)[seeded.agency_account] == (0, 0)
    assert balances(house)[seeded.client_account] == (100_000, 0)
    assert_proven(house)


def test_ec046_opposite_movements_between_two_accounts_do_not_deadlock(house: House) -> None:
    seeded = seed(house, credit_minor=100_000)
    move_credit(house, recall, seeded.agency_account, seeded.client_account, 50_000)
    verbs = iter([allocate, recall] * 10)

    def attempt() -> bool:
        move_credit(house, next(verbs), seeded.agency_account, seeded.client_account, 100)
        return True

    assert race(20, attempt) == 20
    assert balances(house)[seeded.agency_account] == (50_000, 0)
    assert_proven(house)


def test_an_isolated_campaign_pays_from_its_own_account(house: House) -> None:
    seeded = seed(house, credit_minor=10_000)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        own = open_accounts(
            session,
            Owner(Tier.CAMPAIGN, seeded.campaign_id, seeded.agency_id, seeded.client_id),
            currency="USD",
            parent_id=seeded.client_account,
        )
        session.execute(text("UPDATE campaigns SET budget_mode = 'isolated'"))
    move_credit(house, allocate, seeded.client_account, own, 3_000)

    assert hold(house, seeded, 3_001) is False
    assert hold(house, seeded, 3_000) is True

    assert balances(house)[own] == (3_000, 3_000)
    assert balances(house)[seeded.client_account] == (7_000, 0)
