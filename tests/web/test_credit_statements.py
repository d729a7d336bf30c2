"""Statements add up: opening, every movement, closing; as pages and as a file (S4-025, S4-080)."""

import csv
import io
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import text

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM
from pipelines.credit.allocate import allocate, recall
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import ACTOR, Seeded, seed
from tests.web.conftest import Caller, signed_in

PRICE = 2500


@pytest.fixture
def tenant(house: House) -> Seeded:
    """Ten movements in and out, three cards paid for, and a note that a spreadsheet would run."""
    seeded = seed(house, credit_minor=100_000, vendor=False)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        for turn in range(5):
            for verb, amount in ((recall, 300 + turn), (allocate, 200 + turn)):
                verb(
                    session,
                    parent_id=seeded.agency_account,
                    child_id=seeded.client_account,
                    amount=amount,
                    notes="=1+1" if turn else "plain",
                    client_ref=f"s:{new_id()}",
                    actor_id=ACTOR,
                )
    import_cards_now(house, seeded.csv_pool, cards_csv(3))
    submit(house, seeded, recipients_csv(3))
    drain(house)
    return seeded


@pytest.fixture
def client_admin(app: Flask, house: House, tenant: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_ADMIN, tenant)


def pages(caller: Caller, account: Any, **query: str) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        asked = query | {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = caller.get(f"/credit/accounts/{account}/statement?{urlencode(asked)}").json
        found.append(page)
        cursor = page["next_cursor"]
        if not page["has_more"]:
            return found


def test_s4_025_a_statement_runs_from_opening_to_closing(
    house: House, client_admin: Caller, tenant: Seeded
) -> None:
    found = pages(client_admin, tenant.client_account)

    first, moved = found[0], [row for page in found for row in page["data"]]
    balance = first["opening_balance_minor"]
    for row in moved:
        balance += row["amount_minor"]
        assert row["balance_minor"] == balance
    (stored,) = rows(house, "SELECT balance FROM accounts WHERE id = :id", id=tenant.client_account)
    assert balance == first["closing_balance_minor"] == stored.balance
    assert first["opening_balance_minor"] == 0
    assert first["in_minor"] - first["out_minor"] == balance
    assert len(moved) == first["movements"] == 12
    assert len({row["id"] for row in moved}) == 12
    paid = moved[-1]
    assert (paid["kind"], paid["from"], paid["to"]) == ("capture", "Client", "Cards issued")
    assert paid["amount_minor"] == -3 * PRICE
    assert paid["job_id"] is not None
    assert moved[0]["from"] == "Account above"
    assert moved[1]["kind"] == "recall"


def test_s4_025_a_period_opens_with_what_was_before(
    house: House, client_admin: Caller, tenant: Seeded
) -> None:
    whole = [row for page in pages(client_admin, tenant.client_account) for row in page["data"]]
    middle = whole[-1]["created_at"]

    later = pages(client_admin, tenant.client_account, **{"from": middle})[0]
    before = pages(client_admin, tenant.client_account, to=middle)

    assert later["opening_balance_minor"] == whole[-2]["balance_minor"]
    assert [row["id"] for row in later["data"]] == [whole[-1]["id"]]
    assert before[0]["closing_balance_minor"] == whole[-2]["balance_minor"]
    assert sum(len(page["data"]) for page in before) == 11
    empty = urlencode({"from": middle, "to": middle})
    refused = client_admin.get(f"/credit/accounts/{tenant.client_account}/statement?{empty}")
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/from")


def test_s4_025_the_file_says_the_same_and_runs_nothing(
    client_admin: Caller, tenant: Seeded
) -> None:
    answer = client_admin.get(f"/credit/accounts/{tenant.client_account}/statement.csv")
    table = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))

    shown = [row for page in pages(client_admin, tenant.client_account) for row in page["data"]]
    inner = table[1:-2]
    assert [row["kind"] for row in (table[0], *table[-2:])] == [
        "opening balance",
        "closing balance",
        "held by jobs now",
    ]
    assert [row["transfer_id"] for row in inner] == [row["transfer_id"] for row in shown]
    assert [int(row["in_minor"]) - int(row["out_minor"]) for row in inner] == [
        row["amount_minor"] for row in shown
    ]
    assert int(table[-2]["balance_minor"]) == shown[-1]["balance_minor"]
    assert {row["note"] for row in inner} == {"seed", "plain", "'=1+1", ""}
    assert all(row["time_utc"].endswith("Z") for row in table)


def test_sec009_a_strangers_statement_is_not_there(
    app: Flask, house: House, client_admin: Caller, tenant: Seeded
) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        spent = session.execute(
            text("SELECT id FROM accounts WHERE owner_id = :o AND kind = 'spent'"),
            {"o": tenant.client_id},
        ).scalar_one()

    for account in (tenant.agency_account, spent, new_id()):
        for what in ("statement", "statement.csv"):
            assert client_admin.get(f"/credit/accounts/{account}/{what}").status_code == 404
