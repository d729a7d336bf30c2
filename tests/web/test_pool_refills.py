"""Filling buffers and reading profit over HTTP."""

import pytest

from pipelines.wiring import House
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house)


def test_s4_116_the_platform_decides_how_a_buffer_is_filled(admin: Caller, seeded: Seeded) -> None:
    path = f"/gift-card-pools/{seeded.buffer_pool}"

    changed = admin.call("PATCH", f"{path}/refill", {"target": 10, "ceiling_minor": 100_000})
    asked = admin.post(f"{path}/refill", {})
    launch = {"needed": 20, "by": "2099-01-01T09:00:00Z"}
    nameless = admin.post(f"{path}/plans", launch)
    planned, again = (admin.post(f"{path}/plans", launch, Idempotency_Key="k") for _ in range(2))
    shown = admin.get(f"{path}/refill")

    assert (changed.status_code, asked.status_code, planned.status_code) == (200, 202, 201)
    assert (shown.json["target"], shown.json["missing"]) == (10, 10)
    assert [plan["needed"] for plan in shown.json["plans"]] == [20]
    assert shown.json["plans"][0]["can_be_met"] is True
    assert (nameless.status_code, nameless.json["code"]) == (400, "idempotency_key_required")
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_plan_is_withdrawn_once_and_for_all(admin: Caller, seeded: Seeded) -> None:
    path = f"/gift-card-pools/{seeded.buffer_pool}"
    admin.call("PATCH", f"{path}/refill", {"ceiling_minor": 100_000})
    launch = {"needed": 20, "by": "2099-01-01T09:00:00Z"}
    made = admin.post(f"{path}/plans", launch, Idempotency_Key="k").json["plans"][0]["id"]

    ended = [admin.call("DELETE", f"{path}/plans/{made}").status_code for _ in range(2)]
    unknown = admin.call("DELETE", f"{path}/plans/{seeded.client_id}")

    assert (ended, unknown.status_code) == ([204, 204], 404)
    assert admin.get(f"{path}/refill").json["plans"] == []


def test_what_cannot_be_is_refused(admin: Caller, seeded: Seeded) -> None:
    csv, buffer = (f"/gift-card-pools/{pool}" for pool in (seeded.csv_pool, seeded.buffer_pool))

    assert admin.call("PATCH", f"{csv}/refill", {"target": 10}).json["code"] == "not_a_buffer"
    assert admin.post(f"{buffer}/refill", {}).json["code"] == "refill_not_set_up"
    assert admin.call("PATCH", f"{buffer}/refill", {}).status_code == 422
    assert admin.get(f"{csv}/refill").status_code == 404
    free = admin.call("PATCH", f"{buffer}/refill", {"target": 10})
    assert (free.status_code, free.json["errors"][0]["pointer"]) == (422, "/ceiling_minor")
    launch = {"needed": 20, "by": "2099-01-01T09:00:00Z"}
    planned = admin.post(f"{buffer}/plans", launch, Idempotency_Key="k")
    assert (planned.status_code, planned.json["code"]) == (409, "refill_ceiling_missing")
    assert admin.get(f"{buffer}/refill").json["target"] is None


def test_profit_is_told_and_exported(admin: Caller, seeded: Seeded) -> None:
    campaign = f"/campaigns/{seeded.campaign_id}/profit"

    assert admin.get(campaign).json["totals"] == []
    assert admin.get(f"/clients/{seeded.client_id}/profit").json["lines"] == []
    assert admin.get(f"{campaign}.csv").text.startswith('\ufeff"redemption_id"')
