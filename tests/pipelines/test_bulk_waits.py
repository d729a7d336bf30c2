"""Bulk work that has no turn, and a client's own backlog, which is nobody else's (EC-136)."""

import pytest

from models.jobs import Priority
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows
from tests.intake import submit_file, with_limits
from tests.moves import one_step
from tests.pipelines.test_quotas import age_tasks, beat, saturated
from tests.seeding import Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def test_ec136_a_clients_own_backlog_does_not_close_the_house(house: House, seeded: Seeded) -> None:
    """EC-136: behind its own jobs work waits for as long as they take; the house is not full."""
    small = with_limits(house, chunk_items_max=2, chunks_released_max=1)
    import_cards_now(small, seeded.csv_pool, cards_csv(8))
    submit_file(small, seeded, recipients_csv(2), priority=Priority.LOW)
    age_tasks(house)
    nobody_works = saturated(small)
    submit_file(small, seeded, recipients_csv(6, 10), priority=Priority.HIGH)
    behind_its_own = saturated(small)

    one_step(small)
    age_tasks(house)
    while_items_move = saturated(small)
    rows(house, "UPDATE chunks SET updated_at = updated_at - interval '1 hour' RETURNING 1")
    they_moved_long_ago = saturated(small)

    assert nobody_works is not None
    assert behind_its_own is None
    assert while_items_move is None
    assert they_moved_long_ago is not None


@pytest.mark.parametrize(
    ("change", "is_refused"),
    [
        ("rung_at = now() - interval '1 minute'", False),
        ("rung_at = now() - interval '1 hour', starts = 1", False),
        ("rung_at = now() - interval '1 hour'", True),
        ("rung_at = NULL", True),
        ("kind = 'of_the_next_release'", False),
    ],
)
def test_ec136_what_living_workers_have_in_hand_or_cannot_do_does_not_wait(
    house: House, seeded: Seeded, change: str, is_refused: bool
) -> None:
    """EC-136: a long import is work being done; a kind unknown here waits for other code."""
    small = with_limits(house, chunk_items_max=2, chunks_released_max=2)
    submit_file(small, seeded, recipients_csv(4))
    age_tasks(house)
    beat(house, "bulk")
    alone = f"UPDATE tasks SET {change} WHERE id = (SELECT min(id::text)::uuid FROM tasks)"
    every = f"UPDATE tasks SET {change}"

    rows(house, f"{every if 'kind' in change else alone} RETURNING 1")

    assert (saturated(small) is not None) is is_refused


def test_ec136_a_lane_without_turns_beside_one_that_is_served(house: House, seeded: Seeded) -> None:
    """EC-136: the work of one client says nothing of how long another waits."""
    submit_file(house, seeded, recipients_csv(2))
    submit_file(house, seed(house, vendor=False), recipients_csv(2))
    age_tasks(house)
    beat(house, "bulk")
    served = "UPDATE tasks SET rung_at = now() WHERE tenant_id = :client RETURNING 1"

    rows(house, served, client=seeded.client_id)

    assert saturated(house) is not None
