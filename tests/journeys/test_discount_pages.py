"""A discount code at the console in a browser: priced while it is typed, made, and a slot released."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from models.people import Role
from pipelines.wiring import House
from tests.discounting import full_discount
from tests.driving import change, rows
from tests.journeys.test_layout import document_width
from tests.journeys.test_upload_to_results import sign_in
from tests.seeding import seed
from tests.suspecting import flag
from tests.web.conftest import make_user

pytestmark = pytest.mark.journey


@pytest.mark.parametrize("width", [320, 1280])
def test_s2_061_the_sample_cart_is_priced_while_a_code_is_typed(
    house: House, chromium: Browser, address: str, tmp_path: Path, width: int
) -> None:
    """By the server: nothing is sent until the button is pressed, and no field loses its focus."""
    seeded = seed(house, vendor=False)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, seeded)
    page = chromium.new_page(viewport={"width": width, "height": 900})
    sign_in(page, address)
    page.goto(f"{address}/console/discounts/new")

    page.get_by_label("Code", exact=True).fill("save12")
    page.get_by_label("Percent", exact=True).fill("12.5")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("The cart would cost $87.50 instead of $100.00")
    focused = page.evaluate("document.activeElement.id")
    page.get_by_label("Price of one of product 1").fill("nothing")
    expect(preview).to_contain_text("Correct the fields")
    page.get_by_label("Price of one of product 1").fill("80")
    expect(preview).to_contain_text("The cart would cost $70.00 instead of $80.00")
    wide = document_width(page)
    page.screenshot(path=tmp_path / f"new-{width}.png", full_page=True)
    before = rows(house, "SELECT 1 FROM discount_codes")
    page.get_by_role("button", name="Make the code").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SAVE12")
    page.screenshot(path=tmp_path / f"code-{width}.png", full_page=True)
    page.close()

    assert (focused, wide, before) == ("percent", width, [])


def test_s2_143_a_live_slot_counts_down_and_is_released_by_keyboard(
    house: House, chromium: Browser, address: str, tmp_path: Path
) -> None:
    seeded = seed(house, vendor=False)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, seeded)
    full_discount(house, seeded)
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    sign_in(page, address)

    page.goto(f"{address}/console/discounts")
    page.screenshot(path=tmp_path / "list.png", full_page=True)
    page.get_by_role("link", name="SAVE10").click()
    left = page.locator("time[data-left]")
    shown = left.text_content() or ""
    expect(left).not_to_have_text(shown)
    page.screenshot(path=tmp_path / "code.png", full_page=True)
    page.get_by_role("link", name="Release the slot of cart").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Reason").fill("The shop is down")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The slot is given back")).to_be_visible()
    page.goto(f"{address}/console/discounts/analytics")
    page.screenshot(path=tmp_path / "analytics.png", full_page=True)
    page.close()

    assert shown.startswith("14:")
    assert rows(house, "SELECT state, release_reason FROM discount_usages") == [
        ("released", "manager")
    ]


def test_s2_138_flagged_uses_are_gone_through_by_keys_that_can_be_switched_off(
    house: House, chromium: Browser, address: str, tmp_path: Path
) -> None:
    """No key decides, and none is heard while somebody types (WCAG 2.1.4)."""
    seeded = seed(house, vendor=False)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, seeded)
    for code in ("HIGH", "LOWER"):
        flag(house, {"id": full_discount(house, seeded, code)})
    change(
        house,
        "UPDATE usage_risks SET score = 90 WHERE code_id = (SELECT id FROM discount_codes "
        "WHERE code = 'HIGH')",
    )
    page = chromium.new_page(viewport={"width": 320, "height": 900})
    sign_in(page, address)
    page.goto(f"{address}/console/discounts/flagged")
    page.get_by_role("link", name="Look at them one by one").click()
    expect(page.locator("#place")).to_contain_text("1 of 2")
    wide = document_width(page)
    page.screenshot(path=tmp_path / "flagged-item.png", full_page=True)

    page.keyboard.press("n")
    expect(page.locator("#place")).to_contain_text("2 of 2")
    page.get_by_label("Keys").uncheck()
    page.keyboard.press("n")
    page.reload()
    expect(page.get_by_label("Keys")).not_to_be_checked()
    page.keyboard.press("n")
    expect(page.locator("#place")).to_contain_text("2 of 2")
    page.get_by_label("Keys").check()
    page.keyboard.press("a")
    page.get_by_label("Reason").fill("a colleague, by name")
    page.get_by_role("button", name="Approve the use").click()
    expect(page.locator("#place")).to_contain_text("1 of 1")
    expect(page.get_by_text("The use is approved.")).to_be_visible()
    page.close()

    decided = rows(house, "SELECT decision_reason FROM usage_risks WHERE decision = 'approved'")
    assert [one.decision_reason for one in decided] == ["a colleague, by name"]
    assert wide == 320
