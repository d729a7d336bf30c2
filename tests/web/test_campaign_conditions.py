"""S4-128: the conditions of a campaign over HTTP, on its page, and to who types a code."""

from datetime import timedelta

import pytest

from pipelines.wiring import House
from tests.conditions import HOUR, limit
from tests.seeding import Seeded
from tests.web.conftest import Caller

CONDITIONS = {
    "starts_at": "2027-01-31T09:00:00+01:00",
    "ends_at": "2027-02-28T00:00:00Z",
    "max_rewards": 100,
    "max_rewards_per_recipient": 2,
}


def test_s4_128_conditions_are_set_shown_and_lifted(client_admin: Caller) -> None:
    made = client_admin.post("/campaigns", {"name": "Spring"} | CONDITIONS)
    path = f"/campaigns/{made.json['id']}"
    lifted = client_admin.call(
        "PATCH", path, {"starts_at": None, "max_rewards": None, "version": made.json["version"]}
    )

    shown = {name: made.json[name] for name in CONDITIONS}
    assert made.status_code == 201
    assert shown == CONDITIONS | {
        "starts_at": "2027-01-31T08:00:00Z",
        "ends_at": "2027-02-28T00:00:00Z",
    }
    assert made.json["rewards_counted"] == 0
    assert lifted.status_code == 200
    assert (lifted.json["starts_at"], lifted.json["max_rewards"]) == (None, None)
    assert lifted.json["max_rewards_per_recipient"] == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ends_at": "2027-01-01T00:00:00Z"}, "window_ends_first"),
        ({"max_rewards": 0}, "out_of_range"),
        ({"max_rewards_per_recipient": "2"}, "type"),
        ({"starts_at": "2027-01-31T09:00:00"}, "timezone_required"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "invalid_timestamp"),
        ({"ends_at": "9999-12-31T23:59:59-12:00"}, "invalid_timestamp"),
        ({"ends_at": "2100-01-01T00:00:00Z"}, "invalid_timestamp"),
    ],
)
def test_s4_128_a_condition_that_makes_no_sense_makes_no_campaign(
    client_admin: Caller, body: dict[str, object], code: str
) -> None:
    refused = client_admin.post("/campaigns", {"name": "Spring"} | CONDITIONS | body)

    assert refused.status_code == 422
    assert [error["code"] for error in refused.json["errors"]] == [code]
    assert "Spring" not in [one["name"] for one in client_admin.get("/campaigns").json["data"]]


def test_s4_128_a_single_request_is_told_which_condition_it_does_not_meet(
    house: House, seeded: Seeded, manager: Caller
) -> None:
    body = {
        "campaign_id": str(seeded.campaign_id),
        "brand_id": str(seeded.brand_id),
        "denomination_minor": 2500,
        "delivery_method": "none",
        "recipient": {"email": "ann@example.com"},
    }
    path = "/gift-cards/provision"
    told = []
    for number, conditions in enumerate(
        (
            {"starts_at": HOUR},
            {"starts_at": None, "ends_at": -HOUR},
            {"ends_at": None, "max_rewards_per_recipient": 1},
            {"max_rewards": 1},
        )
    ):
        limit(house, seeded, **conditions)
        answer = manager.post(path, body, Idempotency_Key=f"try-{number}")
        told.append((answer.status_code, answer.json.get("code")))

    assert told == [
        (409, "campaign_not_started"),
        (409, "campaign_ended"),
        (202, None),
        (409, "campaign_rewards_exhausted"),
    ]
    limit(house, seeded, max_rewards=None)
    again = manager.post(path, body, Idempotency_Key="again")
    assert (again.status_code, again.json["code"]) == (409, "recipient_limit_reached")
    assert "This recipient has got as many" in again.json["detail"]


@pytest.mark.parametrize(
    ("window", "is_open"),
    [
        ({}, True),
        ({"starts_at": -2 * HOUR, "ends_at": HOUR}, True),
        ({"starts_at": HOUR}, False),
        ({"ends_at": -HOUR}, False),
    ],
)
def test_s4_128_a_campaign_says_whether_it_is_open_and_stays_active(
    house: House, seeded: Seeded, manager: Caller, window: dict[str, timedelta], is_open: bool
) -> None:
    limit(house, seeded, **window)
    path = f"/campaigns/{seeded.campaign_id}"

    one, (listed,) = manager.get(path).json, manager.get("/campaigns").json["data"]
    paused = manager.post(f"{path}/pause").json

    assert (one["state"], one["is_open"], listed["is_open"]) == ("active", is_open, is_open)
    assert (paused["state"], paused["is_open"]) == ("paused", False)
