"""The notes' own numbers, from outside to one card (S4-058..062, S4-098, S4-102, S4-105)."""

from uuid import UUID

import pytest
from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, hasten, import_cards_now, rows
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in


@pytest.fixture
def poor(house: House) -> Seeded:
    """A tenant whose accounts are all empty, and one card in stock."""
    seeded = seed(house, vendor=False, credit_minor=0)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    return seeded


def fund_platform(seeded: Seeded, admin: Caller, other: Caller, amount: int) -> None:
    """Credit enters from outside, which has no bound, by two people's word."""
    body = {
        "account_id": str(seeded.platform_account),
        "amount_minor": amount,
        "reason": "paid in",
    }
    asked = admin.post("/credit/adjustments", body, Idempotency_Key="paid-in")
    agreed = other.post(f"/approvals/{asked.json['id']}/approve")
    assert (asked.status_code, agreed.status_code) == (202, 200), agreed.json


def allocate(admin: Caller, parent: UUID, child: UUID, amount: int) -> dict[str, int]:
    """Move credit one tier down; both balances after it."""
    body = {
        "from_account_id": str(parent),
        "to_account_id": str(child),
        "amount_minor": amount,
        "notes": "Spring",
    }
    moved = admin.post("/credit/allocations", body, Idempotency_Key=f"to-{child}")
    assert moved.status_code == 201, moved.json
    assert moved.json["in_transaction"]["amount_minor"] == amount
    assert moved.json["out_transaction"]["amount_minor"] == -amount
    return {side: moved.json[f"{side}_account_balance_minor"] for side in ("from", "to")}


def available(house: House, admin: Caller, owner: UUID) -> int:
    statement = "SELECT id FROM accounts WHERE owner_id = :owner AND kind = 'credit'"
    (row,) = rows(house, statement, owner=owner)
    return int(admin.get(f"/credit/accounts/{row.id}").json["available_minor"])


def test_s4_058_credit_flows_from_outside_down_to_one_card(app: Flask, house: House, poor: Seeded):
    """100,000 to the agency, 10,000 to the client, 5,000 to a campaign of its own, 25 for a card."""
    admin = signed_in(app, house, Role.PLATFORM_ADMIN)
    other = signed_in(app, house, Role.PLATFORM_ADMIN, name="second.")
    fund_platform(poor, admin, other, 20_000_000)

    platform_s = allocate(admin, poor.platform_account, poor.agency_account, 10_000_000)
    agency_s = allocate(admin, poor.agency_account, poor.client_account, 1_000_000)
    budget = {"mode": "isolated", "amount_minor": 500_000}
    own = admin.post(f"/campaigns/{poor.campaign_id}/budget", budget, Idempotency_Key="budget")
    asked = {
        "campaign_id": str(poor.campaign_id),
        "brand_id": str(poor.brand_id),
        "denomination_minor": 2_500,
        "redemption_code": "ABC-123-XYZ",
        "delivery_method": "none",
    }
    job = admin.post("/gift-cards/provision", asked, Idempotency_Key="card").json
    hasten(house)
    drain(house)
    done = admin.get(f"/jobs/{job['id']}").json

    assert (platform_s, agency_s) == (
        {"from": 10_000_000, "to": 10_000_000},
        {"from": 9_000_000, "to": 1_000_000},
    )
    assert own.status_code == 200
    assert (done["state"], done["result"]["source"]) == ("succeeded", "csv")
    assert done["result"]["card"]["value_minor"] == 2_500
    assert done["result"]["credit_remaining_minor"] == 497_500
    tiers = (poor.agency_id, poor.client_id, poor.campaign_id)
    assert [available(house, admin, owner) for owner in tiers] == [9_000_000, 500_000, 497_500]
    assert_proven(house)
