"""What a vendor sells, over HTTP and on its page, and routes that do not fit it."""

import pytest
from flask import Flask

from models.base import new_id
from models.people import Role
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.console.conftest import visitor_of


@pytest.fixture
def listed(house: House, seeded: Seeded) -> None:
    """A product of dollars that the seeded route sells, and one of euros that is gone."""
    for product, currency, country in (("120", "USD", "US"), ("130", "EUR", "DE")):
        rows(
            house,
            "INSERT INTO vendor_products (id, vendor, product, name, currency, countries,"
            " fixed_minor, cost_bp, cost_flat_minor, cost_currency, was_cost_bp, cost_changed_at,"
            " seen_at, vanished_at) VALUES (:id, 'reloadly', :product, 'Shop', :currency,"
            " ARRAY[:country], ARRAY[1000, 2500], 9450, 10, :currency, 9000, now(), now(),"
            " CASE WHEN :currency = 'EUR' THEN now() END) RETURNING 1",
            id=new_id(),
            product=product,
            currency=currency,
            country=country,
        )


def test_the_products_of_a_vendor_are_listed_for_the_platform(
    admin: Caller, client_admin: Caller, listed: None
):
    path = "/vendor-accounts/reloadly/products"

    found = admin.get(path).json["data"]
    routed = admin.get(f"{path}?routed=yes").json["data"]

    assert [(one["product"], one["routes"]) for one in found] == [("130", 0), ("120", 1)]
    assert [one["product"] for one in routed] == ["120"]
    assert (routed[0]["cost_bp"], routed[0]["was_cost_bp"]) == (9_450, 9_000)
    assert (found[0]["vanished_at"] is None, routed[0]["vanished_at"]) == (False, None)
    assert admin.get("/vendor-accounts/nobody/products").status_code == 404
    assert client_admin.get(path).status_code == 403


def test_a_catalogue_is_read_when_a_person_asks_and_once_at_a_time(
    admin: Caller, house: House, seeded: Seeded
):
    path = "/vendor-accounts/reloadly/read-catalogue"

    answers = [admin.post(path, {}).status_code for _ in range(2)]

    tasks = rows(house, "SELECT kind, lane FROM tasks WHERE kind = 'sync_catalogue'")
    assert answers == [202, 202]
    assert [tuple(task) for task in tasks] == [("sync_catalogue", "reloadly")]


def test_a_route_to_a_product_of_another_currency_or_country_is_refused(
    admin: Caller, seeded: Seeded, listed: None
):
    path = f"/brands/{seeded.brand_id}"

    euros = admin.call("PATCH", path, {"routes": [{"vendor": "reloadly", "product": "130"}]})
    elsewhere = admin.call("PATCH", path, {"country": "CA"})

    assert [e["code"] for e in euros.json["errors"]] == ["route_does_not_fit"]
    assert euros.json["errors"][0]["pointer"] == "/routes/0/product"
    assert elsewhere.json["errors"][0]["detail"].endswith("used in CA; this product's in US.")
    assert [r["product"] for r in admin.get(path).json["routes"]] == ["120"]


def test_a_vendors_page_says_what_its_products_cost(
    app: Flask, house: House, seeded: Seeded, listed: None
):
    operator = visitor_of(app, house, Role.PLATFORM_ADMIN)

    page = operator.get("/console/vendors/reloadly").text

    assert "94.5 % of the value and $0.10" in page
    assert "$10.00, $25.00" in page


def test_a_statement_is_taken_over_http_and_stands_on_the_vendors_page(
    app: Flask, admin: Caller, client_admin: Caller, house: House, seeded: Seeded
):
    path = "/vendor-accounts/reloadly/statements"
    content = b"vendor_order_id,amount,currency\n77,10.00,USD\n"

    taken = admin.client.put(
        f"/api/v1{path}/2026-11-01",
        data=content,
        content_type="text/csv",
        headers=admin.headers,
    )
    listed_days = admin.get(path).json["data"]

    assert (taken.status_code, taken.json["counts"]) == (200, {"missing_here": 1})
    assert [(one["day"], one["findings"]) for one in listed_days] == [("2026-11-01", 1)]
    assert admin.get(f"{path}/2026-11-01").json["findings"] == taken.json["findings"]
    assert admin.get(f"{path}/2026-11-02").status_code == 404
    assert admin.get(f"{path}/yesterday").status_code == 422
    assert client_admin.get(path).status_code == 403
    operator = visitor_of(app, house, Role.PLATFORM_ADMIN)
    assert "2026-11-01" in operator.get("/console/vendors/reloadly").text
