"""Which card an item gets: one that lasts, the first to expire, and nobody else's."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from models.cards import PoolKind
from models.database import scoped_transaction
from models.scope import PLATFORM, client
from ops.bootstrap import database_url
from pipelines.pools.create import NewPool, create_pool
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, submit_file
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed

_CLAIM = text("""
SELECT card_id FROM claim_cards(:client, :brand, 2500, 'USD', 'csv', current_date, :wanted, false)
""")


def cards_until(*days: date) -> bytes:
    lines = [f"CARD-{n:04d}-{day:%m%d},,{day}" for n, day in enumerate(days)]
    return "\n".join(["card_number,pin,expires_on", *lines, ""]).encode()


def served_expiries(house: House, job_id: UUID) -> list[date]:
    found = rows(
        house,
        "SELECT c.expires_on FROM provisions p JOIN cards c ON c.id = p.card_id "
        "WHERE p.job_id = :job ORDER BY c.expires_on",
        job=job_id,
    )
    return [row.expires_on for row in found]


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def today(house: House) -> date:
    return rows(house, "SELECT (now() AT TIME ZONE 'UTC')::date AS day")[0].day


def test_ec057_eight_threads_claim_a_thousand_cards_each_once(house: House, seeded: Seeded) -> None:
    """EC-057: no card twice, none left over, and never more than were asked for."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1000))
    start = threading.Barrier(8)

    def claim(number: int) -> list[UUID]:
        mine: list[UUID] = []
        wanted = 7 + number
        values = {"client": seeded.client_id, "brand": seeded.brand_id, "wanted": wanted}
        start.wait(timeout=30)
        while True:
            with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
                got = list(session.execute(_CLAIM, values).scalars())
            assert len(got) <= wanted
            if not got:
                return mine
            mine.extend(got)

    with ThreadPoolExecutor(8) as pool:
        claimed = [card for mine in pool.map(claim, range(8)) for card in mine]

    assert len(claimed) == len(set(claimed)) == 1000


def test_no_more_cards_are_claimed_than_asked_for_whatever_the_planner_believes(
    house: House, database: Database, seeded: Seeded
) -> None:
    """Planned as if the table were empty, a claim once looked again for every card it found."""
    import_cards_now(house, seeded.csv_pool, cards_csv(300))
    superuser = database_url(database.admin_url, database.name)
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("DELETE FROM cards")
        connection.execute("ANALYZE cards")
    import_cards_now(house, seeded.csv_pool, cards_csv(300))
    values = {"client": seeded.client_id, "brand": seeded.brand_id, "wanted": 10}

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        claimed = [len(session.execute(_CLAIM, values).all()) for _ in range(3)]

    assert claimed == [10, 10, 10]


def test_ec068_cards_near_their_end_are_not_given_and_the_first_to_expire_goes_first(
    house: House, seeded: Seeded, today: date
) -> None:
    """EC-068: thirty days are the least that a recipient gets."""
    days = [today + timedelta(days=n) for n in (29, 400, 30, 90, 31)]
    import_cards_now(house, seeded.csv_pool, cards_until(*days))

    first = submit_file(house, seeded, recipients_csv(2)).job_id
    drain(house)
    second = submit_file(house, seeded, recipients_csv(3, start=2)).job_id
    drain(house)

    assert served_expiries(house, first) == [days[2], days[4]]
    assert served_expiries(house, second) == [days[3], days[1]]
    codes = [code for (code,) in items_of(house, second, "code")]
    assert sorted(code for code in codes if code) == ["no_inventory"]
    left = rows(house, "SELECT expires_on FROM cards WHERE state = 'available'")
    assert [row.expires_on for row in left] == [days[0]]
    assert_proven(house)


def test_cards_without_an_end_go_last(house: House, seeded: Seeded, today: date) -> None:
    far = today + timedelta(days=900)
    import_cards_now(house, seeded.csv_pool, b"card_number\nNO-END-0001\n")
    import_cards_now(house, seeded.csv_pool, cards_until(far))

    job_id = submit_file(house, seeded, recipients_csv(1)).job_id
    drain(house)

    assert served_expiries(house, job_id) == [far]


def test_ec058_the_csv_pool_goes_before_the_buffer_even_if_the_buffer_expires_first(
    house: House, seeded: Seeded, today: date
) -> None:
    import_cards_now(house, seeded.buffer_pool, cards_until(today + timedelta(days=40)))
    import_cards_now(house, seeded.csv_pool, b"card_number\nCSV-CARD-1\n")

    job_id = submit_file(house, seeded, recipients_csv(2)).job_id
    drain(house)

    assert items_of(house, job_id, "source") == [("csv",), ("buffer",)]


def test_ec066_a_card_of_another_value_is_never_given(house: House, seeded: Seeded) -> None:
    """EC-066: brand, denomination and currency must all be the item's."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    content = b"reference,denomination_minor\nr1,2000\nr2,2500\n"

    job_id = submit_file(house, seeded, content).job_id
    drain(house)

    assert items_of(house, job_id, "state", "code") == [
        ("failed", "no_inventory"),
        ("succeeded", None),
    ]


def test_a_client_s_own_cards_are_given_to_its_recipients_only(
    house: House, seeded: Seeded
) -> None:
    other = seed(house, vendor=False)
    pool = NewPool(seeded.brand_id, 2500, "USD", PoolKind.CSV, client_id=other.client_id)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        own = create_pool(session, pool, actor_id=ACTOR)
    import_cards_now(house, own, cards_csv(2))

    refused = submit_file(house, seeded, recipients_csv(1)).job_id
    drain(house)
    served = submit_file(house, other, recipients_csv(1), brand_id=seeded.brand_id).job_id
    drain(house)

    assert view(house, refused)["state"] == "failed"
    assert view(house, served)["state"] == "succeeded"
    assert_proven(house)
