"""Each role is shown its fields and no other, and no body sets a field of ours (SEC-11, EC-030)."""

import json
import secrets
from typing import Any

import pytest
from flask import Flask

from models.base import TableClass, new_id
from models.books import CouponState
from models.tables import CLASSES, metadata
from pipelines.wiring import House
from tests.bad_inputs.json_routes import asker_of, filled, json_routes
from tests.couponing import coupon_in
from tests.models.two_tenants import Two
from tests.partnering import make_partner
from tests.security.tenants import Known, digest_of, known_of
from tests.web.conftest import Caller

#: What a card cost and what was earned: for the platform and agencies only.
COST = {"cost_minor", "margin_minor", "cost_per_card_minor", "cost_currency"}
#: What no answer has, whoever asks.
NEVER = {
    *("password_hash", "key_hash", "token_hash", "blind_index", "sealed_number", "sealed_pin"),
    *("person_key", "upload_sha256", "redemption_code", "totp_secret", "request_hash"),
    *("partner_secret", "secret_sealed", "session_token", "jti_hash"),
}
POOL = {
    *("brand", "brand_id", "client_id", "counts", "created_at", "currency", "denomination_minor"),
    *("days_left", "disabled", "health", "health_rule", "id", "issued_per_day", "kind"),
    *("last_import_at", "low_watermark", "soonest_expiry"),
}
ACCOUNT = {
    *("available_minor", "balance_minor", "currency", "frozen_at", "held_minor", "id", "name"),
    *("owed_minor", "owner_id", "restricted_at"),
    *("parent_id", "spent_minor", "tier", "unlimited"),
}
CAMPAIGN = {
    *("agency_id", "budget_mode", "client_id", "created_at", "id", "name", "pause_reason"),
    *("state", "time_zone", "version", "is_open"),
    *("starts_at", "ends_at", "max_rewards", "max_rewards_per_recipient", "rewards_counted"),
}
USER_POOL = {
    *("agency_id", "archived", "client_id", "created_at", "description", "id", "members"),
    *("members_version", "name", "version"),
}
MEMBER = {"added_at", "email", "external_id", "is_active", "name", "user_id"}
BOOK = {
    *("agency_id", "client_id", "created_at", "created_by", "id", "name", "state", "updated_at"),
    *("pattern", "capacity", "seals_codes", "stock", "version"),
    *("allow_multi_redemption", "max_redemptions_per_coupon", "max_redemptions_per_user"),
    *("max_redemptions", "max_assignments_per_user", "max_assignments"),
    *("starts_at", "expires_at", "closed_at", "tells_holder"),
}
BOOK_COUPON = {
    *("assigned_at", "code", "created_at", "id", "job_id", "locked_until", "redemptions"),
    *("state", "user_id"),
}
COUPON = {
    *("assigned_at", "book", "book_id", "client_id", "code", "expires_at", "id", "is_sealed"),
    *("locked_until", "max_redemptions", "moves", "redemptions", "state", "user_id"),
}
COUPON_EVENT = {"actor_id", "at", "job_id", "move", "number", "reason", "user_id"}
BOOK_USAGE = {"assigned", "day", "redeemed", "released", "voided"}
ITEM = {
    *("attempts", "code", "delivery_state", "error", "field", "position", "recipient", "source"),
    "state",
}
TRANSACTION = {
    *("actor_id", "amount_minor", "balance_after_minor", "created_at", "currency", "id"),
    *("job_id", "kind", "notes", "transfer_id"),
}
VENDOR = {
    *("client_id", "created_at", "id", "last_token_at", "name", "offers", "origins", "state"),
    *("time_zone", "updated_at", "version"),
}
PARTNER_SECRET = {"configured", "last4", "last_used_at", "old", "rotated_at"}
MANAGED_CLAIM = {
    *("book_id", "claimed_at", "code", "coupon_id", "coupon_state", "external_id", "id", "month"),
    *("offer_id", "offer_title", "user_id", "vendor_id"),
}
ALL = {"client_admin", "campaign_manager", "client_viewer", "agency_admin", "agency_viewer"}
#: (resource, who may look, the keys they are shown); a pool has a cost above clients.
GOLDEN: list[tuple[str, set[str], set[str]]] = [
    (
        "/gift-card-pools/{pool_id}",
        {"agency_admin", "agency_viewer"},
        POOL | {"cost_per_card_minor", "cost_average_minor", "cost_missing", "too_dear"},
    ),
    ("/gift-card-pools/{pool_id}", {"client_admin"}, POOL),
    ("/credit/accounts/{account_id}", ALL | {"storefront_key"}, ACCOUNT),
    ("/credit/accounts/{account_id}/transactions", ALL | {"storefront_key"}, TRANSACTION),
    ("/campaigns/{campaign_id}", ALL, CAMPAIGN),
    ("/pools/{user_pool_id}", ALL, USER_POOL),
    ("/pools/{user_pool_id}/users", ALL, MEMBER),
    ("/books/{book_id}", ALL | {"storefront_key"}, BOOK),
    ("/books/{book_id}/coupons", ALL | {"storefront_key"}, BOOK_COUPON),
    ("/coupons/{code}", ALL | {"storefront_key"}, COUPON),
    ("/coupons/{code}/history", ALL | {"storefront_key"}, COUPON_EVENT),
    ("/books/{book_id}/usage", ALL | {"storefront_key"}, BOOK_USAGE),
    ("/vendors/{vendor_id}", ALL, VENDOR),
    ("/vendors/{vendor_id}/partner-secret", ALL, PARTNER_SECRET),
    ("/vendors/{vendor_id}/claims", ALL, MANAGED_CLAIM),
    ("/jobs/{job_id}/items", ALL | {"storefront_key"}, ITEM),
]


