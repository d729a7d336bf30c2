"""Credit begins from a balance sheet: checked row by row, opened once by two people (S4-013, S4-014, S4-016)."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import insert, text
from werkzeug.test import TestResponse

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from models.tenants import Agency, Campaign, Client
from ops.__main__ import main
from pipelines.tenants.accounts import open_for_agency, open_for_client, open_for_currency
from pipelines.wiring import House
from tests.clawing import dispute, top_up_of
from tests.driving import rows
from tests.intake import table_sizes
from tests.proof import assert_proven
from tests.racing import race
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import visitor_of
from tests.web.test_submit_command import url

__all__ = ["url"]
HEADER = "agency,client,campaign,currency,balance_minor,total_minor\n"
SHEET = HEADER + (
    ",,,USD,5000,18000\n"
    "Acme,,,USD,3000,13000\n"
    "Acme,Contoso,,USD,7000,10000\n"
    'Acme,Contoso,"Spring, own",USD,3000,\n'
    "Acme,Fabrikam,,USD,0,0\n"
    "Acme,Contoso,,EUR,250,\n"
)
SHEETS = "/credit/balance-sheets"


def sent(caller: Caller, path: str, content: bytes, **headers: str) -> TestResponse:
    """A file to an address of the API."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.client.post(
        f"/api/v1{path}", data=content, content_type="text/csv", headers=caller.headers | named
    )


@dataclass(frozen=True, slots=True)
class Start:
    """Two of the platform, and an agency with two clients that nobody gave credit yet."""

    house: House
    ann: Caller
    bob: Caller
    client_id: UUID

    def asked(self, sheet: str = SHEET, key: str = "k") -> TestResponse:
        path = f"{SHEETS}?reason=from+the+old+system"
        return sent(self.ann, path, sheet.encode(), Idempotency_Key=key)

    def agreed(self, asked: TestResponse) -> TestResponse:
        assert asked.status_code == 202, asked.json
        return self.bob.post(f"/approvals/{asked.json['id']}/approve")

    def check(self, sheet: str) -> dict[str, Any]:
        answer = sent(self.ann, f"{SHEETS}/check", sheet.encode())
        assert answer.status_code == 200, answer.json
        return dict(answer.json)

    def balances(self) -> dict[tuple[str, str, str], int]:
        found = rows(
            self.house,
            "SELECT a.tier, a.currency, coalesce(p.name, c.name, g.name, '') AS name, a.balance "
            "FROM accounts a LEFT JOIN agencies g ON g.id = a.owner_id "
            "LEFT JOIN clients c ON c.id = a.owner_id LEFT JOIN campaigns p ON p.id = a.owner_id "
            "WHERE a.kind = 'credit' AND a.balance <> 0",
        )
        return {(row.tier, row.name, row.currency): row.balance for row in found}


@pytest.fixture
def start(app: Flask, house: House) -> Start:
    agency_id, ids = new_id(), [new_id(), new_id()]
    with scoped_transaction(house.sessions, PLATFORM) as session:
        open_for_currency(session, "USD")
        session.execute(insert(Agency).values(id=agency_id, agency_id=agency_id, name="Acme"))
        open_for_agency(session, agency_id)
        for client_id, name in zip(ids, ("Contoso", "Fabrikam"), strict=True):
            owner = {"agency_id": agency_id, "client_id": client_id}
            session.execute(insert(Client).values(id=client_id, name=name, **owner))
            open_for_client(session, client_id)
            for campaign, mode in (("Spring, own", "isolated"), ("Shared", "shared")):
                values = {"id": new_id(), "name": campaign, "budget_mode": mode}
                session.execute(insert(Campaign).values(**values, **owner))
    return Start(
        house,
        signed_in(app, house, Role.PLATFORM_ADMIN),
        signed_in(app, house, Role.PLATFORM_ADMIN, name="bob."),
        ids[0],
    )


def test_s4_016_a_check_says_sums_and_what_is_there_and_writes_nothing(start: Start) -> None:
    before = table_sizes(start.house)

    report = start.check(SHEET)

    assert (report["ok"], report["rows"], report["errors"]) == (True, 6, [])
    assert [(t["currency"], t["tier"], t["balance_minor"]) for t in report["totals"]] == [
        ("EUR", "client", 250),
        ("USD", "platform", 5_000),
        ("USD", "agency", 3_000),
        ("USD", "client", 7_000),
        ("USD", "campaign", 3_000),
    ]
    assert [tuple(line.values()) for line in report["hierarchy"]] == [
        ("EUR", "", 250),
        ("EUR", "Acme", 250),
        ("USD", "", 18_000),
        ("USD", "Acme", 13_000),
    ]
    assert report["found"] == {
        "accounts": 4,
        "agencies": 1,
        "clients": 2,
        "isolated_campaigns": 2,
    }
    # Euros of the platform, the agency and both clients, and both currencies of the campaign.
    assert report["accounts_missing"] == 6
    assert table_sizes(start.house) == before


