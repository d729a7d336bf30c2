"""Judge Reloadly order and report requests, and write orders the way Reloadly does."""

import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from ops.sandbox.marks import INTEGER_MARK, MARK, PIN
from ops.sandbox.orderbook import Card, Order, Search, from_parts
from ops.sandbox.reloadly_catalogue import (
    ACCOUNT_CURRENCY,
    ACCOUNT_CURRENCY_NAME,
    PRODUCTS,
    Product,
    WrongPrice,
    price,
)
from ops.sandbox.reloadly_door import Refused, invalid, timestamp
from ops.sandbox.reloadly_paging import whole
from ops.sandbox.wire import odd_scale, read_json

REFERENCE_CHARACTERS_MAX = 150
QUANTITY_MAX = 100
CAP_IN_ACCOUNT_CURRENCY = 100

#: Bodies carry UTC, but the dates of a report's filter are read on this wall clock.
FILTER_CLOCK = timezone(timedelta(hours=-4))
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")

#: Report filters that compare one member of an order, and whether they are numbers.
FILTERS = {
    "productId": ("$.product.productId", True),
    "productName": ("$.product.productName", False),
    "brandId": ("$.product.brand.brandId", True),
    "brandName": ("$.product.brand.brandName", False),
    "recipientEmail": ("$.recipientEmail", False),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    product: Product
    quantity: int
    unit_price: Decimal
    reference: str | None
    recipient_email: str | None
    is_preorder: bool


def judge_order(body: bytes, *, is_capped: bool) -> Wanted:
    """Read an order request, or refuse it before anything is executed."""
    fields = _fields(body)
    product = _product(fields)
    quantity = fields.get("quantity")
    if type(quantity) is not int or not 1 <= quantity <= QUANTITY_MAX:
        raise invalid("quantity")
    unit_price = _unit_price(fields, product)
    if is_capped and unit_price * product.rate * quantity > CAP_IN_ACCOUNT_CURRENCY:
        raise Refused(400, "You cannot order products valued more than 100 USD at a go")
    return Wanted(
        product,
        quantity,
        unit_price,
        _text(fields, "customIdentifier", REFERENCE_CHARACTERS_MAX),
        _text(fields, "recipientEmail", 254),
        fields.get("preOrder") is True,
    )


def order_facts(wanted: Wanted) -> dict[str, Any]:
    """What stays the same on an order's record for good."""
    cost = price(wanted.product, wanted.unit_price, wanted.quantity)
    turn = secrets.randbelow(3)
    return {
        "amount": odd_scale(cost.amount, turn),
        "discount": odd_scale(cost.discount, turn + 1),
        "currencyCode": ACCOUNT_CURRENCY,
        "fee": cost.fee,
        "smsFee": Decimal("0E-5"),
        "totalFee": cost.fee,
        "recipientEmail": wanted.recipient_email,
        "recipientPhone": None,
        "preOrdered": wanted.is_preorder,
        "product": {
            "productId": wanted.product.product_id,
            "productName": wanted.product.name,
            "countryCode": wanted.product.country,
            "quantity": wanted.quantity,
            "unitPrice": odd_scale(wanted.unit_price, turn),
            "totalPrice": odd_scale(wanted.unit_price * wanted.quantity, turn),
            "currencyCode": wanted.product.currency,
            "brand": wanted.product.brand,
        },
    }


def order_record(order: Order) -> dict[str, Any]:
    """Write an order; the answer to the order call and a report's row are the same record."""
    return {
        "transactionId": order.transaction_id,
        **order.facts,
        "customIdentifier": order.reference,
        "status": order.status,
        "transactionCreatedTime": timestamp(order.created_at),
        "balanceInfo": {
            "oldBalance": from_parts(order.balance_before),
            "newBalance": from_parts(order.balance_before - order.cost),
            "cost": from_parts(order.cost),
            "currencyCode": ACCOUNT_CURRENCY,
            "currencyName": ACCOUNT_CURRENCY_NAME,
            "updatedAt": timestamp(order.created_at),
        },
    }


def read_search(filters: Mapping[str, str], *, hidden_seconds: float) -> Search:
    """Read a report's filters; orders younger than `hidden_seconds` are not reported yet."""
    until = _filter_time(filters, "endDate")
    if hidden_seconds:
        newest = time.time() - hidden_seconds
        until = newest if until is None else min(until, newest)
    conditions: dict[str, Any] = {}
    for name, (path, is_number) in FILTERS.items():
        if name in filters:
            conditions[path] = whole(filters[name], name) if is_number else filters[name]
    return Search(
        reference=filters.get("customIdentifier"),
        status=filters.get("status"),
        created_from=_filter_time(filters, "startDate"),
        created_to=until,
        conditions=conditions,
    )


def new_card(*, is_integer: bool) -> Card:
    """Make a card nobody had before; integers need a first digit that is not zero."""
    if is_integer:
        return Card(f"{INTEGER_MARK}{secrets.randbelow(10**9):09d}", PIN.lstrip("0"))
    return Card("SBX" + MARK + base64.b32encode(secrets.token_bytes(10)).decode()[:9], PIN)


def card_record(card: Card, *, has_link: bool) -> dict[str, Any]:
    is_integer = card.number.isdigit()
    record: dict[str, Any] = {
        "cardNumber": int(card.number) if is_integer else card.number,
        "pinCode": int(card.pin) if is_integer else card.pin,
    }
    if has_link:
        record["redemptionUrl"] = f"https://redeem.example/{card.number}"
    return record


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = read_json(body)
    except ValueError as error:
        raise invalid("body") from error
    if not isinstance(fields, dict):
        raise invalid("body")
    return fields


def _product(fields: Mapping[str, Any]) -> Product:
    product_id = fields.get("productId")
    if type(product_id) is not int:
        raise invalid("productId")
    if product_id not in PRODUCTS:
        raise Refused(404, "Product was either not found or is not available", "INVALID_PRODUCT")
    return PRODUCTS[product_id]


def _unit_price(fields: Mapping[str, Any], product: Product) -> Decimal:
    given = fields.get("unitPrice")
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise invalid("unitPrice")
    unit_price = Decimal(given)
    try:
        product.check(unit_price)
    except WrongPrice as error:
        if product.denominations:
            raise Refused(400, "Invalid price for this product") from error
        message = "The price is not within the product's range"
        raise Refused(400, message, "WRONG_PRODUCT_PRICE") from error
    return unit_price


def _text(fields: Mapping[str, Any], name: str, characters_max: int) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > characters_max:
        raise invalid(name)
    return value


def _filter_time(filters: Mapping[str, str], name: str) -> float | None:
    text = filters.get(name)
    if text is None:
        return None
    for form in TIME_FORMATS:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=FILTER_CLOCK)
        except ValueError:
            continue
        return moment.timestamp()
    raise invalid(name)
