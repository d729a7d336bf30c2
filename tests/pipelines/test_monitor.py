"""The monitor sees what is wrong in one look, and what is over again (S4-029..033, S4-082)."""

from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction, transaction
from models.scope import SYSTEM, tenant_scope
from pipelines.alerts.fold import fold_signals
from pipelines.monitoring.checks import CHECKS
from pipelines.monitoring.monitor import Report, look, monitor, tell
from pipelines.monitoring.runs import MONITOR, last_run
from pipelines.pools.health import Health
from pipelines.pools.read import count_pools
from pipelines.queue.schedule import fire_due
from pipelines.wiring import House
from tests.driving import cards_csv, change, drain, import_cards_now, recipients_csv, rows, submit
from tests.proof import assert_proven
from tests.seeding import Seeded, seed


def looked(house: House) -> Report:
    """One look, its signals folded."""
    with tenant_scope(SYSTEM):
        report = monitor(house.sessions, limits=house.limits)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_signals(session)
    return report


def found(report: Report) -> list[tuple[str, UUID | None, int]]:
    return [(one.kind.name, one.subject_id, one.level) for one in report.findings]


def standing(house: House) -> set[tuple[str, UUID | None]]:
    found = rows(house, "SELECT kind, subject_id FROM alerts WHERE state <> 'resolved'")
    return {(row.kind, row.subject_id) for row in found}


def test_a_house_in_order_has_no_alerts_and_the_look_is_noted(house: House):
    seeded = seed(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))

    report = looked(house)

    assert found(report) == []
    assert report.as_json()["breakdown"] == {
        "csv_pools": 0,
        "campaigns": 0,
        "agencies": 0,
        "clients": 0,
        "provisioning_failures": 0,
        "engine": 0,
    }
    with scoped_transaction(house.sessions, SYSTEM) as session:
        run = last_run(session, MONITOR)
    assert run is not None
    assert (run.at, run.ok) == (report.at, True)


def test_s4_030_a_pool_at_its_watermark_is_low_then_empty_and_then_well_again(house: House):
    seeded = seed(house, vendor=False)
    pool = seeded.csv_pool
    import_cards_now(house, pool, cards_csv(2))
    change(house, "UPDATE card_pools SET low_watermark = 2 WHERE id = :id", id=pool)

    low = looked(house)
    change(house, "UPDATE cards SET state = 'quarantined' WHERE pool_id = :id", id=pool)
    empty = looked(house)
    import_cards_now(house, pool, cards_csv(3, prefix="NEW"))
    well = looked(house)

    assert found(low) == [("pool_low", pool, 0)]
    assert low.findings[0].detail == {"usable": 2, "low_watermark": 2, "issued_in_7_days": 0}
    assert found(empty) == [("pool_depleted", pool, 0)]
    assert found(well) == []
    assert standing(house) == set()
    assert [
        (row.kind, row.state)
        for row in rows(house, "SELECT kind, state FROM alerts ORDER BY first_seen_at")
    ] == [("pool_low", "resolved"), ("pool_depleted", "resolved")]


@pytest.mark.parametrize("stock", range(1, 7))
def test_s4_030_the_monitor_and_the_page_of_stock_say_the_same(house: House, stock: int):
    """Eight given out within a week: what does not last for three days of that is low."""
    seeded = seed(house, credit_minor=100_000, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(8 + stock))
    submit(house, seeded, recipients_csv(8))
    drain(house)
    change(house, "UPDATE card_pools SET low_watermark = 1 WHERE id = :id", id=seeded.csv_pool)

    told = {one.kind.name for one in looked(house).findings if one.subject_id == seeded.csv_pool}

    with scoped_transaction(house.sessions, SYSTEM) as session:
        (pool,) = count_pools(session, [seeded.csv_pool])
    assert told == ({"pool_low"} if pool.health.health is Health.LOW else set())