def test_s4_013_accounts_are_opened_by_two_and_the_report_says_that_nothing_drifted(
    start: Start, app: Flask
) -> None:
    """S4-013, S4-014: each account has what the sheet says, in one movement from outside."""
    asked = start.asked()
    assert start.balances() == {}
    waiting = visitor_of(app, start.house, Role.PLATFORM_ADMIN).get("/console/approvals")
    said = "Open a balance sheet of 6 rows and make 6 accounts, in minor units EUR 250, USD 18000"
    assert said in waiting.text

    done = start.agreed(asked)

    assert (done.status_code, done.json["state"]) == (200, "approved"), done.json
    assert start.balances() == {
        ("platform", "", "USD"): 5_000,
        ("agency", "Acme", "USD"): 3_000,
        ("client", "Contoso", "USD"): 7_000,
        ("campaign", "Spring, own", "USD"): 3_000,
        ("client", "Contoso", "EUR"): 250,
    }
    sheet = f"{SHEETS}/{done.json['result_id']}"
    report = start.ann.get(sheet).json
    assert report["drift"] == [
        {"currency": "EUR", "drift_minor": 0, "ledger_minor": 250, "sheet_minor": 250},
        {"currency": "USD", "drift_minor": 0, "ledger_minor": 18_000, "sheet_minor": 18_000},
    ]
    assert report["made"] == {"accounts": 6, "movements": 5}
    file = start.ann.get(f"{sheet}/report.csv").data.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(file)))
    assert [line["verdict"] for line in lines] == ["opened"] * 4 + ["empty", "opened"]
    assert {line["drift_minor"] for line in lines} == {"0"}
    kinds = rows(start.house, "SELECT kind, notes, count(*) FROM transfers GROUP BY kind, notes")
    assert [tuple(kind) for kind in kinds] == [("opening", "from the old system", 5)]
    assert_proven(start.house)


def test_s4_013_a_sheet_is_applied_once_whatever_it_is_called(start: Start) -> None:
    """By key, by its digest, and by its accounts: a second sheet opens none of them again."""
    asked = start.asked()
    assert start.asked().headers["Idempotent-Replayed"] == "true"
    twice = start.asked(key="other")
    start.agreed(asked)
    before = start.balances()

    second = start.agreed(twice)
    third = start.asked(key="third")
    other = start.asked(HEADER + "Acme,,,USD,1,\n", key="fourth")

    assert (second.status_code, second.json["code"]) == (409, "duplicate_upload")
    assert (third.status_code, third.json["code"]) == (409, "duplicate_upload")
    assert (other.status_code, other.json["code"]) == (422, "sheet_refused")
    assert other.json["errors"][0]["code"] == "account_in_use"
    assert start.balances() == before
    assert_proven(start.house)


def test_s4_013_of_four_approvals_at_once_one_opens_the_accounts(start: Start, app: Flask) -> None:
    asked = [start.asked(key=f"k{number}") for number in range(4)]
    waiting = [answer.json["id"] for answer in asked]

    def approve() -> bool:
        caller = Caller(app.test_client(), start.bob.headers)
        return caller.post(f"/approvals/{waiting.pop()}/approve").status_code == 200

    assert race(4, approve) == 1
    assert sum(start.balances().values()) == 18_250
    assert_proven(start.house)


ROWS = [
    ("Nobody,,,USD,1,", "agency", "unknown_agency"),
    ("Acme,Nobody,,USD,1,", "client", "unknown_client"),
    ("Acme,Contoso,Nothing,USD,1,", "campaign", "unknown_campaign"),
    ("Acme,Contoso,Shared,USD,1,", "campaign", "budget_shared"),
    (",Contoso,,USD,1,", "agency", "required"),
    ("Acme,,Shared,USD,1,", "client", "required"),
    ("Acme,,,usd,1,", "currency", "invalid_currency"),
    ("Acme,,,XXX,1,", "currency", "invalid_currency"),
    ("Acme,,,USD,-1,", "balance_minor", "invalid_amount"),
    ("Acme,,,USD,1.5,", "balance_minor", "invalid_amount"),
    ("Acme,,,USD,=1+1,", "balance_minor", "invalid_amount"),
    ("Acme,,,USD,12345678901234,", "balance_minor", "amount_out_of_range"),
    ("Acme,,,USD,7,8", "total_minor", "sum_differs"),
    ("Acme,,,USD", None, "column_count"),
]


