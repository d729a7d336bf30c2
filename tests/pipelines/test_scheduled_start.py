"""Jobs that start at a time of their own: small and large, paused, cancelled, missed, moved."""

import hashlib
import io
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import text

from models.database import scoped_transaction
from models.jobs import Priority
from models.scope import PLATFORM, SYSTEM, client
from pipelines.jobs.control import cancel_job, pause_job, resume_job
from pipelines.jobs.schedule import ScheduleRefused, reschedule, set_priority
from pipelines.provisioning.large import submit_large
from pipelines.wiring import House, build_handlers
from tests.driving import cards_csv, drain, hasten, import_cards_now, recipients_csv, rows, view
from tests.intake import (
    items_of,
    money_of,
    options,
    preview_file,
    submit_file,
    table_sizes,
    with_limits,
)
from tests.later import tomorrow, two_days_later
from tests.moves import control, due, one_step, retry, states
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed
from workers.wrapper import Wrapper

CREDIT = 100_000


@pytest.fixture
def small(house: House) -> House:
    """Chunks of two items, one released at a time."""
    return with_limits(house, chunk_items_max=2, chunks_released_max=1)


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False, credit_minor=CREDIT)


def large(house: House, seeded: Seeded, content: bytes, at: datetime) -> UUID:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_large(
            session,
            options(seeded, scheduled_for=at),
            io.BytesIO(content),
            sha256=hashlib.sha256(content).digest(),
            file_name=None,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id


def move(house: House, seeded: Seeded, job_id: UUID, at: datetime | None) -> None:
    control(house, seeded, reschedule, job_id, at=at, kinds=house.job_kinds, limits=house.limits)


@pytest.mark.parametrize("is_large", [False, True])
def test_a_job_waits_for_its_time_and_has_its_credit_held(
    small: House, seeded: Seeded, is_large: bool
) -> None:
    """A large file is read and judged at once; only the giving waits."""
    import_cards_now(small, seeded.csv_pool, cards_csv(4))
    at = tomorrow(small)
    if is_large:
        job_id = large(small, seeded, recipients_csv(4), at)
    else:
        job_id = submit_file(small, seeded, recipients_csv(4), scheduled_for=at).job_id

    drain(small)

    job = view(small, job_id)
    assert (job["state"], job["scheduled_for"], job["started_at"]) == ("queued", at, None)
    assert states(small, job_id) == ["pending"] * 4
    assert money_of(small, seeded.client_account) == (CREDIT, 4 * 2500)
    assert_proven(small)
    with two_days_later(small) as later:
        drain(later)
        assert view(later, job_id)["state"] == "succeeded"
    assert view(small, job_id)["started_at"] > at
    assert_proven(small)


def test_a_start_that_was_missed_is_made_up_for_by_whoever_comes_back(
    small: House, seeded: Seeded
) -> None:
    """Nothing but the row remembers the time, so nothing that was down can have forgotten it."""
    import_cards_now(small, seeded.csv_pool, cards_csv(2))
    job_id = submit_file(small, seeded, recipients_csv(2), scheduled_for=tomorrow(small, 1)).job_id

    with two_days_later(small) as later:
        assert due(later) == ["run_chunk"]
        drain(later)

    assert view(small, job_id)["state"] == "succeeded"


def test_a_task_that_comes_before_the_time_waits_for_it(small: House, seeded: Seeded) -> None:
    """Whatever rang it: the time in the job's row decides."""
    import_cards_now(small, seeded.csv_pool, cards_csv(2))
    at = tomorrow(small)
    job_id = submit_file(small, seeded, recipients_csv(2), scheduled_for=at).job_id
    hasten(small)

    drain(small)

    assert view(small, job_id)["state"] == "queued"
    (task,) = rows(small, "SELECT run_after, postponed_for, attempts FROM tasks")
    assert tuple(task) == (at, "scheduled", 0)


def test_a_job_paused_before_its_time_and_resumed_still_waits(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(2))
    job_id = submit_file(small, seeded, recipients_csv(2), scheduled_for=tomorrow(small)).job_id
    control(small, seeded, pause_job, job_id)
    control(small, seeded, resume_job, job_id)

    drain(small)

    assert (view(small, job_id)["state"], view(small, job_id)["started_at"]) == ("queued", None)
    with two_days_later(small) as later:
        drain(later)
    assert view(small, job_id)["state"] == "succeeded"
    assert_proven(small)


def test_a_job_paused_past_its_time_starts_when_it_is_resumed(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(2))
    job_id = submit_file(small, seeded, recipients_csv(2), scheduled_for=tomorrow(small)).job_id
    control(small, seeded, pause_job, job_id)

    with two_days_later(small) as later:
        assert drain(later) == 0
        control(later, seeded, resume_job, job_id)
        drain(later)

    assert view(small, job_id)["state"] == "succeeded"


@pytest.mark.parametrize("is_large", [False, True])
def test_a_job_cancelled_before_its_time_gives_its_credit_back_at_once(
    small: House, seeded: Seeded, is_large: bool
) -> None:
    at = tomorrow(small)
    if is_large:
        job_id = large(small, seeded, recipients_csv(3), at)
    else:
        job_id = submit_file(small, seeded, recipients_csv(3), scheduled_for=at).job_id

    control(small, seeded, cancel_job, job_id)
    drain(small)

    assert view(small, job_id)["state"] == "cancelled"
    assert money_of(small, seeded.client_account) == (CREDIT, 0)
    assert rows(small, "SELECT 1 FROM tasks") == rows(small, "SELECT 1 FROM job_inputs") == []
    assert_proven(small)


def test_a_cancel_beside_the_reading_of_a_file_ends_the_job_without_items(
    small: House, seeded: Seeded
) -> None:
    """The settlement that a cancel asks for leaves the end to whoever reads the file."""
    job_id = large(small, seeded, recipients_csv(3), tomorrow(small))
    control(small, seeded, cancel_job, job_id)
    (settle,) = rows(small, "SELECT id FROM tasks WHERE kind = 'settle_job'")

    Wrapper(small.sessions, build_handlers(small)).run(settle.id, 1)

    assert view(small, job_id)["state"] == "cancelling"
    assert_proven(small)
    drain(small)
    assert view(small, job_id)["state"] == "cancelled"


def test_a_scheduled_job_whose_items_failed_is_retried_at_once(
    small: House, seeded: Seeded
) -> None:
    job_id = submit_file(small, seeded, recipients_csv(2), scheduled_for=tomorrow(small)).job_id
    with two_days_later(small) as later:
        drain(later)
        assert view(later, job_id)["state"] == "failed"
        import_cards_now(later, seeded.csv_pool, cards_csv(2))
        retry(later, seeded, job_id)
        drain(later)

    assert view(small, job_id)["state"] == "succeeded"
    assert_proven(small)


def test_a_job_is_given_another_time_and_then_started_now(small: House, seeded: Seeded) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(4))
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id
    at = tomorrow(small)

    move(small, seeded, job_id, at)
    assert drain(small) == 0
    moved = view(small, job_id)
    move(small, seeded, job_id, None)
    drain(small)

    assert (moved["state"], moved["scheduled_for"]) == ("queued", at)
    assert view(small, job_id)["state"] == "succeeded"
    found = rows(
        small,
        "SELECT detail->>'scheduled_for' AS at FROM audit_entries WHERE action = 'job.rescheduled' "
        "ORDER BY id",
    )
    assert [row.at for row in found] == [at.isoformat(), None]
    assert_proven(small)


