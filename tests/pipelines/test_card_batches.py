"""Cards set aside, given back and ended, by file and one by one, beside claims that run."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, client
from ops.bootstrap import database_url
from pipelines.errors import NotFound
from pipelines.jobs.kinds import OnError
from pipelines.jobs.undo import submit_undo
from pipelines.pools import move_cards
from pipelines.pools.batches import read_batch, rejects_csv
from pipelines.pools.change import change_pool
from pipelines.pools.move_cards import CardMove, ImportRunning
from pipelines.pools.read import COUNT_POOLS, count_values, read_pool
from pipelines.provisioning.claim import claim_from_pools
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.provisioning.waterfall import POOL_ORDER
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.intake import accept_cards
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.statements import statements


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def states(house: House) -> dict[str, int]:
    return Counter(row.state for row in rows(house, "SELECT state FROM cards"))


def move(house: House, batch_id: UUID, how: CardMove) -> int:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        return move_cards.move_batch(
            session, batch_id, how, reason="recall", actor_id=ACTOR, now=now
        ).cards


def hasten(house: House) -> None:
    rows(house, "UPDATE tasks SET run_after = now() RETURNING 1")
    drain(house)


def test_a_batch_is_set_aside_given_back_and_ended(house: House, seeded: Seeded) -> None:
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(5))["id"]
    import_cards_now(house, seeded.csv_pool, cards_csv(2, "OTHER"))
    submit(house, seeded, recipients_csv(1))
    drain(house)
    given = rows(house, "SELECT import_job_id FROM cards WHERE state = 'issued'")[0][0]
    left = 4 if given == batch else 5

    assert move(house, batch, CardMove.QUARANTINE) == left
    assert states(house) == {"issued": 1, "quarantined": left, "available": 6 - left}
    assert move(house, batch, CardMove.QUARANTINE) == 0
    assert move(house, batch, CardMove.RELEASE) == left
    assert states(house) == {"issued": 1, "available": 6}
    assert move(house, batch, CardMove.VOID) == 0  # only what was set aside
    move(house, batch, CardMove.QUARANTINE)
    assert move(house, batch, CardMove.VOID) == left
    hasten(house)

    assert states(house) == {"issued": 1, "void": left, "available": 6 - left}
    told = rows(
        house,
        "SELECT action, detail FROM audit_entries WHERE object_kind = 'card_batch' ORDER BY id",
    )
    assert [row.action.partition(".")[2] for row in told] == [
        "quarantined",
        "quarantined",
        "released",
        "voided",
        "quarantined",
        "voided",
    ]
    assert {row.detail["reason"] for row in told} == {"recall"}
    assert_proven(house)


def test_quarantine_and_eight_claimers_never_share_a_card(house: House, seeded: Seeded) -> None:
    """EC-057 beside a recall: whatever was not claimed is set aside, and nothing is both."""
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(400))["id"]
    begin = threading.Barrier(9)

    def claimer(_: int) -> list[UUID]:
        job = JobInHand(
            new_id(), seeded.agency_id, seeded.client_id, seeded.campaign_id, "USD", "none"
        )
        items = [OpenItem(n, seeded.brand_id, 2500, 2500, None, 1) for n in range(1, 11)]
        begin.wait(10)
        taken: list[UUID] = []
        for _round in range(3):
            with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
                served = claim_from_pools(
                    session, job, items, pools=POOL_ORDER[:1], cost_max=None, now=clock.now(session)
                )
            taken += [card.card_id for _item, card in served.pairs]
        return taken

    def recall() -> int:
        begin.wait(10)
        return move(house, batch, CardMove.QUARANTINE)

    with ThreadPoolExecutor(9) as pool:
        claims = [pool.submit(claimer, n) for n in range(8)]
        aside = pool.submit(recall)
        taken = [card for claim in claims for card in claim.result(30)]
        first_pass = aside.result(30)
    hasten(house)

    assert len(taken) == len(set(taken))
    found = {row.id: row.state for row in rows(house, "SELECT id, state FROM cards")}
    assert {found[card] for card in taken} <= {"issued"}
    assert Counter(found.values()) == Counter(
        {"issued": len(taken), "quarantined": 400 - len(taken)}
    )
    assert first_pass <= 400 - len(taken)


def test_what_a_claim_let_go_is_set_aside_afterwards(house: House, seeded: Seeded) -> None:
    """A claim holds cards while the batch is recalled, and rolls back: the second look has them."""
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(3))["id"]
    job = JobInHand(new_id(), seeded.agency_id, seeded.client_id, seeded.campaign_id, "USD", "none")
    items = [OpenItem(n, seeded.brand_id, 2500, 2500, None, 1) for n in (1, 2)]
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ZeroDivisionError),
        scoped_transaction(house.sessions, client(seeded.client_id)) as session,
    ):
        claim_from_pools(
            session, job, items, pools=POOL_ORDER[:1], cost_max=None, now=clock.now(session)
        )
        assert pool.submit(move, house, batch, CardMove.QUARANTINE).result(30) == 1
        raise ZeroDivisionError
    assert states(house) == {"available": 2, "quarantined": 1}

    hasten(house)

    assert states(house) == {"quarantined": 3}


def test_a_card_of_a_recalled_batch_that_comes_back_stays_aside(
    house: House, seeded: Seeded
) -> None:
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(2))["id"]
    job_id = submit(house, seeded, recipients_csv(1))
    drain(house)
    move(house, batch, CardMove.QUARANTINE)
    hasten(house)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        submit_undo(
            session, job_id, actor_id=ACTOR, key=None, kinds=house.job_kinds, limits=house.limits
        )
    drain(house)

    assert states(house) == {"quarantined": 2}
    assert_proven(house)


def test_a_large_batch_is_moved_pass_by_pass(
    house: House, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move_cards, "MOVED_AT_ONCE", 4)
    batch = import_cards_now(house, seeded.csv_pool, cards_csv(10))["id"]

    assert move(house, batch, CardMove.QUARANTINE) == 4
    drain(house)
    hasten(house)
    assert states(house) == {"quarantined": 10}

    move(house, batch, CardMove.RELEASE)
    move(house, batch, CardMove.QUARANTINE)  # a later wish ends what was left of the earlier
    drain(house)
    hasten(house)

    assert states(house) == {"quarantined": 10}
    assert rows(house, "SELECT 1 FROM tasks WHERE kind = 'move_cards'") == []


def test_a_file_that_is_still_read_cannot_be_moved(house: House, seeded: Seeded) -> None:
    batch = accept_cards(house, seeded.csv_pool, cards_csv(1))

    with pytest.raises(ImportRunning):
        move(house, batch, CardMove.QUARANTINE)
    with pytest.raises(NotFound):
        move(house, seeded.client_id, CardMove.QUARANTINE)


def test_the_rejects_of_a_file_name_row_and_reason_and_no_card(
    house: House, seeded: Seeded
) -> None:
    """EC-069: what cannot be used can be mended."""
    content = b"card_number,pin\nGOOD-0001,1234\nSECRET-77!,1234\ngood-0001,1234\n"
    batch_id = import_cards_now(house, seeded.csv_pool, content, on_error=OnError.SKIP)["id"]

    batch = read_batch(house.sessions, PLATFORM, batch_id).as_json()
    table = b"".join(rejects_csv(house.sessions, PLATFORM, batch_id)).decode("utf-8-sig")

    assert batch["rows"] == {
        "total": 3,
        "imported": 1,
        "duplicate": 1,
        "bad": 1,
        "left_out": 0,
    }
    assert batch["cards"] == {"available": 1}
    assert batch["file_name"] == "cards.csv"
    assert len(batch["sha256"]) == 64
    lines = table.splitlines()
    assert lines[0] == '"row","field","code","sentence"'
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ['"2"', '"card_number"', '"code_charset"'],
        ['"3"', '"card_number"', '"duplicate_card"'],
    ]
    assert "SECRET" not in table
    assert "0001" not in table


def test_a_source_that_is_switched_off_is_passed_over(house: House, seeded: Seeded) -> None:
    """S4-065: claims go on with the next source; nothing of the pool is lost."""
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    import_cards_now(house, seeded.buffer_pool, cards_csv(2, "BUFF"))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        change_pool(session, seeded.csv_pool, {"disabled": True}, actor_id=ACTOR, now=now)

    job_id = submit(house, seeded, recipients_csv(3))
    drain(house)

    counts = view(house, job_id)["counts"]
    assert (counts["succeeded"], counts["failed"]) == (2, 1)
    sources = rows(house, "SELECT source FROM provisions")
    assert [row.source for row in sources] == ["buffer", "buffer"]
    pool = read_pool(house.sessions, PLATFORM, seeded.csv_pool).as_json(sees_costs=True)
    assert (pool["disabled"], pool["counts"]["available"]) == (True, 2)


def test_ec068_expiry_decides_what_counts_and_what_goes_first(house: House, seeded: Seeded) -> None:
    """EC-068: mixed dates; what expires within 30 days is counted apart and given to nobody."""
    today = rows(house, "SELECT current_date AS day")[0].day
    dates = {"EXPIRING-1": 29, "SOONER-01": 30, "LATER-001": 400}
    lines = "".join(
        f"{name},{today.fromordinal(today.toordinal() + days)}\n" for name, days in dates.items()
    )
    import_cards_now(
        house, seeded.csv_pool, f"card_number,expires_on\n{lines}NEVER-001,\n".encode()
    )
    rows(house, "UPDATE cards SET cost_minor = NULL WHERE last4 = '-001' RETURNING 1")

    pool = read_pool(house.sessions, PLATFORM, seeded.csv_pool)
    submit(house, seeded, recipients_csv(2))
    drain(house)
    after = read_pool(house.sessions, PLATFORM, seeded.csv_pool)

    assert (pool.counts["available"], pool.counts["expiring"]) == (3, 1)
    assert pool.soonest_expiry == today.fromordinal(today.toordinal() + 29)
    assert after.counts == pool.counts | {"available": 1, "issued": 2}
    assert after.health.per_day == pytest.approx(2 / 7)
    given = rows(
        house, "SELECT c.expires_on FROM provisions p JOIN cards c ON c.id = p.card_id ORDER BY 1"
    )
    assert [(row.expires_on - today).days for row in given] == [30, 400]


_MANY = """
INSERT INTO cards (id, pool_id, brand_id, denomination_minor, currency, source, sealed_number,
    blind_index, last4, state, expires_on, issued_at)
