"""Two claims that wait for each other's cards: both go on, and nobody's work is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

from models import clock
from models.base import new_id
from models.cards import PoolKind, Source
from models.database import scoped_transaction
from models.scope import PLATFORM, client
from pipelines.pools.create import NewPool, create_pool
from pipelines.provisioning.claim import claim_from_pools
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.wiring import House
from tests.driving import cards_csv, import_cards_now, rows
from tests.seeding import ACTOR, Seeded, seed


def job_of(seeded: Seeded) -> JobInHand:
    return JobInHand(
        new_id(), seeded.agency_id, seeded.client_id, seeded.campaign_id, "USD", "none"
    )


def item(brand_id: UUID, amount: int) -> OpenItem:
    return OpenItem(1, brand_id, amount, amount, None, 1)


def test_a_claim_that_would_wait_in_a_circle_goes_on_without_the_card(house: House) -> None:
    seeded = seed(house, vendor=False)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        pool = NewPool(seeded.brand_id, 1000, "USD", PoolKind.CSV)
        small = create_pool(session, pool, actor_id=ACTOR)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    import_cards_now(house, small, cards_csv(1))
    each_has_one = threading.Barrier(2)

    def claim(first: int, then: int) -> list[int]:
        """How many cards of each amount one transaction got."""
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            now: datetime = clock.now(session)
            got = []
            for amount in (first, then):
                served = claim_from_pools(
                    session,
                    job_of(seeded),
                    [item(seeded.brand_id, amount)],
                    pools=[Source.CSV],
                    cost_max=None,
                    now=now,
                )
                got.append(len(served.pairs))
                if amount == first:
                    each_has_one.wait(timeout=30)
            return got

    with ThreadPoolExecutor(2) as threads:
        claims = [threads.submit(claim, 2500, 1000), threads.submit(claim, 1000, 2500)]
        got = [claimed.result(timeout=30) for claimed in claims]

    assert got == [[1, 0], [1, 0]]
    (issued,) = rows(house, "SELECT count(*) AS n FROM cards WHERE state = 'issued'")
    assert issued.n == 2
