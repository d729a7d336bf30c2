"""The widget in a partner's page, on two real origins: claimed by keyboard, seen and heard by all."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.wiring import House
from tests.driving import rows
from tests.embedding import Site, frame_of, open_site, sign_in, spoken, tab_to, widget
from tests.journeys.axe import CONTRAST, FRESH, WHOLE, faults
from tests.journeys.test_layout import document_width
from tests.seeding import seed
from tests.vendor import Sandbox

pytestmark = pytest.mark.journey


@pytest.fixture
def site(house: House, sandbox: Sandbox, address: str) -> Iterator[Site]:
    with open_site(house, seed(house), sandbox, address) as opened:
        yield opened


def test_s0_035_a_coupon_is_claimed_by_the_keyboard_alone(site: Site, chromium: Browser) -> None:
    page = site.open(chromium)
    sign_in(page, "Ada")
    frame = frame_of(page)
    before = frame.evaluate("document.activeElement.tagName")

    tab_to(page, frame, "claim")
    page.keyboard.press("Enter")
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_focused()
    spoken(page, "Claimed. Your code is shown.")
    code = widget(page).locator("[data-slot=code]").inner_text()
    tab_to(page, frame, "copy")
    page.keyboard.press("Enter")
    spoken(page, "The code is copied.")
    focus = frame.evaluate("document.activeElement.textContent")
    page.context.close()

    (claim,) = site.claims()
    (user,) = rows(site.house, "SELECT user_id FROM partner_users WHERE external_id LIKE '%1001'")
    assert (before, focus) == ("BODY", "Copied")
    assert code in site.codes
    assert claim.user_id == user.user_id


def test_s0_024_who_has_claimed_sees_their_code_and_when_the_next_one_is_due(
    site: Site, chromium: Browser
) -> None:
    page = site.open(chromium, timezone_id="Asia/Kolkata")
    sign_in(page, "Ada")
    widget(page).get_by_role("button", name="Claim Offer 2").click()
    code = widget(page).locator("[data-slot=code]")
    expect(code).to_be_visible()
    first = code.inner_text()
    expect(widget(page).get_by_text(NEXT)).to_be_visible()
    at_once = widget(page).get_by_text(NEXT).inner_text()

    page.reload()
    expect(widget(page).get_by_text(NEXT)).to_be_visible()
    later = widget(page).get_by_text(NEXT).inner_text()
    again = code.inner_text()
    buttons = widget(page).get_by_role("button").all_inner_texts()
    page.context.close()

    assert first == again == site.codes[-1]
    assert at_once == later
    assert at_once.endswith("GMT+5:30")
    assert buttons == ["Copy the code"]


def test_sec_007_a_session_is_in_its_tab_alone_and_nobody_elses(
    site: Site, chromium: Browser
) -> None:
    """One visit for two pages of one person; another person of the same tab sees nothing of theirs."""
    page = site.open(chromium)
    sign_in(page, "Ada")
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_visible()
    page.reload()
    frame = frame_of(page)
    kept = frame.evaluate("[Object.keys(sessionStorage), localStorage.length, document.cookie]")
    cookies = [one["name"] for one in page.context.cookies()]
    visits = len(rows(site.house, "SELECT FROM widget_sessions"))
    sign_in(page, "Ben")
    expect(widget(page).get_by_role("button", name="Claim Offer 1")).to_be_visible()
    of_ben = widget(page).locator("main").inner_text()
    sign_in(page, "Nobody")
    expect(widget(page).get_by_role("heading", name="We do not know who you are")).to_be_visible()
    left = frame_of(page).evaluate("sessionStorage.length")
    page.context.close()

    assert kept == [[f"largesse:{site.partner.id}"], 0, ""]
    assert cookies == ["pretend_shop_customer"]
    assert (visits, left) == (1, 0)
    assert "Your code" not in of_ben


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_of_the_widget_breaks_a_rule(site: Site, chromium: Browser, scheme: str) -> None:
    page = site.open(chromium, color_scheme=scheme)
    looks, found = set[str](), faults(page, set())
    unknown = of_frame(page)
    sign_in(page, "Ada")
    expect(widget(page).get_by_role("button", name="Claim Offer 1")).to_be_visible()
    offers = of_frame(page)
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_visible()
    claimed = of_frame(page)
    for name in ("away", "none", "foreign", "limited"):
        page.unroute_all()
        page.route("**/api/v1/available-coupons*", ANSWERS[name])
        page.reload()
        expect(widget(page).get_by_role("heading", level=2)).to_have_text(TITLES[name])
        found += of_frame(page)
    page.unroute_all()
    page.get_by_role("button", name="Use a token twice").click()
    expect(page.get_by_role("heading", name="What Largesse answered")).to_be_focused()
    found += faults(page, looks)
    page.context.close()

    assert unknown + offers + claimed + found == []


#: The line that says when the next coupon may be claimed.
NEXT = "The next one from"
NONE_LEFT = {"data": [], "has_more": False, "next_cursor": None, "claimed_this_month": False}
ANSWERS: dict[str, Any] = {
    "away": lambda route: route.abort(),
    "none": lambda route: route.fulfill(json=NONE_LEFT),
    "foreign": lambda route: route.fulfill(json={"code": "origin_not_allowed"}, status=403),
    "limited": lambda route: route.fulfill(
        json={"code": "rate_limited"}, status=429, headers={"Retry-After": "30"}
    ),
}
TITLES = {
    "away": "No answer",
    "none": "No coupon to choose",
    "foreign": "Not to be shown here",
    "limited": "A moment, please",
}


def of_frame(page: Page) -> list[str]:
    """What the frame breaks by itself."""
    frame = frame_of(page)
    found = frame.evaluate("options => axe.run(options)", WHOLE)["violations"]
    frame.evaluate(FRESH, [])
    judged = frame.evaluate(CONTRAST)
    found += judged["violations"] + judged["incomplete"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def test_page_and_frame_fit_a_narrow_screen_and_the_frame_scrolls_nowhere(
    site: Site, chromium: Browser
) -> None:
    page = site.open(chromium, viewport={"width": 320, "height": 640})
    sign_in(page, "Ada")
    frame = frame_of(page)
    seen = []
    for _ in range(2):
        frame.wait_for_function("innerHeight === document.documentElement.scrollHeight")
        seen.append(frame.evaluate("document.documentElement.scrollWidth - innerWidth"))
        if widget(page).get_by_role("button", name="Claim Offer 1").count():
            widget(page).get_by_role("button", name="Claim Offer 1").click()
            expect(widget(page).get_by_role("heading", name="Your code")).to_be_visible()
    smallest = frame.evaluate(
        "Math.min(...[...document.querySelectorAll('button')].map(b => b.offsetHeight))"
    )
    width = document_width(page)
    page.context.close()

    assert (width, seen) == (320, [0, 0])
    assert smallest >= 24


def test_the_frame_speaks_the_language_of_the_page(site: Site, chromium: Browser) -> None:
    page, _given = site.open_own(chromium, [site.partner.token("ada")], language="de-AT")
    expect(widget(page).get_by_role("button", name="Holen Offer 1")).to_be_visible()
    language = frame_of(page).evaluate("document.documentElement.lang")
    title = page.locator("#largesse iframe").get_attribute("title")
    page.context.close()

    assert (language, title) == ("de", "Ihr Gutschein des Monats")


def test_a_partners_colours_are_let_in_and_nothing_else_is(site: Site, chromium: Browser) -> None:
    page = site.open(chromium)
    sign_in(page, "Ada")
    frame = frame_of(page)
    plain = frame.evaluate("document.documentElement.style.getPropertyValue('--largesse-accent')")
    page.evaluate(
        """origin => frames[0].postMessage({largesse: 1, type: "theme", theme: {
          "--largesse-accent": "#00ff00", "--largesse-ground": "url(https://evil.example/)",
          "--largesse-ink": "red; position: fixed", "--largesse-radius": "999px",
          "--largesse-font": "x}", "--ground": "#123456", "display": "none",
          "--largesse-scheme": "dark"}}, origin)""",
        site.address,
    )
    frame.wait_for_function("document.documentElement.dataset.scheme === 'dark'")
    style = frame.evaluate("document.documentElement.style.cssText")
    page.context.close()

    assert plain == "light-dark(#7a3b00, #f0b27a)"
    assert style == "--largesse-accent: #00ff00; --largesse-on-accent: #000000;"
