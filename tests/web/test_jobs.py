"""Jobs over HTTP: polled with tags, read item by item, controlled, hidden from others."""

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, submit
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

CONTENT = b"reference,email,phone\nr1,ann@example.com,\nr2,nobody,\nr3,,+4915112345678\n"


def served(house: House, seeded: Seeded) -> str:
    """A finished job: two cards given, one row refused."""
    from pipelines.jobs.kinds import OnError

    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    job = submit(house, seeded, CONTENT, on_error=OnError.SKIP)
    drain(house)
    return str(job)


def test_ec044_a_poller_who_has_the_state_gets_304(manager: Caller, seeded: Seeded, house: House):
    job = submit(house, seeded, CONTENT.replace(b"nobody", b"bob@example.com"))

    first = manager.get(f"/jobs/{job}")
    same = manager.get(f"/jobs/{job}", If_None_Match=first.headers["ETag"])
    manager.post(f"/jobs/{job}/pause")
    other = manager.get(f"/jobs/{job}", If_None_Match=first.headers["ETag"])

    assert (first.status_code, first.headers["Retry-After"]) == (200, "1")
    assert (same.status_code, same.data) == (304, b"")
    assert same.headers["ETag"] == first.headers["ETag"]
    assert (other.status_code, other.json["state"]) == (200, "paused")
    assert other.json["pause"]["reason"] == "user"


def test_items_show_masked_recipients_and_verdicts(manager: Caller, seeded: Seeded, house: House):
    job = served(house, seeded)

    items = manager.get(f"/jobs/{job}/items").json["data"]
    failed = manager.get(f"/jobs/{job}/items?state=failed&limit=1").json
    failures = manager.get(f"/jobs/{job}/failures").json

    assert [item["recipient"] for item in items] == ["a***@example.com", "n***@", "***5678"]
    assert items[0] == {
        "position": 1,
        "state": "succeeded",
        "recipient": "a***@example.com",
        "source": "csv",
        "code": None,
        "field": None,
        "error": None,
        "attempts": items[0]["attempts"],
        "delivery_state": "none",
    }
    assert [item["code"] for item in failed["data"]] == ["invalid_email"]
    assert (failed["has_more"], failed["next_cursor"]) == (False, None)
    assert [(f["code"], f["count"], f["retryable"]) for f in failures] == [
        ("invalid_email", 1, False)
    ]


def test_items_are_paged_by_position(manager: Caller, seeded: Seeded, house: House):
    job = served(house, seeded)

    first = manager.get(f"/jobs/{job}/items?limit=2").json
    rest = manager.get(f"/jobs/{job}/items?limit=2&cursor={first['next_cursor']}").json

    assert [item["position"] for item in first["data"]] == [1, 2]
    assert [item["position"] for item in rest["data"]] == [3]


def test_a_job_is_paused_resumed_and_cancelled(manager: Caller, seeded: Seeded, house: House):
    job = submit(house, seeded, CONTENT.replace(b"nobody", b"bob@example.com"))

    states = [
        manager.post(f"/jobs/{job}/{move}").json["state"] for move in ("pause", "resume", "cancel")
    ]
    drain(house)
    ended = manager.get(f"/jobs/{job}").json
    again = manager.post(f"/jobs/{job}/cancel")

    assert states == ["paused", "running", "cancelling"]
    assert (ended["state"], ended["counts"]["cancelled"]) == ("cancelled", 3)
    assert ended["money"] == {
        "currency": "USD",
        "held_minor": 0,
        "captured_minor": 0,
        "released_minor": 7500,
        "refunded_minor": 0,
    }
    assert (again.status_code, again.json["code"]) == (409, "invalid_job_state")
    assert (again.json["state"], again.json["allowed"]) == ("cancelled", ["undo", "clone"])
    assert again.json["detail"].endswith(" It is cancelled already.")


def test_what_was_refused_at_intake_is_not_retried(manager: Caller, seeded: Seeded, house: House):
    job = served(house, seeded)

    answer = manager.post(f"/jobs/{job}/retry")

    assert (answer.status_code, answer.json["code"]) == (409, "nothing_to_retry")
    assert manager.get(f"/jobs/{job}").json["state"] == "partially_succeeded"


def test_ec044_another_clients_job_is_nowhere(app: Flask, seeded: Seeded, house: House):
    """SEC-10"""
    job = served(house, seeded)
    stranger = signed_in(app, house, Role.CLIENT_ADMIN, seed(house, vendor=False))

    statuses = {
        stranger.call(method, f"/jobs/{job}{path}").status_code
        for method, path in (
            ("GET", ""),
            ("GET", "/items"),
            ("GET", "/failures"),
            ("GET", "/results.csv"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/cancel"),
            ("POST", "/retry"),
        )
    }

    assert statuses == {404}
    assert stranger.get("/jobs").json["data"] == []


def test_jobs_are_listed_and_filtered(admin: Caller, seeded: Seeded, house: House):
    job = served(house, seeded)

    every = admin.get("/jobs").json["data"]
    ours = admin.get(f"/jobs?kind=provisioning&campaign_id={seeded.campaign_id}").json["data"]
    none = admin.get("/jobs?state=cancelled").json["data"]
    wrong = admin.get("/jobs?state=sleeping")

    assert [row["kind"] for row in every] == ["provisioning", "card_import"]
    assert [row["id"] for row in ours] == [job]
    assert none == []
    assert (wrong.status_code, wrong.json["code"]) == (422, "validation_failed")
