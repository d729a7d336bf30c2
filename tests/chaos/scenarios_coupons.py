"""Workers die while codes are made (EC-028), and coupons given and redeemed one by one (EC-088, EC-089)."""

from uuid import UUID

from models import clock
from models.books import CouponMove
from models.database import scoped_transaction
from models.scope import client
from pipelines.assignment.accept import AssignmentRequest, submit_assignment
from pipelines.books.history import Moved, Step, move_coupons
from pipelines.books.look_up import coupon_by_id
from pipelines.books.patterns import Pattern
from pipelines.books.recount import count_people
from pipelines.redemption.accept import Acting, submit_redemption
from tests.booking import lay_codes, make_book
from tests.chaos.exact import Scenario, Size, assert_quiet
from tests.chaos.stand import Stand
from tests.discounting import lay_discounts
from tests.distributing import make_pool, stocked_book
from tests.driving import rows
from tests.seeding import ACTOR, Seeded, seed

PROCESSES = ("relay", "scheduler", "interactive")
KILLS = 4
LETTERS = "0123456789ABCDEFGHJK"
CODES_PER_ITEM = 50
CHUNKS = 50


def coupons_killed(stand: Stand, size: Size) -> None:
    """Half are given, half redeemed; one in ten finds the book empty, whoever died meanwhile."""
    seeded, half = seed(stand.house, vendor=False), size.items
    _pool, people = make_pool(stand.house, seeded, 10)
    stock = half - half // 10
    book = stocked_book(stand.house, seeded, stock, max_assignments_per_user=half)
    held = stocked_book(stand.house, seeded, half, max_redemptions_per_user=half)
    _give(stand, seeded, held, people)
    _ask(stand, seeded, book, held, people)
    stand.start(*PROCESSES)
    for number in range(1, KILLS + 1):
        stand.until(lambda: _ended(stand) >= number * 2 * half // (KILLS + 2))  # noqa: B023
        stand.kill("interactive")
        stand.flush_queue()
        stand.start("interactive")
    stand.until(lambda: _ended(stand) == 2 * half)
    ends = rows(
        stand.house, "SELECT state, code, count(*) AS n FROM items GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert [tuple(row) for row in ends] == [
        ("failed", "book_exhausted", half - stock),
        ("succeeded", None, stock + half),
    ]
    events = rows(
        stand.house, "SELECT move, count(*) AS n FROM coupon_events GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in events] == [("assigned", stock + half), ("redeemed", half)]
    assert _results(stand) == stock + half
    assert rows(stand.house, "SELECT FROM open_redemptions") == []
    assert_quiet(stand)


def _give(stand: Stand, seeded: Seeded, book: UUID, people: list[UUID]) -> None:
    """Everybody holds coupons of this book, to redeem."""
    found = rows(stand.house, "SELECT id, version FROM coupons WHERE book_id = :book", book=book)
    steps = [
        Step(row.id, row.version, people[number % len(people)]) for number, row in enumerate(found)
    ]
    with scoped_transaction(stand.house.sessions, client(seeded.client_id)) as session:
        move_coupons(session, book, steps, Moved(CouponMove.ASSIGNED, clock.now(session), ACTOR))
        count_people(session, book)


def _ask(stand: Stand, seeded: Seeded, book: UUID, held: UUID, people: list[UUID]) -> None:
    """As the API accepts them, in turns."""
    house = stand.house
    common = {"key": None, "keyring": house.settings.keyring, "limits": house.limits}
    ids = rows(house, "SELECT id FROM coupons WHERE book_id = :book", book=held)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        for number, row in enumerate(ids):
            asked = AssignmentRequest(seeded.client_id, people[number % len(people)], book_id=book)
            submit_assignment(session, asked, actor_id=ACTOR, **common)
            coupon = coupon_by_id(session, held, row.id)
            submit_redemption(session, coupon, Acting(ACTOR, None), lock_token=None, **common)


def _ended(stand: Stand) -> int:
    found = rows(stand.house, "SELECT count(*) AS n FROM jobs WHERE finished_at IS NOT NULL")
    return int(found[0].n)


def _results(stand: Stand) -> int:
    """How many different coupons the items gave or redeemed."""
    found = rows(stand.house, "SELECT count(DISTINCT result_id) AS n FROM items")
    return int(found[0].n)


def codes_killed(stand: Stand, size: Size) -> None:
    """So little room that one draw in a hundred or so is taken already, and workers die three times."""
    seeded, count = seed(stand.house, vendor=False), size.items * CODES_PER_ITEM
    book = make_book(stand.house, seeded)
    job_id = lay_codes(stand.house, seeded, book, _narrow(count), count, size=count // CHUNKS)
    _kill_while_codes_are_made(stand, job_id, count)
    (made,) = rows(
        stand.house,
        "SELECT count(*) AS codes, count(DISTINCT code) AS different FROM coupons "
        "WHERE load_job_id = :job",
        job=job_id,
    )
    assert tuple(made) == (count, count)
    assert_quiet(stand)


def discount_codes_killed(stand: Stand, size: Size) -> None:
    """The same with discount codes, each of which has its rules."""
    seeded, count = seed(stand.house, vendor=False), size.items * CODES_PER_ITEM
    job_id = lay_discounts(stand.house, seeded, _narrow(count), count, size=count // CHUNKS)
    _kill_while_codes_are_made(stand, job_id, count)
    (made,) = rows(
        stand.house,
        "SELECT count(*) AS codes, count(DISTINCT c.code) AS different, count(r.version) AS rules "
        "FROM discount_codes c LEFT JOIN discount_rules r ON r.code_id = c.id "
        "WHERE c.batch_id = :job",
        job=job_id,
    )
    assert tuple(made) == (count, count, count)
    assert_quiet(stand)


def _narrow(count: int) -> Pattern:
    length = next(n for n in range(3, 9) if len(LETTERS) ** n >= 20 * count)
    return Pattern("", length, LETTERS, "")


def _kill_while_codes_are_made(stand: Stand, job_id: UUID, count: int) -> None:
    stand.start("relay", "scheduler", "interactive", "bulk")
    for part in (6, 3, 2):
        stand.until_done(job_id, count // part)
        stand.kill("bulk")
        stand.flush_queue()
        stand.start("bulk")
    job = stand.until_ended(job_id)
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", count), job["counts"]


SCENARIOS = (
    Scenario("codes killed", "exactly N codes, workers killed three times (EC-028)", codes_killed),
    Scenario(
        "discount codes killed",
        "exactly N discount codes with their rules, workers killed three times (EC-028)",
        discount_codes_killed,
    ),
    Scenario(
        "coupons killed", "SIGKILL of single requests' workers, each done once", coupons_killed
    ),
)