def keys_of(value: Any) -> set[str]:
    """Every key at any depth."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys_of(inner)}
    return set()


@pytest.fixture(scope="module")
def own(house: House, app: Flask, two: Two, known: Known, callers: dict[str, Caller]) -> Known:
    """The first tenant's own objects; its pool is the client's own."""
    body = {"brand_id": str(two.one.brand_id), "denomination_minor": 700, "currency": "USD"}
    made = callers["client_admin"].post(
        "/gift-card-pools", body | {"kind": "csv", "cost_per_card_minor": 650}
    )
    found = known_of(house, two.one)
    found.ids["pool_id"] = made.json["id"]
    found.ids["code"] = coupon_in(house, two.one, CouponState.LOCKED, new_id())
    return found


def test_sec011_each_role_is_shown_exactly_its_keys(
    own: Known, callers: dict[str, Caller], admin: Caller
) -> None:
    wrong = []
    for path, names, keys in GOLDEN:
        for name in sorted(names):
            answer = callers[name].get(path.format_map(own.ids))
            shown = answer.json["data"][0] if "data" in answer.json else answer.json
            if set(shown) != keys:
                wrong.append((path, name, sorted(set(shown) ^ keys)))

    assert wrong == []
    assert admin.get(f"/gift-card-pools/{own.ids['pool_id']}").json["cost_per_card_minor"] == 650


def gets(app: Flask, ids: dict[str, Any]) -> list[str]:
    found = []
    for rule in app.url_map.iter_rules():
        path = rule.rule
        if not path.startswith("/api/v1/") or "GET" not in rule.methods or "openapi" in path:
            continue
        for name in rule.arguments & set(ids):
            path = path.replace(f"<uuid:{name}>", str(ids[name]))
        if "<" not in path:
            found.append(path.removeprefix("/api/v1"))
    return found


def test_sec011_no_client_is_shown_a_cost_and_nobody_a_secret_s_column(
    app: Flask, own: Known, callers: dict[str, Caller], admin: Caller
) -> None:
    """Every GET of the API, every job in the lists too."""
    jobs = [f"/jobs/{job['id']}" for job in callers["client_admin"].get("/jobs").json["data"]]
    clients = {name for name in callers if "agency" not in name}
    wrong = []
    for name, caller in (callers | {"admin": admin}).items():
        for path in [*gets(app, own.ids), *jobs]:
            answer = caller.get(path)
            keys = keys_of(answer.json) if answer.is_json else set(answer.text.split("\r\n")[0])
            hidden = NEVER | (COST if name in clients else set())
            wrong += [(name, path, key) for key in keys & hidden]

    assert wrong == []


def test_sec011_an_agency_sees_what_a_single_card_cost_and_its_client_does_not(
    house: House, own: Known, callers: dict[str, Caller]
) -> None:
    job = single_of(callers["agency_admin"])

    agency = callers["agency_admin"].get(f"/jobs/{job}").json["result"]["redemption"]
    client = callers["client_admin"].get(f"/jobs/{job}").json["result"]["redemption"]

    assert set(agency) - set(client) == {"cost_minor", "margin_minor"}
    assert (agency["charge_minor"], agency["cost_minor"], agency["margin_minor"]) == (
        2500,
        2300,
        200,
    )


def single_of(caller: Caller) -> str:
    """The tenant's one request for one card."""
    jobs = [caller.get(f"/jobs/{job['id']}").json for job in caller.get("/jobs").json["data"]]
    (single,) = [job["id"] for job in jobs if job["result"]]
    return str(single)


