"""Schedules and priorities at the console: chosen in the wizard, changed and cut short later."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.conditions import HOUR, limit
from tests.distributing import distribute, make_pool, options, stocked_book
from tests.driving import drain, recipients_csv, rows, submit, view
from tests.later import tomorrow, two_days_later
from tests.seeding import Seeded
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of
from tests.web.console.test_wizard import draft_with


def field(days: float) -> str:
    """What a browser's field for date and time sends."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M")


@pytest.fixture
def scheduled(house: House, seeded: Seeded) -> UUID:
    return submit(house, seeded, recipients_csv(2), scheduled_for=tomorrow(house))


def press(bob: Visitor, job_id: UUID, button: str) -> None:
    home = f"/console/jobs/{job_id}"
    token = bob.get(home).text.partition('csrf_token" value="')[2][:64]
    bob.client.post(f"{home}/{button}", data={"csrf_token": token}, headers=SAME_ORIGIN)


def test_the_wizard_takes_a_start_and_a_priority(house: House, bob: Visitor, seeded: Seeded):
    home = draft_with(bob, seeded, recipients_csv(2))
    at = field(3)

    page = bob.get(f"{home}/cost").text
    sent = bob.send(f"{home}/cost", starts_at=at, priority="high")

    assert "Start at (UTC)" in page
    (job,) = rows(house, "SELECT id, state, scheduled_for, priority FROM jobs")
    assert sent.headers["Location"] == f"/console/jobs/{job.id}"
    assert (job.state, job.priority) == ("queued", 50)
    assert job.scheduled_for.strftime("%Y-%m-%dT%H:%M") == at


@pytest.mark.parametrize(
    ("starts_at", "words"),
    [
        (field(-1), "The time has passed."),
        (field(400), "Give a time within the next 366 days."),
        ("soon", "Give a date and a time such as 2027-01-31T09:00, in UTC."),
    ],
    # Collected in two processes, which may stand in two minutes.
    ids=["past", "far", "no time"],
)
def test_a_start_that_makes_no_sense_is_told_beside_its_field_and_kept(
    house: House, bob: Visitor, seeded: Seeded, starts_at: str, words: str
):
    home = draft_with(bob, seeded, recipients_csv(2))

    answer = bob.send(f"{home}/cost", starts_at=starts_at, priority="low")

    assert answer.status_code == 422
    assert f'id="starts_at-wrong">{words}' in answer.text
    assert f'value="{starts_at}"' in answer.text
    assert '<option value="low" selected>' in answer.text
    assert rows(house, "SELECT 1 FROM jobs") == []


def test_the_job_page_says_when_it_starts_and_starts_it_now(
    house: House, bob: Visitor, scheduled: UUID
):
    at = view(house, scheduled)["scheduled_for"]
    waiting = bob.get(f"/console/jobs/{scheduled}").text

    press(bob, scheduled, "start")
    begun = bob.get(f"/console/jobs/{scheduled}").text
    drain(house)

    assert f"Starts at {at:%-d %b %Y, %H:%M} UTC. Its credit is held until then." in waiting
    assert "Start now" in waiting
    assert "Start now" not in begun
    assert view(house, scheduled)["state"] == "failed"


def test_a_job_is_moved_and_prioritised_on_one_page(house: House, bob: Visitor, scheduled: UUID):
    change = f"/console/jobs/{scheduled}/change"
    at = field(5)

    refused = bob.send(change, starts_at=field(-5), priority="high")
    unmoved = view(house, scheduled)["priority"]
    saved = bob.send(change, starts_at=at, priority="high")
    shown = bob.get(change).text

    assert (refused.status_code, unmoved) == (422, "normal")
    assert "The time has passed." in refused.text
    assert saved.headers["Location"] == f"/console/jobs/{scheduled}"
    job = view(house, scheduled)
    assert (job["priority"], job["scheduled_for"].strftime("%Y-%m-%dT%H:%M")) == ("high", at)
    assert f'value="{at}"' in shown


def test_s4_128_a_start_outside_the_campaigns_window_is_told_beside_its_field(
    house: House, seeded: Seeded, bob: Visitor, scheduled: UUID
):
    """Nor is it started now: the campaign gives nothing yet."""
    limit(house, seeded, starts_at=HOUR, ends_at=3 * 24 * HOUR)
    home, before = f"/console/jobs/{scheduled}", view(house, scheduled)["scheduled_for"]

    refused = bob.send(f"{home}/change", starts_at=field(5), priority="normal")
    press(bob, scheduled, "start")

    assert refused.status_code == 422
    assert 'id="starts_at-wrong">The campaign has ended; it gives no more rewards.' in refused.text
    assert view(house, scheduled)["scheduled_for"] == before


def test_a_priority_is_changed_without_touching_the_start(
    house: House, bob: Visitor, scheduled: UUID
):
    before = view(house, scheduled)["scheduled_for"]

    bob.send(
        f"/console/jobs/{scheduled}/change",
        starts_at=before.strftime("%Y-%m-%dT%H:%M"),
        priority="low",
    )

    job = view(house, scheduled)
    assert (job["priority"], job["scheduled_for"]) == ("low", before)


def test_a_job_held_up_by_its_paused_campaign_says_so(house: House, scheduled: UUID):
    rows(house, "UPDATE campaigns SET state = 'paused' RETURNING 1")

    assert view(house, scheduled)["waits_for"] == "start_time"
    with two_days_later(house) as later:
        assert view(later, scheduled)["waits_for"] == "campaign_paused"


def test_a_job_that_has_ended_or_a_viewer_has_nothing_to_change(
    app: Flask, house: House, bob: Visitor, seeded: Seeded, scheduled: UUID
):
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)
    page = viewer.get(f"/console/jobs/{scheduled}").text
    press(bob, scheduled, "start")
    drain(house)

    assert "Start now" not in page
    assert viewer.get(f"/console/jobs/{scheduled}/change").status_code == 403
    assert bob.get(f"/console/jobs/{scheduled}/change").status_code == 303


def test_ec100_a_start_after_the_end_of_the_book_is_told_beside_its_field(
    house: House, bob: Visitor, seeded: Seeded
):
    """EC-100: of a distribution, whose coupons are worth nothing by then."""
    pool, _people = make_pool(house, seeded, 2)
    book = stocked_book(house, seeded, 5)
    job_id = distribute(house, seeded, options(pool, book, 2), scheduled_for=tomorrow(house))
    rows(house, "UPDATE books SET expires_at = now() + interval '2 days' RETURNING 1")
    home = f"/console/jobs/{job_id}/change"

    answer = bob.send(home, starts_at=field(3), priority="normal")

    assert answer.status_code == 422
    assert "The book will have expired when the distribution begins." in answer.text
    assert view(house, job_id)["scheduled_for"] < datetime.now(UTC) + timedelta(days=2)
