"""A file too large for a request: the same verdicts, with the job instead of with the answer."""

import hashlib
import io
from typing import Any
from uuid import UUID

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.jobs.kinds import OnError
from pipelines.jobs.timeline import timeline_of
from pipelines.provisioning.large import submit_large
from pipelines.provisioning.plan import BulkOptions
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded, seed


def submit(house: House, seeded: Seeded, content: bytes, **options: Any) -> UUID:
    chosen = BulkOptions(
        campaign_id=seeded.campaign_id,
        brand_id=seeded.brand_id,
        denomination_minor=2500,
        delivery_method="none",
        **options,
    )
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        return submit_large(
            session,
            chosen,
            io.BytesIO(content),
            sha256=hashlib.sha256(content).digest(),
            file_name="large.csv",
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            limits=house.limits,
        ).job_id


def test_a_stored_file_is_worked_in_and_forgotten(house: House) -> None:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(40))

    job_id = submit(house, seeded, recipients_csv(40))
    stored = rows(house, "SELECT content FROM job_inputs WHERE job_id = :job", job=job_id)
    drain(house)

    job = view(house, job_id)
    assert len(stored) == 1
    assert b"person1@example.com" not in bytes(stored[0].content)
    assert job["state"] == "succeeded"
    assert job["counts"]["succeeded"] == 40
    assert rows(house, "SELECT 1 FROM job_inputs") == []
    assert_proven(house)


def test_a_stored_file_with_bad_rows_ends_the_job_with_the_refusal(house: House) -> None:
    seeded = seed(house, vendor=False)
    content = recipients_csv(3) + b"r9,not-an-address,Nobody,\n"

    job_id = submit(house, seeded, content)
    drain(house)

    job = view(house, job_id)
    assert job["state"] == "failed"
    assert job["error"]["code"] == "rows_refused"
    assert job["error"]["errors"] == [
        {
            "code": "invalid_email",
            "detail": "This is not a deliverable e-mail address.",
            "row": 4,
            "field": "email",
        }
    ]
    assert job["counts"]["total"] == 0
    assert rows(house, "SELECT 1 FROM items") == []
    assert rows(house, "SELECT 1 FROM holds") == []
    assert_proven(house)


def test_a_stored_file_that_costs_too_much_holds_nothing(house: House) -> None:
    seeded = seed(house, credit_minor=5_000, vendor=False)

    job_id = submit(house, seeded, recipients_csv(3), on_error=OnError.SKIP)
    drain(house)

    job = view(house, job_id)
    assert job["state"] == "failed"
    assert (job["error"]["status"], job["error"]["code"]) == (402, "insufficient_credit")
    assert job["error"]["required_minor"] == 7_500
    assert_proven(house)


def test_the_planning_of_a_stored_file_is_told_in_the_jobs_timeline(house: House) -> None:
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    job_id = submit(house, seeded, recipients_csv(3))
    drain(house)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        events = timeline_of(session, job_id, now=clock.now(session)).events

    assert [event.event for event in events] == ["submitted", "planned", "started", "finished"]
    assert (events[1].actor_id, events[1].detail) == (None, {"rows": 3})
