"""Each role's dashboard: who has how much credit, who issued how much, and the last days drawn.

S4-040, S4-042..044, S4-047, S4-048, S4-052, S4-087..089.
"""

import html
import re

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from pipelines.tenants.glance import CampaignGlance
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, submit
from tests.seeding import Seeded, seed
from tests.web.console.conftest import Visitor, visitor_of

CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)


def words(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def table(page: str, name: str) -> list[list[str]]:
    """The rows of one dashboard table, their markup taken away."""
    section = page.partition(f'aria-labelledby="{name}"')[2].partition("</section>")[0]
    body = section.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [CELL.findall(row) for row in body.split("<tr>")[1:]]
    return [[words(cell) for cell in row] for row in rows]


def issue(house: House, seeded: Seeded, cards: int) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(cards))
    submit(house, seeded, recipients_csv(cards))
    drain(house)


def name_all(house: House, seeded: Seeded, word: str) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        connection = session.connection()
        connection.exec_driver_sql(
            "UPDATE agencies SET name = %s WHERE id = %s", (f"{word} Agency", seeded.agency_id)
        )
        connection.exec_driver_sql(
            "UPDATE clients SET name = %s WHERE id = %s", (f"{word} Client", seeded.client_id)
        )
        connection.exec_driver_sql(
            "UPDATE campaigns SET name = %s WHERE id = %s", (f"{word} Drop", seeded.campaign_id)
        )


def test_s4_040_the_platform_sees_agencies_and_clients_with_credit_and_usage(
    app: Flask, house: House
):
    busy, quiet = seed(house, vendor=False), seed(house, vendor=False, credit_minor=0)
    name_all(house, busy, "Busy")
    name_all(house, quiet, "Quiet")
    issue(house, busy, 3)

    page = visitor_of(app, house, Role.PLATFORM_ADMIN).get("/console/").text

    assert table(page, "agencies") == [
        ["Busy Agency 1 client, USD", "$0.00", "$0.00", "3", "$75.00"],
        ["Quiet Agency 1 client, USD", "$0.00", "$0.00", "0", "$0.00"],
    ]
    assert [row[0] for row in table(page, "clients")] == [
        "Busy Client Busy Agency, 1 campaign, USD",
        "Quiet Client Not used yet Quiet Agency, 1 campaign, USD",
    ]
    assert table(page, "clients")[0][1:] == ["$99,925.00", "$0.00", "3", "$75.00"]


def test_s4_044_an_agency_sees_its_own_clients_and_no_others(app: Flask, house: House):
    own, other = seed(house, vendor=False), seed(house, vendor=False)
    name_all(house, own, "Own")
    name_all(house, other, "Other")
    issue(house, own, 2)

    page = visitor_of(app, house, Role.AGENCY_ADMIN, own).get("/console/").text

    assert table(page, "clients") == [
        ["Own Client 1 campaign, USD", "$99,950.00", "$0.00", "2", "$50.00"]
    ]
    assert table(page, "agencies") == []
    assert "Other Client" not in page


def test_s4_052_a_client_sees_its_campaigns_and_about_how_many_cards_are_left(
    bob: Visitor, house: House, seeded: Seeded
):
    name_all(house, seeded, "Spring")
    issue(house, seeded, 4)

    page = bob.get("/console/").text
    (row,) = table(page, "campaigns")
    own = re.search(rf'<a href="(/console/campaigns/{seeded.campaign_id})">', page)

    assert row[0] == "Spring Drop Active draws on the client's credit, USD"
    assert row[1:] == ["$99,900.00", "$0.00", "4", "$100.00", "3,996"]
    assert own is not None
    assert "$99,900.00" in bob.get(own[1]).text


def test_s4_047_the_chart_of_the_month_says_in_its_table_what_it_draws(
    bob: Visitor, house: House, seeded: Seeded
):
    issue(house, seeded, 2)

    page = bob.get("/console/").text
    drawn = page.partition('id="charged-usd-title"')[2]
    body = drawn.partition("<tbody>")[2].partition("</tbody>")[0]
    days = [CELL.findall(row) for row in body.split("<tr>")[1:]]

    assert len(days) == 30
    assert days[-1][1] == "$50.00"
    assert {amount for _day, amount in days[:-1]} == {"$0.00"}
    assert drawn.partition("</svg>")[0].count("<rect") == 1


def test_nobody_who_may_not_read_credit_sees_amounts(app: Flask, house: House, seeded: Seeded):
    issue(house, seeded, 1)

    page = visitor_of(app, house, Role.END_USER, seeded).get("/console/").text

    assert "$" not in page


def test_without_usage_nothing_is_estimated():
    glance = CampaignGlance(
        *[None] * 2, "active", None, "shared", None, "USD", 100, 0, cards=0, charged=0
    )

    assert glance.cards_left is None


@pytest.mark.parametrize(
    ("address", "page"), [("/agency/dashboard", "/console/"), ("/client/credit", "/console/credit")]
)
def test_s4_077_078_the_addresses_of_the_notes_lead_to_the_pages(
    bob: Visitor, address: str, page: str
):
    answer = bob.get(address)

    assert (answer.status_code, answer.headers["Location"]) == (303, page)
