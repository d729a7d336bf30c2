"""What a job says of itself while it stands: on a paused queue, paused, and after the pause."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from models.people import Role
from ops.doctor import paused_queues
from ops.progress import line_of
from pipelines.wiring import House
from tests.conftest import Database
from tests.driving import change, recipients_csv, submit
from tests.later import tomorrow
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.test_provision import asked
from web.console.formats import moment


@pytest.fixture
def visitor(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.CLIENT_ADMIN, seeded)


def waits(caller: Caller, job: UUID) -> list[dict[str, Any]]:
    found = caller.get(f"/jobs/{job}/timeline").json["events"]
    return [event["detail"] for event in found if event["event"] == "waiting"]


def postpone(house: House, job: UUID, reason: str, by: str = "-1 hour") -> None:
    change(
        house,
        "UPDATE tasks SET postponed_for = :reason, run_after = now() + CAST(:by AS interval) "
        "WHERE job_id = :job",
        reason=reason,
        by=by,
        job=job,
    )


def test_a_job_on_a_paused_queue_says_so_until_the_queue_goes_on(
    admin: Caller, manager: Caller, visitor: Visitor, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(2))
    admin.post("/queues/bulk/pause", {"reason": "quiet please"})

    shown = manager.get(f"/jobs/{job}").json
    last = manager.get(f"/jobs/{job}/timeline").json["events"][-1]
    page = visitor.get(f"/console/jobs/{job}").text
    admin.post("/queues/bulk/resume")

    assert (shown["state"], shown["waits_for"]) == ("queued", "queue_paused")
    assert (last["event"], last["detail"]) == (
        "waiting",
        {"reason": "queue_paused", "queue": "bulk"},
    )
    assert "The platform has paused a queue of its work: it goes on after that pause." in page
    assert "Waits now: the platform has paused a queue of its work" in page
    assert manager.get(f"/jobs/{job}").json["waits_for"] is None
    assert waits(manager, job) == []


def test_a_single_on_a_paused_queue_says_so(admin: Caller, manager: Caller, seeded: Seeded):
    answer = manager.post("/gift-cards/provision", asked(seeded), Idempotency_Key="k")
    job = answer.json["id"]
    admin.post("/queues/interactive/pause", {"reason": "quiet please"})

    assert manager.get(f"/jobs/{job}").json["waits_for"] == "queue_paused"


def test_a_job_that_somebody_paused_too_waits_for_that_person(
    admin: Caller, manager: Caller, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(1))
    admin.post("/queues/bulk/pause", {"reason": "quiet please"})
    manager.post(f"/jobs/{job}/pause")

    assert manager.get(f"/jobs/{job}").json["waits_for"] is None
    assert waits(manager, job) == []


def test_the_doctor_has_a_line_for_a_paused_queue(admin: Caller, database: Database):
    with psycopg.connect(database.urls["largesse_readonly"], autocommit=True) as connection:
        before = paused_queues(connection)
        admin.post("/queues/vendors/pause", {"reason": "quiet please"})
        (found,) = paused_queues(connection)

    assert before == []
    assert (found.name, found.ok) == ("queues_paused", True)
    assert found.detail.startswith("vendors since ")
    assert found.detail.endswith(" UTC: quiet please")
    assert "`largesse queues resume vendors`" in found.remedy


def test_a_paused_job_waits_until_somebody_resumes_it(
    manager: Caller, visitor: Visitor, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(1))
    manager.post(f"/jobs/{job}/pause")
    postpone(house, job, "job_paused", by="1 hour")

    page = visitor.get(f"/console/jobs/{job}").text

    assert waits(manager, job) == [{"reason": "job_paused"}]
    assert "Waits now: the job is paused" in page
    assert "until somebody resumes it" in page


@pytest.mark.parametrize("move", ["resume", "cancel"])
def test_a_pause_that_is_over_holds_nothing_up(
    manager: Caller, seeded: Seeded, house: House, move: str
):
    job = submit(house, seeded, recipients_csv(1))
    manager.post(f"/jobs/{job}/pause")
    postpone(house, job, "job_paused")
    manager.post(f"/jobs/{job}/{move}")

    assert waits(manager, job) == []


@pytest.mark.parametrize("reason", ["campaign_paused", "scheduled"])
def test_a_reason_that_the_job_contradicts_is_not_told(
    manager: Caller, seeded: Seeded, house: House, reason: str
):
    job = submit(house, seeded, recipients_csv(1))
    postpone(house, job, reason)

    assert waits(manager, job) == []


def test_a_paused_campaign_holds_up_what_is_to_be_begun_only(
    manager: Caller, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(1))
    postpone(house, job, "campaign_paused")
    change(house, "UPDATE campaigns SET state = 'paused'")

    before = waits(manager, job)
    manager.post(f"/jobs/{job}/cancel")

    assert (before, waits(manager, job)) == ([{"reason": "campaign_paused"}], [])


def test_a_time_that_has_passed_is_not_said(
    manager: Caller, visitor: Visitor, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(1))
    postpone(house, job, "vendor_down")

    page = visitor.get(f"/console/jobs/{job}").text

    assert waits(manager, job) == [{"reason": "vendor_down"}]
    assert "Waits now: the supplier does not answer well" in page
    assert "again at" not in page


def test_a_pause_is_told_in_whole_sentences(
    manager: Caller, visitor: Visitor, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(1))
    manager.post(f"/jobs/{job}/pause")

    page = visitor.get(f"/console/jobs/{job}").text
    line = line_of("Recipients", manager.get(f"/jobs/{job}").json)

    words = "The job is paused because somebody paused it. It goes on when somebody resumes it."
    assert words in page
    assert line == "Recipients 0/1 (0.0 %) paused by somebody, goes on when somebody resumes it"


def test_a_moved_start_keeps_the_first_one_and_says_from_where_to_where(
    manager: Caller, seeded: Seeded, house: House
):
    first, second = tomorrow(house), tomorrow(house) + timedelta(days=1)
    job = submit(house, seeded, recipients_csv(1), scheduled_for=first)
    for at in (second.isoformat(), None):
        manager.call("PATCH", f"/jobs/{job}", {"scheduled_for": at})

    found = manager.get(f"/jobs/{job}/timeline").json["events"]

    assert [event["event"] for event in found] == [
        "submitted",
        "scheduled",
        "rescheduled",
        "rescheduled",
    ]
    assert [event["detail"] for event in found[1:]] == [
        {"scheduled_for": first.isoformat()},
        {"scheduled_for": second.isoformat(), "scheduled_was": first.isoformat()},
        {"scheduled_for": None, "scheduled_was": second.isoformat()},
    ]


def test_a_moved_start_is_said_from_where_to_where(
    manager: Caller, visitor: Visitor, seeded: Seeded, house: House
):
    first, second = tomorrow(house), tomorrow(house) + timedelta(days=1)
    job = submit(house, seeded, recipients_csv(1), scheduled_for=first)
    for at in (second.isoformat(), None):
        manager.call("PATCH", f"/jobs/{job}", {"scheduled_for": at})

    page = visitor.get(f"/console/jobs/{job}").text

    assert f"To start at {moment(first)}" in page
    assert f"Start moved from {moment(first)} to {moment(second)}" in page
    assert f"Start moved from {moment(second)} to now" in page
