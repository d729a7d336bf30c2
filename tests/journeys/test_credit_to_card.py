"""Credit's way down in a real browser, from the platform's admin to a card in a person's hands."""

import pytest
from playwright.sync_api import Browser, Page, expect

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from pipelines.credit.allocate import top_up_platform
from pipelines.provisioning.reveal import reveal_token
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import PASSWORD, make_user

pytestmark = pytest.mark.journey

PEOPLE = {
    "ann@example.com": Role.PLATFORM_ADMIN,
    "abe@example.com": Role.AGENCY_ADMIN,
    "cat@example.com": Role.CLIENT_ADMIN,
}


@pytest.fixture
def seeded(house: House) -> Seeded:
    """A platform with 5,000.00, empty accounts below it, and two cards in stock."""
    made = seed(house, vendor=False, credit_minor=0)
    import_cards_now(house, made.csv_pool, cards_csv(2, "GIFT"))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        top_up_platform(
            session, currency="USD", amount=500_000, client_ref="journey", actor_id=None
        )
    for email, role in PEOPLE.items():
        make_user(house, email, role, None if role is Role.PLATFORM_ADMIN else made)
    for table, name in (("agencies", "North"), ("clients", "Brightside"), ("campaigns", "Spring")):
        rows(house, f"UPDATE {table} SET name = '{name}' RETURNING 1")
    return made


def signed_in(chromium: Browser, address: str, email: str) -> Page:
    page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{address}/console/credit")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Credit", exact=True)).to_be_visible()
    return page


def allocate(page: Page, to: str, amount: str, *, shown: str) -> None:
    """From the tree of accounts, past the page that shows both sides, to what was moved."""
    page.get_by_role("link", name=to, exact=True).first.click()
    page.get_by_role("link", name="Allocate to it").click()
    page.get_by_label("Amount in USD").fill(amount)
    page.get_by_label("Note").fill("For the spring")
    page.get_by_role("button", name="See what it does").click()
    expect(page.get_by_role("table", name="Both accounts before and after")).to_be_visible()
    page.get_by_role("button", name=f"Allocate {shown}").click()
    expect(page.get_by_text("For the spring")).to_be_visible()
    page.context.close()


def balance(house: House, owner: object) -> int:
    statement = "SELECT balance FROM accounts WHERE owner_id = :owner AND kind = 'credit'"
    return int(rows(house, statement, owner=owner)[0].balance)


def test_s4_062_credit_flows_by_forms_to_a_card_that_its_recipient_opens(
    house: House, chromium: Browser, address: str, seeded: Seeded
):
    """S4-045, S4-049, S4-059..062: each role does its part, and the end customer theirs."""
    allocate(signed_in(chromium, address, "ann@example.com"), "North", "1000", shown="$1,000.00")
    allocate(
        signed_in(chromium, address, "abe@example.com"), "Brightside", "400.50", shown="$400.50"
    )

    page = signed_in(chromium, address, "cat@example.com")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Campaigns").click()
    page.get_by_role("link", name="Spring", exact=True).click()
    page.get_by_role("link", name="Budget", exact=True).click()
    page.get_by_label("Budget (may stay empty)").fill("100")
    page.get_by_role("button", name="See what it does").click()
    page.get_by_role("button", name="Give it $100.00").click()
    expect(page.get_by_text("$100.00").first).to_be_visible()
    job_id = submit(house, seeded, recipients_csv(1), delivery_method="email")
    drain(house)
    page.goto(f"{address}/console/jobs/{job_id}")
    expect(page.get_by_text("1 of 1 issued").first).to_be_visible()
    page.context.close()

    card = open_as_recipient(house, chromium, address)

    assert card.startswith("GIFT")
    owners = (seeded.agency_id, seeded.client_id, seeded.campaign_id)
    assert [balance(house, owner) for owner in owners] == [59_950, 30_050, 7_500]
    assert_proven(house)


def open_as_recipient(house: House, chromium: Browser, address: str) -> str:
    """On a phone, with no account: a wrong address is refused, the right one shows the number."""
    (row,) = rows(house, "SELECT id FROM provisions")
    page = chromium.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{address}/r/{reveal_token(row.id, 1, house.settings.keyring)}")
    expect(page.get_by_text("$25.00")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for email in ("somebody@else.example", "person0@example.com"):
        page.get_by_role("textbox").fill(email)
        page.get_by_role("button", name="Show my card").click()
    number = page.locator("#number").get_attribute("data-value")
    page.context.close()
    assert number is not None
    return number