def test_s4_030_a_source_that_is_switched_off_is_not_missed(house: House):
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    change(house, "UPDATE card_pools SET low_watermark = 9, disabled_at = now()")

    assert found(looked(house)) == []


def test_s4_030_cards_that_have_expired_are_no_stock(house: House):
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    change(house, "UPDATE cards SET expires_on = '2020-01-01'")

    assert found(looked(house)) == [("pool_depleted", seeded.csv_pool, 0)]


def test_s4_031_a_campaign_that_spent_all_is_depleted_and_one_never_funded_is_not(house: House):
    spent = seed(house, credit_minor=5000, vendor=False)
    seed(house, credit_minor=0, vendor=False)
    import_cards_now(house, spent.csv_pool, cards_csv(3))
    submit(house, spent, recipients_csv(2))
    drain(house)

    report = looked(house)

    depleted = [one for one in report.findings if one.kind.name == "campaign_depleted"]
    assert [(one.subject_id, one.client_id) for one in depleted] == [
        (spent.campaign_id, spent.client_id)
    ]
    assert report.as_json()["breakdown"]["campaigns"] == 1
    assert_proven(house)


@pytest.mark.parametrize(
    ("left", "level", "severity"),
    [(2_001, 0, ""), (2_000, 1, "warning"), (1_000, 2, "warning"), (100, 3, "critical")],
)
def test_s4_032_low_credit_of_agencies_and_clients_is_told_at_20_10_and_0_percent(
    house: House, left: int, level: int, severity: str
):
    """Also where nobody told when it moved."""
    seeded = seed(house, credit_minor=10_000, vendor=False)
    accounts = [seeded.agency_account, seeded.client_account]
    change(
        house,
        "UPDATE accounts SET balance = :left, full_minor = 10000 WHERE id = ANY(:ids)",
        left=left,
        ids=accounts,
    )

    report = looked(house)

    found = [
        (one.subject_id, one.level, one.severity.value)
        for one in report.findings
        if one.kind.name == "low_credit"
    ]
    breakdown = report.as_json()["breakdown"]
    assert sorted(found) == sorted((one, level, severity) for one in accounts if level)
    assert (breakdown["agencies"], breakdown["clients"]) == ((1, 1) if level else (0, 0))


def test_s4_032_credit_that_came_in_ends_the_alert(house: House):
    seeded = seed(house, credit_minor=10_000, vendor=False)
    statement = "UPDATE accounts SET balance = :left, full_minor = 10000 WHERE id = :id"
    change(house, statement, left=500, id=seeded.client_account)
    looked(house)
    before = standing(house)

    change(house, statement, left=10_000, id=seeded.client_account)
    looked(house)

    assert ("low_credit", seeded.client_account) in before
    assert ("low_credit", seeded.client_account) not in standing(house)


