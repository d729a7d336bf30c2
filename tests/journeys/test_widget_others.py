"""Somebody else is signed in at the shop while the widget works: nobody's click claims for another."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import text

from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.driving import rows
from tests.embedding import Site, frame_of, open_site, refresh, widget
from tests.seeding import seed
from tests.vendor import Sandbox

pytestmark = pytest.mark.journey

#: Tells of each answer that the frame has read, once all that follows from it at once is done.
WATCH = """() => {
  const { json } = Response.prototype;
  window.read = [];
  Response.prototype.json = async function () {
    const body = await json.call(this);
    setTimeout(() => read.push([this.url, this.status]));
    return body;
  };
}"""
OPENED = "() => read.some(([url, status]) => url.endsWith('/session-from-token') && status === 201)"


@pytest.fixture
def site(house: House, sandbox: Sandbox, address: str) -> Iterator[Site]:
    with open_site(house, seed(house), sandbox, address) as opened:
        yield opened


def claimants(site: Site) -> list[str]:
    """The shop's own names of who has claimed."""
    found = rows(
        site.house,
        "SELECT p.external_id FROM claims c JOIN partner_users p ON p.user_id = c.user_id",
    )
    return [one.external_id for one in found]


def end_visits(site: Site) -> None:
    with scoped_transaction(site.house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE widget_sessions SET revoked_at = now()"))


def is_offered(page: Page, *, focused: bool = False) -> None:
    intro = widget(page).get_by_text("Choose one coupon this month.")
    if focused:
        expect(intro).to_be_focused()
    else:
        expect(intro).to_be_visible()


def test_sec_007_an_exchange_that_was_overtaken_does_not_become_the_visit(
    site: Site, chromium: Browser
) -> None:
    """Ada's answer comes when Ben's offers are drawn: his click is his, and so is the code."""
    slow = site.partner.token("ada")
    tokens = [site.partner.token("cy"), slow, site.partner.token("ben")]
    page, given = site.open_own(chromium, tokens)
    is_offered(page)
    held: list[Route] = []
    page.route(
        "**/api/v1/session-from-token",
        lambda route: (
            held.append(route)
            if route.request.post_data_json["token"] == slow
            else route.continue_()
        ),
    )
    with page.expect_request("**/api/v1/session-from-token"):
        refresh(page)
    refresh(page)
    is_offered(page)
    frame = frame_of(page)
    frame.evaluate(WATCH)
    held[0].continue_()
    frame.wait_for_function(OPENED)
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_focused()
    page.context.close()

    assert given == tokens
    assert claimants(site) == ["ben"]


def test_sec_007_a_page_that_says_nobody_too_late_ends_nobody_elses_visit(
    site: Site, chromium: Browser
) -> None:
    """The page has no token for who was there before, when Ben's visit runs."""
    tokens = [site.partner.token("cy"), site.partner.token("ben")]
    page, _given = site.open_own(chromium, tokens)
    is_offered(page)
    page.evaluate(
        "() => { Largesse.getToken = () => new Promise((_, refuse) => { window.refuse = refuse; }); }"
    )
    refresh(page)
    page.wait_for_function("() => Boolean(window.refuse)")
    page.evaluate("() => { Largesse.getToken = () => signs(); }")
    refresh(page)
    is_offered(page)
    frame = frame_of(page)
    before = frame.evaluate("({...sessionStorage})")
    page.evaluate("() => refuse(new Error('nobody'))")
    page.evaluate(
        """origin => frames[0].postMessage(
          {largesse: 1, type: "theme", theme: {"--largesse-scheme": "dark"}}, origin)""",
        site.address,
    )
    frame.wait_for_function("() => document.documentElement.dataset.scheme === 'dark'")
    after = frame.evaluate("({...sessionStorage})")
    page.context.close()

    assert before == after != {}


def test_ec113_a_click_of_who_has_left_claims_nothing_for_who_came(
    site: Site, chromium: Browser
) -> None:
    """EC-113: the visit ended, and the page's token is of somebody else: they see what they may have."""
    tokens = [site.partner.token("ada"), site.partner.token("ben")]
    page, given = site.open_own(chromium, tokens)
    is_offered(page)
    end_visits(site)
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    is_offered(page, focused=True)
    before = claimants(site)
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="Your code")).to_be_focused()
    page.context.close()

    assert given == tokens
    assert (before, claimants(site)) == ([], ["ben"])


def test_ec113_nor_does_their_try_again(site: Site, chromium: Browser) -> None:
    """EC-113: looking for who came found no answer; the button repeats the look, and not the claim."""
    page, _given = site.open_own(chromium, [site.partner.token("ada"), site.partner.token("ben")])
    is_offered(page)
    end_visits(site)
    page.route("**/api/v1/available-coupons*", lambda route: route.abort())
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="No answer")).to_be_focused()
    page.unroute_all()
    widget(page).get_by_role("button", name="Try again").click()
    is_offered(page, focused=True)
    page.context.close()

    assert claimants(site) == []


def test_ec113_who_signs_in_after_nobody_did_is_given_no_claim_of_another(
    site: Site, chromium: Browser
) -> None:
    """EC-113: Ada's visit ended while nobody was signed in; the try again is Ben's."""
    page, _given = site.open_own(
        chromium, [site.partner.token("ada"), None, site.partner.token("ben")]
    )
    is_offered(page)
    end_visits(site)
    widget(page).get_by_role("button", name="Claim Offer 1").click()
    expect(widget(page).get_by_role("heading", name="We do not know who you are")).to_be_focused()
    widget(page).get_by_role("button", name="Try again").click()
    is_offered(page, focused=True)
    page.context.close()

    assert claimants(site) == []
