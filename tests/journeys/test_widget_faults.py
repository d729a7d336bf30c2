"""Whom the widget asks to sign in, and what it says of faults that are none of the user's."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from pipelines.partners.refusals import InvalidToken
from pipelines.wiring import House
from tests.embedding import Site, heard, open_site, refresh, widget
from tests.seeding import seed
from tests.vendor import Sandbox

pytestmark = pytest.mark.journey

NOT_NOW = "The coupons cannot be shown just now."
#: What the token address may answer, and what the frame then says and tells the page.
SIGN_IN = ("Please sign in on this website, then try again.", "no_token")
FAULT = (NOT_NOW, "token_failed")
OF_THE_ADDRESS: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "nobody": ({"status": 401, "json": {}}, SIGN_IN),
    "not this one": ({"status": 403, "body": "no"}, SIGN_IN),
    "a fault": ({"status": 500, "json": {}}, FAULT),
    "a page": ({"status": 200, "body": "<html>", "content_type": "text/html"}, FAULT),
    "no token": ({"status": 200, "json": {}}, FAULT),
    "nothing": ({"status": 200, "body": "null", "content_type": "application/json"}, FAULT),
    "a wrong token": ({"status": 200, "json": {"token": "a.b.c"}}, (NOT_NOW, "invalid_token")),
}


@pytest.fixture
def site(house: House, sandbox: Sandbox, address: str) -> Iterator[Site]:
    with open_site(house, seed(house), sandbox, address) as opened:
        yield opened


def answered(answer: dict[str, Any]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(**answer)


def test_only_who_is_not_signed_in_is_asked_to_sign_in(site: Site, chromium: Browser) -> None:
    """A fault of the token or of its address is none of the user's; the console has the API's words."""
    page = chromium.new_page(locale="en-GB")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.add_init_script(
        """window.heard = [];
        addEventListener("largesse:error", event => heard.push(["error", event.detail]));"""
    )
    seen = {}
    for name, (answer, (words, _code)) in OF_THE_ADDRESS.items():
        page.unroute_all()
        page.route("**/partner/largesse-token", answered(answer))
        page.goto(f"{site.url}/partner/")
        expect(widget(page).locator("#place p").first).to_have_text(words)
        expect(widget(page).get_by_role("button", name="Try again")).to_be_visible()
        seen[name] = heard(page, "error")
    page.close()

    assert seen == {name: [{"code": code}] for name, (_a, (_w, code)) in OF_THE_ADDRESS.items()}
    (refused,) = [line for line in said if "token was refused" in line]
    assert refused.endswith(f"(invalid_token): {InvalidToken.detail}")


def test_a_page_whose_own_function_fails_does_not_ask_to_sign_in(
    site: Site, chromium: Browser
) -> None:
    """Null says that nobody is signed in; an error, or nothing at all, says no such thing."""
    page, _given = site.open_own(chromium, [None])
    expect(widget(page).locator("#place").get_by_text(SIGN_IN[0])).to_be_visible()
    for fails in ("async () => { throw new Error('down'); }", "async () => undefined"):
        page.evaluate(f"() => {{ Largesse.getToken = {fails}; }}")
        refresh(page)
        expect(widget(page).locator("#place").get_by_text(NOT_NOW)).to_be_visible()
        page.evaluate("() => { Largesse.getToken = () => null; }")
        refresh(page)
        expect(widget(page).locator("#place").get_by_text(SIGN_IN[0])).to_be_visible()
    told = [one["code"] for one in heard(page, "error")]
    page.context.close()

    assert told == ["no_token", *["token_failed", "no_token"] * 2]