def test_a_large_file_is_given_another_time_before_it_is_read(small: House, seeded: Seeded) -> None:
    job_id = large(small, seeded, recipients_csv(3), tomorrow(small))
    at = tomorrow(small, 30)
    move(small, seeded, job_id, at)
    control(small, seeded, set_priority, job_id, priority=Priority.HIGH)

    drain(small)

    (task,) = rows(small, "SELECT run_after, priority FROM tasks WHERE kind = 'run_chunk'")
    assert tuple(task) == (at, Priority.HIGH.value)


@pytest.mark.parametrize(
    ("hours", "code"),
    [(0, "scheduled_in_past"), (-24, "scheduled_in_past"), (367 * 24, "scheduled_too_far")],
)
def test_a_time_that_has_passed_or_is_years_away_is_refused(
    small: House, seeded: Seeded, hours: int, code: str
) -> None:
    at = tomorrow(small, hours)
    job_id = submit_file(small, seeded, recipients_csv(1), scheduled_for=tomorrow(small)).job_id
    before = table_sizes(small), view(small, job_id)

    for ask in (
        lambda: submit_file(small, seeded, recipients_csv(2), scheduled_for=at),
        lambda: preview_file(small, seeded, recipients_csv(2), scheduled_for=at),
        lambda: large(small, seeded, recipients_csv(2), at),
        lambda: move(small, seeded, job_id, at),
    ):
        with pytest.raises(ScheduleRefused) as refused:
            ask()
        assert refused.value.code == code
        assert [(e.code, e.pointer) for e in refused.value.errors] == [(code, "/scheduled_for")]

    assert (table_sizes(small), view(small, job_id)) == before


@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [
        ("UPDATE campaigns SET state = 'closed'", "campaign_closed"),
        ("UPDATE clients SET suspended_at = now()", "account_suspended"),
    ],
)
def test_what_ended_before_the_time_came_ends_the_job_uncharged(
    small: House, seeded: Seeded, meanwhile: str, code: str
) -> None:
    import_cards_now(small, seeded.csv_pool, cards_csv(2))
    job_id = submit_file(small, seeded, recipients_csv(2), scheduled_for=tomorrow(small)).job_id
    with scoped_transaction(small.sessions, PLATFORM) as session:
        session.execute(text(meanwhile))

    with two_days_later(small) as later:
        drain(later)

    assert view(small, job_id)["state"] == "failed"
    assert items_of(small, job_id, "state", "code") == [("cancelled", code)] * 2
    assert money_of(small, seeded.client_account) == (CREDIT, 0)
    assert_proven(small)


def test_a_job_whose_campaign_is_paused_when_its_time_comes_starts_after_the_pause(
    small: House, seeded: Seeded
) -> None:
    """A paused campaign begins nothing new; what has begun goes on to its end."""
    import_cards_now(small, seeded.csv_pool, cards_csv(8))
    begun = submit_file(small, seeded, recipients_csv(4)).job_id
    one_step(small)
    waiting = submit_file(
        small, seeded, recipients_csv(4, 10), scheduled_for=tomorrow(small)
    ).job_id
    _set_campaign(small, "paused")

    with two_days_later(small) as later:
        drain(later)
        held_up = view(later, waiting)
        (task,) = rows(later, "SELECT postponed_for FROM tasks")
        _set_campaign(small, "active")
        with scoped_transaction(later.sessions, SYSTEM) as session:
            session.execute(text("UPDATE tasks SET run_after = now()"))
        drain(later)

    assert view(small, begun)["state"] == "succeeded"
    assert (held_up["state"], task.postponed_for) == ("queued", "campaign_paused")
    assert view(small, waiting)["state"] == "succeeded"
    assert_proven(small)


def _set_campaign(house: House, state: str) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(text("UPDATE campaigns SET state = :state"), {"state": state})
