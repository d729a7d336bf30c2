"""Every page keeps the rules of WCAG 2.1 A and AA that a machine can see, and fits a narrow screen."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from models.people import Role
from pipelines.provisioning.reveal import reveal_token
from pipelines.wiring import House
from tests.driving import rows
from tests.furnished import RECIPIENT, draft_of, furnish, ids_of, keep_books, pages
from tests.journeys.axe import AXE_SCRIPT, faults
from tests.journeys.conftest import Silent
from tests.journeys.test_layout import document_width
from tests.seeding import Seeded
from tests.standing import app, database, house
from tests.web.console.conftest import Visitor, visitor_of

__all__ = ["app", "database", "house"]
pytestmark = pytest.mark.journey

WORDS = "Spring Drop"
ROLES = (Role.PLATFORM_ADMIN, Role.CLIENT_ADMIN, Role.CAMPAIGN_MANAGER)
#: Parts of a page that are fetched into another.
FRAGMENTS = ("/live",)
#: Forms that are sent as they stand, empty, and answer with what is wrong.
REFUSED = (
    "/console/jobs/new",
    "/console/campaigns/new",
    "/console/people/new",
    "/console/api-keys/new",
    "/console/webhooks/new",
    "/console/books/new",
    "/console/discounts/new",
    "/console/discounts/generate",
    "/console/discounts/import",
    "/console/referrals/new",
    "/console/partners/new",
    "/console/partners/{partner_id}/check-token",
    "/console/credit/{account_id}/pay",
    "/console/purchases/{purchase_id}/accept",
    "/console/user-pools/new",
    "/console/user-pools/{user_pool_id}/add",
    "/console/user-pools/{user_pool_id}/distribute",
)
IN_THE_DARK = (
    "",
    "jobs",
    "jobs/{job_id}",
    "jobs/new/{draft_id}/check",
    "campaigns/{campaign_id}/settings",
    "alerts",
    "people/{user_id}",
    "books/{book_id}",
    "books/new",
    "discounts",
    "discounts/{discount_id}",
    "discounts/{discount_id}/analytics",
    "purchases",
    "purchases/{purchase_id}",
    "stripe-events",
    "partners",
    "partners/{partner_id}",
    "partners/{partner_id}/embed",
    "partners/{partner_id}/secret",
    "discounts/flagged",
    "my/coupons",
    "jobs/{draw_job_id}",
    "user-pools/{user_pool_id}",
)
#: Where a table or a form is wide.
NARROW = {
    Role.PLATFORM_ADMIN: (
        "brands",
        "brands/{brand_id}",
        "brands/{brand_id}/price",
        "vendors/{vendor}/statements/{day}",
        "receivables",
        "receivables/{receivable_id}/write-off",
        "balance-sheets",
        "balance-sheets/{sheet_id}",
        "stripe-events",
        "stripe-events/{event_id}",
        "purchases/{purchase_id}/refund",
        "purchases/{purchase_id}/returned",
        "purchases/{purchase_id}/accept",
        "credit/{account_id}",
        "credit/{account_id}/pay",
        "credit/top-ups/{top_up_id}",
        "partners",
        "partners/new",
        "partners/{partner_id}",
        "partners/{partner_id}/edit",
        "partners/{partner_id}/disable",
        "partners/{partner_id}/secret",
        "partners/{partner_id}/check-token",
        "partners/{partner_id}/embed",
        "partners/{partner_id}/claims",
    ),
    Role.CAMPAIGN_MANAGER: (
        "campaigns/new",
        "campaigns/{campaign_id}/settings",
        "campaigns/{campaign_id}/codes",
        "campaigns/{campaign_id}/codes/withdraw",
        "books",
        "books/new",
        "books/{book_id}",
        "books/{book_id}/edit",
        "books/{book_id}/close",
        "books/{book_id}/assign",
        "books/{book_id}/coupons",
        "books/{book_id}/coupons/{coupon_id}",
        "discounts",
        "discounts/new",
        "discounts/generate",
        "discounts/import",
        "discounts/analytics",
        "discounts/{discount_id}",
        "discounts/{discount_id}/analytics",
        "discounts/{discount_id}/archive",
        "discounts/{discount_id}/edit",
        "discounts/flagged",
        "discounts/flagged/{reservation_id}",
        "discounts/reservations/{reservation_id}/release",
        "purchases",
        "purchases/{purchase_id}",
        "my/coupons",
        "my/coupons/{own_id}",
        "jobs/{draw_job_id}",
        "jobs/{draw_job_id}/draw",
        "jobs/{draw_job_id}/undo",
        "user-pools",
        "user-pools/new",
        "user-pools/{user_pool_id}",
        "user-pools/{user_pool_id}/add",
        "user-pools/{user_pool_id}/distribute",
        "user-pools/{user_pool_id}/settings",
        "jobs/new",
        "jobs/new/{draft_id}/what",
        "jobs/new/{draft_id}/upload",
        "jobs/new/{draft_id}/check",
        "jobs/new/{draft_id}/cost",
    ),
}


@pytest.fixture(scope="module")
def address(app: Flask) -> Iterator[str]:
    """The address of a front that serves this module's house; styles are fetched once."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def seeded(app: Flask, house: House) -> Seeded:
    return furnish(app, house, WORDS)


@pytest.fixture(scope="module")
def people(app: Flask, house: House, seeded: Seeded) -> dict[Role, Visitor]:
    found = {role: visitor_of(app, house, role, seeded) for role in ROLES}
    keep_books(house, found[Role.PLATFORM_ADMIN], seeded, WORDS)
    return found