def test_sec011_who_only_looks_is_not_handed_the_link_that_opens_the_card(
    own: Known, callers: dict[str, Caller]
) -> None:
    """A reveal link is bearer money: it is for those who give cards, or open them."""
    job = single_of(callers["client_admin"])

    handed = {
        name: caller.get(f"/jobs/{job}").json["result"]["reveal_url"] is not None
        for name, caller in callers.items()
        if name != "neighbour's key"
    }

    assert handed == {
        "client_admin": True,
        "campaign_manager": True,
        "client_viewer": False,
        "agency_admin": True,
        "agency_viewer": False,
        "storefront_key": True,
    }


COLUMNS = sorted({column.name for table in metadata().tables.values() for column in table.columns})


def test_ec030_no_body_takes_a_column_that_its_schema_does_not_name(
    app: Flask, house: House, two: Two, own: Known, callers: dict[str, Caller], admin: Caller
) -> None:
    """Every column of every table, in the body of every route, as the highest role there is."""
    tables = [name for name, kind in CLASSES.items() if kind is TableClass.TENANT]
    before = digest_of(house, two.one, tables)
    # Visitors leave traces of their own: these are the other tenant's.
    asker = asker_of(admin, make_partner(house, two.other))
    wrong = []
    for method, path, schema in json_routes(app):
        strange = [name for name in COLUMNS if name not in schema["properties"]]
        for first in range(0, len(strange), 60):
            some = strange[first : first + 60]
            answer = asker.client.open(
                filled(path),
                method=method,
                data=json.dumps(dict.fromkeys(some, "1")),
                content_type="application/json",
                headers=asker.headers(path) | {"Idempotency-Key": secrets.token_hex(8)},
            )
            refused = {
                error["pointer"][1:]
                for error in answer.json.get("errors", [])
                if error["code"] in {"unknown_field", "cannot_change"}
            }
            if answer.status_code != 422 or refused != set(some):
                wrong.append((method, path, answer.status_code, sorted(set(some) - refused)))

    assert len(COLUMNS) > 100
    assert wrong == []
    assert digest_of(house, two.one, tables) == before


@pytest.mark.parametrize(
    "column", ["state", "client_id", "agency_id", "id", "balance", "created_at", "pause_reason"]
)
def test_ec030_a_good_change_with_a_field_of_ours_changes_nothing(
    house: House, two: Two, own: Known, callers: dict[str, Caller], column: str
) -> None:
    campaign = callers["client_admin"].get(f"/campaigns/{own.ids['campaign_id']}").json
    body = {"name": "Renamed", "version": campaign["version"], column: str(own.ids["client_id"])}

    answer = callers["client_admin"].call("PATCH", f"/campaigns/{campaign['id']}", body)

    assert (answer.status_code, answer.json["code"]) == (422, "unknown_field")
    assert callers["client_admin"].get(f"/campaigns/{campaign['id']}").json == campaign
