"""Many cards over HTTP: as JSON, as a file, previewed, refused whole, and downloaded again."""

import csv
import io
import threading
from datetime import UTC
from uuid import UUID

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, view
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.undoing import undo
from tests.web.conftest import Caller, signed_in
from web import admission

PATH = "/gift-cards/provision-jobs"


def fields(seeded: Seeded, **other: object) -> dict:
    return {
        "campaign_id": str(seeded.campaign_id),
        "brand_id": str(seeded.brand_id),
        "denomination_minor": 2500,
        "delivery_method": "none",
    } | other


def people(count: int) -> list[dict]:
    return [{"email": f"person{n}@example.com", "reference": f"r{n}"} for n in range(count)]


def upload(caller: Caller, seeded: Seeded, content: bytes, query="", key="k", **other):
    data = {name: str(value) for name, value in fields(seeded, **other).items()}
    return caller.client.post(
        f"/api/v1{PATH}{query}",
        data=data | {"file": (io.BytesIO(content), "../../etc/people.csv")},
        headers=caller.headers | ({"Idempotency-Key": key} if key else {}),
    )


def jobs(house: House) -> int:
    return rows(house, "SELECT count(*) FROM jobs WHERE kind = 'provisioning'")[0][0]


def test_recipients_in_a_body_become_a_job(manager: Caller, seeded: Seeded, house: House):
    import_cards_now(house, seeded.csv_pool, cards_csv(3))

    answer = manager.post(PATH, fields(seeded, recipients=people(3)), Idempotency_Key="k")
    drain(house)
    job = manager.get(f"/jobs/{answer.json['id']}").json

    assert answer.status_code == 202
    assert answer.json["counts"]["total"] == 3
    assert answer.json["money"]["held_minor"] == 7500
    assert job["state"] == "succeeded"
    assert job["sources"] == {"csv": 3, "buffer": 0, "api": 0}
    assert job["money"]["captured_minor"] == 7500


def test_a_file_becomes_a_job_once(manager: Caller, seeded: Seeded, house: House):
    content = recipients_csv(4)

    first = upload(manager, seeded, content)
    again = upload(manager, seeded, content)
    renamed = upload(manager, seeded, content, key="k2")

    assert first.status_code == 202
    assert first.json["counts"]["total"] == 4
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (renamed.status_code, renamed.json["code"]) == (409, "duplicate_upload")
    assert renamed.json["job_id"] == first.json["id"]
    assert jobs(house) == 1


def test_a_preview_shows_the_plan_and_writes_nothing(manager: Caller, seeded: Seeded, house: House):
    content = recipients_csv(4)

    plan = upload(manager, seeded, content, "?preview=true", key="")
    stale = upload(manager, seeded, content, key="a", plan_hash="0" * 32)
    fresh = upload(manager, seeded, content, key="b", plan_hash=plan.json["plan_hash"])

    assert plan.status_code == 200
    assert (plan.json["rows"], plan.json["valid"]) == (4, 4)
    assert plan.json["cost"]["charge_minor"] == 10_000
    assert plan.json["credit"]["after_minor"] == 9_990_000
    assert plan.json["blockers"] == []
    assert (stale.status_code, stale.json["code"]) == (409, "preview_stale")
    assert fresh.status_code == 202
    assert jobs(house) == 1


def test_a_misspelt_parameter_submits_nothing(manager: Caller, seeded: Seeded, house: House):
    answer = upload(manager, seeded, recipients_csv(4), "?previw=true")
    listed = manager.get("/jobs?stat=failed")

    assert (answer.status_code, answer.json["code"]) == (422, "unknown_field")
    assert answer.json["errors"] == [
        {"code": "unknown_field", "detail": "This field is not known here.", "pointer": "/previw"}
    ]
    assert (listed.status_code, listed.json["code"]) == (422, "unknown_field")
    assert jobs(house) == 0


def test_a_semicolon_file_is_told_to_use_commas(manager: Caller, seeded: Seeded, house: House):
    answer = upload(manager, seeded, b"reference;email\nr1;ann@example.com\n")

    assert (answer.status_code, answer.json["code"]) == (422, "unknown_columns")
    assert "separated by a semicolon; use a comma." in answer.json["detail"]
    assert jobs(house) == 0


