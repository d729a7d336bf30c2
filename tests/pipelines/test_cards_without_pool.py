"""What an undo gives back where no buffer is: seen, counted, and put to use once there is one."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from models.cards import PoolKind
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.errors import NotFound
from pipelines.pools.create import NewPool, create_pool
from pipelines.pools.inventory import read_inventory
from pipelines.pools.move_cards import CardMove, CardWithoutPool, InvalidCardState, move_card
from pipelines.pools.without_pool import (
    Adopted,
    HoldsNoBoughtCards,
    adopt_cards,
    groups_without_pool,
    list_without_pool,
)
from pipelines.wiring import House
from tests.driving import drain, hasten, recipients_csv, rows, submit, view
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import provision_of, undo
from tests.vendor import Sandbox

#: The seeded tenant has pools of another amount.
AMOUNT = 5000


@dataclass(frozen=True, slots=True)
class Undone:
    """A tenant whose bought cards an undo gave back to nowhere."""

    seeded: Seeded
    job_id: UUID
    undo_id: UUID


def bought(house: House, seeded: Seeded, count: int, **chosen: Any) -> UUID:
    """A finished job whose cards a vendor sold."""
    job_id = submit(house, seeded, recipients_csv(count), denomination_minor=AMOUNT, **chosen)
    while view(house, job_id)["finished_at"] is None:
        hasten(house)
        drain(house)
    return job_id


def undone(house: House, seeded: Seeded, count: int) -> Undone:
    job_id = bought(house, seeded, count)
    return Undone(seeded, job_id, undo(house, seeded, job_id))


@pytest.fixture
def back(vendor_house: House, sandbox: Sandbox) -> Undone:
    return undone(vendor_house, seed(vendor_house), 3)


def make(house: House, seeded: Seeded, **pool: Any) -> UUID:
    values = {"denomination_minor": AMOUNT, "kind": PoolKind.BUFFER} | pool
    with scoped_transaction(house.sessions, PLATFORM) as session:
        return create_pool(
            session, NewPool(seeded.brand_id, currency="USD", **values), actor_id=ACTOR
        )


def adopt(house: House, pool_id: UUID) -> Adopted:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        return adopt_cards(session, pool_id, actor_id=ACTOR)


def places(house: House) -> list[Any]:
    """Where bought cards are, and how many."""
    return rows(
        house,
        "SELECT state, source, pool_id, client_id, count(*) AS cards FROM cards "
        "WHERE denomination_minor = 5000 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    )


def groups(house: House) -> list[tuple[int, int, UUID | None]]:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        found = groups_without_pool(session)
    return [(row.given_back, row.not_as_ordered, row.pool_id) for row in found]


def adoptions(house: House) -> list[tuple[UUID, dict[str, int]]]:
    statement = "SELECT object_id, detail FROM audit_entries WHERE action = 'pool.cards_adopted'"
    return [(row.object_id, row.detail) for row in rows(house, statement)]


def test_cards_that_came_back_to_no_pool_are_counted_and_listed(
    vendor_house: House, back: Undone
) -> None:
    with scoped_transaction(vendor_house.sessions, PLATFORM) as session:
        first = list_without_pool(session, before=None, limit=2)
        rest = list_without_pool(session, before=first[-1].id, limit=2)
    line = read_inventory(vendor_house.sessions, PLATFORM)[-1]

    cards = rows(vendor_house, "SELECT id, last4, cost_minor FROM cards ORDER BY id DESC")
    gone = provision_of(vendor_house, back.job_id, 1)
    assert [(row.id, row.last4, row.cost_minor) for row in [*first, *rest]] == cards
    assert {(row.reason, row.undone_job_id, row.since) for row in [*first, *rest]} == {
        ("given_back", back.undo_id, gone.undone_at)
    }
    assert groups(vendor_house) == [(3, 0, None)]
    assert (line.name[1], line.without_pool, line.pools) == (AMOUNT, 3, ())
    assert line.health.rule == "Empty: there is no pool"
    assert_proven(vendor_house)


def test_a_tenant_s_inventory_says_nothing_of_them(vendor_house: House, back: Undone) -> None:
    lines = read_inventory(vendor_house.sessions, client(back.seeded.client_id))

    assert [line for line in lines if line.without_pool or not line.pools] == []


def test_a_buffer_that_is_made_takes_them_in_and_they_are_given_to_anybody(
    vendor_house: House, back: Undone
) -> None:
    other = seed(vendor_house, vendor=False)

    pool_id = make(vendor_house, back.seeded)

    assert places(vendor_house) == [("available", "buffer", pool_id, None, 3)]
    assert adoptions(vendor_house) == [(pool_id, {"cards": 3})]
    assert groups(vendor_house) == []
    job_id = bought(vendor_house, other, 2, brand_id=back.seeded.brand_id)
    assert view(vendor_house, job_id)["sources"] == {"csv": 0, "buffer": 2, "api": 0}
    assert_proven(vendor_house)


def test_a_buffer_takes_in_later_what_it_missed_and_counts_it_once(
    vendor_house: House, back: Undone
) -> None:
    """As when an undo and the making of the pool did not see each other."""
    pool_id = make(vendor_house, back.seeded)
    rows(
        vendor_house,
        "UPDATE cards SET state = 'quarantined', source = 'api', pool_id = NULL "
        "WHERE pool_id = :pool RETURNING 1",
        pool=pool_id,
    )

    found = groups(vendor_house)
    first, second = adopt(vendor_house, pool_id), adopt(vendor_house, pool_id)

    assert found == [(3, 0, pool_id)]
    assert (first, second) == (Adopted(3, goes_on=False), Adopted(0, goes_on=False))
    assert places(vendor_house) == [("available", "buffer", pool_id, None, 3)]
    assert adoptions(vendor_house) == [(pool_id, {"cards": 3}), (pool_id, {"cards": 3})]
    assert_proven(vendor_house)


def test_pools_that_do_not_fit_take_nothing_in(vendor_house: House, back: Undone) -> None:
    before = places(vendor_house)
    imported = make(vendor_house, back.seeded, kind=PoolKind.CSV)
    make(vendor_house, back.seeded, denomination_minor=AMOUNT + 1)

    with pytest.raises(HoldsNoBoughtCards):
        adopt(vendor_house, imported)
    with pytest.raises(NotFound):
        adopt(vendor_house, back.seeded.brand_id)

    assert places(vendor_house) == before
    assert adoptions(vendor_house) == []


def test_a_client_s_own_buffer_takes_in_what_was_bought_for_that_client(
    vendor_house: House, back: Undone
) -> None:
    """The client itself moves nothing: what lies in no pool is the platform's."""
    other = seed(vendor_house, vendor=False)
    me = back.seeded.client_id
    theirs = make(vendor_house, back.seeded, client_id=other.client_id)
    own = NewPool(back.seeded.brand_id, AMOUNT, "USD", PoolKind.BUFFER, client_id=me)
    with scoped_transaction(vendor_house.sessions, client(me)) as session:
        mine = create_pool(session, own, actor_id=ACTOR)
    assert groups(vendor_house) == [(3, 0, None)]

    moved = [adopt(vendor_house, pool_id).cards for pool_id in (theirs, mine)]

    assert moved == [0, 3]
    assert places(vendor_house) == [("available", "buffer", mine, me, 3)]
    assert_proven(vendor_house)


