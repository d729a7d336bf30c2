"""What a laptop's screen shows whole: money in one piece, and the way out."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from models.people import Role
from pipelines.wiring import House
from tests.journeys.test_upload_to_results import sign_in
from tests.seeding import seed
from tests.web.conftest import make_user

pytestmark = pytest.mark.journey


def test_money_and_the_way_out_fit_a_laptop(
    house: House, chromium: Browser, address: str, tmp_path: Path
) -> None:
    seeded = seed(house, vendor=False, credit_minor=1_234_567_890)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, seeded)
    page = chromium.new_page(viewport={"width": 1280, "height": 720})

    sign_in(page, address)
    page.goto(f"{address}/console/")
    page.screenshot(path=tmp_path / "overview.png")
    figure = page.get_by_text("$12,345,678.90", exact=True)
    shown = figure.evaluate(
        "e => [e.scrollWidth <= e.clientWidth, e.clientHeight < 1.5 * parseFloat("
        "getComputedStyle(e).lineHeight)]"
    )
    way_out = page.get_by_role("button", name="Sign out").bounding_box()
    page.close()

    assert shown == [True, True]
    assert way_out is not None
    assert way_out["y"] + way_out["height"] <= 720
