"""No cell of a file that we give out is run by a spreadsheet, and its text reads back (SEC-35)."""

import csv
import io

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM
from pipelines.jobs.csv_reader import ColumnRules, open_csv
from pipelines.wiring import House
from tests.bad_inputs.recipients import WELCOME
from tests.booking import coupons, make_book
from tests.driving import cards_csv, drain, import_cards_now, submit
from tests.rules.test_csv_writer import HARMLESS, HOSTILE
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import visitor_of
from tests.web.test_balance_sheets import sent

TRIGGERS = tuple("=+-@\t\r\n|%＝＋－＠\0")
#: Columns that we type as numbers: they hold digits and nothing else.
NUMBERS = {"row", "denomination_minor", "in_minor", "out_minor", "balance_minor"}
#: Routes that answer with CSV. A new one must be written by `csv_blocks` and be tried below.
EXPORTS = {
    # Written by `csv_blocks` as all of these, of ids and numbers alone.
    "distributions.download_draw_members",
    # The same as the API's, which is tried.
    "console.book_export",
    "console.book_export_open",
    "audit.export_audit",
    "book-codes.download_book_coupons",
    # Numbers, states and codes, which have no such characters.
    "discount-analytics.download_discounts",
    "discount-analytics.download_discounts_analytics",
    "discount-analytics.download_discount_analytics",
    "console.discounts_csv",
    "console.discounts_analytics_csv",
    "console.discount_analytics_csv",
    # Tried with a user's id that would run in tests/web/test_vendors.py; the console's is the same.
    "vendors.export_vendor_claims",
    "console.partner_claims_csv",
    # Tried with such a code in tests/web/test_discount_batches.py.
    "discount-batches.download_discount_batch",
    # All written by `lines_csv` or beside it; what a sheet says is tried by the first.
    "balance-sheets.check_as_file",
    "balance-sheets.download_report",
    "console.sheet_report",
    "card-batches.download_batch_rejects",
    "console.audit_csv",
    "console.batch_rejects",
    "console.campaign_profit_cards",
    "console.credit_statement",
    # Numbers and ids of ours alone.
    "console.job_draw_members",
    "console.job_results",
    # As the API's, tried below.
    "console.user_pool_members",
    # Tried with a vendor's own number in tests/web/console/test_vendor_statements.py.
    "console.vendor_statement_csv",
    "credit-statements.download_statement",
    "jobs.download_job_results",
    "profit.get_campaign_profit_csv",
    "user-pool-members.download_pool_users",
}
#: PostgreSQL holds no NUL, and a name without any text is none.
TEXTS = [t for t in HOSTILE + HARMLESS if t and "\0" not in t] + [
    "<script>alert(1)</script>",
    "'=1",
    "''@x",
    '"=1',
    "=1\n+2",
    ",=1",
    "A\u2028=n",
]


#: Ids of people that would run, as an outside system may have drawn them.
TRIGGERED = ["=1+1", "@x", "+1", "-2", "|cmd", "%x", "＝1"]


