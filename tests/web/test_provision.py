"""One card for one recipient over HTTP: accepted, waited for, replayed, refused, opened."""

import threading
from collections.abc import Iterator

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.canary import PIN
from tests.conftest import load_settings, process_environment
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows
from tests.pipelines.test_margin import set_cost, set_floor
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.test_tenants import NOWHERE


@pytest.fixture
def stocked(house: House, seeded: Seeded) -> Seeded:
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    return seeded


@pytest.fixture
def working(house: House) -> Iterator[None]:
    """Somebody does the work while the caller waits."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            drain(house)

    worker = threading.Thread(target=work)
    worker.start()
    yield
    stop.set()
    worker.join()


def finish(house: House) -> None:
    """The work that the accepter rang for itself, done at once."""
    hasten(house)
    drain(house)


def asked(seeded: Seeded, **other: object) -> dict:
    return {
        "campaign_id": str(seeded.campaign_id),
        "brand_id": str(seeded.brand_id),
        "denomination_minor": 2500,
        "recipient": {"email": "ann@example.com", "name": "Ann"},
        "delivery_method": "none",
    } | other


def test_a_request_is_accepted_with_its_job(manager: Caller, stocked: Seeded, house: House):
    answer = manager.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k")

    job = answer.json
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert job["counts"]["total"] == 1
    assert job["money"]["held_minor"] == 2500
    assert (job["kind"], job["result"], job["error"]) == ("provisioning", None, None)
    assert job["links"] == {
        "self": f"/api/v1/jobs/{job['id']}",
        "items": f"/api/v1/jobs/{job['id']}/items",
        "results": f"/api/v1/jobs/{job['id']}/results.csv",
        "failures": f"/api/v1/jobs/{job['id']}/failures",
    }
    (task,) = rows(house, "SELECT kind, rung_at IS NOT NULL AS rung, request_id FROM tasks")
    assert (task.kind, task.rung) == ("run_single", True)
    assert task.request_id == answer.headers["X-Request-Id"]


def test_who_waits_gets_the_card(manager: Caller, stocked: Seeded, working: None):
    answer = manager.post(
        "/gift-cards/provision", asked(stocked), Idempotency_Key="k", Prefer="wait=20"
    )

    result = answer.json["result"]
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.json["state"] == "succeeded"
    assert result["source"] == "csv"
    assert result["redemption"].keys() == {"id", "charge_minor"}
    assert result["card"].keys() == {"last4", "brand", "value_minor", "currency"}
    assert result["credit_remaining_minor"] == 10_000_000 - 2500
    assert "/r/" in result["reveal_url"]


def test_nobody_is_served_twice_under_one_key(manager: Caller, stocked: Seeded, house: House):
    first = manager.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k")
    finish(house)
    again = manager.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k")
    other = manager.post(
        "/gift-cards/provision",
        asked(stocked, recipient={"email": "bob@example.com"}),
        Idempotency_Key="k",
    )

    assert again.status_code == 202
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.json["id"], again.json["state"]) == (first.json["id"], "succeeded")
    assert again.json["result"]["source"] == "csv"
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reuse")
    assert rows(house, "SELECT count(*) FROM provisions")[0][0] == 1


def test_a_refused_single_request_answers_with_its_own_status(
    app: Flask, house: House, working: None
):
    poor = seed(house, vendor=False)
    caller = signed_in(app, house, Role.CLIENT_ADMIN, poor)

    answer = caller.post(
        "/gift-cards/provision", asked(poor), Idempotency_Key="k", Prefer="wait=20"
    )

    assert answer.content_type == "application/problem+json"
    assert answer.status_code == answer.json["status"] == 409
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['job_id']}"


def test_ec081_a_request_that_waits_for_a_person_is_still_accepted(
    house: House, manager: Caller, stocked: Seeded, working: None
):
    """EC-081: who is told that it failed asks anew, and may give two cards."""
    set_floor(house, 500)
    set_cost(house, 9_900)

    answer = manager.post(
        "/gift-cards/provision", asked(stocked), Idempotency_Key="k", Prefer="wait=20"
    )

    job = answer.json
    assert (answer.status_code, job["result"]) == (202, None)
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert (job["counts"]["needs_review"], job["money"]["held_minor"]) == (1, 2500)
    assert (job["error"]["status"], job["error"]["code"]) == (202, "margin_below_floor")
    assert "served or given up without being asked again" in job["error"]["detail"]
    assert "cost" not in job["error"]["detail"]


def test_a_foreign_campaign_answers_like_one_that_never_was(
    manager: Caller, app: Flask, house: House, stocked: Seeded
):
    other = seed(house, vendor=False)
    agency = signed_in(app, house, Role.AGENCY_ADMIN, stocked)
    for caller in (manager, agency):
        foreign, unknown = (
            caller.post(
                "/gift-cards/provision",
                asked(stocked, campaign_id=str(campaign)),
                Idempotency_Key=f"k-{campaign}",
                X_Request_Id="same",
            )
            for campaign in (other.campaign_id, NOWHERE)
        )
        assert (foreign.status_code, foreign.data) == (404, unknown.data)
    assert rows(house, "SELECT count(*) FROM jobs WHERE kind = 'provisioning'")[0][0] == 0


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1/"])
def test_work_is_accepted_while_the_broker_is_away(
    house: House, database, stocked: Seeded, manager: Caller, url: str
):
    from pipelines.wiring import build_house
    from web.app import create_app

    environment = process_environment(database.urls, url)
    alone = build_house(load_settings("web", environment))
    caller = Caller(create_app(alone).test_client(), manager.headers)

    answer = caller.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k")
    ready = caller.client.get("/readyz")

    assert answer.status_code == 202
    assert (ready.status_code, ready.json["status"]) == (200, "degraded")
    finish(house)
    assert caller.get(f"/jobs/{answer.json['id']}").json["state"] == "succeeded"
    alone.sessions.kw["bind"].dispose()


def test_a_key_provisions_for_its_own_client_with_the_scope_for_it(
    client_admin: Caller, house: House, stocked: Seeded
):
    """SEC-05"""
    other = seed(house, vendor=False)
    made = client_admin.post("/api-keys", {"name": "shop", "scopes": ["provision"]})
    shop = Caller(client_admin.client, {"Authorization": f"Bearer {made.json['key']}"})

    own = shop.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k")
    foreign = shop.post("/gift-cards/provision", asked(other), Idempotency_Key="k2")
    unscoped = shop.get(f"/jobs/{own.json['id']}")
    listed = client_admin.get("/api-keys").json["data"]
    client_admin.call("DELETE", f"/api-keys/{made.json['id']}")
    ended = shop.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k3")

    assert made.status_code == 201
    assert made.json["key"].startswith("lg_test_")
    assert len(made.json["key"]) == 8 + 8 + 1 + 43
    assert own.status_code == 202
    assert foreign.status_code == 404
    assert (unscoped.status_code, unscoped.json["code"]) == (403, "insufficient_scope")
    assert [(key["prefix"], "key" in key) for key in listed] == [(made.json["prefix"], False)]
    assert ended.status_code == 401


def test_a_key_ends_once_and_keeps_its_time(client_admin: Caller, house: House):
    made = client_admin.post("/api-keys", {"name": "shop", "scopes": ["provision"]})
    path = f"/api-keys/{made.json['id']}"
    answers = [client_admin.call("DELETE", path, Idempotency_Key="a").status_code]
    first = rows(house, "SELECT revoked_at FROM api_keys")

    answers += [client_admin.call("DELETE", path, Idempotency_Key=key).status_code for key in "bc"]

    assert answers == [answers[0]] * 3
    assert rows(house, "SELECT revoked_at FROM api_keys") == first
    ended = "SELECT count(*) FROM audit_entries WHERE action = 'api_key.ended'"
    assert rows(house, ended) == [(1,)]


def test_a_card_is_opened_by_its_link_or_by_who_may(
    manager: Caller, client_admin: Caller, stocked: Seeded, house: House, browser
):
    job = manager.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k").json
    finish(house)
    result = manager.get(f"/jobs/{job['id']}").json["result"]
    path = f"/gift-cards/{result['redemption']['id']}/reveal"
    token = result["reveal_url"].rpartition("/")[2]

    body = {"token": token, "email": "ann@example.com"}
    by_link = browser.post(f"/api/v1{path}", json=body)
    wrong = browser.post(f"/api/v1{path}", json={"token": token[:-2] + "AA"})
    nobody = browser.post(f"/api/v1{path}")
    staff = client_admin.post(path)
    below = manager.post(path)

    assert by_link.status_code == 200
    assert by_link.headers["Cache-Control"] == "no-store"
    assert by_link.json["card_number"][-4:] == result["card"]["last4"]
    assert by_link.json["pin"] == PIN
    assert (wrong.status_code, nobody.status_code) == (404, 401)
    assert staff.json == by_link.json
    assert (below.status_code, below.json["code"]) == (403, "forbidden")
    audited = rows(house, "SELECT actor_id FROM audit_entries WHERE action = 'card.revealed'")
    assert len(audited) == 2


def test_costs_are_for_the_platform_and_its_agencies(
    admin: Caller, manager: Caller, stocked: Seeded, house: House
):
    """SEC-11"""
    job = manager.post("/gift-cards/provision", asked(stocked), Idempotency_Key="k").json
    finish(house)

    seen = admin.get(f"/jobs/{job['id']}").json["result"]["redemption"]
    hidden = manager.get(f"/jobs/{job['id']}").json["result"]["redemption"]

    assert (seen["cost_minor"], seen["margin_minor"]) == (2300, 200)
    assert set(hidden) == {"id", "charge_minor"}