SELECT gen_random_uuid(), :pool, :brand, 2500, 'USD', 'csv', '', int4send(n), 'XXXX',
    CASE n % 3 WHEN 0 THEN 'issued' WHEN 1 THEN 'void' ELSE 'available' END,
    current_date + 100 + n / 100, now() - make_interval(days => n / 400)
FROM generate_series(1, 6000) n RETURNING 1
"""


def test_pools_are_counted_by_their_indexes_alone(
    house: House, seeded: Seeded, database: Database
) -> None:
    """S4-038: one statement for all pools, and each of its parts reads an index and no card row."""
    rows(house, _MANY, pool=seeded.csv_pool, brand=seeded.brand_id)
    with psycopg.connect(database_url(database.admin_url, database.name), autocommit=True) as admin:
        admin.execute("VACUUM (ANALYZE) cards")
    with statements(house) as sent:
        read_pool(house.sessions, PLATFORM, seeded.csv_pool)
    assert sum("FROM cards" in statement for statement in sent) == 1

    with scoped_transaction(house.sessions, SYSTEM) as session:
        values = count_values([seeded.csv_pool], clock.now(session))
        plan = session.execute(text(f"EXPLAIN {COUNT_POOLS.text}"), values).scalars().all()

    scans = [line.strip(" ->") for line in plan if "on cards c" in line]
    assert [scan.partition(" on ")[0] for scan in scans] == [
        "Index Only Scan using ix_cards_pool_available",
        "Index Only Scan using ix_cards_pool_state",
        "Index Only Scan using ix_cards_pool_issued",
    ]