def test_rows_with_errors_refuse_the_whole_file(manager: Caller, seeded: Seeded, house: House):
    content = b"reference,email\nr1,ann@example.com\nr2,not-an-address\n"

    answer = upload(manager, seeded, content)

    assert (answer.status_code, answer.json["code"]) == (422, "rows_refused")
    assert [(e["row"], e["field"], e["code"]) for e in answer.json["errors"]] == [
        (2, "email", "invalid_email")
    ]
    assert jobs(house) == 0


def test_without_enough_credit_nothing_is_written(app: Flask, house: House):
    poor = seed(house, credit_minor=7499)
    caller = signed_in(app, house, Role.CLIENT_ADMIN, poor)

    answer = upload(caller, poor, recipients_csv(3))

    assert (answer.status_code, answer.json["code"]) == (402, "insufficient_credit")
    assert (answer.json["required_minor"], answer.json["available_minor"]) == (7500, 7499)
    assert jobs(house) == 0
    assert rows(house, "SELECT count(*) FROM tasks")[0][0] == 0


def test_the_number_of_recipients_in_a_body_has_bounds(manager: Caller, seeded: Seeded):
    """J16"""
    many = manager.post(PATH, fields(seeded, recipients=people(1001)), Idempotency_Key="a")
    none = manager.post(PATH, fields(seeded, recipients=[]), Idempotency_Key="b")

    assert (many.status_code, many.json["code"]) == (422, "use_csv_upload")
    assert (none.status_code, none.json["code"]) == (422, "empty_recipients")


def test_times_need_a_zone(manager: Caller, seeded: Seeded):
    """J19"""
    codes = {}
    for given in ("2027-01-01T09:00:00", "2027-02-30T09:00:00Z", "infinity", 5):
        body = fields(seeded, recipients=people(1), scheduled_for=given)
        codes[given] = manager.post(PATH, body, Idempotency_Key="k").json["code"]

    assert codes == {
        "2027-01-01T09:00:00": "timezone_required",
        "2027-02-30T09:00:00Z": "invalid_timestamp",
        "infinity": "invalid_timestamp",
        5: "invalid_timestamp",
    }


def test_files_of_the_wrong_number_kind_or_size_are_refused(
    manager: Caller, seeded: Seeded, house: House
):
    """B29-B31"""
    path, headers = f"/api/v1{PATH}", manager.headers | {"Idempotency-Key": "k"}
    data = {name: str(value) for name, value in fields(seeded).items()}
    one, two = ((io.BytesIO(b"email\na@x.de\n"), f"{n}.csv") for n in (1, 2))

    missing = manager.client.post(
        path, data=data | {"other": (io.BytesIO(b"x"), "a.csv")}, headers=headers
    )
    both = manager.client.post(path, data=data | {"file": [one, two]}, headers=headers)
    archive = upload(manager, seeded, b"PK\x03\x04" + b"\0" * 100)
    large = upload(manager, seeded, b"x" * (64 * 1024 * 1024 + 1))
    unknown = upload(manager, seeded, b"email,shoe\na@x.de,4\n")

    assert (missing.status_code, missing.json["code"]) == (400, "file_required")
    assert (both.status_code, both.json["code"]) == (400, "one_file_expected")
    assert (archive.status_code, archive.json["code"]) == (415, "unsupported_media_type")
    assert (large.status_code, large.json["code"]) == (413, "payload_too_large")
    assert large.json["limit_bytes"] == 64 * 1024 * 1024
    assert str(64 * 1024 * 1024) in large.json["detail"]
    assert (unknown.status_code, unknown.json["code"]) == (422, "unknown_columns")
    assert jobs(house) == 0


def test_a_file_too_large_for_a_request_is_taken_and_judged_by_a_worker(
    manager: Caller, seeded: Seeded, house: House
):
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    padding = (b" " * 4_000 + b"\n") * 4_200
    content = b"email\nann@example.com\nbob@example.com\n" + padding

    answer = upload(manager, seeded, content)
    stored = rows(house, "SELECT count(*) AS parts FROM job_inputs")[0].parts
    drain(house)
    job = manager.client.get(answer.headers["Location"], headers=manager.headers).json

    assert (answer.status_code, answer.json["counts"]["total"]) == (202, 0)
    assert stored == 17
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 2)


