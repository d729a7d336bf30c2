"""What Stripe refuses of a request for a session, and of its key; nothing is made then."""

import time
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import LINE, Shop, client_of, line_of


@pytest.fixture
def shop(sandbox: Running) -> Shop:
    return Shop(sandbox)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"mode": None}, "parameter_missing", "mode"),
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"line_items": None}, "parameter_missing", "line_items"),
        (
            {"line_items": [{"quantity": 1}]},
            "parameter_missing",
            "line_items[0][price_data]",
        ),
        (
            {"line_items": [{"price_data": LINE["price_data"]}]},
            "parameter_missing",
            "line_items[0][quantity]",
        ),
        ({"line_items": [line_of(49)]}, "amount_too_small", "line_items"),
        ({"line_items": [line_of(29, "gbp")]}, "amount_too_small", "line_items"),
        ({"line_items": [line_of(17499, "huf")]}, "amount_too_small", "line_items"),
        ({"line_items": [line_of(100_000_000)]}, "amount_too_large", "line_items"),
        (
            {"line_items": [line_of(-1)]},
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
        ),
        (
            {"line_items": [LINE | {"quantity": "two"}]},
            "parameter_invalid_integer",
            "line_items[0][quantity]",
        ),
        ({"line_items": [line_of(1234, "kwd")]}, None, "line_items[0][price_data][unit_amount]"),
        ({"line_items": [LINE, line_of(500, "eur")]}, None, "line_items"),
        ({"line_items": [LINE] * 101}, None, "line_items"),
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"payment_intent_data": {"x": "y"}}, "parameter_unknown", "payment_intent_data[x]"),
        ({"success_url": "done"}, "url_invalid", "success_url"),
        ({"customer_email": "nobody"}, "email_invalid", "customer_email"),
        ({"cancel_url": ""}, "parameter_invalid_empty", "cancel_url"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {str(n): "v" for n in range(51)}}, None, "metadata"),
        ({"line_items": [{"quantity": 1, "price": "price_1"}]}, "resource_missing", None),
    ],
)
def test_a_wrong_request_is_refused_and_makes_nothing(
    shop: Shop, fields: dict[str, Any], code: str | None, param: str | None
):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.open(**fields)

    error = refused.value
    assert error.code == code
    assert param in (None, error.param)
    assert error.request_id.startswith("req_")
    assert shop.summary()["sessions"] == {}


@pytest.mark.parametrize(
    ("amount", "currency"), [(50, "usd"), (30, "gbp"), (17500, "huf"), (50, "jpy"), (1230, "kwd")]
)
def test_the_least_amount_of_a_currency_is_taken(shop: Shop, amount: int, currency: str):
    made = shop.open(line_items=[line_of(amount, currency)])

    assert (made.amount_total, made.currency) == (amount, currency)


@pytest.mark.parametrize(
    ("minutes", "is_taken"), [(29, False), (31, True), (24 * 60 - 1, True), (24 * 60 + 1, False)]
)
def test_ec005_a_session_ends_half_an_hour_to_a_day_after_it_is_made(
    shop: Shop, minutes: int, is_taken: bool
):
    ends_at = int(time.time()) + minutes * 60
    if is_taken:
        assert shop.open(expires_at=ends_at).expires_at == ends_at
        return

    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.open(expires_at=ends_at)

    assert refused.value.param == "expires_at"


def test_a_decimal_amount_must_be_whole(shop: Shop):
    price = {"currency": "usd", "product_data": {"name": "Plan"}}

    made = shop.open(
        line_items=[{"quantity": 2, "price_data": price | {"unit_amount_decimal": "500.00"}}]
    )

    assert made.amount_total == 1000
    for written in ("500.5", "5e2", "-1", "NaN"):
        with pytest.raises(stripe.InvalidRequestError, match="Invalid decimal"):
            decimal = price | {"unit_amount_decimal": written}
            shop.open(line_items=[{"quantity": 1, "price_data": decimal}])


@pytest.mark.parametrize(
    "form",
    [
        "mode[x]=payment",
        "line_items=1",
        "line_items[0]=1",
        "line_items[a][quantity]=1",
        "line_items[0]=1&line_items[0][quantity]=1",
        "metadata=x",
        "metadata[a][b]=c",
        "[]=1",
        "mode]=payment",
    ],
)
def test_a_form_of_another_shape_is_refused(shop: Shop, form: str):
    headers = {
        "Authorization": "Bearer sk_test_1",
        "Content-Type": "application/x-www-form-urlencoded",
    }

    answer = shop.sandbox.call("POST", "/stripe/v1/checkout/sessions", data=form, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_path_that_stripe_has_not_is_404_with_its_error(shop: Shop):
    headers = {"Authorization": "Bearer sk_test_1"}

    answer = shop.sandbox.call("GET", "/stripe/v1/unicorns", headers=headers)

    assert (answer.status_code, answer.headers["Request-Id"][:4]) == (404, "req_")
    assert answer.json()["error"]["message"].startswith("Unrecognized request URL (GET:")


@pytest.mark.parametrize("key", ["sk_test_wrong", "sk_live_1", "wrong"])
def test_a_wrong_key_is_401(sandbox: Running, key: str):
    with pytest.raises(stripe.AuthenticationError) as refused:
        client_of(sandbox, key).v1.events.list()

    assert refused.value.http_status == 401


def test_the_sandbox_account_is_taken_and_an_unknown_session_is_404(sandbox: Running):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client_of(sandbox, "sandbox").v1.checkout.sessions.retrieve("cs_test_1")

    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
