"""What a bulk request writes: items, chunks, verdicts, hold and tasks, in one commit or not at all."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from models import clock
from models.database import scoped_transaction
from models.jobs import ItemState
from models.scope import SYSTEM
from models.tenants import ClientBrand
from pipelines.jobs.kinds import OnError
from pipelines.provisioning.plan import Dedupe
from pipelines.provisioning.refusals import RowsRefused
from pipelines.queue.ring import ring_due
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, money_of, new_brand, submit_file, table_sizes, with_limits
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from workers.wrapper import Wrapper

DEMO = (Path(__file__).parents[2] / "ops" / "demo" / "recipients.csv").read_bytes()
ONE_BAD = b"reference,email\nr1,one@example.com\nr2,not an address\nr3,three@example.com\n"
TWICE = b"reference,email\nr1,one@example.com\nr2,ONE@example.com\nr3,three@example.com\n"


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def codes(house: House, job_id) -> dict[str | None, int]:
    found = rows(
        house, "SELECT code, count(*) AS n FROM items WHERE job_id = :j GROUP BY code", j=job_id
    )
    return {row.code: row.n for row in found}


def chunk_sizes(house: House, job_id) -> list[tuple[int, str, int]]:
    found = rows(
        house,
        "SELECT c.number, c.state, count(i.position) AS n FROM chunks c LEFT JOIN items i "
        "ON i.job_id = c.job_id AND i.chunk_number = c.number WHERE c.job_id = :job "
        "GROUP BY c.number, c.state ORDER BY c.number",
        job=job_id,
    )
    return [tuple(row) for row in found]


def test_the_demo_file_gives_997_recipients_two_doubles_and_one_bad_address(
    house: House, seeded: Seeded
) -> None:
    job_id = submit_file(house, seeded, DEMO, delivery_method="email", on_error=OnError.SKIP).job_id

    job = view(house, job_id)
    assert (job["counts"]["total"], job["counts"]["pending"]) == (1000, 997)
    assert (job["counts"]["skipped"], job["counts"]["failed"]) == (2, 1)
    assert codes(house, job_id) == {None: 997, "duplicate_recipient": 2, "invalid_email": 1}
    assert job["money"]["held_minor"] == 997 * 2500
    assert money_of(house, seeded.client_account) == (10_000_000, 997 * 2500)
    assert_proven(house)


def test_ec130_one_bad_row_aborts_the_whole_file_and_nothing_is_written(
    house: House, seeded: Seeded
) -> None:
    """EC-130: abort is the default where money moves."""
    before = table_sizes(house)

    with pytest.raises(RowsRefused) as refused:
        submit_file(house, seeded, ONE_BAD)

    assert table_sizes(house) == before
    assert refused.value.extra == {"rows": 3, "refused_rows": 1}
    assert [(e.row, e.field, e.code) for e in refused.value.errors] == [
        (2, "email", "invalid_email")
    ]


def test_ec130_skip_runs_the_good_rows_and_fails_the_bad_one(house: House, seeded: Seeded) -> None:
    """EC-130: the other mode on the same file."""
    import_cards_now(house, seeded.csv_pool, cards_csv(5))

    job_id = submit_file(house, seeded, ONE_BAD, on_error=OnError.SKIP).job_id
    drain(house)

    assert view(house, job_id)["state"] == "partially_succeeded"
    assert items_of(house, job_id, "position", "state", "code", "charge_minor", "email") == [
        (1, "succeeded", None, 2500, "one@example.com"),
        (2, "failed", "invalid_email", 0, "not an address"),
        (3, "succeeded", None, 2500, "three@example.com"),
    ]
    assert money_of(house, seeded.client_account) == (10_000_000 - 5000, 0)
    assert_proven(house)


def test_only_the_first_hundred_errors_are_listed_and_all_are_counted(
    house: House, seeded: Seeded
) -> None:
    bad = b"email\n" + b"".join(b"bad %d\n" % n for n in range(150))

    with pytest.raises(RowsRefused) as refused:
        submit_file(house, seeded, bad)

    assert refused.value.extra == {"rows": 150, "refused_rows": 150}
    assert [error.row for error in refused.value.errors] == list(range(1, 101))


def test_a_recipient_named_twice_is_refused_by_default(house: House, seeded: Seeded) -> None:
    before = table_sizes(house)

    with pytest.raises(RowsRefused) as refused:
        submit_file(house, seeded, TWICE)

    (error,) = refused.value.errors
    assert (error.row, error.code) == (2, "duplicate_recipient")
    assert error.detail == "The same recipient stands in row 1."
    assert table_sizes(house) == before


@pytest.mark.parametrize(
    ("dedupe", "on_error", "states", "held"),
    [
        (Dedupe.KEEP_FIRST, OnError.ABORT, ["pending", "skipped", "pending"], 5000),
        (Dedupe.KEEP_FIRST, OnError.SKIP, ["pending", "skipped", "pending"], 5000),
        (Dedupe.REJECT, OnError.SKIP, ["pending", "skipped", "pending"], 5000),
        (Dedupe.ALLOW, OnError.ABORT, ["pending", "pending", "pending"], 7500),
    ],
)
def test_what_becomes_of_a_double_is_said_by_dedupe(
    house: House, seeded: Seeded, dedupe: Dedupe, on_error: OnError, states: list[str], held: int
) -> None:
    job_id = submit_file(house, seeded, TWICE, dedupe=dedupe, on_error=on_error).job_id

    assert [state for (state,) in items_of(house, job_id, "state")] == states
    assert money_of(house, seeded.client_account) == (10_000_000, held)


def test_b50_a_recipient_served_before_gets_no_second_card(house: House, seeded: Seeded) -> None:
    """B50: unless the request says allow_repeat."""
    import_cards_now(house, seeded.csv_pool, cards_csv(9))
    submit_file(house, seeded, recipients_csv(2))
    drain(house)

    with pytest.raises(RowsRefused) as refused:
        submit_file(house, seeded, recipients_csv(3))
    skipped = submit_file(house, seeded, recipients_csv(3), on_error=OnError.SKIP, force=True)
    again = submit_file(house, seeded, recipients_csv(2), allow_repeat=True, force=True)
    drain(house)

    assert [(e.row, e.code) for e in refused.value.errors] == [
        (1, "already_served"),
        (2, "already_served"),
    ]
    assert items_of(house, skipped.job_id, "state", "code") == [
        ("skipped", "already_served"),
        ("skipped", "already_served"),
        ("succeeded", None),
    ]
    assert view(house, skipped.job_id)["state"] == "partially_succeeded"
    assert view(house, again.job_id)["state"] == "succeeded"
    assert money_of(house, seeded.client_account) == (10_000_000 - 5 * 2500, 0)
    assert_proven(house)


def test_a_row_may_name_its_own_denomination_and_brand(house: House, seeded: Seeded) -> None:
    books = new_brand(house, "Bücher & Co")
    content = "reference,denomination_minor,brand\nr1,,\nr2,1000,\nr3,5000,BÜCHER & CO\n".encode()

    job_id = submit_file(house, seeded, content).job_id

    assert items_of(house, job_id, "denomination_minor", "charge_minor", "brand_id") == [
        (2500, 2500, seeded.brand_id),
        (1000, 1000, seeded.brand_id),
        (5000, 5000, books),
    ]
    assert money_of(house, seeded.client_account) == (10_000_000, 8500)


def test_brands_a_row_cannot_have_are_named_in_its_verdict(house: House, seeded: Seeded) -> None:
    allowed, euros = new_brand(house, "Allowed"), new_brand(house, "Euro shop", "EUR")
    new_brand(house, "Forbidden")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for brand_id in (seeded.brand_id, allowed, euros):
            session.execute(
                insert(ClientBrand).values(
                    client_id=seeded.client_id, brand_id=brand_id, agency_id=seeded.agency_id
                )
            )
    content = b"reference,brand\nr1,Allowed\nr2,Forbidden\nr3,Unheard of\nr4,Euro shop\n"

    job_id = submit_file(house, seeded, content, on_error=OnError.SKIP).job_id

    assert items_of(house, job_id, "state", "code", "field") == [
        ("pending", None, None),
        ("failed", "brand_unavailable", "brand"),
        ("failed", "brand_unavailable", "brand"),
        ("failed", "currency_mismatch", "brand"),
    ]


def test_recipients_in_a_json_body_are_judged_like_rows(house: House, seeded: Seeded) -> None:
    listed = [
        {"email": "one@example.com"},
        {"email": "bad"},
        {"phone": "+4915112345678", "denomination_minor": 1000},
    ]

    job_id = submit_file(house, seeded, listed, on_error=OnError.SKIP).job_id

    assert items_of(house, job_id, "position", "state", "code", "charge_minor") == [
        (1, "pending", None, 2500),
        (2, "failed", "invalid_email", 0),
        (3, "pending", None, 1000),
    ]


def test_a_file_without_one_good_row_ends_failed_and_holds_nothing(
    house: House, seeded: Seeded
) -> None:
    job_id = submit_file(house, seeded, b"email\nbad\nworse\n", on_error=OnError.SKIP).job_id

    assert view(house, job_id)["state"] == "queued"
    drain(house)

    job = view(house, job_id)
    assert job["state"] == "failed"
    assert job["counts"]["failed"] == 2
    assert job["money"]["held_minor"] == 0
    assert rows(house, "SELECT 1 FROM holds UNION ALL SELECT 1 FROM tasks") == []
    assert_proven(house)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (500, [500]),
        (501, [500, 1]),
        (1000, [500, 500]),
        (1001, [500, 500, 1]),
    ],
)
def test_items_are_cut_into_chunks_of_five_hundred(
    house: House, seeded: Seeded, count: int, sizes: list[int]
) -> None:
    job_id = submit_file(house, seeded, recipients_csv(count)).job_id

    assert [size for _number, _state, size in chunk_sizes(house, job_id)] == sizes


def test_few_chunks_are_released_at_once_and_chunks_without_work_are_closed(
    house: House, seeded: Seeded
) -> None:
    small = with_limits(house, chunk_items_max=2)
    content = b"reference,email\n" + b"".join(
        b"r%d,%s\n" % (n, b"bad" if n in {1, 2, 3} else b"p%d@example.com" % n)
        for n in range(1, 13)
    )

    job_id = submit_file(small, seeded, content, on_error=OnError.SKIP).job_id

    assert [(number, state) for number, state, _size in chunk_sizes(house, job_id)] == [
        (1, "closed"),
        (2, "released"),
        (3, "released"),
        (4, "released"),
        (5, "released"),
        (6, "waiting"),
    ]
    tasks = rows(house, "SELECT args->>'chunk' AS n FROM tasks WHERE job_id = :j", j=job_id)
    assert sorted(row.n for row in tasks) == ["2", "3", "4", "5"]


def test_a_scheduled_job_waits_for_its_time(house: House, seeded: Seeded) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        later = clock.now(session) + timedelta(hours=1)
    submit_file(house, seeded, recipients_csv(2), scheduled_for=later)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = ring_due(session, now=later - timedelta(seconds=1), limits=house.limits)
        then = ring_due(session, now=later, limits=house.limits)

    assert (len(now), len(then)) == (0, 1)
    assert money_of(house, seeded.client_account) == (10_000_000, 5000)


def test_ec128_counts_sum_to_the_total_after_every_single_step(
    house: House, seeded: Seeded
) -> None:
    """EC-128: sampled while the job runs, and what is done never becomes less."""
    small = with_limits(house, chunk_items_max=3)
    import_cards_now(house, seeded.csv_pool, cards_csv(11))
    wrapper = Wrapper(house.sessions, build_handlers(small), draw=lambda: 0.0)
    content = recipients_csv(20).replace(b"person4@example.com", b"nobody")
    job_id = submit_file(small, seeded, content, on_error=OnError.SKIP).job_id
    done, samples = 1, 0

    while view(house, job_id)["finished_at"] is None:
        (task,) = rows(house, "SELECT id FROM tasks ORDER BY run_after, id LIMIT 1")
        wrapper.run(task.id, 1)
        counts = view(house, job_id)["counts"]
        assert sum(counts[state] for state in ItemState) == counts["total"] == 20
        assert counts["total"] - counts["pending"] >= done
        done, samples = counts["total"] - counts["pending"], samples + 1

    assert done == 20
    assert samples == 7 + 1
    assert view(house, job_id)["counts"]["succeeded"] == 11
    assert_proven(house)
