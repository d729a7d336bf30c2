"""A client's share of open work, and an installation that has more than it gets done (EC-136)."""

import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from models.tasks import Process
from pipelines.jobs.control import pause_job, resume_job
from pipelines.jobs.quotas import QueueSaturated, TenantQuotaExceeded, saturation
from pipelines.provisioning.large import submit_large
from pipelines.provisioning.recipients import DeliveryMethod
from pipelines.provisioning.single import SingleRequest, submit_single
from pipelines.provisioning.submit import submit_bulk
from pipelines.queue.keys import RequestKey
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.intake import options, preview_file, recipients, submit_file, table_sizes, with_limits
from tests.moves import control, one_step
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def test_ec136_a_client_with_its_share_of_jobs_open_is_told_to_wait(
    house: House, seeded: Seeded
) -> None:
    """EC-136: with the numbers, before anything is written; another client is not concerned."""
    tight = with_limits(house, open_jobs_per_client_max=2)
    first = submit_file(tight, seeded, recipients_csv(1)).job_id
    submit_file(tight, seeded, recipients_csv(2))
    before = table_sizes(house)

    with pytest.raises(TenantQuotaExceeded) as refused:
        submit_file(tight, seeded, recipients_csv(3))

    assert (refused.value.code, refused.value.retry_after_seconds) == ("tenant_quota_exceeded", 60)
    assert refused.value.extra == {
        "open_jobs": 2,
        "open_jobs_max": 2,
        "open_items": 3,
        "open_items_max": 2_000_000,
        "items": 1,
    }
    assert table_sizes(house) == before
    submit_file(tight, seed(house, vendor=False), recipients_csv(3))
    drain(tight)
    assert view(tight, first)["state"] == "failed"
    submit_file(tight, seeded, recipients_csv(3))
    assert_proven(house)


def test_ec136_a_job_that_would_exceed_the_clients_items_is_refused_whole(
    house: House, seeded: Seeded
) -> None:
    """EC-136: rows that are not open do not count, here or there."""
    tight = with_limits(house, open_items_per_client_max=5)
    import_cards_now(tight, seeded.csv_pool, cards_csv(3))
    submit_file(tight, seeded, recipients_csv(3))
    before = table_sizes(house)

    with pytest.raises(TenantQuotaExceeded) as refused:
        submit_file(tight, seeded, recipients_csv(3, 10))

    assert (refused.value.extra["open_items"], refused.value.extra["items"]) == (3, 3)
    assert table_sizes(house) == before
    submit_file(tight, seeded, recipients_csv(2, 10))
    drain(tight)
    submit_file(tight, seeded, recipients_csv(5, 20))
    assert_proven(house)


def test_ec136_a_large_file_beyond_the_clients_items_ends_with_the_refusal(
    house: House, seeded: Seeded
) -> None:
    """EC-136: its rows are not known before it is read."""
    tight = with_limits(house, open_items_per_client_max=5)

    job_id = large(tight, seeded, recipients_csv(6))
    drain(tight)

    job = view(tight, job_id)
    assert (job["state"], job["counts"]["total"]) == ("failed", 0)
    assert (job["error"]["status"], job["error"]["code"]) == (429, "tenant_quota_exceeded")
    assert (job["error"]["items"], job["error"]["open_jobs"]) == (6, 0)
    assert rows(house, "SELECT 1 FROM items") == rows(house, "SELECT 1 FROM holds") == []
    assert_proven(house)


def test_ec136_requests_of_one_item_neither_count_nor_are_counted(
    house: House, seeded: Seeded
) -> None:
    """EC-136: storefronts are served whatever bulk work waits."""
    tight = with_limits(house, open_jobs_per_client_max=1)
    single(tight, seeded, "ann@example.com")

    submit_file(tight, seeded, recipients_csv(2))
    single(tight, seeded, "bob@example.com")

    with pytest.raises(TenantQuotaExceeded) as refused:
        submit_file(tight, seeded, recipients_csv(3))
    assert (refused.value.extra["open_jobs"], refused.value.extra["open_items"]) == (1, 4)


def test_ec136_a_repeat_of_an_accepted_request_is_answered_although_the_share_is_used_up(
    house: House, seeded: Seeded
) -> None:
    """EC-136, EC-035"""
    tight = with_limits(house, open_jobs_per_client_max=1)
    key = RequestKey(ACTOR, "k", b"f" * 32)
    first = submit_file(tight, seeded, recipients_csv(2), key=key)

    again = bulk(tight, seeded, recipients_csv(2), key=key, saturated=QueueSaturated())

    assert (again.job_id, again.is_replay) == (first.job_id, True)


def test_ec136_a_preview_lists_what_stands_against_the_job(house: House, seeded: Seeded) -> None:
    """EC-136"""
    tight = with_limits(house, open_items_per_client_max=3)

    fits = preview_file(tight, seeded, recipients_csv(3))
    too_many = preview_file(tight, seeded, recipients_csv(4))

    assert fits["blockers"] == []
    (blocker,) = too_many["blockers"]
    assert (blocker["code"], blocker["items"]) == ("tenant_quota_exceeded", 4)
    assert blocker["open_items_max"] == 3