def test_s4_016_every_bad_row_is_named_with_its_field_and_nothing_is_kept(start: Start) -> None:
    """S4-016: one bad row and nothing is opened; a row that stands twice is one of them."""
    good = "Acme,Fabrikam,,USD,9,9\n"
    sheet = HEADER + good + "\n".join(row for row, _field, _code in ROWS) + "\n" + good
    report = start.check(sheet)
    before = table_sizes(start.house)

    refused = start.asked(sheet)

    found = {(error["row"], error["field"], error["code"]) for error in report["errors"]}
    wanted = {(at, field, code) for at, (_row, field, code) in enumerate(ROWS, start=2)}
    assert wanted <= found
    twice = [error for error in report["errors"] if error["code"] == "duplicate_row"]
    assert (len(ROWS) + 2, "client") in {(one["row"], one["field"]) for one in twice}
    assert all(error["detail"].endswith(".") for error in report["errors"])
    assert (refused.status_code, refused.json["code"]) == (422, "sheet_refused")
    assert refused.json["error_count"] == report["error_count"]
    assert table_sizes(start.house) == before
    assert start.balances() == {}
    lines = sent(start.ann, f"{SHEETS}/check.csv", sheet.encode())
    assert lines.data.count(b"\r\n") > len(ROWS)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (HEADER.encode(), 422, "no_rows"),
        (b"agency,client\nx,y\n", 422, "missing_columns"),
        (b"PK\x03\x04zip", 415, "unsupported_media_type"),
        ((HEADER + "Acm\xe9,,,USD,1,\n").encode("latin-1"), 422, "encoding_not_utf8"),
        ((HEADER + ",,,USD,1,\n" * 10_001).encode(), 422, "too_many_rows"),
        (b"x" * (4 * 1024 * 1024 + 1), 413, "payload_too_large"),
    ],
    ids=["empty", "no rows", "no columns", "archive", "latin-1", "rows", "bytes"],
)
def test_s4_016_what_is_no_sheet_is_refused_whole(
    start: Start, content: bytes, status: int, code: str
) -> None:
    for path in (f"{SHEETS}/check", f"{SHEETS}?reason=x"):
        refused = sent(start.ann, path, content, Idempotency_Key="k")
        assert (refused.status_code, refused.json["code"]) == (status, code)


def test_s4_016_what_changed_since_it_was_checked_is_found_when_it_is_approved(
    start: Start,
) -> None:
    asked = start.asked()
    with scoped_transaction(start.house.sessions, PLATFORM) as session:
        session.execute(text("UPDATE agencies SET name = 'Acme Group'"))

    refused = start.agreed(asked)

    assert (refused.status_code, refused.json["code"]) == (422, "sheet_refused")
    assert start.balances() == {}
    assert start.ann.get(f"/approvals/{asked.json['id']}").json["state"] == "pending"


def test_ec077_an_opening_balance_can_be_disputed_like_any_credit_that_came_in(
    start: Start,
) -> None:
    start.agreed(start.asked())
    (account,) = rows(
        start.house,
        "SELECT id FROM accounts WHERE owner_id = :id AND kind = 'credit' AND currency = 'USD'",
        id=start.client_id,
    )

    dispute(start.house, top_up_of(start.house, account.id), 1_000)

    assert start.balances()["client", "Contoso", "USD"] == 6_000
    assert_proven(start.house)


def test_s4_016_the_command_checks_asks_and_fetches_the_report(
    start: Start, url: str, tmp_path: Path
) -> None:
    def run(*words: str) -> Any:
        token = start.ann.headers["Authorization"].removeprefix("Bearer ")
        environment = {"LARGESSE_URL": url, "LARGESSE_TOKEN": token}
        return CliRunner().invoke(main, ["balance-sheet", *words], env=environment)

    bad, good, lines = (tmp_path / name for name in ("bad.csv", "good.csv", "lines.csv"))
    bad.write_text(HEADER + "Nobody,,,USD,1,\n")
    good.write_text(SHEET)

    wrong, right = run("check", str(bad)), run("check", str(good))
    asked = run("open", str(good), "--reason", "from the old system")
    (waiting,) = rows(start.house, "SELECT id FROM approvals")
    start.bob.post(f"/approvals/{waiting.id}/approve")
    told = run("report", asked.stdout.strip(), "--csv", str(lines))

    assert (wrong.exit_code, right.exit_code, asked.exit_code, told.exit_code) == (1, 0, 0, 0)
    assert "row 1, agency: There is no agency of this name here." in wrong.output
    tenants = "agencies 1, clients 2, isolated campaigns 2"
    assert f"There already: accounts 4, {tenants}. To be made: 6 accounts." in right.output
    assert f"There already: accounts 10, {tenants}. Made: 6 accounts." in told.output
    assert "USD in the ledger: 18000, drift 0" in told.output
    assert "opened" in lines.read_text(encoding="utf-8-sig")
