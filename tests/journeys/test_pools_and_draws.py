"""Scenario 3 of the showcase: an administrator draws ten coupons for a pool, in a real browser (S3-082)."""

import pytest
from playwright.sync_api import Browser, Page, expect

from models.people import Role
from pipelines.wiring import House
from tests.distributing import stocked_book
from tests.driving import drain, rows
from tests.journeys.test_layout import document_width
from tests.journeys.test_upload_to_results import sign_in
from tests.seeding import Seeded, seed
from tests.web.conftest import make_user

pytestmark = pytest.mark.journey

PEOPLE = ("alice", "bob", "carol", "dave", "eve")


@pytest.fixture
def seeded(house: House) -> Seeded:
    made = seed(house, vendor=False)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, made)
    stocked_book(house, made, 50, name="Summer Sale 2026", max_assignments_per_user=5)
    return made


def fill_pool(page: Page) -> None:
    """A pool is made and five people are put into it, with one slip on the way."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Pools").click()
    page.get_by_role("link", name="New pool").click()
    page.get_by_label("Name").fill("Beta Testers")
    page.get_by_label("Description").fill("Who tries things first")
    page.get_by_role("button", name="Make the pool").click()
    page.get_by_role("link", name="Add people").first.click()
    lines = "\n".join(f"{name}@demo.example" for name in PEOPLE)
    page.get_by_label("People", exact=True).fill(lines)
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_role("cell", name="User not found")).to_have_count(5)
    page.get_by_label("Make people who are not known yet").first.check()
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_text("5 people were added to the pool.")).to_be_visible()


@pytest.mark.parametrize("with_scripts", [True, False], ids=["scripts", "no_scripts"])
def test_s3_082_ten_coupons_are_drawn_for_the_beta_testers(
    house: House, chromium: Browser, address: str, seeded: Seeded, with_scripts: bool
):
    """S3-082, S1-072"""
    context = chromium.new_context(java_script_enabled=with_scripts)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    sign_in(page, address)
    fill_pool(page)

    page.get_by_role("link", name="Distribute coupons").click()
    page.get_by_label("Book", exact=True).select_option(index=1)
    page.get_by_label("Random").check()
    page.get_by_label("Number of coupons").fill("12")
    page.get_by_role("button", name="See what happens").click()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_label("Number of coupons")).to_have_value("12")
    page.get_by_label("Number of coupons").fill("10")
    page.get_by_role("button", name="See what happens").click()
    expect(
        page.get_by_text("10 coupons of Summer Sale 2026 are drawn among 5 people")
    ).to_be_visible()
    expect(page.get_by_role("cell", name="May be drawn")).to_have_count(5)
    before = rows(house, "SELECT count(*) FROM coupons WHERE state = 'assigned'")
    page.get_by_role("button", name="Distribute 10 coupons").click()
    drain(house)

    expect(page.get_by_text("10 of 10 assigned").first).to_be_visible(timeout=15_000)
    expect(page.get_by_role("heading", name="What came of it")).to_be_visible(timeout=15_000)
    page.get_by_role("link", name="Check this draw").click()
    expect(page.get_by_role("heading", name="How to draw again")).to_be_visible()
    assert before == [(0,)]
    held = rows(
        house,
        "SELECT u.email, count(*) AS coupons FROM coupons c JOIN users u ON u.id = c.user_id "
        "WHERE c.state = 'assigned' GROUP BY u.email",
    )
    assert sum(row.coupons for row in held) == 10
    assert {row.email for row in held} <= {f"{name}@demo.example" for name in PEOPLE}
    assert max(row.coupons for row in held) <= 5
    assert faults == []
    context.close()


def test_s3_062_an_id_is_copied_and_the_check_fits_a_phone(
    house: House, chromium: Browser, address: str, seeded: Seeded
):
    """S3-062"""
    context = chromium.new_context(
        viewport={"width": 320, "height": 640}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    sign_in(page, address)
    fill_pool(page)
    page.get_by_role("button", name="Copy the user id of alice@demo.example").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    widths = [document_width(page)]
    page.get_by_role("link", name="Distribute coupons").click()
    page.get_by_label("Book", exact=True).select_option(index=1)
    page.get_by_role("radio", name="Equal").check()
    page.get_by_label("Number of coupons").fill("11")
    widths.append(document_width(page))
    page.get_by_role("button", name="See what happens").click()
    widths.append(document_width(page))
    page.get_by_role("button", name="Distribute 10 coupons").click()
    drain(house)
    page.reload()
    widths.append(document_width(page))
    context.close()

    (alice,) = rows(house, "SELECT id FROM users WHERE email = 'alice@demo.example'")
    assert copied == str(alice.id)
    assert widths == [320] * 4