def test_ec136_more_open_items_than_the_house_takes_in(house: House, seeded: Seeded) -> None:
    """EC-136: over all tenants; a bulk request of any of them is refused, and writes nothing."""
    tight = with_limits(house, open_items_max=4)
    submit_file(tight, seeded, recipients_csv(4))
    assert saturated(tight) is None
    submit_file(tight, seed(house, vendor=False), recipients_csv(1))
    before = table_sizes(house)

    refusal = saturated(tight)

    assert refusal is not None
    assert (refusal.code, refusal.retry_after_seconds) == ("queue_saturated", 30)
    assert refusal.extra == {"reason": "open_items"}
    for ask in (bulk, large):
        with pytest.raises(QueueSaturated):
            ask(tight, seeded, recipients_csv(2), saturated=refusal)
    assert table_sizes(house) == before
    single(tight, seeded, "ann@example.com")
    drain(tight)
    assert saturated(tight) is None


def test_ec136_bulk_work_that_nobody_does_for_too_long(house: House, seeded: Seeded) -> None:
    """EC-136: what is due now, what is scheduled and what somebody paused does not wait."""
    small = with_limits(house, chunk_items_max=2, bulk_wait_seconds_max=900.0)
    job_id = submit_file(small, seeded, recipients_csv(2)).job_id
    fresh = saturated(small)

    age_tasks(house)
    waiting = saturated(small)
    rung = "UPDATE tasks SET rung_at = run_after RETURNING 1"
    assert rows(house, rung) == [(1,)]
    rung_in_vain = saturated(small)
    control(small, seeded, pause_job, job_id)
    paused = saturated(small)

    assert fresh is None
    assert waiting is not None
    assert waiting.extra == {"reason": "bulk_queue_waits"}
    assert rung_in_vain is not None
    assert paused is None


def test_ec136_a_paused_queue_is_not_a_saturated_one(house: House, seeded: Seeded) -> None:
    """EC-136: an operator wants it to wait."""
    submit_file(house, seeded, recipients_csv(2))
    age_tasks(house)
    assert saturated(house) is not None

    rows(house, "INSERT INTO queues (name, paused_at) VALUES ('bulk', now()) RETURNING 1")

    assert saturated(house) is None


def test_ec136_a_job_resumed_after_a_long_pause_has_not_waited_for_a_worker(
    house: House, seeded: Seeded
) -> None:
    """EC-136"""
    small = with_limits(house, chunk_items_max=2)
    job_id = submit_file(small, seeded, recipients_csv(4)).job_id
    one_step(small)
    control(small, seeded, pause_job, job_id)
    age_tasks(house)

    control(small, seeded, resume_job, job_id)

    assert saturated(small) is None


@pytest.mark.parametrize(
    ("trouble", "age_seconds", "is_refused"),
    [
        ("OutOfMemoryError", 0, True),
        ("OutOfMemoryError", 3600, False),
        ("ConnectionError", 0, False),
        (None, 0, False),
    ],
)
def test_ec136_a_broker_without_memory_is_what_its_living_relay_says(
    house: House, trouble: str | None, age_seconds: int, is_refused: bool
) -> None:
    """EC-136: a broker that is merely away costs time only, and refuses nobody."""
    beat(house, "relay", trouble=trouble, age_seconds=age_seconds)

    refusal = saturated(house)

    assert (refusal is not None) is is_refused
    assert refusal is None or refusal.extra == {"reason": "broker_out_of_memory"}


def saturated(house: House) -> QueueSaturated | None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return saturation(session, now=clock.now(session), limits=house.limits)


def beat(house: House, name: str, *, trouble: str | None = None, age_seconds: int = 0) -> None:
    """The last word of a process, so long ago."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        beat_at = clock.now(session) - timedelta(seconds=age_seconds)
        values = {"id": new_id(), "name": name, "host": "h", "pid": 1, "threads": 1}
        session.execute(insert(Process).values(values | {"trouble": trouble, "beat_at": beat_at}))


def age_tasks(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE tasks SET run_after = run_after - interval '1 hour'"))


def bulk(house: House, seeded: Seeded, content: bytes, **more: Any) -> Any:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_bulk(
            session,
            options(seeded),
            recipients(content),
            actor_id=ACTOR,
            person_secret=house.person_secret,
            limits=house.limits,
            **({"key": None} | more),
        )


def large(house: House, seeded: Seeded, content: bytes, **more: Any) -> UUID:
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_large(
            session,
            options(seeded),
            io.BytesIO(content),
            sha256=content[:32],
            file_name=None,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
            **more,
        ).job_id


def single(house: House, seeded: Seeded, email: str) -> UUID:
    request = SingleRequest(
        campaign_id=seeded.campaign_id,
        brand_id=seeded.brand_id,
        denomination_minor=2500,
        delivery_method=DeliveryMethod.NONE,
        recipient={"email": email},
    )
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_single(
            session,
            request,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
            limits=house.limits,
        ).job_id
