"""Agencies, clients, campaigns and brands over HTTP, each inside its own tenant (SEC-10)."""

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

NOWHERE = "00000000-0000-7000-8000-000000000000"


def test_an_agency_is_made_with_accounts_in_the_platforms_currencies(
    admin: Caller, house: House, seeded: Seeded
):
    made = admin.post("/agencies", {"name": "Acme"})

    assert made.status_code == 201
    assert (made.json["name"], made.json["version"]) == ("Acme", 1)
    assert made.headers["ETag"] == '"1"'
    found = rows(
        house,
        "SELECT kind, currency, parent_id FROM accounts WHERE owner_id = :id ORDER BY kind",
        id=made.json["id"],
    )
    assert [tuple(row) for row in found] == [
        ("credit", "USD", seeded.platform_account),
        ("spent", "USD", None),
    ]


def test_a_taken_name_is_refused(admin: Caller):
    admin.post("/agencies", {"name": "Acme"})

    again = admin.post("/agencies", {"name": "Acme"})

    assert (again.status_code, again.json["code"]) == (409, "name_taken")


def test_a_change_needs_the_version_that_was_read(admin: Caller, seeded: Seeded):
    path = f"/agencies/{seeded.agency_id}"

    first = admin.call("PATCH", path, {"name": "New"}, If_Match='"1"')
    stale = admin.call("PATCH", path, {"name": "Newer", "version": 1})
    fresh = admin.call("PATCH", path, {"name": "Newer", "version": 2})

    assert (first.status_code, first.json["version"]) == (200, 2)
    assert (stale.status_code, stale.json["code"]) == (409, "version_conflict")
    assert stale.json["version"] == 2
    assert (fresh.json["name"], fresh.json["version"]) == ("Newer", 3)


