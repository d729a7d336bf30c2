"""How a round of a job ends, exactly once, and how failed items get another one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.jobs import ItemState
from models.scope import PLATFORM, SYSTEM
from pipelines.credit.allocate import recall
from pipelines.credit.refusals import InsufficientCredit
from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.kinds import NothingToRetry, OnError
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import items_of, money_of, submit_file, table_sizes, with_limits
from tests.moves import control, due, one_step, retry
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from tests.statements import statements
from workers.wrapper import Wrapper

CREDIT = 100_000


@pytest.fixture
def small(house: House) -> House:
    """Chunks of two items, one released at a time."""
    return with_limits(house, chunk_items_max=2, chunks_released_max=1)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def test_a_retry_locks_in_the_order_of_the_house(small: House, seeded: Seeded) -> None:
    """Job, chunk, item, and the account last, as whoever works on the job does."""
    job_id = submit_file(small, seeded, recipients_csv(3)).job_id
    drain(small)

    with statements(small) as sent:
        retry(small, seeded, job_id)

    def first(words: str) -> int:
        return next(n for n, statement in enumerate(sent) if words in statement)

    def last(words: str) -> int:
        return max(n for n, statement in enumerate(sent) if words in statement)

    assert first("FROM jobs WHERE id") < first("FROM chunks WHERE") < first("UPDATE items")
    assert last("chunks SET") < first("UPDATE accounts")
    assert first("UPDATE accounts") < first("INSERT INTO holds") == len(sent) - 1


def test_a_retry_tries_the_failed_items_only_and_under_a_new_hold(
    small: House, seeded: Seeded
) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(3))
    content = recipients_csv(6).replace(b"person1@example.com", b"nobody")
    job_id = submit_file(small, seeded, content, on_error=OnError.SKIP).job_id
    drain(small)
    first = items_of(small, job_id, "position", "state", "code", "result_id")
    import_cards_now(small, seeded.csv_pool, cards_csv(9))

    reopened = retry(small, seeded, job_id)
    held = money_of(small, seeded.client_account)
    drain(small)

    assert [row[1:3] for row in first] == [
        ("succeeded", None),
        ("failed", "invalid_email"),
        ("succeeded", None),
        ("succeeded", None),
        ("failed", "no_inventory"),
        ("failed", "no_inventory"),
    ]
    assert reopened == 2
    assert held == (CREDIT - 3 * 2500, 2 * 2500)
    job = view(small, job_id)
    assert (job["state"], job["round"]) == ("partially_succeeded", 2)
    second = items_of(small, job_id, "position", "state", "code", "result_id")
    assert [row for row in second if row[0] <= 4] == [row for row in first if row[0] <= 4]
    assert [row[1] for row in second if row[0] > 4] == ["succeeded", "succeeded"]
    assert money_of(small, seeded.client_account) == (CREDIT - 5 * 2500, 0)
    assert_proven(small)


def test_a_retry_without_credit_changes_nothing(small: House, seeded: Seeded) -> None:
    job_id = submit_file(small, seeded, recipients_csv(3)).job_id
    drain(small)
    with scoped_transaction(small.sessions, PLATFORM) as session:
        recall(
            session,
            parent_id=seeded.agency_account,
            child_id=seeded.client_account,
            amount=CREDIT - 7_499,
            notes="",
            client_ref="recall",
            actor_id=ACTOR,
        )
    before = table_sizes(small), items_of(small, job_id, "state", "code", "round")

    with pytest.raises(InsufficientCredit) as refused:
        retry(small, seeded, job_id)

    assert refused.value.extra["required_minor"] == 7_500
    assert refused.value.extra["available_minor"] == 7_499
    assert (table_sizes(small), items_of(small, job_id, "state", "code", "round")) == before
    assert view(small, job_id)["state"] == "failed"
    assert_proven(small)


def test_rows_refused_at_intake_are_not_tried_again(small: House, seeded: Seeded) -> None:
    job_id = submit_file(small, seeded, b"email\nbad\n", on_error=OnError.SKIP).job_id
    drain(small)

    with pytest.raises(NothingToRetry):
        retry(small, seeded, job_id)

    assert view(small, job_id)["state"] == "failed"
    assert view(small, job_id)["round"] == 1


def test_ec080_a_client_suspended_at_half_keeps_its_half(small: House, seeded: Seeded) -> None:
    """EC-080: the rest ends with its own code and its credit goes back."""
    import_cards_now(small, seeded.csv_pool, cards_csv(4))
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id
    one_step(small)
    with scoped_transaction(small.sessions, PLATFORM) as session:
        session.execute(text("UPDATE clients SET suspended_at = now()"))

    drain(small)

    assert items_of(small, job_id, "state", "code") == [
        *[("succeeded", None)] * 2,
        *[("cancelled", "account_suspended")] * 2,
    ]
    assert view(small, job_id)["state"] == "partially_succeeded"
    assert money_of(small, seeded.client_account) == (CREDIT - 5_000, 0)
    assert_proven(small)


def test_a_campaign_closed_in_the_middle_ends_the_rest(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(4))
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id
    one_step(small)
    with scoped_transaction(small.sessions, PLATFORM) as session:
        session.execute(text("UPDATE campaigns SET state = 'closed'"))

    drain(small)

    assert [code for (code,) in items_of(small, job_id, "code")] == [
        None,
        None,
        "campaign_closed",
        "campaign_closed",
    ]
    assert_proven(small)


def test_two_settlements_at_once_settle_once(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(1))
    job_id = submit_file(small, seeded, recipients_csv(2)).job_id
    one_step(small)
    with scoped_transaction(small.sessions, SYSTEM) as session:
        for _ in range(3):
            defer_settlement(
                session, job_id=job_id, tenant_id=seeded.client_id, now=clock.now(session)
            )
    tasks = [row.id for row in rows(small, "SELECT id FROM tasks WHERE kind = 'settle_job'")]
    wrapper = Wrapper(small.sessions, build_handlers(small), draw=lambda: 0.0)
    start = threading.Barrier(len(tasks))

    def settle(task_id: UUID) -> None:
        start.wait(timeout=10)
        wrapper.run(task_id, 1)

    with ThreadPoolExecutor(len(tasks)) as pool:
        list(pool.map(settle, tasks))

    assert len(tasks) == 4
    ends = rows(
        small,
        "SELECT 1 FROM audit_entries WHERE action = 'job.finished' AND object_id = :job",
        job=job_id,
    )
    assert len(ends) == 1
    assert rows(small, "SELECT 1 FROM tasks") == []
    assert view(small, job_id)["state"] == "partially_succeeded"
    assert_proven(small)


def test_a_settlement_that_comes_too_early_does_nothing(small: House, seeded: Seeded) -> None:
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id
    with scoped_transaction(small.sessions, SYSTEM) as session:
        defer_settlement(session, job_id=job_id, tenant_id=seeded.client_id, now=clock.now(session))
    (task,) = rows(small, "SELECT id FROM tasks WHERE kind = 'settle_job'")

    Wrapper(small.sessions, build_handlers(small)).run(task.id, 1)

    assert view(small, job_id)["state"] == "queued"
    assert due(small) == ["run_chunk"]
    assert view(small, job_id)["counts"][ItemState.PENDING] == 4


def test_acts_of_people_are_audited(small: House, seeded: Seeded) -> None:
    job_id = submit_file(small, seeded, recipients_csv(1)).job_id
    for verb in (pause_job, resume_job):
        control(small, seeded, verb, job_id)
    control(small, seeded, cancel_job, job_id, reason="wrong list")
    drain(small)

    found = rows(
        small,
        "SELECT action, actor_id, client_id, detail->>'reason' AS reason FROM audit_entries "
        "WHERE object_id = :job ORDER BY id",
        job=job_id,
    )
    assert [row.action for row in found] == [
        "job.submitted",
        "job.paused",
        "job.resumed",
        "job.cancel_asked",
        "job.finished",
    ]
    assert {(row.actor_id, row.client_id) for row in found} == {(ACTOR, seeded.client_id)}
    assert [row.reason for row in found] == [None, None, None, "wrong list", None]
