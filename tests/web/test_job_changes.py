"""Priority and start over HTTP, and the refusals of a house that has enough to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.intake import table_sizes
from tests.moves import one_step
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.test_provision_jobs import PATH, fields, people, upload
from web.app import create_app


def stamp(days: float) -> str:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    return at.isoformat().replace("+00:00", "Z")


def change(caller: Caller, job: object, body: dict, **headers: str):
    return caller.call("PATCH", f"/jobs/{job}", body, **headers)


def tasks(house: House) -> list[tuple]:
    return [
        tuple(row)
        for row in rows(house, "SELECT kind, priority FROM tasks WHERE kind <> 'settle_job'")
    ]


def test_priority_is_taken_from_bodies_and_forms_and_shown(
    manager: Caller, seeded: Seeded, house: House
):
    first = manager.post(
        PATH, fields(seeded, recipients=people(1), priority="high"), Idempotency_Key="a"
    )
    second = upload(manager, seeded, recipients_csv(2, 10), key="b", priority="low")
    third = upload(manager, seeded, recipients_csv(2, 20), key="c")
    wrong = upload(manager, seeded, recipients_csv(2, 30), key="d", priority="urgent")

    assert [answer.json["priority"] for answer in (first, second, third)] == [
        "high",
        "low",
        "normal",
    ]
    assert [priority for _kind, priority in tasks(house)] == [50, 150, 100]
    assert wrong.status_code == 422
    assert wrong.json["errors"] == [
        {"code": "choice", "detail": "Give one of: high, normal, low.", "pointer": "/priority"}
    ]


def test_a_changed_priority_moves_what_waits_and_what_comes(
    manager: Caller, seeded: Seeded, house: House
):
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    job = submit(house, seeded, recipients_csv(3))

    answer = change(manager, job, {"priority": "high"})
    again = change(manager, job, {"priority": "high"})

    assert (answer.status_code, answer.json["priority"]) == (200, "high")
    assert again.json["priority"] == "high"
    assert tasks(house) == [("run_chunk", 50)]
    (entry,) = rows(house, "SELECT detail FROM audit_entries WHERE action = 'job.priority_changed'")
    assert (entry.detail["priority_was"], entry.detail["priority"]) == ("normal", "high")
    drain(house)
    ended = change(manager, job, {"priority": "low"})
    assert (ended.status_code, ended.json["code"]) == (409, "invalid_job_state")
    assert ended.json["state"] == "succeeded"


def test_orders_at_a_vendor_have_their_jobs_priority(manager: Caller, seeded: Seeded, house: House):
    manager.post(PATH, fields(seeded, recipients=people(2), priority="low"), Idempotency_Key="a")

    one_step(house)

    assert tasks(house) == [("place_order", 150)] * 2


def test_a_job_starts_at_its_time_which_may_be_moved_once_per_key(
    manager: Caller, seeded: Seeded, house: House
):
    at, later = stamp(1), stamp(2)
    answer = manager.post(
        PATH, fields(seeded, recipients=people(1), scheduled_for=at), Idempotency_Key="a"
    )
    job = answer.json["id"]
    drain(house)
    waiting = manager.get(f"/jobs/{job}").json

    moved = change(manager, job, {"scheduled_for": later}, Idempotency_Key="m")
    repeat = change(manager, job, {"scheduled_for": later}, Idempotency_Key="m")
    now = change(manager, job, {"scheduled_for": None, "priority": "low"})
    drain(house)
    started = change(manager, job, {"scheduled_for": later})

    assert (answer.status_code, answer.json["scheduled_for"]) == (202, at)
    assert (waiting["state"], waiting["started_at"]) == ("queued", None)
    assert (moved.status_code, moved.json["scheduled_for"]) == (200, later)
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert (now.status_code, now.json["priority"]) == (200, "low")
    assert (started.status_code, started.json["code"]) == (409, "invalid_job_state")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "required", "/"),
        ({"priority": "urgent"}, "choice", "/priority"),
        ({"priority": None}, "type", "/priority"),
        ({"scheduled_for": "2027-01-01T09:00:00"}, "timezone_required", "/scheduled_for"),
        ({"scheduled_for": "soon"}, "invalid_timestamp", "/scheduled_for"),
        ({"scheduled_for": stamp(-1)}, "scheduled_in_past", "/scheduled_for"),
        ({"scheduled_for": stamp(400)}, "scheduled_too_far", "/scheduled_for"),
        ({"state": "running"}, "unknown_field", "/state"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    manager: Caller, seeded: Seeded, house: House, body: dict, code: str, pointer: str
):
    job = submit(house, seeded, recipients_csv(1))
    before = table_sizes(house), manager.get(f"/jobs/{job}").json

    answer = change(manager, job, body)

    assert answer.status_code == 422
    assert [(e["code"], e["pointer"]) for e in answer.json["errors"]] == [(code, pointer)]
    assert (table_sizes(house), manager.get(f"/jobs/{job}").json) == before


def test_two_changes_are_made_together_or_not_at_all(manager: Caller, seeded: Seeded, house: House):
    job = submit(house, seeded, recipients_csv(1))

    refused = change(manager, job, {"priority": "high", "scheduled_for": stamp(-1)})

    assert refused.status_code == 422
    assert manager.get(f"/jobs/{job}").json["priority"] == "normal"


def test_a_viewer_and_a_stranger_change_nothing(app: Flask, seeded: Seeded, house: House):
    """SEC-10"""
    job = submit(house, seeded, recipients_csv(1))
    viewer = signed_in(app, house, Role.CLIENT_VIEWER, seeded)
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))

    assert change(viewer, job, {"priority": "high"}).status_code == 403
    assert change(stranger, job, {"priority": "high"}).status_code == 404


def test_ec136_a_full_house_says_when_to_come_back(seeded: Seeded, house: House):
    """EC-136: 429 for a client's share, 503 for everybody's, and singles as ever."""
    tight = replace(house, limits=replace(house.limits, open_jobs_per_client_max=1))
    full = replace(house, limits=replace(house.limits, open_items_max=0))
    client_admin = signed_in(create_app(tight), house, Role.CLIENT_ADMIN, seeded)
    manager = signed_in(create_app(full), house, Role.CAMPAIGN_MANAGER, seeded)
    first = upload(client_admin, seeded, recipients_csv(2))
    before = table_sizes(house)

    over = upload(client_admin, seeded, recipients_csv(3), key="second")
    saturated = upload(manager, seeded, recipients_csv(3), key="third")
    preview = upload(manager, seeded, recipients_csv(3), "?preview=true", key="")
    unwritten = table_sizes(house)
    single = manager.post(
        "/gift-cards/provision",
        fields(seeded, recipient={"email": "ann@example.com"}),
        Idempotency_Key="one",
    )
    repeat = upload(client_admin, seeded, recipients_csv(2))

    assert (over.status_code, over.json["code"]) == (429, "tenant_quota_exceeded")
    assert over.headers["Retry-After"] == "60"
    assert (over.json["open_jobs"], over.json["open_jobs_max"]) == (1, 1)
    assert (saturated.status_code, saturated.json["code"]) == (503, "queue_saturated")
    assert (saturated.headers["Retry-After"], saturated.json["reason"]) == ("30", "open_items")
    assert [blocker["code"] for blocker in preview.json["blockers"]] == ["queue_saturated"]
    assert unwritten == before
    assert single.status_code == 202
    assert (repeat.status_code, repeat.json["id"]) == (202, first.json["id"])
