"""The page where a buyer pays, clicked through over plain HTTP."""

import pytest
import requests

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import ASKED, Shop


@pytest.fixture
def shop(sandbox: Running) -> Shop:
    return Shop(sandbox)


def click(url: str | None, action: str, **fields: str) -> requests.Response:
    assert url
    return requests.post(url, fields | {"action": action}, timeout=10, allow_redirects=False)


def look(url: str | None) -> requests.Response:
    assert url
    return requests.get(url, timeout=10)


def test_the_page_shows_what_is_bought_with_a_button_for_each_way(shop: Shop):
    product = {"name": "<b>Plan</b>"}
    price = ASKED["line_items"][0]["price_data"] | {"product_data": product, "unit_amount": 123450}
    made = shop.open(line_items=[{"quantity": 1, "price_data": price}])

    answer = look(made.url)

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;Plan&lt;/b&gt;" in answer.text
    assert "1,234.50 USD" in answer.text
    for action in ("pay", "decline", "pay_later", "cancel"):
        assert f'<button name="action" value="{action}"' in answer.text
    assert '<label for="email">' in answer.text


def test_pay_leads_to_the_shop_with_the_sessions_id(shop: Shop):
    made = shop.open()

    answer = click(made.url, "pay", email="ann@example.com", card="0005")

    paid = shop.session(made.id)
    payment = shop.v1.payment_intents.retrieve(paid.payment_intent, {"expand": ["latest_charge"]})
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"http://127.0.0.1:1/done?session={made.id}"
    assert (paid.payment_status, paid.customer_details.email) == ("paid", "ann@example.com")
    assert payment.latest_charge.payment_method_details.card.brand == "amex"


def test_ec007_a_declined_card_shows_the_page_again(shop: Shop):
    made = shop.open()

    declined = click(made.url, "decline")
    paid = click(made.url, "pay")

    assert declined.status_code == 200
    assert '<p role="alert">Your card was declined.' in declined.text
    assert paid.status_code == 303


def test_ec047_a_bank_debit_leads_on_and_is_paid_later(shop: Shop):
    made = shop.open()

    answer = click(made.url, "pay_later")

    assert answer.status_code == 303
    assert shop.session(made.id).payment_status == "unpaid"


def test_cancel_leads_back_and_the_session_stays_open(shop: Shop):
    made = shop.open()

    answer = click(made.url, "cancel")

    assert answer.headers["Location"] == "http://127.0.0.1:1/cart"
    assert shop.session(made.id).status == "open"


def test_ec005_an_ended_session_says_so_and_takes_no_money(shop: Shop):
    expired, complete = shop.open(), shop.open()
    shop.v1.checkout.sessions.expire(expired.id)
    click(complete.url, "pay")

    late, twice = click(expired.url, "pay"), click(complete.url, "pay")

    assert "This page has expired" in late.text
    assert "You are all done here" in twice.text
    assert all('name="action"' not in look(url).text for url in (expired.url, complete.url))
    assert shop.summary()["payments"] == {"succeeded": 1}


def test_nothing_is_paid_for_a_session_of_nothing(shop: Shop):
    price = ASKED["line_items"][0]["price_data"] | {"unit_amount": 0}
    made = shop.open(line_items=[{"quantity": 1, "price_data": price}])

    assert 'value="decline"' not in look(made.url).text
    assert click(made.url, "decline").status_code == 409
    assert click(made.url, "pay").status_code == 303


def test_an_unknown_page_is_404_and_an_unknown_button_400(shop: Shop):
    made = shop.open()

    assert look(f"{shop.sandbox.url}/stripe/pay/cs_test_none").status_code == 404
    assert click(made.url, "steal").status_code == 400
