"""Judge Tremendous order requests, and write orders the way Tremendous does."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ops.sandbox.marks import MARK
from ops.sandbox.orderbook import REFUNDED, SUCCESSFUL, Card, Order
from ops.sandbox.tremendous_catalogue import PRODUCTS, Product, price
from ops.sandbox.tremendous_door import invalid
from ops.sandbox.wire import read_json

#: The account's money; others are ids of sources that this account does not have.
SOURCES = {"BALANCE"}
METHODS = {"EMAIL", "LINK", "PHONE"}
#: A reward can be redeemed this long.
LIFE_SECONDS = 365 * 24 * 3600
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_CHARACTERS = 12
_WORDS = {SUCCESSFUL: "EXECUTED", REFUNDED: "CANCELED"}


@dataclass(frozen=True, slots=True)
class Wanted:
    product: Product
    value: Decimal
    reference: str | None
    method: str
    recipient: Mapping[str, Any]


def judge_order(body: bytes) -> Wanted:
    """Read an order request, or refuse it before anything is executed."""
    fields = _fields(body)
    source = _part(fields, "payment").get("funding_source_id", "")
    if str(source).upper() not in SOURCES:
        raise invalid("Invalid funding source", payment={"funding_source_id": "is not known"})
    reward = _part(fields, "reward")
    if not reward:
        raise invalid("Missing reward", reward="is required")
    product = _product(reward)
    method = _part(reward, "delivery").get("method", "EMAIL")
    if method not in METHODS:
        raise invalid("Invalid delivery", reward={"delivery": {"method": "is not one"}})
    recipient = _part(reward, "recipient")
    if method == "EMAIL" and not recipient.get("email"):
        raise invalid("Missing email", reward={"recipient": {"email": "is required"}})
    reference = fields.get("external_id")
    return Wanted(
        product,
        _value(_part(reward, "value"), product),
        None if reference is None else str(reference),
        method,
        {name: recipient.get(name) for name in ("name", "email", "phone")},
    )


def order_facts(wanted: Wanted, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What stays the same on an order's record for good, and what was asked for."""
    cost = price(wanted.product, wanted.value)
    return {
        "asked": asked,
        "method": wanted.method,
        "payment": {
            "subtotal": cost.subtotal,
            "total": cost.total,
            "fees": cost.fees,
            "discount": Decimal("0.0"),
            "refund": {"total": Decimal("0.0")},
        },
        "value": {"denomination": wanted.value, "currency_code": wanted.product.currency},
        "recipient": wanted.recipient,
    }


def order_record(order: Order, *, link: str | None = None) -> dict[str, Any]:
    """The order with its one reward; the cost is told once it is executed."""
    is_executed = order.status == SUCCESSFUL
    delivery = {
        "method": order.facts["method"],
        "status": "SUCCEEDED" if is_executed else "PENDING",
    }
    if link is not None:
        delivery["link"] = link
    return {
        "id": order_id(order),
        "external_id": order.reference,
        "campaign_id": None,
        "created_at": _moment(order.created_at),
        "status": _WORDS.get(order.status, order.status),
        "channel": "API",
        "payment": order.facts["payment"] if is_executed else None,
        "invoice_id": None,
        "rewards": [
            {
                "id": reward_id(order),
                "order_id": order_id(order),
                "created_at": _moment(order.created_at),
                "expires_at": _moment(order.created_at + LIFE_SECONDS),
                "value": order.facts["value"],
                "recipient": order.facts["recipient"],
                "deliver_at": None,
                "custom_fields": [],
                "delivery": delivery,
            }
        ],
    }


def order_id(order: Order) -> str:
    return "B" + _written(order.transaction_id)


def reward_id(order: Order) -> str:
    return "R" + _written(order.transaction_id)


def number_of(identity: str) -> int | None:
    """The order's number in its id or its reward's; None if it is neither."""
    try:
        return int(identity[1:], 36) if len(identity) == _ID_CHARACTERS else None
    except ValueError:
        return None


def new_link() -> Card:
    """A link nobody had before; whoever has it can redeem the reward."""
    return Card(MARK + base64.b32encode(secrets.token_bytes(20)).decode(), "")


def link_of(card: Card) -> str:
    return f"https://reward.example/payouts/{card.number}"


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        fields = read_json(body)
    except ValueError as error:
        raise invalid("The body is not JSON") from error
    if not isinstance(fields, dict):
        raise invalid("The body is not an object")
    return fields


def _part(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = fields.get(name)
    return part if isinstance(part, dict) else {}


def _product(reward: Mapping[str, Any]) -> Product:
    named = reward.get("products")
    if not isinstance(named, list) or len(named) != 1 or named[0] not in PRODUCTS:
        raise invalid("Invalid products", reward={"products": "are not available"})
    return PRODUCTS[named[0]]


def _value(value: Mapping[str, Any], product: Product) -> Decimal:
    given = value.get("denomination")
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise invalid("Invalid value", reward={"value": {"denomination": "is not a number"}})
    if value.get("currency_code", "USD") != product.currency:
        raise invalid("Invalid value", reward={"value": {"currency_code": "is not available"}})
    if not product.sells(Decimal(given)):
        raise invalid("Invalid value", reward={"value": {"denomination": "is out of range"}})
    return Decimal(given)


def _written(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(_ID_CHARACTERS - 1, "0")


def _moment(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