def test_a_card_that_was_not_ordered_so_is_listed_and_joins_no_pool(
    vendor_house: House, sandbox: Sandbox
) -> None:
    """EC-066: its order waits for a person, who learns here where the card is."""
    seeded = seed(vendor_house)
    sandbox.arm(wrong_value={"next": 1})
    submit(vendor_house, seeded, recipients_csv(1), denomination_minor=AMOUNT)
    drain(vendor_house)
    (card,) = rows(vendor_house, "SELECT id, denomination_minor, provider_order_id FROM cards")

    make(vendor_house, seeded, denomination_minor=card.denomination_minor)

    with scoped_transaction(vendor_house.sessions, PLATFORM) as session:
        (listed,) = list_without_pool(session, before=None, limit=5)
    assert (listed.id, listed.reason, listed.undone_job_id) == (card.id, "value_mismatch", None)
    assert listed.order_id == card.provider_order_id
    assert [group[:2] for group in groups(vendor_house)] == [(0, 1)]
    assert rows(vendor_house, "SELECT pool_id, state FROM cards") == [(None, "quarantined")]


def test_a_card_in_no_pool_is_ended_and_not_released_to_nowhere(
    vendor_house: House, back: Undone
) -> None:
    card_id = provision_of(vendor_house, back.job_id, 1).card_id
    before = places(vendor_house)

    def move(how: CardMove) -> None:
        with scoped_transaction(vendor_house.sessions, SYSTEM) as session:
            move_card(session, card_id, how, reason="r", actor_id=ACTOR)

    for refused in (CardMove.RELEASE, CardMove.QUARANTINE):
        with pytest.raises(CardWithoutPool):
            move(refused)
    assert places(vendor_house) == before
    assert rows(vendor_house, "SELECT FROM audit_entries WHERE object_id = :id", id=card_id) == []

    move(CardMove.VOID)

    with pytest.raises(InvalidCardState):
        move(CardMove.RELEASE)
    assert groups(vendor_house) == [(2, 0, None)]
    assert make(vendor_house, back.seeded) is not None
    assert [(row.state, row.cards) for row in places(vendor_house)] == [
        ("available", 2),
        ("void", 1),
    ]
    assert_proven(vendor_house)
