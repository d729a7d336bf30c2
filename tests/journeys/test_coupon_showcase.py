"""The notes' scenarios of coupons in a real browser: redeem, lock, race, limit (S3-078..084)."""

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect

from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import coupon, coupon_in, events, finish, put_codes, state_of
from tests.driving import rows
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.until import until
from tests.web.conftest import PASSWORD, make_user

pytestmark = pytest.mark.journey

ALICE, BOB = "alice@example.com", "bob@example.com"
#: Between two looks for work.
BREATH_SECONDS = 0.05


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def alice(house: House, seeded: Seeded) -> UUID:
    """She works for the client, and holds coupons like anybody."""
    return make_user(house, ALICE, Role.CLIENT_VIEWER, seeded)


@pytest.fixture
def worker(house: House) -> Iterator[None]:
    """Whatever is accepted meanwhile is worked off."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(BREATH_SECONDS):
            finish(house)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    is_over.set()
    thread.join()


def signed_in(chromium: Browser, address: str, email: str, path: str) -> Page:
    page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{address}{path}")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    return page


def my_coupons(chromium: Browser, address: str, faults: list[str]) -> Page:
    """Alice's page; a dialog that blocks would be a fault (S1-040)."""
    page = signed_in(chromium, address, ALICE, "/console/my/coupons")
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    expect(page.get_by_role("heading", name="My coupons", exact=True)).to_be_visible()
    return page


def press(page: Page, verb: str, code: str) -> None:
    page.get_by_role("button", name=f"{verb} {code}", exact=True).click()


def test_s3_078_alice_redeems_a_coupon_that_was_assigned_to_her(
    house: House, chromium: Browser, address: str, seeded: Seeded, alice: UUID, worker: None
) -> None:
    """Scenario 1."""
    code, faults = coupon_in(house, seeded, CouponState.ASSIGNED, alice), list[str]()
    page = my_coupons(chromium, address, faults)

    press(page, "Redeem", code)

    expect(page.get_by_role("status").filter(has_text=f"Redeemed: {code}")).to_be_visible()
    card = page.get_by_role("listitem").filter(has_text=code)
    expect(card.locator(".state")).to_have_text("Redeemed")
    page.context.close()
    assert (state_of(house, code), faults) == (CouponState.REDEEMED, [])


def test_s3_080_a_lock_of_five_minutes_keeps_a_coupon_from_being_redeemed(
    house: House, chromium: Browser, address: str, seeded: Seeded, alice: UUID, worker: None
) -> None:
    """Scenario 2: S3-030..032, S3-081."""
    code, faults = coupon_in(house, seeded, CouponState.ASSIGNED, alice), list[str]()
    page = my_coupons(chromium, address, faults)

    press(page, "Lock", code)
    expect(page.get_by_role("status").filter(has_text="locked for 5 minutes")).to_be_focused()
    expect(page.locator("[data-until]")).to_contain_text("s left")
    press(page, "Redeem", code)
    expect(page.get_by_role("alert")).to_contain_text("Cannot redeem LOCKED coupon")
    press(page, "Lock", code)
    expect(page.get_by_role("alert")).to_contain_text("Already locked")
    press(page, "Unlock", code)
    expect(page.get_by_role("status").filter(has_text="The coupon is unlocked")).to_be_visible()
    press(page, "Redeem", code)
    expect(page.get_by_role("status").filter(has_text=f"Redeemed: {code}")).to_be_visible()
    press(page, "Redeem", code)
    expect(page.get_by_role("alert")).to_contain_text("Terminal state")

    page.context.close()
    assert events(house, code) == ["assigned", "locked", "unlocked", "redeemed"]
    assert faults == []


def test_s3_083_of_two_windows_one_redeems_and_the_other_is_told_so(
    house: House, chromium: Browser, address: str, seeded: Seeded, alice: UUID
) -> None:
    """Scenario 4: S1-066, S3-037, EC-085."""
    code, faults = coupon_in(house, seeded, CouponState.ASSIGNED, alice), list[str]()
    windows = [my_coupons(chromium, address, faults) for _ in range(2)]

    first, second = windows
    first.get_by_role("button", name=f"Redeem {code}", exact=True).evaluate("e => e.click()")
    accepted(house)
    press(second, "Redeem", code)
    expect(second.get_by_role("alert")).to_contain_text("Concurrent redemption detected")
    finish(house)
    expect(first.get_by_role("status").filter(has_text=f"Redeemed: {code}")).to_be_visible(
        timeout=15_000
    )
    press(second, "Redeem", code)
    expect(second.get_by_role("alert")).to_contain_text("Terminal state")

    for page in windows:
        page.context.close()
    assert events(house, code) == ["assigned", "redeemed"]
    assert faults == []
    assert_proven(house)


