"""A job's timeline: everything that happened to it in order, by whom, within the caller's scope."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.jobs import timeline as timeline_module
from pipelines.jobs.timeline import Event, Timeline
from pipelines.wiring import House
from tests.driving import cards_csv, change, drain, import_cards_now, recipients_csv, submit
from tests.seeding import ACTOR, Seeded, seed
from tests.web.conftest import Caller, signed_in
from web.console.timeline_words import timeline_lines
from web.timelines import TimelineSeen


def events(caller: Caller, job: UUID) -> list[dict[str, Any]]:
    answer = caller.get(f"/jobs/{job}/timeline")
    assert (answer.status_code, answer.json["is_cut"]) == (200, False)
    return list(answer.json["events"])


def names(found: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in found]


def test_a_job_tells_its_life_in_order(app: Flask, house: House):
    seeded = seed(house, vendor=False)
    manager = signed_in(app, house, Role.CAMPAIGN_MANAGER, seeded)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job = submit(house, seeded, recipients_csv(2))
    for move in ("pause", "resume"):
        manager.post(f"/jobs/{job}/{move}")
    drain(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    manager.post(f"/jobs/{job}/retry")
    drain(house)

    found = events(manager, job)

    assert names(found) == [
        "submitted",
        "paused",
        "resumed",
        "started",
        "finished",
        "retried",
        "finished",
    ]
    assert [event["at"] for event in found] == sorted(event["at"] for event in found)
    by_name = {event["event"]: event for event in found}
    assert by_name["submitted"]["detail"] == {"rows": 2, "charge_minor": 5000}
    assert by_name["retried"]["detail"] == {"round": 2, "items": 1}
    assert [event["detail"] for event in found if event["event"] == "finished"] == [
        {"state": "partially_succeeded", "round": 1, "succeeded": 1},
        {"state": "succeeded", "round": 2, "succeeded": 2},
    ]


def test_every_event_says_by_whom(manager: Caller, seeded: Seeded, house: House):
    job = submit(house, seeded, recipients_csv(1))
    manager.post(f"/jobs/{job}/cancel")
    drain(house)

    found = events(manager, job)

    assert names(found) == ["submitted", "cancel_asked", "finished"]
    assert found[0]["by"] == {"id": str(ACTOR), "name": None}
    assert found[1]["by"]["id"] is not None
    assert found[2]["by"] == {"id": None, "name": "system"}


def test_a_persons_reason_to_pause_or_cancel_is_kept_and_told(
    manager: Caller, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(1))
    paused = manager.post(f"/jobs/{job}/pause", {"reason": "the client asked"})
    manager.post(f"/jobs/{job}/resume", {})
    manager.post(f"/jobs/{job}/cancel", {"reason": "wrong list"})

    found = {event["event"]: event["detail"] for event in events(manager, job)}

    assert (paused.status_code, paused.json["state"]) == (200, "paused")
    assert found["paused"] == {"reason": "the client asked"}
    assert found["resumed"] == {}
    assert found["cancel_asked"] == {"reason": "wrong list"}


@pytest.mark.parametrize(
    ("reason", "note"),
    [("the client asked", "the client asked"), ("no_credit", "there is not enough credit")],
)
def test_a_pause_is_told_with_its_reason(reason: str, note: str):
    event = Event(datetime(2026, 11, 20, tzinfo=UTC), "paused", None, {"reason": reason})

    (line,) = timeline_lines(TimelineSeen(Timeline([event], False), {}))

    assert (line.words, line.note) == ("Paused", note)


@pytest.mark.parametrize(
    ("move", "body", "code", "pointer"),
    [
        ("pause", {"why": "x"}, "unknown_field", "/why"),
        ("resume", {"reason": "x"}, "unknown_field", "/reason"),
        ("cancel", {"reason": "x", "force": True}, "unknown_field", "/force"),
        ("retry", {"only": "failed"}, "unknown_field", "/only"),
        ("pause", {"reason": "x" * 201}, "too_long", "/reason"),
        ("cancel", {"reason": ""}, "required", "/reason"),
    ],
)
def test_a_move_with_words_that_are_not_known_moves_nothing(
    manager: Caller, seeded: Seeded, house: House, move: str, body: dict, code: str, pointer: str
):
    job = submit(house, seeded, recipients_csv(1))
    before = manager.get(f"/jobs/{job}").json

    answer = manager.post(f"/jobs/{job}/{move}", body)

    assert answer.status_code == 422
    assert [(e["code"], e["pointer"]) for e in answer.json["errors"]] == [(code, pointer)]
    assert manager.get(f"/jobs/{job}").json == before
    assert names(events(manager, job)) == ["submitted"]


def test_another_reason_under_the_same_key_is_another_request(
    manager: Caller, seeded: Seeded, house: House
):
    job = submit(house, seeded, recipients_csv(1))
    path = f"/jobs/{job}/pause"

    manager.post(path, {"reason": "one"}, Idempotency_Key="k")
    repeat = manager.post(path, {"reason": "one"}, Idempotency_Key="k")
    other = manager.post(path, {"reason": "two"}, Idempotency_Key="k")

    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")


def test_people_above_a_tenant_are_named_by_their_side_only(
    app: Flask, admin: Caller, seeded: Seeded, house: House
):
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    change(house, "UPDATE users SET name = 'Someone ' || role")
    job = submit(house, seeded, recipients_csv(1))
    admin.post(f"/jobs/{job}/pause")
    agency.post(f"/jobs/{job}/resume")
    client = signed_in(app, house, Role.CLIENT_ADMIN, seeded)

    seen = {
        role: [
            event["by"]["name"] for event in events(caller, job) if event["event"] != "submitted"
        ]
        for role, caller in (("admin", admin), ("agency", agency), ("client", client))
    }

    assert [name for name in seen["admin"] if name != "system"] == [
        "Someone platform_admin",
        "Someone agency_admin",
    ]
    assert [name for name in seen["agency"] if name != "system"] == [
        "Platform",
        "Someone agency_admin",
    ]
    assert [name for name in seen["client"] if name != "system"] == ["Platform", "Agency"]


def test_what_a_job_waits_for_now_stands_last(manager: Caller, seeded: Seeded, house: House):
    job = submit(house, seeded, recipients_csv(3))
    change(
        house,
        "UPDATE tasks SET postponed_for = 'vendor_down', run_after = now() + interval '1 hour' "
        "WHERE job_id = :job",
        job=job,
    )
    change(
        house,
        "UPDATE items SET state = 'needs_review', code = 'value_mismatch' "
        "WHERE job_id = :job AND position < 3",
        job=job,
    )

    waiting, review = events(manager, job)[-2:]

    assert (waiting["event"], waiting["detail"]["reason"]) == ("waiting", "vendor_down")
    assert set(waiting["detail"]) == {"reason", "until"}
    assert waiting["detail"]["until"] > waiting["at"]
    assert (review["event"], review["detail"]) == (
        "needs_review",
        {"code": "value_mismatch", "items": 2},
    )


def test_a_job_that_the_system_paused_says_why(manager: Caller, seeded: Seeded, house: House):
    job = submit(house, seeded, recipients_csv(1))
    change(
        house,
        "UPDATE jobs SET state = 'paused', paused_at = now(), pause_reason = 'no_credit' "
        "WHERE id = :job",
        job=job,
    )

    paused = events(manager, job)[-1]

    assert (paused["event"], paused["by"]["name"]) == ("paused", "system")
    assert paused["detail"] == {"reason": "no_credit"}


def test_a_job_made_of_another_names_it(manager: Caller, seeded: Seeded, house: House):
    first, second = (submit(house, seeded, recipients_csv(1, start=n)) for n in (0, 1))
    change(house, "UPDATE jobs SET cloned_from_id = :one WHERE id = :two", one=first, two=second)

    submitted = events(manager, second)[0]

    assert submitted["detail"]["cloned_from_id"] == str(first)


def test_an_import_has_a_timeline_too(admin: Caller, seeded: Seeded, house: House):
    job = import_cards_now(house, seeded.csv_pool, cards_csv(2))

    found = events(admin, job["id"])

    assert names(found) == ["submitted", "started", "finished"]
    assert found[-1]["detail"]["state"] == "succeeded"


def test_a_long_life_is_cut_at_its_old_end(
    manager: Caller, seeded: Seeded, house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(timeline_module, "ENTRIES_MAX", 2)
    job = submit(house, seeded, recipients_csv(1))
    for move in ("pause", "resume", "pause"):
        manager.post(f"/jobs/{job}/{move}")

    answer = manager.get(f"/jobs/{job}/timeline").json

    assert answer["is_cut"] is True
    assert [e["event"] for e in answer["events"] if e["event"] != "started"] == [
        "submitted",
        "resumed",
        "paused",
    ]


def test_another_clients_timeline_is_nowhere(app: Flask, seeded: Seeded, house: House):
    """SEC-10"""
    job = submit(house, seeded, recipients_csv(1))
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))

    assert stranger.get(f"/jobs/{job}/timeline").status_code == 404
