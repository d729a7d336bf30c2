"""Judge what a request for a session asks for: lines, addresses to go back to, when it ends."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ops.sandbox.stripe_door import Refused, missing
from ops.sandbox.stripe_forms import FLAG, NUMBER, TEXT, WORDS, needed, one_of
from ops.sandbox.stripe_money import judge_amount, judge_currency, judge_total
from ops.sandbox.stripe_objects import Facts

#: The parameters of a session that the sandbox plays.
SESSION: Facts = {
    "mode": TEXT,
    "ui_mode": TEXT,
    "success_url": TEXT,
    "cancel_url": TEXT,
    "client_reference_id": TEXT,
    "customer_email": TEXT,
    "customer_creation": TEXT,
    "currency": TEXT,
    "expires_at": NUMBER,
    "expand": [TEXT],
    "locale": TEXT,
    "metadata": WORDS,
    "payment_method_types": [TEXT],
    "submit_type": TEXT,
    "allow_promotion_codes": FLAG,
    "payment_intent_data": {
        "metadata": WORDS,
        "description": TEXT,
        "receipt_email": TEXT,
        "statement_descriptor": TEXT,
        "statement_descriptor_suffix": TEXT,
    },
    "line_items": [
        {
            "quantity": NUMBER,
            "price": TEXT,
            "metadata": WORDS,
            "price_data": {
                "currency": TEXT,
                "unit_amount": NUMBER,
                "unit_amount_decimal": TEXT,
                "product": TEXT,
                "product_data": {
                    "name": TEXT,
                    "description": TEXT,
                    "images": [TEXT],
                    "metadata": WORDS,
                },
            },
        }
    ],
}
LINES_MAX = 100
QUANTITY_MAX = 999_999
REFERENCE_CHARACTERS_MAX = 200
#: A session ends so long after it is made, at the earliest and at the latest.
LIFE_SECONDS_MIN, LIFE_SECONDS_MAX = 30 * 60, 24 * 3600


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the cart."""

    name: str
    description: str | None
    quantity: int
    unit_amount: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A session that can be made as it was asked for."""

    lines: tuple[Line, ...]
    currency: str
    total: int
    ends_at: int
    asked: Facts


def judge_session(asked: Facts, *, now: int) -> Wanted:
    """Raises `Refused` naming the first parameter that is missing or wrong."""
    mode = needed(asked, "mode")
    one_of(mode, ("payment",), "mode")
    if "ui_mode" in asked:
        one_of(asked["ui_mode"], ("hosted", "hosted_page"), "ui_mode")
    judge_url(needed(asked, "success_url"), "success_url")
    if "cancel_url" in asked:
        judge_url(asked["cancel_url"], "cancel_url")
    if len(asked.get("client_reference_id", "")) > REFERENCE_CHARACTERS_MAX:
        message = f"client_reference_id can have up to {REFERENCE_CHARACTERS_MAX} characters"
        raise Refused(400, message, param="client_reference_id")
    _judge_email(asked.get("customer_email"))
    ends_at = _judge_end(asked.get("expires_at"), now)
    rows = needed(asked, "line_items")
    if len(rows) > LINES_MAX:
        raise Refused(400, f"line_items can have up to {LINES_MAX} entries", param="line_items")
    judged = [_judge_line(row, f"line_items[{number}]") for number, row in enumerate(rows)]
    currencies = {currency for _line, currency in judged}
    if len(currencies) > 1:
        raise Refused(400, "All line_items must have the same currency", param="line_items")
    lines, currency = tuple(line for line, _currency in judged), currencies.pop()
    total = sum(line.unit_amount * line.quantity for line in lines)
    judge_total(total, currency)
    return Wanted(lines, currency, total, ends_at, asked)


def _judge_line(row: Facts, at: str) -> tuple[Line, str]:
    if "price" in row:
        raise missing("price", row["price"], f"{at}[price]")
    quantity = needed(row, "quantity", at)
    if not 0 < quantity <= QUANTITY_MAX:
        message = f"Quantity must be from 1 to {QUANTITY_MAX}"
        raise Refused(400, message, code="parameter_invalid_integer", param=f"{at}[quantity]")
    at = f"{at}[price_data]"
    price = needed(row, "price_data", at.removesuffix("[price_data]"))
    currency = judge_currency(needed(price, "currency", at), f"{at}[currency]")
    if "product" in price:
        raise missing("product", price["product"], f"{at}[product]")
    product = needed(price, "product_data", at)
    name = needed(product, "name", f"{at}[product_data]")
    amount = judge_amount(_unit_amount(price, at), currency, f"{at}[unit_amount]")
    return Line(name, product.get("description"), quantity, amount), currency


def _unit_amount(price: Facts, at: str) -> int:
    """As a whole number; a decimal one must be whole here too."""
    if "unit_amount_decimal" not in price:
        return int(needed(price, "unit_amount", at))
    param = f"{at}[unit_amount_decimal]"
    written = price["unit_amount_decimal"]
    whole = re.fullmatch(r"([0-9]{1,12})(\.0{1,12})?", written)
    if "unit_amount" in price or whole is None:
        raise Refused(400, f"Invalid decimal: {written}", param=param)
    return int(whole[1])


def _judge_end(ends_at: int | None, now: int) -> int:
    if ends_at is None:
        return now + LIFE_SECONDS_MAX
    ahead = ends_at - now
    if not LIFE_SECONDS_MIN <= ahead <= LIFE_SECONDS_MAX:
        wrong = "at least 30 minutes" if ahead < LIFE_SECONDS_MIN else "less than 24 hours"
        message = f"The `expires_at` timestamp must be {wrong} from Checkout Session creation."
        raise Refused(400, message, param="expires_at")
    return ends_at


def judge_url(address: Any, param: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise Refused(400, "Not a valid URL", code="url_invalid", param=param)


def _judge_email(address: str | None) -> None:
    if address is None:
        return
    name, _at, host = address.rpartition("@")
    is_plain = address.isascii() and not any(letter.isspace() for letter in address)
    if not name or not host or not is_plain:
        message = f"Invalid email address: {address}"
        raise Refused(400, message, code="email_invalid", param="customer_email")
