"""Cards come in row by row or not at all, each once on the whole platform, and are never echoed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models import clock
from models.cards import PoolKind
from models.database import scoped_transaction
from models.jobs import ItemState
from models.scope import PLATFORM, SYSTEM
from pipelines.errors import NotFound, Refusal
from pipelines.jobs.control import cancel_job
from pipelines.jobs.create import DuplicateUpload
from pipelines.jobs.kinds import OnError
from pipelines.pools.create import NewPool, create_pool
from pipelines.queue.keys import RequestKey
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, import_cards_now, rows, view
from tests.intake import accept_cards, items_of, table_sizes, with_limits
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.workers.tasks import change_task
from workers.wrapper import Wrapper

MIXED = (
    b"card_number,pin,expires_on\n"
    b"GOOD-0001-AAAA,1234,2028-12-31\n"
    b"BAD_CHARSET!,1234,2028-12-31\n"
    b"GOOD-0002-BBBB,12,2028-12-31\n"
    b"GOOD-0003-CCCC,1234,2020-01-01\n"
    b"good 0001 aaaa,1234,2028-12-31\n"
    b"good-0001-aaaa,9999,2028-12-31\n"
    b",1234,2028-12-31\n"
    b"1.23E+15,1234,2028-12-31\n"
    b"GOOD-0004-DDDD,1234\n"
    b"GOOD-0005-EEEE,,\n"
)
VERDICTS = [
    (2, "code_charset", "card_number"),
    (3, "invalid_pin", "pin"),
    (4, "already_expired", "expires_on"),
    (6, "duplicate_card", "card_number"),
    (7, "required", "card_number"),
    (8, "looks_like_spreadsheet_damage", "card_number"),
    (9, "column_count", None),
]


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def count(house: House, table: str) -> int:
    return rows(house, f"SELECT count(*) AS n FROM {table}")[0].n


def test_a_good_file_becomes_cards(house: House, seeded: Seeded) -> None:
    job = import_cards_now(
        house,
        seeded.csv_pool,
        b"card_number,pin,expires_on,cost_minor\nABCD-1234-EFGH,1234,2028-12-31,2000\nshort1,,,\n",
    )

    cards = rows(house, "SELECT * FROM cards ORDER BY last4")
    assert job["state"] == "succeeded"
    assert (job["counts"]["total"], job["counts"]["succeeded"]) == (2, 2)
    assert [
        (c.last4, c.expires_on.isoformat(), c.cost_minor, c.cost_currency, c.source, c.state)
        for c in cards
    ] == [
        ("****", "2099-12-31", 2300, "USD", "csv", "available"),
        ("EFGH", "2028-12-31", 2000, "USD", "csv", "available"),
    ]
    assert [c.sealed_pin is None for c in cards] == [True, False]
    assert {(c.denomination_minor, c.brand_id, c.pool_id) for c in cards} == {
        (2500, seeded.brand_id, seeded.csv_pool)
    }
    assert_proven(house)


def test_b51_skip_keeps_the_good_cards_and_lists_each_reject(house: House, seeded: Seeded) -> None:
    """B51: every reject has its row, code and column; no value is echoed."""
    job = import_cards_now(house, seeded.csv_pool, MIXED, on_error=OnError.SKIP)

    rejects = items_of(house, job["id"], "position", "code", "field", "detail", "state")
    assert job["state"] == "partially_succeeded"
    assert (job["counts"]["total"], job["counts"]["succeeded"]) == (10, 3)
    assert job["counts"]["failed"] == 7
    assert [row[:3] for row in rejects] == VERDICTS
    said = repr(rejects)
    assert [w for w in ("GOOD", "good", "BAD_", "9999", "E+15") if w in said] == []
    assert_proven(house)


def test_abort_keeps_nothing_and_the_mended_file_is_welcome(house: House, seeded: Seeded) -> None:
    job = import_cards_now(house, seeded.csv_pool, MIXED)
    again = import_cards_now(house, seeded.csv_pool, MIXED, on_error=OnError.SKIP)

    assert job["state"] == "failed"
    assert job["error"] == {
        "status": 422,
        "code": "rows_refused",
        "detail": "7 of 10 rows have errors and nothing was imported.",
    }
    assert (job["counts"]["failed"], job["counts"]["cancelled"]) == (7, 3)
    assert sum(job["counts"][state] for state in ItemState) == job["counts"]["total"]
    assert again["counts"]["succeeded"] == count(house, "cards") == 3
    assert_proven(house)


def test_ec069_a_card_is_known_in_every_pool_of_its_brand(house: House, seeded: Seeded) -> None:
    """EC-069: however it is spelled; it is named by batch and row, and never shown."""
    first = import_cards_now(house, seeded.csv_pool, b"card_number\nABCD-1234-EFGH\n")
    number = rows(house, "SELECT number FROM card_batches WHERE id = :id", id=first["id"])[0].number

    job = import_cards_now(
        house,
        seeded.buffer_pool,
        b"card_number\nabcd-1234-efgh\nABCD-1234-EFGI\n",
        on_error=OnError.SKIP,
    )

    assert items_of(house, job["id"], "position", "code", "detail") == [
        (1, "duplicate_card", f"This card is known already: batch #{number}, row 1.")
    ]
    assert count(house, "cards") == 2


def test_ec069_nobody_is_told_in_whose_pool_a_card_is_known(house: House, seeded: Seeded) -> None:
    """EC-069: a client that has the number of a card of the platform learns that it is taken."""
    import_cards_now(house, seeded.csv_pool, b"card_number\nABCD-1234-EFGH\n")
    with scoped_transaction(house.sessions, PLATFORM) as session:
        pool = NewPool(seeded.brand_id, 2500, "USD", PoolKind.CSV, client_id=seeded.client_id)
        own = create_pool(session, pool, actor_id=ACTOR)

    job = import_cards_now(house, own, b"card_number\nABCD-1234-EFGH\n", force=True)

    assert items_of(house, job["id"], "position", "code", "detail") == [
        (1, "duplicate_card", "This card is known already.")
    ]


def test_the_same_number_of_another_brand_is_another_card(house: House, seeded: Seeded) -> None:
    other = seed(house, vendor=False)
    for pool_id in (seeded.csv_pool, other.csv_pool):
        job = import_cards_now(house, pool_id, b"card_number\nABCD-1234-EFGH\n", force=True)
        assert job["state"] == "succeeded"

    indexes = {row.blind_index for row in rows(house, "SELECT blind_index FROM cards")}
    assert len(indexes) == 2


def test_the_database_itself_keeps_a_card_unique_in_its_brand(house: House, seeded: Seeded) -> None:
    import_cards_now(house, seeded.csv_pool, b"card_number\nABCD-1234-EFGH\n")
    copy = text(
        "INSERT INTO cards (id, brand_id, denomination_minor, currency, source, sealed_number, "
        "blind_index, last4) SELECT gen_random_uuid(), brand_id, denomination_minor, currency, "
        "source, sealed_number, blind_index, last4 FROM cards"
    )

    with (
        pytest.raises(IntegrityError, match="uq_cards_brand_id_blind_index"),
        scoped_transaction(house.sessions, PLATFORM) as session,
    ):
        session.execute(copy)


def test_two_imports_of_the_same_cards_at_once_keep_each_card_once(
    house: House, seeded: Seeded
) -> None:
    content = cards_csv(50)
    jobs = [
        accept_cards(house, pool_id, content, on_error=OnError.SKIP, force=True)
        for pool_id in (seeded.csv_pool, seeded.buffer_pool)
    ]
    wrapper = Wrapper(house.sessions, build_handlers(house))
    tasks = [row.id for row in rows(house, "SELECT id FROM tasks")]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda task_id: wrapper.run(task_id, 1), tasks))

    assert count(house, "cards") == 50
    assert sorted(view(house, job)["counts"]["succeeded"] for job in jobs) == [0, 50]
    assert sorted(view(house, job)["state"] for job in jobs) == ["failed", "succeeded"]
    assert_proven(house)


def test_ec069_the_same_file_again_is_refused_unless_forced(house: House, seeded: Seeded) -> None:
    """EC-069: whichever pool of the platform it is for."""
    content = cards_csv(0) + b"ABCD-1,1234,2028-12-31\n"
    first = import_cards_now(house, seeded.csv_pool, content)
    (batch,) = rows(house, "SELECT number FROM card_batches")
    before = table_sizes(house)

    for pool_id in (seeded.csv_pool, seeded.buffer_pool):
        with pytest.raises(DuplicateUpload) as refused:
            accept_cards(house, pool_id, content)
        assert refused.value.extra == {"job_id": str(first["id"]), "batch": batch.number}

    assert table_sizes(house) == before
    forced = import_cards_now(house, seeded.csv_pool, content, force=True, on_error=OnError.SKIP)
    assert (forced["state"], forced["counts"]["failed"]) == ("failed", 1)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"pin\n1234\n", "missing_columns"),
        (b"card_number,cvv\nABCD,1\n", "unknown_columns"),
        (b"PK\x03\x04", "unsupported_media_type"),
    ],
)
def test_a_file_that_is_none_is_refused_at_once(
    house: House, seeded: Seeded, content: bytes, code: str
) -> None:
    before = table_sizes(house)

    with pytest.raises(Refusal) as refused:
        accept_cards(house, seeded.csv_pool, content)

    assert refused.value.code == code
    assert table_sizes(house) == before


@pytest.mark.parametrize("on_error", list(OnError))
def test_b08_a_bad_byte_at_the_end_of_the_file_undoes_all_of_it(
    house: House, seeded: Seeded, on_error: OnError
) -> None:
    """B08: found by the worker, parts later."""
    small = with_limits(house, input_part_bytes=10_000)
    content = cards_csv(2_000) + b"J\xe9,1234,2028-12-31\n"

    job = import_cards_now(small, seeded.csv_pool, content, on_error=on_error)

    assert job["state"] == "failed"
    assert job["error"]["code"] == "encoding_not_utf8"
    assert (count(house, "cards"), count(house, "items"), count(house, "job_inputs")) == (0, 0, 0)


def test_a_pool_that_is_not_there_takes_no_file(house: House, seeded: Seeded) -> None:
    with pytest.raises(NotFound):
        accept_cards(house, seeded.client_id, cards_csv(1))


def test_a_repeated_request_gives_the_first_import(house: House, seeded: Seeded) -> None:
    key = RequestKey(ACTOR, "cards-1", b"f" * 32)
    content = cards_csv(1)

    assert accept_cards(house, seeded.csv_pool, content, key) == accept_cards(
        house, seeded.csv_pool, content, key
    )
    assert count(house, "jobs") == 1


def test_an_import_asked_to_end_before_it_began_imports_nothing(
    house: House, seeded: Seeded
) -> None:
    job_id = accept_cards(house, seeded.csv_pool, cards_csv(3))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        cancel_job(session, job_id, actor_id=ACTOR, now=clock.now(session))

    drain(house)

    assert view(house, job_id)["state"] == "cancelled"
    assert (count(house, "cards"), count(house, "job_inputs")) == (0, 0)
    assert_proven(house)


def test_an_import_that_kills_its_workers_ends_and_keeps_nothing(
    house: House, seeded: Seeded
) -> None:
    job_id = accept_cards(house, seeded.csv_pool, cards_csv(3))
    (task,) = rows(house, "SELECT id FROM tasks")
    change_task(house, task.id, "starts = 3")

    drain(house)

    job = view(house, job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "internal_error")
    assert (count(house, "cards"), count(house, "job_inputs")) == (0, 0)
    assert_proven(house)


def test_cards_of_a_client_s_own_pool_carry_its_name(house: House, seeded: Seeded) -> None:
    pool = NewPool(seeded.brand_id, 2500, "USD", PoolKind.CSV, client_id=seeded.client_id)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        own = create_pool(session, pool, actor_id=ACTOR)

    import_cards_now(house, own, cards_csv(1))

    found = rows(house, "SELECT client_id, cost_minor, cost_currency FROM cards")
    assert [tuple(row) for row in found] == [(seeded.client_id, None, None)]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        job = session.execute(text("SELECT agency_id, client_id FROM jobs")).one()
    assert tuple(job) == (seeded.agency_id, seeded.client_id)
