"""The work engine over HTTP: dead letters, queues and invariants, for the platform alone."""

from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.queue.defer import defer
from pipelines.queue.kinds import PURGE_KEYS
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from web.api.invariants import proof_slot


def dead_task(house: House) -> UUID:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        task_id = defer(session, PURGE_KEYS, args={"n": 1}, now=clock.now(session))
        session.execute(
            text(
                "UPDATE tasks SET state = 'dead', died_at = now(), last_error = 'Spent', "
                "attempts = 8 WHERE id = :id"
            ),
            {"id": task_id},
        )
    return task_id


def test_dead_letters_are_listed_with_ids_only(admin: Caller, house: House):
    task_id = dead_task(house)

    page = admin.get("/dead-letters?state=dead&kind=purge_keys&queue=bulk").json

    (letter,) = page["data"]
    assert letter["died_at"] >= letter["created_at"]
    assert {name: letter[name] for name in set(letter) - {"died_at", "created_at"}} == {
        "id": str(task_id),
        "kind": "purge_keys",
        "queue": "bulk",
        "state": "dead",
        "tenant_id": None,
        "job_id": None,
        "attempts": 8,
        "last_error": "Spent",
        "request_id": None,
        "args": {"n": 1},
    }
    assert (page["has_more"], page["next_cursor"]) == (False, None)


def test_dead_letters_are_paged(admin: Caller, house: House):
    ids = [str(dead_task(house)) for _ in range(3)]

    first = admin.get("/dead-letters?limit=2").json
    rest = admin.get(f"/dead-letters?limit=2&cursor={first['next_cursor']}").json

    assert [letter["id"] for letter in first["data"] + rest["data"]] == ids[::-1]
    assert rest["has_more"] is False


def test_a_dead_letter_is_replayed_once(admin: Caller, house: House):
    task_id = dead_task(house)

    first = admin.post(f"/dead-letters/{task_id}/replay")
    second = admin.post(f"/dead-letters/{task_id}/replay")

    assert (first.status_code, first.json) == (200, {"id": str(task_id), "state": "ready"})
    assert (second.status_code, second.json["code"]) == (409, "invalid_task_state")
    assert second.json["state"] == "ready"
    assert drain(house) == 1


def test_a_dead_letter_is_buried_with_a_reason(admin: Caller, house: House):
    task_id = dead_task(house)

    without = admin.post(f"/dead-letters/{task_id}/bury", {})
    buried = admin.post(f"/dead-letters/{task_id}/bury", {"reason": "receiver gone"})
    unknown = admin.post(f"/dead-letters/{uuid4()}/bury", {"reason": "receiver gone"})

    assert (without.status_code, without.json["errors"][0]["pointer"]) == (422, "/reason")
    assert (buried.status_code, buried.json["state"]) == (200, "buried")
    assert unknown.status_code == 404
    assert [r.state for r in rows(house, "SELECT state FROM tasks")] == ["buried"]


@pytest.mark.parametrize(("body", "replayed"), [(None, 2), ({"kind": "retention"}, 0)])
def test_dead_letters_are_replayed_by_kind_or_all(
    admin: Caller, house: House, body: dict[str, str] | None, replayed: int
):
    for _ in range(2):
        dead_task(house)

    answer = admin.post("/dead-letters/replay", body)

    assert (answer.status_code, answer.json) == (200, {"replayed": replayed})


def test_queues_show_their_backlog_and_what_the_broker_holds(admin: Caller, house: House):
    dead_task(house)

    answer = admin.get("/queues").json

    by_name = {queue["name"]: queue for queue in answer["queues"]}
    assert list(by_name) == ["interactive", "bulk", "vendors", "deliveries"]
    assert isinstance(by_name["bulk"].pop("broker_depth"), int)
    assert by_name["bulk"] == {
        "name": "bulk",
        "ready": 0,
        "due": 0,
        "scheduled": 0,
        "in_hand": 0,
        "dead": 1,
        "oldest_due_seconds": None,
        "workers": 0,
        "threads": 0,
        "busy": 0,
        "rate_per_second": 0.0,
        "paused": None,
    }
    assert answer["processes"] == []


