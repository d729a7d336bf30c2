"""An agency's administrator looks where the credit goes, and takes some back, on a laptop and a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.journeys.test_layout import WIDTHS, document_width, is_within, window
from tests.journeys.test_upload_to_results import sign_in
from tests.seeding import seed
from tests.web.conftest import make_user

pytestmark = pytest.mark.journey


def test_s4_045_credit_is_followed_down_the_tree_and_taken_back(
    house: House, chromium: Browser, address: str, tmp_path: Path
) -> None:
    seeded = seed(house, vendor=False, credit_minor=20_000)
    make_user(house, "bob@example.com", Role.AGENCY_ADMIN, seeded)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    submit(house, seeded, recipients_csv(2))
    drain(house)
    page = window(chromium, WIDTHS[0])
    too_wide = []

    def look(name: str) -> None:
        """At both widths; no page is wider than its screen."""
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
            if document_width(page) != width:
                too_wide.append((name, width))

    sign_in(page, address)
    page.goto(f"{address}/console/credit")
    cells = page.locator("table.lines td").all()
    seen = [is_within(cell, WIDTHS[0]) for cell in cells]
    look("tree")
    page.get_by_role("link", name="Take back from Client").click()
    page.get_by_label("Amount in USD").fill("12.50")
    look("form")
    page.get_by_role("button", name="See what it does").click()
    look("check")
    page.get_by_role("button", name="Take back $12.50").click()
    page.get_by_text("$12.50 moved from Client").wait_for()
    look("account")
    page.goto(f"{address}/console/campaigns")
    look("campaigns")
    page.get_by_role("link", name="Campaign", exact=True).click()
    look("campaign")
    page.get_by_role("link", name="Budget").click()
    look("budget")
    page.close()

    assert too_wide == []
    assert len(cells) == 12
    assert all(seen)
    (account,) = rows(
        house, "SELECT balance FROM accounts WHERE id = :id", id=seeded.client_account
    )
    assert account.balance == 20_000 - 5_000 - 1_250