def test_a_second_file_at_the_same_time_is_asked_to_come_again(manager: Caller, seeded: Seeded):
    with admission.intake_slot():
        answer = upload(manager, seeded, recipients_csv(1))
    after = upload(manager, seeded, recipients_csv(1))

    assert (answer.status_code, answer.json["code"]) == (503, "intake_busy")
    assert answer.headers["Retry-After"] == "2"
    assert after.status_code == 202


def test_a_results_file_can_be_uploaded_again(manager: Caller, seeded: Seeded, house: House):
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    content = (
        b"reference,email,name\nr1,ann@example.com,=1+1\nr2,bob@example.com,Bob\n"
        b"r3,not-an-address,Eve\n"
    )
    job = upload(manager, seeded, content, on_error="skip").json
    drain(house)

    whole = manager.get(f"/jobs/{job['id']}/results.csv")
    failed = manager.get(f"/jobs/{job['id']}/results.csv?only=failed")
    again = upload(manager, seeded, whole.data, key="k2", on_error="skip", allow_repeat="true")

    table = list(csv.DictReader(io.StringIO(whole.text)))
    assert whole.data.startswith(b"\xef\xbb\xbf")
    assert whole.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in whole.headers["Content-Disposition"]
    assert [row["state"] for row in table] == ["succeeded", "succeeded", "failed"]
    assert table[0]["name"] == "'=1+1"
    assert table[0]["denomination_minor"] == "2500"
    assert table[2]["error_code"] == "invalid_email"
    asked = [(row["denomination_minor"], row["brand"]) for row in table]
    assert asked == [("2500", table[0]["brand"])] * 3
    assert [row["row"] for row in csv.DictReader(io.StringIO(failed.text))] == ["3"]
    assert (again.status_code, again.json["counts"]["total"]) == (202, 3)
    assert again.json["counts"]["failed"] == 1


def test_a_results_file_says_what_was_taken_back_and_can_be_uploaded_again(
    manager: Caller, seeded: Seeded, house: House
):
    """The card that its recipient has seen stays; the file serves the other one anew."""
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    job = upload(manager, seeded, recipients_csv(2)).json
    drain(house)
    path = f"/jobs/{job['id']}/results.csv"
    before = list(csv.DictReader(io.StringIO(manager.get(path).text)))
    rows(house, "UPDATE provisions SET revealed_at = now() WHERE position = 1 RETURNING 1")
    undo_id = undo(house, seeded, UUID(job["id"]))

    after = manager.get(path)
    of_undo = csv.DictReader(io.StringIO(manager.get(f"/jobs/{undo_id}/results.csv").text))
    again = upload(manager, seeded, after.data, key="k2", on_error="skip")
    drain(house)

    table = list(csv.DictReader(io.StringIO(after.text)))
    (at,) = rows(house, "SELECT undone_at FROM provisions WHERE undone_at IS NOT NULL")
    assert [(row["state"], row["undone_at"]) for row in before] == [("succeeded", "")] * 2
    assert [(row["state"], row["undone_at"]) for row in table] == [
        ("succeeded", ""),
        ("succeeded", f"{at.undone_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),
    ]
    assert {row["undone_at"] for row in of_undo} == {""}
    counts = view(house, UUID(again.json["id"]))["counts"]
    assert (counts["succeeded"], counts["skipped"], counts["failed"]) == (1, 1, 0)
    assert_proven(house)


def test_waiters_take_a_quarter_of_the_seats_and_hold_no_connection(
    app: Flask, manager: Caller, seeded: Seeded, house: House
):
    """The house of the tests has six connections, so one may wait; the next gets its 202 at once."""
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    started, answers = threading.Barrier(2), []

    def wait_long() -> None:
        started.wait()
        caller = Caller(app.test_client(), manager.headers)
        body = fields(seeded, recipients=people(1))
        answers.append(caller.post(PATH, body, Idempotency_Key="a", Prefer="wait=30"))

    waiting = threading.Thread(target=wait_long)
    waiting.start()
    started.wait()
    while jobs(house) == 0:
        pass
    second = manager.post(
        PATH,
        fields(seeded, recipients=[{"email": "other@example.com"}]),
        Idempotency_Key="b",
        Prefer="wait=30",
    )
    drain(house)
    waiting.join(30)

    assert second.status_code == 202
    assert [answer.status_code for answer in answers] == [200]
