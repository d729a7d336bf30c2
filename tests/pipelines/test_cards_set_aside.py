"""Single cards set aside, given back and ended, whatever is done with their batch."""

from uuid import UUID

import pytest

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.pools import move_cards
from pipelines.pools.move_cards import CardMove, InvalidCardState
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now, rows
from tests.pipelines.test_card_batches import hasten, move, states
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def move_one(house: House, card_id: UUID, how: CardMove) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        move_cards.move_card(session, card_id, how, reason="bad", actor_id=ACTOR)


def test_one_card_is_set_aside_and_given_back(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    first, second = (row.id for row in rows(house, "SELECT id FROM cards ORDER BY id"))

    move_one(house, first, CardMove.QUARANTINE)
    move_one(house, first, CardMove.QUARANTINE)
    assert states(house) == {"quarantined": 1, "available": 1}
    move_one(house, first, CardMove.VOID)
    for wrong in (CardMove.RELEASE, CardMove.QUARANTINE):
        with pytest.raises(InvalidCardState):
            move_one(house, first, wrong)
    with pytest.raises(InvalidCardState):
        move_one(house, second, CardMove.VOID)
    assert states(house) == {"void": 1, "available": 1}


@pytest.mark.parametrize("with_batch_first", [True, False])
def test_a_card_set_aside_by_itself_is_not_given_back_with_its_batch(
    house: House, seeded: Seeded, with_batch_first: bool
) -> None:
    """Somebody said that this one is bad; that the file was good after all changes nothing of it."""
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(3))["id"]
    card = rows(house, "SELECT id FROM cards ORDER BY id LIMIT 1")[0].id
    moves = [
        lambda: move(house, batch, CardMove.QUARANTINE),
        lambda: move_one(house, card, CardMove.QUARANTINE),
    ]
    for act in moves if with_batch_first else reversed(moves):
        act()

    move(house, batch, CardMove.RELEASE)
    hasten(house)
    kept = rows(house, "SELECT id FROM cards WHERE state = 'quarantined'")
    move_one(house, card, CardMove.RELEASE)
    move(house, batch, CardMove.QUARANTINE)
    move(house, batch, CardMove.RELEASE)

    assert [row.id for row in kept] == [card]
    assert states(house) == {"available": 3}
    assert rows(house, "SELECT FROM tasks WHERE kind = 'move_cards' AND run_after <= now()") == []