@pytest.fixture(scope="module")
def tenant(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture(scope="module")
def job_id(house: House, tenant: Seeded) -> str:
    """A job whose recipients are called every hostile thing, half of them failed with such words."""
    people = [
        {"reference": f"r{n}", "name": name, "email": f"=1+{n}@evil.com"}
        for n, name in enumerate(TEXTS)
    ]
    made = submit(house, tenant, people)
    drain(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE items SET detail = name, reference = name WHERE job_id = :job"),
            {"job": made},
        )
    return str(made)


def sell_one(house: House, tenant: Seeded) -> None:
    """A card of a brand whose name would run."""
    import_cards_now(house, tenant.csv_pool, cards_csv(1))
    submit(house, tenant, [{"reference": "sold", "name": "Sold", "email": "sold@x.example"}])
    drain(house)
    with scoped_transaction(house.sessions, PLATFORM) as session:
        session.execute(text("UPDATE brands SET name = '=1+1'"))


def coupons_of(house: House, tenant: Seeded, caller: Caller) -> TestResponse:
    """A code may begin with what a spreadsheet runs."""
    book_id = make_book(house, tenant)
    statement, (values,) = coupons(tenant, book_id, 1)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(statement, [values | {"code": "-1+1"}])
    return caller.get(f"/books/{book_id}/coupons.csv")


@pytest.fixture(scope="module")
def exports(app: Flask, house: House, tenant: Seeded, job_id: str) -> dict[str, bytes]:
    caller: Caller = signed_in(app, house, Role.CLIENT_ADMIN, tenant)
    visitor = visitor_of(app, house, Role.CLIENT_ADMIN, tenant)
    sell_one(house, tenant)
    seller = signed_in(app, house, Role.AGENCY_ADMIN, tenant, name="seller")
    boss = visitor_of(app, house, Role.AGENCY_ADMIN, tenant)
    named = "".join(f'"{name}",,,USD,1\r\n' for name in ("=1+1", "@x", "+1", "-2"))
    sheet = f"agency,client,campaign,currency,balance_minor\r\n{named}".encode()
    opener = signed_in(app, house, Role.PLATFORM_ADMIN, name="opener")
    pool = caller.post("/pools", {"name": "=1+1"}).json["id"]
    add = f"/pools/{pool}/users"
    caller.post(add, {"external_ids": TRIGGERED, "create_missing": True})
    profit = f"campaigns/{tenant.campaign_id}/profit.csv"
    return {
        "profit": seller.get(f"/{profit}").data,
        "profit page": boss.get(f"/console/{profit}").data,
        "sheet": sent(opener, "/credit/balance-sheets/check.csv", sheet).data,
        "api": caller.get(f"/jobs/{job_id}/results.csv").data,
        "members": caller.get(f"{add}.csv").data,
        "failed": caller.get(f"/jobs/{job_id}/results.csv?only=failed").data,
        "console": visitor.get(f"/console/jobs/{job_id}/results.csv").data,
        "audit": caller.get("/audit.csv").data,
        "coupons": coupons_of(house, tenant, caller).data,
        "statement": caller.get(f"/credit/accounts/{tenant.client_account}/statement.csv").data,
        "audit page": visitor.get("/console/audit.csv").data,
    }


def test_sec035_the_routes_that_answer_csv_are_known(app: Flask, job_id: str) -> None:
    found = {rule.endpoint for rule in app.url_map.iter_rules() if ".csv" in rule.rule}

    assert found == EXPORTS


@pytest.mark.parametrize(
    "name",
    [
        "api",
        "failed",
        "members",
        "console",
        "audit",
        "audit page",
        "statement",
        "profit",
        "profit page",
        "sheet",
        "coupons",
    ],
)
def test_sec035_no_cell_begins_with_a_trigger(exports: dict[str, bytes], name: str) -> None:
    table = list(
        csv.DictReader(io.StringIO(exports[name].decode("utf-8-sig"), newline=""), strict=True)
    )

    run = [
        (column, cell)
        for row in table
        for column, cell in row.items()
        if cell.startswith(TRIGGERS) or (column in NUMBERS and not cell.isdigit())
    ]
    assert len(table) == len(TEXTS) or (name not in {"api", "failed", "console"} and table)
    assert run == []


@pytest.mark.parametrize("name", ["api", "console"])
def test_sec035_every_cell_is_quoted_and_reads_back_as_it_was(
    exports: dict[str, bytes], name: str
) -> None:
    content = exports[name]
    header = content.decode("utf-8-sig").partition("\r\n")[0]
    columns = tuple(cell.strip('"') for cell in header.split(","))

    rows = list(open_csv(io.BytesIO(content), columns=ColumnRules(required=columns)))

    assert header.startswith('"reference","') and header.endswith('"')
    assert [row.cells["name"] for row in rows] == TEXTS
    assert [row.cells["reference"] for row in rows] == TEXTS
    assert rows[0].cells["email"] == "=1+0@evil.com"


def test_sec035_what_was_welcome_goes_out_guarded(app: Flask, house: House, tenant: Seeded) -> None:
    """The files of B34 and B35, through the door and out again."""
    caller = signed_in(app, house, Role.AGENCY_ADMIN, tenant)
    for bad in WELCOME:
        if not bad.id.startswith(("B34", "B35", "B10", "B15")):
            continue
        job = submit(house, tenant, bad.content, delivery_method="none", allow_repeat=True)
        content = caller.get(f"/jobs/{job}/results.csv").data.decode("utf-8-sig")
        table = list(csv.reader(io.StringIO(content, newline=""), strict=True))
        cells = [cell for row in table for cell in row]
        assert [cell for cell in cells if cell.startswith(TRIGGERS)] == [], bad.id
