"""Many different amounts in one file cost a handful of statements, not several for each."""

from collections import Counter

import pytest
from sqlalchemy import text

from models.cards import PoolKind
from models.database import scoped_transaction
from models.scope import PLATFORM
from pipelines.pools.create import NewPool, create_pool
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, import_cards_now, rows, view
from tests.intake import items_of, preview_file, submit_file
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.statements import statements
from workers.wrapper import Wrapper

AMOUNTS = range(1001, 1501)
#: The vendor sells up to here; above, only the pools have cards.
SOLD_TO = 1250


def file_of(*amounts: int) -> bytes:
    lines = [f"r{amount},{amount}" for amount in amounts]
    return "\n".join(["reference,denomination_minor", *lines, ""]).encode()


@pytest.fixture
def seeded(house: House) -> Seeded:
    """Cards of 1010 in the CSV pool, of 1020 and 1490 in the buffer, the rest at the vendor."""
    made = seed(house)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(text("UPDATE brand_routes SET max_minor = :most"), {"most": SOLD_TO})
        pools = [
            create_pool(session, NewPool(made.brand_id, amount, "USD", kind), actor_id=ACTOR)
            for amount, kind in (
                (1010, PoolKind.CSV),
                (1020, PoolKind.BUFFER),
                (1490, PoolKind.BUFFER),
            )
        ]
    for pool in pools:
        import_cards_now(house, pool, cards_csv(1))
    return made


def test_a_chunk_of_five_hundred_amounts_is_served_in_few_statements(
    house: House, seeded: Seeded
) -> None:
    job_id = submit_file(house, seeded, file_of(*AMOUNTS)).job_id

    (task,) = rows(house, "SELECT id FROM tasks")
    wrapper = Wrapper(house.sessions, build_handlers(house), draw=lambda: 0.0)

    with statements(house) as sent:
        wrapper.run(task.id, 1)

    assert sum("claim_cards" in statement for statement in sent) == 3
    assert len(sent) <= 60
    outcome = Counter(items_of(house, job_id, "state", "code", "source"))
    assert outcome == {
        ("succeeded", None, "csv"): 1,
        ("succeeded", None, "buffer"): 2,
        ("running", None, None): 248,
        ("failed", "denomination_unavailable", None): 249,
    }
    given = rows(
        house,
        "SELECT i.denomination_minor, p.source, c.denomination_minor AS card FROM provisions p "
        "JOIN items i USING (job_id, position) JOIN cards c ON c.id = p.card_id ORDER BY 1",
    )
    assert [tuple(row) for row in given] == [
        (1010, "csv", 1010),
        (1020, "buffer", 1020),
        (1490, "buffer", 1490),
    ]
    orders = rows(house, "SELECT face_value_minor AS face FROM provider_orders ORDER BY 1")
    assert [row.face for row in orders] == [
        amount for amount in AMOUNTS if amount <= SOLD_TO and amount not in {1010, 1020}
    ]
    assert view(house, job_id)["money"]["captured_minor"] == 1010 + 1020 + 1490
    assert_proven(house)


def test_five_hundred_amounts_are_previewed_in_few_statements(house: House, seeded: Seeded) -> None:
    with statements(house) as sent:
        quoted = preview_file(house, seeded, file_of(*AMOUNTS))

    assert quoted["sources"] == {"csv": 1, "buffer": 2, "api": 248, "none": 249}
    assert sum("count_available_cards" in statement for statement in sent) == 1
    assert len(sent) <= 25


def test_a_submit_does_not_ask_where_cards_would_come_from(house: House, seeded: Seeded) -> None:
    with statements(house) as sent:
        submit_file(house, seeded, file_of(*AMOUNTS))

    assert [s for s in sent if "count_available_cards" in s or "brand_routes" in s] == []
