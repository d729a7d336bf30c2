"""Cards that cost more than the floor allows: passed over quickly, told of, and no stock of a buffer (EC-081)."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from models import clock
from models.cards import Source
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from pipelines.pricing.dear_stock import Dear, too_dear
from pipelines.provisioning.claim import claim_from_pools
from pipelines.provisioning.sources import has_dearer_cards
from pipelines.wiring import House
from tests.auditing import as_superuser
from tests.conftest import Database
from tests.driving import rows
from tests.pipelines.test_claim_waits import item, job_of
from tests.pipelines.test_refilling import decide, look_once, orders, state
from tests.seeding import Seeded, seed

#: 2300 of 2500 is the most that a card may cost.
AT_MOST = 2_300
MANY = 4_000
_CARDS = """
INSERT INTO cards (id, pool_id, brand_id, source, state, sealed_number, blind_index, last4,
    expires_on, denomination_minor, currency, cost_minor, cost_currency)
SELECT gen_random_uuid(), :pool, :brand, :source, 'available', '',
    decode(md5(:name || n), 'hex'), '0000', DATE '2030-01-01' + :day + n % 7, 2500, 'USD',
    CAST(:cost AS bigint), :currency
FROM generate_series(1, :many) n
"""
_ROWS_READ = text(
    "SELECT coalesce(idx_tup_fetch, 0) + seq_tup_read FROM pg_stat_xact_user_tables "
    "WHERE relname = 'cards'"
)


def stock(
    house: House,
    seeded: Seeded,
    many: int,
    *,
    cost: int | None,
    day: int = 0,
    currency: str = "USD",
    source: Source = Source.CSV,
) -> None:
    """Cards that cost as much, of seven days from a day in 2030 on."""
    pool = seeded.csv_pool if source is Source.CSV else seeded.buffer_pool
    values = {"pool": pool, "brand": seeded.brand_id, "source": source.value, "day": day}
    values |= {"many": many, "cost": cost, "currency": currency}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(_CARDS), values | {"name": f"{cost}/{day}/{source}/{currency}"})


def claimed(house: House, seeded: Seeded, many: int, cost_max: int | None) -> tuple[list[Any], int]:
    """What a claim gets, in its order, and how many rows of cards it read for that."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now: datetime = clock.now(session)
        before = session.execute(_ROWS_READ).scalar_one()
        served = claim_from_pools(
            session,
            job_of(seeded),
            [item(seeded.brand_id, 2500)] * many,
            pools=[Source.CSV],
            cost_max=cost_max,
            now=now,
        )
        read = session.execute(_ROWS_READ).scalar_one() - before
    return [card.cost_minor for _item, card in served.pairs], int(read)


def test_ec081_a_claim_reads_no_card_of_a_dear_pool_however_many_there_are(
    house: House, database: Database
) -> None:
    """EC-081: they expire first; the two that may be given come last."""
    seeded = seed(house, vendor=False)
    stock(house, seeded, MANY, cost=AT_MOST + 1)
    as_superuser(database, "ANALYZE cards")

    nothing, read = claimed(house, seeded, 5, AT_MOST)
    stock(house, seeded, 2, cost=AT_MOST, day=30)
    two, read_for_two = claimed(house, seeded, 5, AT_MOST)

    assert (nothing, read) == ([], 0)
    assert two == [AT_MOST, AT_MOST]
    assert read_for_two <= 10


def test_ec081_of_one_day_the_cheapest_go_first_and_whatever_nobody_knows_may_go(
    house: House,
) -> None:
    """EC-081: a cost in another currency is as unknown as none, whatever the floor is."""
    seeded = seed(house, vendor=False)
    for cost in (2_200, 2_400, 2_100):
        stock(house, seeded, 1, cost=cost)
    stock(house, seeded, 1, cost=9_999, currency="EUR")
    stock(house, seeded, 1, cost=2_000, day=1)

    within = [claimed(house, seeded, 1, AT_MOST)[0] for _ in range(5)]
    any_cost, _read = claimed(house, seeded, 9, None)
    stock(house, seeded, 1, cost=None, day=9)
    below_nothing, _read = claimed(house, seeded, 9, -5)

    assert within == [[9_999], [2_100], [2_200], [2_000], []]
    assert (any_cost, below_nothing) == ([2_400], [None])


@pytest.mark.parametrize(("cost", "has"), [(AT_MOST, False), (AT_MOST + 1, True), (None, False)])
def test_ec081_whether_a_card_is_passed_over_is_known_from_one(
    house: House, cost: int | None, has: bool
) -> None:
    seeded = seed(house, vendor=False)
    stock(house, seeded, 50, cost=cost)
    group = (seeded.brand_id, 2500)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        before = session.execute(_ROWS_READ).scalar_one()
        found = has_dearer_cards(session, job_of(seeded), group, AT_MOST, now=now)
        read = session.execute(_ROWS_READ).scalar_one() - before

    assert found is has
    assert read <= 2


def test_ec081_dear_cards_of_a_buffer_are_told_of_and_are_no_stock_to_fill_up_to(
    house: House,
) -> None:
    """EC-081: three of five cost too much at everybody's price; they are bought again, cheaper."""
    seeded = seed(house)
    rows(house, "UPDATE brands SET min_margin_minor = 200 RETURNING 1")
    stock(house, seeded, 3, cost=AT_MOST + 1, source=Source.BUFFER)
    stock(house, seeded, 2, cost=AT_MOST, source=Source.BUFFER)
    decide(house, seeded, target=5)
    pools = rows(house, "SELECT * FROM card_pools ORDER BY id")
    with scoped_transaction(house.sessions, PLATFORM) as session:
        dear = too_dear(session, pools, now=clock.now(session))
    shown = state(house, seeded)
    rows(house, "UPDATE card_pools SET low_watermark = 2 WHERE kind = 'buffer' RETURNING 1")
    look_once(house)

    assert dear == {seeded.buffer_pool: Dear(3, bought=0)}
    assert (shown["stock"], shown["too_dear"]) == (2, 3)
    assert orders(house) == 3