def accepted(house: House) -> None:
    """Wait until the first window's request has its job."""
    until(lambda: rows(house, "SELECT 1 FROM open_redemptions"))


def test_s3_084_a_sixth_coupon_is_more_than_the_book_gives_one_person(
    house: House, chromium: Browser, address: str, seeded: Seeded, alice: UUID, worker: None
) -> None:
    """Scenario 5: S1-041, S1-061, S3-044..046, S3-058."""
    make_user(house, BOB, Role.CAMPAIGN_MANAGER, seeded)
    book_id = make_book(house, seeded, name="Spring sale", max_assignments_per_user=5)
    put_codes(house, seeded, book_id, 8)
    page = signed_in(chromium, address, BOB, "/console/books")
    page.get_by_role("link", name="Spring sale").click()
    page.get_by_label("E-mail of the person").fill("nobody@example.com")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("alert")).to_contain_text("User not found")
    page.get_by_label("E-mail of the person").fill(ALICE)
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("holds 0 coupons of this book")).to_be_visible()

    for _ in range(5):
        page.get_by_label("E-mail of the person").fill(ALICE)
        page.get_by_role("button", name="Assign", exact=True).click()
        expect(page.get_by_role("status").filter(has_text="Assigned:")).to_be_visible()
        page.goto(f"{address}/console/books/{book_id}/assign")
    page.get_by_label("E-mail of the person").fill(ALICE)
    page.get_by_role("button", name="Assign", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("Maximum assignments exceeded (5/5)")
    page.get_by_role("link", name="Back to the book").click()
    expect(page.get_by_text("8 coupons: 3 unassigned, 5 assigned")).to_be_visible()
    page.context.close()
    assert len(rows(house, "SELECT 1 FROM coupons WHERE user_id = :id", id=alice)) == 5


def test_s1_057_a_button_that_cannot_be_pressed_stays_so_when_scripts_run(
    house: House, chromium: Browser, address: str, seeded: Seeded, alice: UUID
) -> None:
    found = coupon(house, seeded, coupon_in(house, seeded, CouponState.REDEEMED, alice))
    make_user(house, BOB, Role.CAMPAIGN_MANAGER, seeded)
    path = f"/console/books/{found.book_id}/coupons/{found.id}"
    page = signed_in(chromium, address, BOB, path)

    for name in ("Assign", "Lock", "Unlock", "Redeem", "Release", "Void"):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_disabled()
    expect(page.get_by_role("button", name="Redeem", exact=True)).to_have_accessible_description(
        "Terminal state. A redeemed coupon stays redeemed."
    )
    page.context.close()


def test_a_book_is_made_filled_and_given_without_scripts(
    house: House, chromium: Browser, address: str, seeded: Seeded, alice: UUID, worker: None
) -> None:
    """S1-037, S3-043: each page of books works by forms and links alone."""
    make_user(house, BOB, Role.CAMPAIGN_MANAGER, seeded)
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/console/books")
    page.get_by_label("E-mail").fill(BOB)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="New book").click()
    page.get_by_label("Name", exact=True).fill("Spring sale")
    page.get_by_label("Beginning").fill("SPRING")
    page.get_by_label("Nothing: show codes").check()
    page.get_by_role("button", name="Look at the pattern").click()
    expect(page.get_by_text("Codes would look like this")).to_be_visible()
    page.get_by_role("button", name="Make the book").click()
    expect(page.get_by_text("The book is made.")).to_be_visible()
    book = page.url.partition("?")[0]
    page.get_by_label("How many").fill("20")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("20 of 20 generated").first).to_be_visible(timeout=15_000)

    page.goto(book)
    page.get_by_label("E-mail of the person").fill(ALICE)
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Assigned: SPRING-")).to_be_visible()
    page.goto(f"{book}/coupons?find={ALICE}")
    expect(page.get_by_role("row").filter(has_text=ALICE)).to_have_count(1)

    page.context.close()
