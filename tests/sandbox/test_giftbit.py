"""Giftbit over HTTP, as its documentation tells: funds, links, Pacific dates, its errors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.conftest import Running


def place(
    sandbox: Running, reference: str, *, headers: dict[str, str] | None = None, **fields: Any
):
    body = {"id": reference, "price_in_cents": 2500, "brand_codes": ["nilefoodus"], "link_count": 1}
    path = "/giftbit/direct_links"
    return sandbox.call("POST", path, json=body | fields, headers=headers or {})


def test_an_order_answers_with_its_links_and_shows_itself_begun_then_made(sandbox: Running):
    told = place(sandbox, "ref-1", link_count=2, expiry="2031-01-01").json()
    shown = sandbox.call("GET", "/giftbit/campaign/ref-1").json()["campaign"]
    by_uuid = sandbox.call("GET", f"/giftbit/campaign/{shown['uuid']}").json()["campaign"]
    links = sandbox.call("GET", "/giftbit/links/ref-1").json()

    assert told["info"]["code"] == "INFO_CAMPAIGN_CREATED"
    assert (told["campaign"]["status"], shown["status"]) == ("API_CREATING", "CAMPAIGN_CREATED")
    assert by_uuid == shown
    assert (shown["expiry"], shown["delivery_type"]) == ("2031-01-01", "DIRECT_LINK")
    assert [row["link"] for row in links["directlinks"]] == told["direct_links"]
    assert [row["number"] for row in links["directlinks"]] == [1, 2]


def test_an_order_without_funds_is_taken_and_made_when_money_comes(sandbox: Running):
    sandbox.call("PUT", "/control/giftbit/balance", json={"balance": 40})

    first, second, third = (place(sandbox, f"ref-{n}").json() for n in range(3))
    unready = sandbox.call("GET", "/giftbit/links/ref-1").json()
    sandbox.call("PUT", "/control/giftbit/balance", json={"balance": 45})
    states = [
        sandbox.call("GET", f"/giftbit/campaign/ref-{n}").json()["campaign"]["status"]
        for n in range(3)
    ]

    assert first["info"]["code"] == "INFO_CAMPAIGN_CREATED"
    assert second["info"]["code"] == third["info"]["code"] == "INFO_CAMPAIGN_CREATED_FUNDS_REQUIRED"
    assert (second["status"], second["campaign"]["status"]) == (200, "AWAITING_FUNDS")
    assert second["direct_links"] == []
    assert unready["info"]["code"] == "INFO_LINKS_GENERATION_IN_PROGRESS"
    assert states == ["CAMPAIGN_CREATED", "CAMPAIGN_CREATED", "AWAITING_FUNDS"]
    funds = sandbox.call("GET", "/giftbit/funds").json()["fundsbycurrency"]
    assert funds["USD"]["available_in_cents"] == 2000


def test_gifts_are_dated_on_the_pacific_clock(sandbox: Running):
    place(sandbox, "ref-1")
    pacific = datetime.now(UTC) - timedelta(hours=8)

    gift = sandbox.call("GET", "/giftbit/gifts", params={"campaign_id": "ref-1"}).json()["gifts"][0]
    since = {"created_date_greater_than": f"{pacific - timedelta(hours=1):%Y-%m-%d %H:%M:%S}"}
    after = {"created_date_greater_than": f"{pacific + timedelta(hours=1):%Y-%m-%d %H:%M:%S}"}

    written = datetime.strptime(gift["created_date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(written - pacific) < timedelta(minutes=5)
    assert sandbox.call("GET", "/giftbit/gifts", params=since).json()["total_count"] == 1
    assert sandbox.call("GET", "/giftbit/gifts", params=after).json()["total_count"] == 0


def test_any_call_is_throttled_on_demand(sandbox: Running):
    simulate = {"SIMULATE-RATELIMIT": "true"}

    statuses = [
        place(sandbox, "ref-1", headers=simulate).status_code,
        sandbox.call("GET", "/giftbit/funds", headers=simulate).status_code,
        sandbox.call("GET", "/giftbit/campaign/ref-1").status_code,
    ]

    assert statuses == [429, 429, 422]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"id": None}, 400, "ERROR_BAD_REQUEST"),
        ({"price_in_cents": 25.5}, 400, "ERROR_BAD_REQUEST"),
        ({"brand_codes": ["nothing"]}, 422, "ERROR_CAMPAIGN_INVALID_BRAND"),
        ({"price_in_cents": 2400}, 422, "ERROR_CAMPAIGN_INVALID_BRAND"),
    ],
)
def test_a_refusal_has_its_code_and_orders_nothing(
    sandbox: Running, fields: dict, status: int, code: str
):
    answer = place(sandbox, "ref-1", **fields)

    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["error"]["code"] == code
    assert sandbox.call("GET", "/control/giftbit/summary").json()["orders_total"] == 0


def test_brands_are_listed_and_shown(sandbox: Running):
    canadian = sandbox.call("GET", "/giftbit/brands", params={"currencyisocode": "CAD"}).json()
    fixed = sandbox.call("GET", "/giftbit/brands/nilefoodus").json()["brand"]
    ranged = sandbox.call("GET", "/giftbit/brands/nilemusicus").json()["brand"]

    assert [brand["brand_code"] for brand in canadian["brands"]] == ["nilefoodca"]
    assert fixed["allowed_prices_in_cents"] == [1000, 2500, 5000, 10000]
    assert (ranged["min_price_in_cents"], ranged["fund_currencyisocode"]) == (100, "USD")
