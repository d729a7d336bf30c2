"""The credit tree: how each account stands, when it runs out, and where credit may be moved (S4-048)."""

import html
import re

from flask import Flask

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, change, drain, import_cards_now, recipients_csv, submit
from tests.seeding import Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of

ROW = re.compile(r'<tr role="row"><th role="rowheader".*?</tr>', re.DOTALL)
CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)


def lines(visitor: Visitor) -> list[list[str]]:
    """The cells of each row, their markup taken away."""
    rows = [CELL.findall(row) for row in ROW.findall(visitor.get("/console/credit").text)]
    return [
        [" ".join(html.unescape(re.sub(r"<[^>]*>", " ", cell)).split()) for cell in row]
        for row in rows
    ]


def issued(house: House) -> Seeded:
    """Two cards of 25.00 from a credit of 100.00, and the rest is low."""
    seeded = seed(house, vendor=False, credit_minor=10_000)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    submit(house, seeded, recipients_csv(2))
    drain(house)
    change(
        house,
        "UPDATE accounts SET full_minor = 30000 WHERE id = :id",
        id=seeded.client_account,
    )
    return seeded


def test_s4_048_the_tree_says_how_each_account_stands_and_when_it_runs_out(
    app: Flask, house: House
) -> None:
    seeded = issued(house)
    change(house, "UPDATE campaigns SET state = 'paused', pause_reason = 'user'")
    change(house, "UPDATE accounts SET frozen_at = now() WHERE id = :id", id=seeded.agency_account)

    page = visitor_of(app, house, Role.PLATFORM_ADMIN).get("/console/credit").text
    boss = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    agency, client = lines(boss)
    change(
        house, "UPDATE accounts SET restricted_at = now() WHERE id = :id", id=seeded.client_account
    )
    owing = lines(boss)[1][1].removesuffix(" 1 campaign paused")

    assert 'class="depth-2"' in page
    assert page.count('scope="col"') == 7
    assert "<caption" in page
    assert agency[1] == "Frozen"
    assert owing == "Restricted, it owes"
    assert client[0] == "Client Client, USD , level 2"
    assert client[1] == "Low, 20 % or less 1 campaign paused"
    # 50.00 within a week, and as much is left.
    assert client[2].startswith("In 7 days")
    assert agency[2] == client[2]
    assert client[3:6] == ["$50.00", "$0.00", "$50.00"]


def test_s4_048_credit_is_moved_from_the_tree_by_whoever_may(app: Flask, house: House) -> None:
    seeded = seed(house, vendor=False)
    boss = visitor_of(app, house, Role.AGENCY_ADMIN, seeded).get("/console/credit").text
    viewer = visitor_of(app, house, Role.AGENCY_VIEWER, seeded).get("/console/credit").text

    assert f"/console/credit/{seeded.client_account}/allocate" in boss
    assert f"/console/credit/{seeded.agency_account}/allocate" not in boss
    assert "/allocate" not in viewer
