"""What a screen shows whole: money and the way out on a laptop, switches and states on a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from models.people import Role
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, submit
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
    figure = page.locator(".figure", has_text="$12,345,678.90")
    shown = figure.evaluate(
        "e => [e.scrollWidth <= e.clientWidth, e.clientHeight < 1.5 * parseFloat("
        "getComputedStyle(e).lineHeight)]"
    )
    way_out = page.get_by_role("button", name="Sign out").bounding_box()
    page.close()

    assert shown == [True, True]
    assert way_out is not None
    assert way_out["y"] + way_out["height"] <= 720


WIDTHS = (390, 1280)


def window(chromium: Browser, width: int) -> Page:
    return chromium.new_page(viewport={"width": width, "height": 844})


def document_width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def is_within(box: Locator, width: int) -> bool:
    """The whole of it is seen without scrolling to the side."""
    place = box.bounding_box()
    return place is not None and place["x"] >= 0 and place["x"] + place["width"] <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_every_queue_has_its_switch_in_sight(
    house: House, chromium: Browser, address: str, tmp_path: Path, width: int
) -> None:
    make_user(house, "bob@example.com", Role.PLATFORM_ADMIN)
    page = window(chromium, width)

    sign_in(page, address)
    page.goto(f"{address}/console/queues")
    page.screenshot(path=tmp_path / f"queues-{width}.png", full_page=True)
    switches = page.get_by_role("button", name="Pause", exact=True).all()
    reasons = page.get_by_placeholder("Reason").all()
    seen = [is_within(box, width) for box in (*switches, *reasons)]
    wide = document_width(page)
    page.close()

    assert (wide, len(switches), len(reasons)) == (width, 4, 4)
    assert all(seen)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_job_shows_its_states_and_its_life_before_its_recipients(
    house: House, chromium: Browser, address: str, tmp_path: Path, width: int
) -> None:
    seeded = seed(house, vendor=False)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, seeded)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)
    page = window(chromium, width)

    sign_in(page, address)
    page.screenshot(path=tmp_path / f"jobs-{width}.png", full_page=True)
    of_list = [
        document_width(page) == width,
        *(is_within(cell, width) for cell in page.locator("tbody td").all()[:2]),
    ]
    page.goto(f"{address}/console/jobs/{job_id}")
    page.screenshot(path=tmp_path / f"job-{width}.png", full_page=True)
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    of_job = [
        document_width(page) == width,
        *(is_within(cell, width) for cell in page.locator("#recipients tbody td").all()),
    ]
    page.close()

    assert of_list == [True] * 3
    assert of_job == [True] * 7
    assert headings[-2:] == ["Timeline", "Recipients"]


def test_a_time_is_asked_for_in_a_field_like_any_other(
    house: House, chromium: Browser, address: str
) -> None:
    page = window(chromium, 1280)
    page.goto(f"{address}/console/sign-in")
    page.evaluate(
        "document.querySelector('main, body').insertAdjacentHTML('beforeend', "
        "'<input type=text class=probe><input type=datetime-local class=probe>')"
    )
    looks = page.evaluate(
        "[...document.querySelectorAll('.probe')].map(e => { const s = getComputedStyle(e); "
        "return [s.borderRadius, s.minHeight, s.padding, s.width, s.fontFamily] })"
    )
    page.close()

    assert looks[0] == looks[1]