@pytest.fixture(scope="module")
def ids(house: House, seeded: Seeded, people: dict[Role, Visitor]) -> dict[Role, dict[str, object]]:
    """What stands in the addresses; a draft is its maker's alone."""
    return {
        role: ids_of(house, seeded, draft_of(visitor, seeded, WORDS))
        for role, visitor in people.items()
    }


def opened(chromium: Browser, address: str, visitor: Visitor | None, **look: Any) -> Page:
    """A page of a browser in which the visitor is signed in, with axe in it."""
    context = chromium.new_context(**look)
    context.add_init_script(AXE_SCRIPT)
    for name in ("largesse", "largesse-look"):
        if visitor is not None and (cookie := visitor.client.get_cookie(name)) is not None:
            context.add_cookies([{"name": name, "value": cookie.value, "url": address}])
    return context.new_page()


def shape(html: str) -> tuple[str, ...]:
    """A page's different elements in their order, without what they say and lead to."""
    inside = re.sub(r'(href|action|value|datetime)="[^"]*"', r"\1", html.partition("<main")[2])
    return tuple(dict.fromkeys(re.findall(r"<[^/][^>]*>", inside)))


def test_no_page_of_the_console_breaks_a_rule(
    app: Flask, chromium: Browser, address: str, people: dict[Role, Visitor], ids: Any
) -> None:
    looks: set[str] = set()
    found, shapes = [], set()
    for role, visitor in people.items():
        page = opened(chromium, address, visitor)
        for path in pages(app, ids[role]):
            answer = visitor.get(path)
            if answer.mimetype != "text/html" or answer.status_code == 303:
                continue
            if path.endswith(FRAGMENTS) or shape(answer.text) in shapes:
                continue
            shapes.add(shape(answer.text))
            page.goto(address + path)
            found += [f"{role.value}: {fault}" for fault in faults(page, looks)]
        page.context.close()

    assert found == []
    assert len(shapes) > 60, "pages must be seen, or this test proves nothing"


def test_no_form_that_is_sent_back_breaks_a_rule(
    chromium: Browser, address: str, people: dict[Role, Visitor], ids: Any
) -> None:
    page = opened(chromium, address, people[Role.CLIENT_ADMIN])
    found, wrong, looks = [], [], set[str]()
    for path in REFUSED:
        page.goto(address + path.format(**ids[Role.CLIENT_ADMIN]))
        with page.expect_navigation():
            page.locator("main form[method=post]").last.evaluate("form => form.submit()")
        wrong.append(page.locator("[aria-invalid], [data-focus]").count() > 0)
        found += faults(page, looks)
    page.context.close()

    assert found == []
    assert all(wrong), wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_that_strangers_see_breaks_a_rule(
    house: House, chromium: Browser, address: str, seeded: Seeded, scheme: str
) -> None:
    (sent,) = rows(house, "SELECT id FROM provisions WHERE delivery_method = 'email'")
    link = f"/r/{reveal_token(sent.id, 1, house.settings.keyring)}"
    page = opened(chromium, address, None, color_scheme=scheme)
    paths = ["/console/sign-in", f"/redeem?campaign={seeded.campaign_id}", link]
    found, looks = [], set[str]()
    for path in (
        [*paths, "/console/forgot", "/redeem", "/r/nobodys"] if scheme == "light" else paths
    ):
        page.goto(address + path)
        found += faults(page, looks)
    page.goto(address + link)
    for email in ("somebody@else.example", RECIPIENT):
        page.get_by_role("textbox").fill(email)
        page.get_by_role("button", name="Show my card").click()
        found += faults(page, looks)
    cards = page.locator("#number").count()
    page.context.close()

    assert found == []
    assert cards == 1


def test_no_page_breaks_a_rule_in_the_dark(
    chromium: Browser, address: str, people: dict[Role, Visitor], ids: Any
) -> None:
    page = opened(chromium, address, people[Role.PLATFORM_ADMIN], color_scheme="dark")
    found, looks = [], set[str]()
    for path in IN_THE_DARK:
        page.goto(f"{address}/console/{path.format(**ids[Role.PLATFORM_ADMIN])}")
        found += faults(page, looks)
    page.context.close()

    assert found == []


def test_a_page_seen_as_somebody_else_breaks_no_rule(
    app: Flask, house: House, chromium: Browser, address: str, seeded: Seeded, ids: Any
) -> None:
    support = visitor_of(app, house, Role.PLATFORM_SUPPORT)
    look = f"/console/people/{ids[Role.PLATFORM_ADMIN]['user_id']}/look"
    support.send(look, reason="They ask where row 7 is", ticket="T-7")
    page = opened(chromium, address, support)
    page.goto(f"{address}/console/jobs")
    seen, found = page.get_by_text("You look as").count(), faults(page, set())
    page.context.close()

    assert (seen, found) == (1, [])


def test_wide_pages_fit_a_narrow_screen(
    chromium: Browser, address: str, people: dict[Role, Visitor], ids: Any
) -> None:
    wide = []
    for role, paths in NARROW.items():
        page = opened(chromium, address, people[role], viewport={"width": 320, "height": 640})
        for path in paths:
            answer = page.goto(f"{address}/console/{path.format(**ids[role])}")
            if document_width(page) != 320 or answer is None or answer.status != 200:
                wide.append((path, document_width(page), answer and answer.status))
        page.context.close()

    assert wide == []
