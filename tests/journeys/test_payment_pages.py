"""Money's way in a real browser: a shopper pays on the hosted page, the product hears of it by its
webhook, the console confirms and pays back; and a tenant pays for credit (S2-013, EC-050, EC-077)."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from models.people import Role
from ops.home import free_port
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house, vendor_environment
from tests.discounting import counted, make_discount
from tests.driving import rows
from tests.journeys.conftest import Silent
from tests.journeys.test_layout import document_width
from tests.journeys.test_upload_to_results import sign_in
from tests.paying import Till
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import seed
from tests.vendor import Sandbox
from tests.web.conftest import make_user
from web.app import create_app

pytestmark = pytest.mark.journey


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def house(ground: Ground, database: Database, sandbox: Sandbox, port: int) -> Iterator[House]:
    """A house that is paid at the sandbox, and knows the address at which it is served."""
    told = vendor_environment(sandbox) | {"PUBLIC_URL": f"http://127.0.0.1:{port}"}
    with a_house(ground, database, time_scale=0.02, **told) as built:
        yield built


def served(app: Any, port: int) -> Iterator[str]:
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def app(house: House) -> Flask:
    return create_app(house)


@pytest.fixture
def address(app: Flask, port: int) -> Iterator[str]:
    """The address of the front."""
    yield from served(app, port)


@pytest.fixture
def shop() -> Iterator[str]:
    """The address of a shop that thanks whoever paid."""
    pages = Flask("shop")
    pages.add_url_rule("/thanks", "thanks", lambda: "<h1>Thank you</h1>")
    yield from served(pages, 0)


@pytest.fixture
def till(app: Flask, house: House, sandbox: Sandbox, address: str) -> Till:
    """Stripe tells the served front of its events."""
    seeded = seed(house)
    url = f"{address}/api/v1/webhooks/stripe"
    told = {"url": url, "secrets": list(house.paying.secrets), "enabled_events": ["*"]}
    sandbox.control("PUT", "/stripe/endpoint", told)
    make_user(house, "bob@example.com", Role.CLIENT_ADMIN, seeded)
    return Till(app, house, seeded, key_caller(app, house, seeded.client_id), sandbox)


def arrive(till: Till) -> None:
    """What Stripe tells has arrived over HTTP, and a worker has done what follows."""
    till.work()
    till.steer("deliveries/flush")
    till.work()


def pay(page: Page) -> None:
    """On the hosted page."""
    page.get_by_label("E-mail").fill("ann@example.com")
    page.get_by_role("button", name="Pay", exact=True).click()


def test_s2_013_a_shopper_pays_the_console_confirms_it_and_pays_it_back(
    till: Till, chromium: Browser, address: str, shop: str, tmp_path: Path
) -> None:
    code_id = make_discount(till.house, till.seeded)
    thanks = f"{shop}/thanks?page={{CHECKOUT_SESSION_ID}}"
    purchase = till.checkout(till.reserve(), success_url=thanks)
    page = chromium.new_page(viewport={"width": 1280, "height": 900})

    page.goto(purchase["checkout_url"])
    pay(page)
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    came_back = page.url
    arrive(till)
    sign_in(page, address)
    page.goto(f"{address}/console/purchases")
    page.screenshot(path=tmp_path / "purchases.png", full_page=True)
    page.get_by_role("link", name=purchase["cart_id"]).click()
    expect(page.get_by_text("What was asked for is paid.")).to_be_visible()
    page.screenshot(path=tmp_path / "confirmed.png", full_page=True)
    page.get_by_role("link", name="Pay back…").click()
    page.get_by_label("Amount in USD").fill("40")
    page.get_by_role("button", name="See what it does").click()
    page.get_by_label("Reason").fill("One was broken")
    page.screenshot(path=tmp_path / "check.png", full_page=True)
    page.get_by_role("button", name="Pay $40.00 back").click()
    expect(page.get_by_text("The refund is asked for.")).to_be_visible()
    arrive(till)
    page.reload()
    refunds = page.get_by_role("table", name="Refunds of this purchase, oldest first")
    expect(refunds.get_by_role("row").nth(1)).to_contain_text("$40.00")
    expect(refunds.get_by_text("Arrived")).to_be_visible()
    page.screenshot(path=tmp_path / "refunded.png", full_page=True)
    widths = []
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        widths.append(document_width(page))
    page.close()

    assert came_back == f"{shop}/thanks?page={purchase['session_id']}"
    assert widths == [320, 1280]
    assert till.purchase(purchase["purchase_id"])["refunded_minor"] == 4_000
    assert counted(till.house, code_id) == (1, {"confirmed": 1})
    assert rows(till.house, "SELECT 1 FROM stripe_events WHERE was_pulled") == []
    assert_proven(till.house)


def test_ec077_credit_is_paid_for_in_the_browser_and_there_when_its_payer_comes_back(
    till: Till, chromium: Browser, address: str, tmp_path: Path
) -> None:
    """The console's policy lets forms lead to itself alone; the way to Stripe is a page's own."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    sign_in(page, address)

    page.goto(f"{address}/console/credit/{till.seeded.client_account}")
    page.get_by_role("link", name="Pay for credit…").click()
    page.get_by_label("Amount in USD").fill("125.50")
    page.screenshot(path=tmp_path / "pay.png", full_page=True)
    page.get_by_role("button", name="Go to the payment page").click()
    expect(page.get_by_text("This is the sandbox: no money moves.")).to_be_visible()
    pay(page)
    expect(page.get_by_text("$125.50 is")).to_be_visible()
    arrive(till)
    page.reload()
    expect(page.get_by_text("The credit is in this account.")).to_be_visible()
    page.screenshot(path=tmp_path / "account.png", full_page=True)
    page.close()

    assert_proven(till.house)
