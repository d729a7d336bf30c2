"""A partner's secret in a browser: copied by a button, gone for who reloads or comes back (S0-05, S0-08)."""

import pytest
from flask import Flask
from playwright.sync_api import Browser, Error

from models.people import Role
from pipelines.wiring import House
from tests.journeys.axe import faults
from tests.journeys.test_accessibility import opened
from tests.partnering import make_partner
from tests.seeding import Seeded, seed
from tests.web.console.conftest import visitor_of
from tests.web.console.partner_visits import SECRET, home_of
from web.app import create_app

pytestmark = pytest.mark.journey


def furnished(house: House) -> tuple[Flask, Seeded]:
    return create_app(house), seed(house, vendor=False)


def test_s008_a_secret_is_copied_once_and_gone_for_who_comes_back(
    house: House, chromium: Browser, address: str
) -> None:
    """SEC-17"""
    app, seeded = furnished(house)
    partner = make_partner(house, seeded)
    page = opened(chromium, address, visitor_of(app, house, Role.CLIENT_ADMIN, seeded))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page.goto(f"{address}{home_of(partner)}")
    page.get_by_role("link", name="Generate another secret…").click()
    page.get_by_label("Goes on for an hour").check()
    page.get_by_role("button", name="Generate another secret").click()

    shown = SECRET.search(page.content())
    assert shown is not None
    assert faults(page, set()) == []
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == shown[1]

    page.reload()
    assert "shown then" in page.content()
    assert shown[1] not in page.content()
    page.get_by_role("link", name="To the partner").click()
    page.get_by_role("heading", name="Standing").wait_for()
    # The browser has kept nothing of it, and asks before it sends the form again.
    with pytest.raises(Error, match="ERR_CACHE_MISS"):
        page.go_back()
    page.context.close()


def test_s008_a_page_that_is_kept_whole_for_going_back_has_no_secret_in_it(
    house: House, chromium: Browser, address: str
) -> None:
    """SEC-17"""
    app, seeded = furnished(house)
    partner = make_partner(house, seeded)
    page = opened(chromium, address, visitor_of(app, house, Role.CLIENT_ADMIN, seeded))
    page.goto(f"{address}{home_of(partner)}/secret")
    page.get_by_role("button", name="Generate another secret").click()
    shown = SECRET.search(page.content())
    assert shown is not None

    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")

    field = page.locator("#secret")
    assert (field.input_value(), field.get_attribute("data-value")) == ("", None)
    page.context.close()


def test_s034_snippets_are_tabs_of_which_one_is_open(
    house: House, chromium: Browser, address: str
) -> None:
    app, seeded = furnished(house)
    partner = make_partner(house, seeded)
    page = opened(chromium, address, visitor_of(app, house, Role.CLIENT_VIEWER, seeded))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page.goto(f"{address}{home_of(partner)}/embed")
    assert page.locator("#snippet-python").is_visible()

    page.get_by_text("PHP", exact=True).click()
    page.get_by_role("button", name="Copy Signing a token with PHP").click()
    page.get_by_role("button", name="Copied").wait_for()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert (copied.startswith("<?php"), str(partner.id) in copied) == (True, True)
    assert page.locator("#snippet-php").is_visible()
    page.context.close()


def test_a_verdict_takes_the_focus_and_breaks_no_rule(
    house: House, chromium: Browser, address: str
) -> None:
    app, seeded = furnished(house)
    partner = make_partner(house, seeded)
    page = opened(chromium, address, visitor_of(app, house, Role.CLIENT_ADMIN, seeded))
    page.goto(f"{address}{home_of(partner)}/check-token")
    for token, words in ((partner.token(), "is good"), ("nothing", "is not taken")):
        page.get_by_role("textbox", name="Token").fill(token)
        page.get_by_role("button", name="Check it").click()

        told = page.get_by_role("group", name=f"The token {words}")
        told.wait_for()
        assert told.evaluate("told => told === document.activeElement")
        assert page.get_by_role("textbox", name="Token").input_value() == ""
        assert faults(page, set()) == []
    page.context.close()


@pytest.mark.parametrize("width", [1280, 320])
def test_s005_a_secret_is_seen_whole_with_its_last_characters(
    house: House, chromium: Browser, address: str, width: int
) -> None:
    app, seeded = furnished(house)
    partner = make_partner(house, seeded)
    visitor = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    look = {"viewport": {"width": width, "height": 900}}
    page = opened(chromium, address, visitor, **look)
    page.goto(f"{address}{home_of(partner)}/secret")
    page.get_by_role("button", name="Generate another secret").click()

    field = page.get_by_label("Secret", exact=True)
    size = field.evaluate(
        "one => [one.scrollWidth - one.clientWidth, one.scrollHeight - one.clientHeight]"
    )

    assert (len(field.input_value()), size) == (44, [0, 0])
    box = field.bounding_box()
    assert box is not None
    assert box["height"] < (50 if width == 1280 else 90)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


@pytest.mark.parametrize("size", [(1280, 900), (1280, 600), (320, 700)])
@pytest.mark.parametrize("role", [Role.CLIENT_ADMIN, Role.PLATFORM_ADMIN])
def test_the_entry_of_the_page_stands_wholly_in_the_list_of_pages(
    house: House, chromium: Browser, address: str, size: tuple[int, int], role: Role
) -> None:
    app, seeded = furnished(house)
    look = {"viewport": {"width": size[0], "height": size[1]}}
    page = opened(chromium, address, visitor_of(app, house, role, seeded), **look)
    page.goto(f"{address}/console/partners")

    inside = page.evaluate(
        """() => {
          const here = document.querySelector(".side nav [aria-current]");
          const [one, all] = [here, here.closest("nav")].map((it) => it.getBoundingClientRect());
          return [here.textContent.trim(), one.top >= all.top - 1, one.bottom <= all.bottom + 1,
            one.left >= all.left - 1, one.right <= all.right + 1, scrollY];
        }"""
    )

    assert inside == ["Partners", True, True, True, True, 0]
    page.context.close()