def test_a_list_is_paged_without_gaps_or_repeats(admin: Caller):
    made = [admin.post("/agencies", {"name": f"Agency {n}"}).json["id"] for n in range(5)]

    seen, cursor = [], ""
    while cursor is not None:
        page = admin.get(f"/agencies?limit=2{cursor and f'&cursor={cursor}'}").json
        seen += [row["id"] for row in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        cursor = page["next_cursor"]

    assert seen == made[::-1]


def test_an_agency_makes_its_own_clients_and_sees_no_others(
    app: Flask, house: House, seeded: Seeded
):
    other = seed(house, vendor=False)
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    made = agency.post("/clients", {"name": "Contoso", "time_zone": "Europe/Berlin"})
    foreign = agency.post("/clients", {"name": "X", "agency_id": str(other.agency_id)})
    listed = agency.get("/clients").json["data"]

    assert (made.status_code, made.json["agency_id"]) == (201, str(seeded.agency_id))
    assert (foreign.status_code, foreign.json["code"]) == (404, "not_found")
    assert {row["id"] for row in listed} == {made.json["id"], str(seeded.client_id)}


def test_a_foreign_tenants_object_answers_like_one_that_never_was(
    app: Flask, house: House, seeded: Seeded, client_admin: Caller
):
    other = seed(house, vendor=False)
    for path in (
        f"/clients/{other.client_id}",
        f"/campaigns/{other.campaign_id}",
        f"/credit/accounts/{other.client_account}",
        f"/credit/accounts/{other.client_account}/transactions",
    ):
        foreign = client_admin.get(path, X_Request_Id="same")
        unknown = client_admin.get(path.replace(path.split("/")[-1], NOWHERE), X_Request_Id="same")
        if path.endswith("transactions"):
            unknown = client_admin.get(
                f"/credit/accounts/{NOWHERE}/transactions", X_Request_Id="same"
            )
        assert foreign.status_code == 404, path
        assert foreign.data == unknown.data


def test_a_campaign_is_made_paused_and_resumed(manager: Caller, seeded: Seeded):
    made = manager.post("/campaigns", {"name": "Autumn"})
    path = f"/campaigns/{made.json['id']}"
    paused = manager.post(f"{path}/pause")
    twice = manager.post(f"{path}/pause")
    resumed = manager.post(f"{path}/resume")

    assert (made.status_code, made.json["client_id"]) == (201, str(seeded.client_id))
    assert made.json["state"] == "active"
    assert (paused.json["state"], paused.json["pause_reason"]) == ("paused", "user")
    assert (twice.status_code, twice.json["code"]) == (409, "invalid_campaign_state")
    assert (resumed.json["state"], resumed.json["pause_reason"]) == ("active", None)


def test_a_platform_user_names_the_client_once_there_are_several(
    admin: Caller, house: House, seeded: Seeded
):
    alone = admin.post("/campaigns", {"name": "One"})
    seed(house, vendor=False)
    several = admin.post("/campaigns", {"name": "Two"})
    named = admin.post("/campaigns", {"name": "Two", "client_id": str(seeded.client_id)})

    assert (alone.status_code, alone.json["client_id"]) == (201, str(seeded.client_id))
    assert (several.status_code, several.json["code"]) == (422, "client_required")
    assert named.status_code == 201


def test_an_isolated_campaign_pays_from_its_own_account_and_gives_back_the_rest(
    client_admin: Caller, house: House, seeded: Seeded
):
    path = f"/campaigns/{seeded.campaign_id}/budget"
    body = {"mode": "isolated", "amount_minor": 5000}

    nameless = client_admin.post(path, body)
    isolated = client_admin.post(path, body, Idempotency_Key="a")
    replayed = client_admin.post(path, body, Idempotency_Key="a")
    balances = {a["tier"]: a["balance_minor"] for a in accounts(client_admin)}
    shared = client_admin.post(path, {"mode": "shared"})

    assert (nameless.status_code, nameless.json["code"]) == (400, "idempotency_key_required")
    assert (isolated.status_code, isolated.json["budget_mode"]) == (200, "isolated")
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert balances == {"client": 9_995_000, "campaign": 5000}
    assert (shared.status_code, shared.json["budget_mode"]) == (200, "shared")
    after = {a["tier"]: a["balance_minor"] for a in accounts(client_admin)}
    assert after == {"client": 10_000_000, "campaign": 0}


def accounts(caller: Caller) -> list[dict]:
    return caller.get("/credit/accounts").json["data"]


def test_a_brand_has_routes_and_opens_accounts_in_its_currency(
    admin: Caller, house: House, seeded: Seeded
):
    route = {"vendor": "reloadly", "product": "7", "priority": 1, "min_minor": 100}

    made = admin.post("/brands", {"name": "Shop", "currency": "EUR", "routes": [route]})
    changed = admin.call("PATCH", f"/brands/{made.json['id']}", {"routes": [], "version": 1})

    assert made.status_code == 201
    unsaid = dict.fromkeys(("max_minor", "country", "cost_bp", "cost_flat_minor"))
    assert made.json["routes"] == [route | unsaid]
    assert (changed.json["routes"], changed.json["version"]) == ([], 2)
    found = rows(
        house,
        "SELECT tier FROM accounts WHERE currency = 'EUR' AND kind = 'credit' ORDER BY id",
    )
    assert [row.tier for row in found] == ["platform", "agency", "client"]


@pytest.mark.parametrize("currency", ["ZZZ", "XAU", "CLF", "BGN", "usd"])
def test_a_brand_in_a_currency_nobody_knows_is_refused(admin: Caller, currency: str):
    refused = admin.post("/brands", {"name": "Shop", "currency": currency})

    assert refused.status_code == 422
    assert [e["code"] for e in refused.json["errors"]] == ["unknown_currency"]


def test_a_client_may_be_restricted_to_brands(admin: Caller, seeded: Seeded):
    path = f"/clients/{seeded.client_id}/brands"

    restricted = admin.call("PUT", path, {"brand_ids": [str(seeded.brand_id)]})
    unknown = admin.call("PUT", path, {"brand_ids": [NOWHERE]})

    assert restricted.json["brand_ids"] == [str(seeded.brand_id)]
    assert unknown.status_code == 404