def test_a_queue_is_paused_and_resumed(admin: Caller):
    paused = admin.post("/queues/vendors/pause", {"reason": "asked for quiet"})
    again = admin.post("/queues/vendors/pause", {"reason": "asked for quiet"})
    shown = admin.get("/queues").json["queues"][2]["paused"]
    resumed = admin.post("/queues/vendors/resume")

    assert (paused.status_code, paused.json) == (200, {"name": "vendors", "is_paused": True})
    assert (again.status_code, again.json["code"]) == (409, "invalid_queue_state")
    assert shown["reason"] == "asked for quiet"
    assert (resumed.status_code, resumed.json["is_paused"]) == (200, False)
    assert admin.get("/queues").json["queues"][2]["paused"] is None


def test_a_pause_needs_a_known_queue_and_a_reason(admin: Caller, house: House):
    assert admin.post("/queues/pigeons/pause", {"reason": "why not"}).status_code == 404
    assert admin.post("/queues/bulk/pause", {}).status_code == 422
    assert admin.post("/queues/bulk/resume").status_code == 409
    assert rows(house, "SELECT 1 FROM queues") == []


def test_the_invariants_are_proven_for_everything_and_for_one_job(
    admin: Caller, seeded: Seeded, house: House
):
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    job = submit(house, seeded, recipients_csv(2))
    drain(house)

    everything = admin.get("/invariants").json
    one = admin.get(f"/invariants?job_id={job}").json

    assert (everything["ok"], everything["complete"], everything["job_id"]) == (True, True, None)
    assert (one["ok"], one["job_id"]) == (True, str(job))
    checked = {finding["id"]: finding["checked"] for finding in one["invariants"]}
    assert (checked["item-sums"], checked["one-effect"]) == (1, 2)
    assert "balances" not in checked
    assert len(everything["not_checked"]) == 2
    assert admin.get(f"/invariants?job_id={uuid4()}").status_code == 404


def test_one_proof_at_a_time(admin: Caller):
    with proof_slot():
        refused = admin.get("/invariants")

    assert (refused.status_code, refused.json["code"]) == (503, "proof_busy")
    assert refused.headers["Retry-After"] == "5"
    assert admin.get("/invariants").status_code == 200


def test_support_looks_and_may_not_touch(app: Flask, house: House):
    support = signed_in(app, house, Role.PLATFORM_SUPPORT)
    task_id = dead_task(house)

    assert [support.get(p).status_code for p in ("/queues", "/dead-letters", "/invariants")] == [
        200,
        200,
        200,
    ]
    assert support.post(f"/dead-letters/{task_id}/replay").status_code == 403
    assert support.post("/queues/bulk/pause", {"reason": "why not"}).status_code == 403


def test_metrics_show_the_queues(admin: Caller, house: House):
    dead_task(house)
    admin.post("/queues/bulk/pause", {"reason": "asked for quiet"})

    shown = admin.client.get("/metrics").text

    assert 'largesse_tasks{queue="bulk",state="dead"} 1.0' in shown
    assert 'largesse_queue_paused{queue="bulk"} 1.0' in shown
    assert 'largesse_queue_workers{queue="vendors"} 0.0' in shown


def test_a_reason_that_goes_into_the_audit_is_short(admin: Caller, house: House):
    task_id = dead_task(house)
    before = rows(house, "SELECT count(*) FROM audit_entries")

    refused = [
        admin.post("/queues/bulk/pause", {"reason": "x" * 201}),
        admin.post(f"/dead-letters/{task_id}/bury", {"reason": "x" * 201}),
    ]

    for answer in refused:
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "too_long")
    assert rows(house, "SELECT count(*) FROM audit_entries") == before
    assert admin.post("/queues/bulk/pause", {"reason": "x" * 200}).status_code == 200
