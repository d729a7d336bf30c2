"""Prices and margin floors over HTTP: set by the platform, told to whom they concern (EC-078, EC-081)."""

import pytest

from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller

SHARE = {"charge_bp": 10_300, "reason": "Three percent on top"}


def test_ec078_a_price_is_never_edited_only_followed_by_another(
    admin: Caller, house: House, seeded: Seeded
):
    path = f"/brands/{seeded.brand_id}/prices"

    first = admin.post(path, SHARE, Idempotency_Key="one")
    again = admin.post(path, SHARE, Idempotency_Key="one")
    second = admin.post(path, SHARE | {"charge_bp": 10_500})
    ended = admin.post(f"{path}/{second.json['id']}/end", {"reason": "Face value"})

    assert (first.status_code, first.json["charge_bp"]) == (201, 10_300)
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (first.json["id"], "true")
    assert ended.json["ended_at"] is not None
    assert admin.get(path).json["data"] == []
    history = admin.get(f"{path}?state=all").json["data"]
    assert [price["charge_bp"] for price in history] == [10_500, 10_300]
    told = rows(house, "SELECT action, detail FROM audit_entries WHERE object_kind = 'price'")
    assert [row.action for row in told] == ["price.set", "price.set", "price.ended"]
    assert told[1].detail["charge_bp"] == [10_300, 10_500]


def test_a_clients_own_price_is_seen_by_itself_and_its_agency_only(
    admin: Caller, client_admin: Caller, house: House, seeded: Seeded
):
    other = seed(house, vendor=False)
    path = f"/brands/{seeded.brand_id}/prices"
    for client_id in (None, seeded.client_id, other.client_id):
        made = admin.post(path, SHARE | {"client_id": client_id and str(client_id)})
        assert made.status_code == 201

    seen = [price["client_id"] for price in client_admin.get(path).json["data"]]

    assert seen == [str(seeded.client_id), None]
    assert len(admin.get(path).json["data"]) == 3
    assert client_admin.post(path, SHARE).status_code == 403


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"charge_minor": 2_400}, "/charge_minor", "Two charges are given, and only one can hold"),
        ({"charge_bp": None}, "/charge_minor", "Say what is charged"),
        (
            {"charge_bp": None, "charge_minor": 2_400},
            "/denomination_minor",
            "An amount is for one denomination",
        ),
        ({"charge_bp": None, "charge_minor": -1}, "/charge_minor", "An amount is never negative"),
        ({"charge_bp": 0}, "/charge_bp", "Give a number from 1"),
        ({"reason": ""}, "/reason", "The text is empty"),
    ],
)
def test_a_price_that_says_two_things_or_none_is_refused(
    admin: Caller, house: House, seeded: Seeded, change: dict, field: str, words: str
):
    refused = admin.post(f"/brands/{seeded.brand_id}/prices", SHARE | change)

    assert refused.status_code == 422
    (error,) = refused.json["errors"]
    assert (error["pointer"], error["detail"].startswith(words)) == (field, True)
    assert rows(house, "SELECT id FROM prices") == []


def test_a_price_of_no_brand_or_no_client_is_not_found(admin: Caller, seeded: Seeded):
    nowhere = str(seeded.campaign_id)

    assert admin.post(f"/brands/{nowhere}/prices", SHARE).status_code == 404
    body = SHARE | {"client_id": nowhere}
    assert admin.post(f"/brands/{seeded.brand_id}/prices", body).status_code == 404


def test_ec081_a_brand_has_a_floor_that_only_platform_and_agencies_see(
    admin: Caller, client_admin: Caller, seeded: Seeded
):
    path = f"/brands/{seeded.brand_id}"
    route = {"vendor": "reloadly", "product": "120", "cost_bp": 9_450, "cost_flat_minor": 10}

    before = admin.get(path).json["min_margin_minor"]
    changed = admin.call("PATCH", path, {"min_margin_minor": 50, "routes": [route]})
    seen = client_admin.get(path).json

    assert (before, changed.json["min_margin_minor"]) == (0, 50)
    assert changed.json["routes"][0]["cost_bp"] == 9_450
    assert "min_margin_minor" not in seen
    assert not {"cost_bp", "cost_flat_minor"} & set(seen["routes"][0])
    assert admin.call("PATCH", path, {"min_margin_minor": None}).json["min_margin_minor"] is None


def test_a_route_whose_cards_are_used_elsewhere_is_refused(admin: Caller, seeded: Seeded):
    path = f"/brands/{seeded.brand_id}"
    german = {"vendor": "tango", "product": "U130000", "country": "DE"}

    refused = admin.call("PATCH", path, {"country": "US", "routes": [german]})
    taken = admin.call("PATCH", path, {"country": "DE", "routes": [german]})
    moved = admin.call("PATCH", path, {"country": "US"})

    assert [e["code"] for e in refused.json["errors"]] == ["route_does_not_fit"]
    assert (taken.status_code, taken.json["routes"][0]["country"]) == (200, "DE")
    assert [e["code"] for e in moved.json["errors"]] == ["route_does_not_fit"]
    assert admin.get(path).json["country"] == "DE"
