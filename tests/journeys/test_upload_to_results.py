"""One person's way through the console in a real browser: sign in, upload, send, watch, download."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, rows
from tests.seeding import Seeded, seed
from tests.web.conftest import PASSWORD, make_user

pytestmark = pytest.mark.journey

FILE = (
    "reference,email,name,phone\n"
    "a1,ada@example.com,Ada,\n"
    "a2,grace@example.com,Grace,\n"
    "a3,not an address,Alan,\n"
    "a4,joan@example.com,Joan,\n"
)


@pytest.fixture
def seeded(house: House) -> Seeded:
    """Two cards in stock, no supplier, and somebody who may send."""
    made = seed(house, vendor=False)
    import_cards_now(house, made.csv_pool, cards_csv(2))
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, made)
    rows(house, "UPDATE campaigns SET name = 'Spring Drop' RETURNING 1")
    return made


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/console/jobs")
    page.get_by_label("E-mail").fill("bob@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


def send_file(page: Page) -> None:
    """Through the wizard's steps, leaving out what cannot be used."""
    page.get_by_role("link", name="New bulk job").click()
    page.get_by_label("Campaign").select_option(label="Spring Drop (Client)")
    page.get_by_label("Brand").select_option(index=1)
    page.get_by_label("Amount per card").fill("25")
    page.get_by_label("Not sent").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("CSV file of recipients").set_input_files(
        files=[{"name": "spring.csv", "mimeType": "text/csv", "buffer": FILE.encode()}]
    )
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_text("Row 3, email: This is not a deliverable")).to_be_visible()
    page.get_by_label("Leave them out").check()
    page.get_by_role("button", name="See the cost").click()
    expect(page.get_by_text("$75.00", exact=True)).to_be_visible()
    page.get_by_role("button", name="Issue 3 cards").click()


@pytest.mark.parametrize("with_scripts", [True, False], ids=["scripts", "no_scripts"])
def test_a_file_becomes_cards_and_a_results_file(
    house: House,
    chromium: Browser,
    address: str,
    seeded: Seeded,
    tmp_path: Path,
    with_scripts: bool,
):
    context = chromium.new_context(java_script_enabled=with_scripts)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    sign_in(page, address)
    send_file(page)
    expect(page.get_by_text("Queued", exact=True)).to_be_visible()

    drain(house)
    # Without scripts the page asks again by itself every five seconds.
    expect(page.get_by_text("Finished with failures", exact=True)).to_be_visible(timeout=15_000)
    expect(page.locator("#recipients tbody").get_by_text("Issued")).to_have_count(2)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Results").click()
    results = tmp_path / "results.csv"
    waiting.value.save_as(results)

    expect(page.get_by_text("2 of 4 issued").first).to_be_visible()
    expect(page.get_by_role("heading", name="No card was in stock")).to_be_visible()
    expect(page.get_by_role("button", name="Retry failed (1)")).to_be_visible()
    assert [line.split(",")[7] for line in results.read_text().splitlines()[1:]] == [
        '"succeeded"',
        '"succeeded"',
        '"failed"',
        '"failed"',
    ]
    assert faults == []
    context.close()


def test_a_password_can_be_shown_and_an_error_takes_the_focus(
    house: House, chromium: Browser, address: str, seeded: Seeded
):
    page = chromium.new_page()
    page.goto(f"{address}/console/")
    password = page.get_by_label("Password", exact=True)
    password.fill("wrong")

    page.get_by_role("button", name="Show the password").click()
    expect(password).to_have_attribute("type", "text")
    page.get_by_label("E-mail").fill("bob@example.com")
    page.get_by_role("button", name="Sign in").click()

    expect(page.locator("[data-focus]")).to_be_focused()
    page.close()


def test_pages_fit_a_narrow_screen(house: House, chromium: Browser, address: str, seeded: Seeded):
    context = chromium.new_context(viewport={"width": 320, "height": 640})
    page = context.new_page()
    sign_in(page, address)

    for path in ("/console/", "/console/jobs", "/console/jobs/new", "/console/credit"):
        page.goto(f"{address}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    context.close()
