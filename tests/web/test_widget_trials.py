"""The buttons of the pretend shop, pressed against the product's API over HTTP."""

import json
import re
import threading
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.serving import make_server

from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import put_codes
from tests.driving import rows
from tests.journeys.conftest import Silent
from tests.partnering import make_partner
from tests.seeding import Seeded
from tests.vendor import Sandbox


@pytest.fixture
def shop(app: Flask, house: House, seeded: Seeded, sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox is a partner with one coupon, of a front that is served."""
    book = make_book(house, seeded)
    put_codes(house, seeded, book, 1)
    partner = make_partner(house, seeded, book, origins=(sandbox.url,))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host = f"http://127.0.0.1:{server.server_port}"
    told = {"vendor_id": str(partner.id), "secret": partner.secret, "host": host}
    sandbox.control("PUT", "/partner/vendor", told)
    yield sandbox
    server.shutdown()
    thread.join()


def pressed(shop: Sandbox, name: str) -> tuple[list[str], list[Any]]:
    """What the page shows after a button: the headings of the answers, and the answers."""
    answer = requests.post(f"{shop.url}/partner/try/{name}", timeout=30)
    shown = answer.text.partition('class="answer"')[2].partition("</section>")[0]
    headings = [unescape(one) for one in re.findall(r"<h3>(.*?)</h3>", shown, re.DOTALL)]
    bodies = [
        json.loads(unescape(one)) for one in re.findall(r"<pre.*?>(.*?)</pre>", shown, re.DOTALL)
    ]
    return headings, bodies


def test_ec102_the_shop_shows_that_a_token_is_used_once(shop: Sandbox, house: House) -> None:
    """EC-102: and of the session that the first one opened, nothing that could be used."""
    headings, bodies = pressed(shop, "replay")

    assert [one.rpartition(": ")[2] for one in headings] == ["201", "401 token_replayed"]
    assert len(bodies[0]["session_token"]) == 5
    assert len(rows(house, "SELECT FROM widget_sessions")) == 1


@pytest.mark.parametrize(
    ("name", "code"), [("expired", "token_expired"), ("wrong-secret", "invalid_token")]
)
def test_ec104_ec105_the_shop_shows_why_a_token_is_refused(
    shop: Sandbox, house: House, name: str, code: str
) -> None:
    headings, _bodies = pressed(shop, name)

    assert [one.rpartition(": ")[2] for one in headings] == [f"401 {code}"]
    assert rows(house, "SELECT FROM widget_sessions") == []


def test_ec110_of_two_who_race_for_the_last_coupon_one_has_it(shop: Sandbox, house: House) -> None:
    """EC-110: afterwards nothing is left to race for."""
    headings, bodies = pressed(shop, "race")
    again, nothing = pressed(shop, "race")

    outcomes = sorted(one.rpartition(": ")[2].partition(",")[0] for one in headings)
    assert outcomes == ["201", "409 coupon_unavailable"]
    assert sorted(one.get("replayed", "refused") for one in bodies if "claim" in one) == [False]
    assert len(rows(house, "SELECT FROM claims")) == 1
    assert (len(again), nothing) == (1, [{"data": []}])
