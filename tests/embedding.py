"""A partner's site on an origin of its own, with the widget in its page, for browsers in tests."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from flask import Flask
from playwright.sync_api import Browser, Frame, FrameLocator, Page, expect
from werkzeug.serving import make_server

from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import put_codes
from tests.driving import rows
from tests.journeys.axe import AXE_SCRIPT
from tests.journeys.conftest import Silent
from tests.partnering import Partner, make_partner
from tests.seeding import Seeded
from tests.vendor import Sandbox

#: A page of the site that asks this test for its tokens, and keeps what it hears.
OWN_PAGE = """<!doctype html><html lang="{language}"><head><title>A shop</title></head><body>
<h1>A shop</h1><div id="largesse"></div><script>
window.heard = [];
for (const name of ["ready", "claimed", "error"]) {{
  document.addEventListener(`largesse:${{name}}`, event => heard.push([name, event.detail]));
}}
window.Largesse = {{getToken: () => window.signs()}};
</script><script src="{address}/widget.js" data-vendor="{vendor}" async></script></body></html>"""


@dataclass(slots=True)
class Site:
    """The sandbox's pretend shop, which is this partner, and the product's front."""

    url: str
    address: str
    house: House = field(repr=False)
    seeded: Seeded = field(repr=False)
    partner: Partner = field(repr=False)
    books: tuple[UUID, ...]
    codes: list[str] = field(repr=False)
    #: A page of the partner's that asks this test for its tokens.
    own_url: str

    def open(self, chromium: Browser, **look: Any) -> Page:
        """The shop's front page in a browser of its own, with axe in every frame."""
        context = chromium.new_context(**({"locale": "en-GB"} | look))
        context.add_init_script(AXE_SCRIPT)
        page = context.new_page()
        page.goto(f"{self.url}/partner/")
        return page

    def open_own(
        self, chromium: Browser, tokens: Sequence[str | None], *, language: str = "en", **look: Any
    ) -> tuple[Page, list[str | None]]:
        """A page of the shop's whose tokens are these, the last again and again; and those it gave."""
        context = chromium.new_context(**({"locale": "en-GB"} | look))
        page = context.new_page()
        left, given = list(tokens), list[str | None]()

        def sign() -> str | None:
            given.append(left.pop(0) if len(left) > 1 else left[0])
            return given[-1]

        page.expose_function("signs", sign)
        page.goto(f"{self.own_url}/{language}")
        return page, given

    def claims(self) -> list[Any]:
        return rows(self.house, "SELECT coupon_id, user_id FROM claims")


@contextmanager
def open_site(house: House, seeded: Seeded, sandbox: Sandbox, address: str) -> Iterator[Site]:
    """A partner with two offers, of two coupons and of one, who is the sandbox's shop."""
    books, codes = [], []
    for count in (2, 1):
        books.append(make_book(house, seeded))
        codes += put_codes(house, seeded, books[-1], count)
    pages = Flask("own")
    server = make_server("127.0.0.1", 0, pages, threaded=True, request_handler=Silent)
    own_url = f"http://127.0.0.1:{server.server_port}"
    partner = make_partner(house, seeded, *books, origins=(sandbox.url, own_url))
    page = partial(OWN_PAGE.format, vendor=partner.id, address=address)
    pages.add_url_rule("/<language>", "page", lambda language: page(language=language))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    told = {"vendor_id": str(partner.id), "secret": partner.secret, "host": address}
    sandbox.control("PUT", "/partner/vendor", told)
    yield Site(sandbox.url, address, house, seeded, partner, tuple(books), codes, own_url)
    server.shutdown()
    thread.join()


def sign_in(page: Page, name: str) -> None:
    """At the shop; the page comes anew, and with it the frame."""
    with page.expect_navigation():
        page.get_by_role("button", name=name).click()


def refresh(page: Page) -> None:
    """The page says that somebody else may be signed in, without loading anew."""
    page.evaluate(
        "document.querySelector('#largesse').dispatchEvent(new Event('largesse:refresh'))"
    )


def widget(page: Page) -> FrameLocator:
    return page.frame_locator("#largesse iframe")


def frame_of(page: Page) -> Frame:
    """The frame itself, once it shows more than its skeleton."""
    expect(widget(page).locator("main[aria-busy=false]")).to_be_visible()
    return next(frame for frame in page.frames if "/widget/" in frame.url)


def tab_to(page: Page, frame: Frame, slot: str) -> None:
    """By Tab alone, from wherever the focus is."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if frame.evaluate("document.activeElement.dataset.slot") == slot:
            return
    raise AssertionError(f"Tab never came to {slot}")


def spoken(page: Page, words: str) -> None:
    expect(widget(page).get_by_role("status")).to_have_text(words)


def heard(page: Page, name: str) -> list[Any]:
    """What the page's own script was told by this event."""
    page.wait_for_function("name => heard.some(one => one[0] === name)", arg=name)
    return [detail for event, detail in page.evaluate("heard") if event == name]
