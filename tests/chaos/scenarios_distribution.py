"""Workers die in the middle of a distribution: each person gets what was drawn for them, once (EC-096)."""

import random
from uuid import UUID

from tests.chaos.exact import Scenario, Size, assert_quiet
from tests.chaos.stand import Stand
from tests.distributing import assigned, distribute, make_pool, options, stocked_book
from tests.driving import rows, view
from tests.seeding import Seeded, seed

PROCESSES = ("relay", "scheduler", "interactive", "bulk")
KILLS = 5
SEED = "a seed that was told before"
#: Who was drawn, and what for whom: positions, people's places in the pool, coupons' codes.
Drawn = list[tuple[int, int, str]]


def killed_while_distributing(stand: Stand, size: Size) -> None:
    """Bulk workers die five times at random points; the broker forgets everything once."""
    seeded, job_id, people = _begin(stand, size, coupons=2)
    stand.start(*PROCESSES)
    chance = random.Random(size.items)
    for at in sorted(chance.randrange(1, size.items) for _ in range(KILLS)):
        stand.until(lambda: _done(stand, job_id) >= at)  # noqa: B023
        stand.kill("bulk")
        stand.flush_queue()
        stand.start("bulk")
    job = stand.until_ended(job_id)
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", size.items), job["counts"]
    given = assigned(stand.house, job_id)
    assert [position for position, _person, _coupon in given] == [*range(1, size.items + 1)]
    assert len({coupon for _position, _person, coupon in given}) == size.items
    assert {person for _position, person, _coupon in given} <= set(people)
    events = rows(stand.house, "SELECT FROM coupon_events WHERE job_id = :job", job=job_id)
    assert len(events) == size.items
    assert_quiet(stand)
    assert seeded.client_id


def drawn_alike(stand: Stand, size: Size) -> None:
    """The same pool, book and seed, once by one worker and once by eight who die: the same draw."""
    stand.start("relay", "scheduler", "interactive")
    alone = _draw(stand, size, workers=1)
    together = _draw(stand, size, workers=8)
    assert alone == together
    assert len(alone) == size.items
    assert_quiet(stand)


def _draw(stand: Stand, size: Size, *, workers: int) -> Drawn:
    """Distribute from a copy of the same book to a copy of the same pool; who got which code."""
    seeded, job_id, people = _begin(stand, size, coupons=1)
    for number in range(workers):
        stand.start("bulk", LARGESSE_PROCESS_NAME=f"bulk-{number}")
        if number == 3:
            stand.until(lambda: _done(stand, job_id) > 0)
            stand.kill("bulk")
    job = stand.until_ended(job_id)
    assert job["state"] == "succeeded", job["counts"]
    places = {person: place for place, person in enumerate(people)}
    found = [
        (position, places[person]) for position, person, _coupon in assigned(stand.house, job_id)
    ]
    ranks = _ranks(stand, job_id)
    assert seeded.client_id
    return [(position, place, ranks[position]) for position, place in found]


def _ranks(stand: Stand, job_id: UUID) -> dict[int, str]:
    """The seed orders coupons by their ids: what is alike is that the order is the seed's."""
    found = rows(
        stand.house,
        "SELECT assigned_position AS position, row_number() OVER (ORDER BY sha256("
        "convert_to(:seed || ':coupon:', 'UTF8') || uuid_send(id))) AS rank "
        "FROM coupons WHERE assigned_job_id = :job",
        job=job_id,
        seed=SEED,
    )
    return {row.position: str(row.rank) for row in found}


def _begin(stand: Stand, size: Size, *, coupons: int) -> tuple[Seeded, UUID, list[UUID]]:
    seeded = seed(stand.house, vendor=False)
    pool, people = make_pool(stand.house, seeded, max(1, size.items // 3))
    book = stocked_book(stand.house, seeded, size.items * coupons)
    asked = options(pool, book, size.items, seed=SEED)
    return seeded, distribute(stand.house, seeded, asked), people


def _done(stand: Stand, job_id: UUID) -> int:
    done: int = view(stand.house, job_id)["counts"]["succeeded"]
    return done


SCENARIOS = (
    Scenario(
        "distribution killed",
        "coupons drawn, bulk workers killed five times (EC-096)",
        killed_while_distributing,
    ),
    Scenario(
        "drawn alike",
        "one worker, or eight of whom one dies: the same draw",
        drawn_alike,
    ),
)