def failed_job(house: House, seeded: Seeded) -> UUID:
    """Twelve recipients, one card, no vendor."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job_id = submit(house, seeded, recipients_csv(12))
    drain(house)
    return job_id


def test_s4_033_failures_of_the_last_hour_are_counted_by_code_for_their_client(house: House):
    seeded = seed(house, vendor=False)
    job_id = failed_job(house, seeded)

    (failures,) = [
        one for one in looked(house).findings if one.kind.name == "provisioning_failures"
    ]
    code = rows(house, "SELECT DISTINCT code FROM items WHERE state = 'failed'")[0].code
    assert (failures.subject_id, failures.client_id) == (seeded.client_id, seeded.client_id)
    assert (failures.detail, failures.level) == ({code: 11, "failed": 11}, 1)

    change(house, "UPDATE jobs SET finished_at = finished_at - interval '2 hours'")
    assert "provisioning_failures" not in {one.kind.name for one in looked(house).findings}
    assert ("provisioning_failures", seeded.client_id) not in standing(house)
    assert rows(house, "SELECT state FROM jobs WHERE id = :id", id=job_id)[0].state


def test_s4_082_the_engine_is_looked_at_too(house: House):
    """A dead letter, a process that fell silent, a job that stands still, books that do not agree."""
    seeded = seed(house, vendor=False)
    job_id = submit(house, seeded, recipients_csv(2))
    change(house, "UPDATE tasks SET run_after = now() + interval '1 day'")
    change(house, "UPDATE jobs SET created_at = now() - interval '1 hour', started_at = NULL")
    change(house, "UPDATE chunks SET updated_at = now() - interval '1 hour'")
    change(
        house,
        "INSERT INTO tasks (id, kind, args, queue, lane, run_after, state, died_at, last_error) "
        "VALUES (:id, 'retention', '{}', 'bulk', 'system', now(), 'dead', now(), 'Fault')",
        id=UUID(int=5),
    )
    change(
        house,
        "INSERT INTO processes (id, name, host, pid, threads, beat_at) "
        "VALUES (:id, 'relay', 'a', 1, 1, now() - interval '1 hour')",
        id=UUID(int=6),
    )
    change(
        house,
        "INSERT INTO check_runs (name, at, duration_ms, ok, detail) "
        "VALUES ('integrity', now(), 1, false, '{\"balances\": 2}')",
    )

    report = looked(house)

    assert {(one.kind.name, one.subject_id): one.detail for one in report.findings} == {
        ("job_stalled", job_id): {"rows": 2},
        ("dead_letters", None): {"tasks": 1},
        ("process_silent", None): {"relay": 1},
        ("books_broken", None): {"balances": 2},
    }
    assert report.as_json()["breakdown"]["engine"] == 4


def test_an_order_nobody_knows_the_end_of_is_told_by_its_age(house: House):
    seeded = seed(house)
    job_id = submit(house, seeded, recipients_csv(1))
    change(
        house,
        "INSERT INTO provider_orders (id, agency_id, client_id, job_id, position, brand_id, vendor,"
        " product, face_value_minor, currency, state, sent_at) VALUES (:job, :agency, :client, :job,"
        " 1, :brand, 'reloadly', '120', 2500, 'USD', 'unknown', now() - interval '3 hours')",
        job=job_id,
        agency=seeded.agency_id,
        client=seeded.client_id,
        brand=seeded.brand_id,
    )

    (order,) = looked(house).findings

    assert (order.kind.name, order.level) == ("orders_unknown", 1)
    assert order.detail == {"orders": 1, "oldest_minutes": 180}


def test_who_looked_earlier_and_tells_later_changes_nothing(house: House):
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    change(house, "UPDATE card_pools SET low_watermark = 1 WHERE id = :id", id=seeded.csv_pool)
    with tenant_scope(SYSTEM), transaction(house.sessions) as session:
        earlier = Report(*_with_duration(look(session, limits=house.limits)))
    change(house, "UPDATE card_pools SET low_watermark = 0")

    looked(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        tell(session, earlier)
        fold_signals(session)

    assert [one.kind.name for one in earlier.findings] == ["pool_low"]
    assert standing(house) == set()


def _with_duration(seen: tuple[Any, Any, Any]) -> tuple[Any, ...]:
    at, findings, over = seen
    return at, 1, findings, over


def test_a_second_look_counts_and_raises_nothing_twice(house: House):
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    change(house, "UPDATE card_pools SET low_watermark = 1 WHERE id = :id", id=seeded.csv_pool)

    looked(house)
    looked(house)

    assert [tuple(row) for row in rows(house, "SELECT kind, seen FROM alerts")] == [("pool_low", 2)]


def test_s4_074_the_duties_look_and_prove(house: House):
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fire_due(session, clock.now(session))
    drain(house)

    assert {(row.name, row.ok) for row in rows(house, "SELECT name, ok FROM check_runs")} == {
        ("monitor", True),
        ("integrity", True),
    }
    assert rows(house, "SELECT 1 FROM tasks") == []


def test_every_kind_that_is_looked_for_is_of_one_check_alone():
    kinds = [kind.name for check in CHECKS for kind in check.kinds]

    assert len(kinds) == len(set(kinds))
