"""Judge Tango's order and list requests, and write orders the way Tango does."""

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ops.sandbox.marks import MARK, PIN
from ops.sandbox.orderbook import REFUNDED, SUCCESSFUL, Card, Order, Search
from ops.sandbox.tango_catalogue import ACCOUNT_CURRENCY, ITEMS, Item
from ops.sandbox.tango_door import Refused, iso
from ops.sandbox.wire import read_json

REFERENCE_CHARACTERS_MAX = 100
BLOCK_MAX = 100
SPAN_DAYS_MAX = 100
CARD_LIFE_DAYS = 730
#: How the book's words are written on the wire.
STATUS = {SUCCESSFUL: "COMPLETE", REFUNDED: "FAILED"}
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Wanted:
    item: Item
    amount: Decimal
    reference: str | None
    customer: str
    account: str


def read_reference(body: bytes) -> str | None:
    """The order's own reference, if the body says one; a repeat is answered whatever else it says."""
    reference = _fields(body).get("externalRefID")
    if reference is not None and not isinstance(reference, str):
        raise _field("externalRefID", "422.110")
    if reference is not None and len(reference) > REFERENCE_CHARACTERS_MAX:
        raise _field("externalRefID", "422.110")
    return reference


def judge_order(body: bytes) -> Wanted:
    """Read an order request, or refuse it before anything is executed."""
    fields = _fields(body)
    customer, account = fields.get("customerIdentifier"), fields.get("accountIdentifier")
    if not isinstance(customer, str) or not isinstance(account, str) or not customer or not account:
        raise _field("accountIdentifier", "422.053")
    if not isinstance(fields.get("sendEmail"), bool):
        raise _field("sendEmail", "422.001")
    item = ITEMS.get(str(fields.get("utid")))
    if item is None:
        raise _field("utid", "422.024")
    amount = _amount(fields, item)
    if item.is_unavailable:
        raise unavailable()
    return Wanted(item, amount, read_reference(body), customer, account)


def unavailable() -> Refused:
    return Refused(503, "503.002", "The item is temporarily unavailable")


def cost_of(wanted: Wanted) -> Decimal:
    """What the account is charged: the face value at the day's rate, and the item's fee."""
    return (wanted.amount * wanted.item.rate).quantize(_CENT) + wanted.item.fee


def order_facts(wanted: Wanted) -> dict[str, Any]:
    """What stays the same on an order's record for good."""
    item, charged = wanted.item, cost_of(wanted)
    return {
        "customerIdentifier": wanted.customer,
        "accountIdentifier": wanted.account,
        "amountCharged": {
            "value": charged - item.fee,
            "currencyCode": ACCOUNT_CURRENCY,
            "exchangeRate": item.rate,
            "fee": item.fee,
            "total": charged,
        },
        "denomination": {
            "value": wanted.amount,
            "currencyCode": item.currency,
            "exchangeRate": item.rate,
            "fee": item.fee,
            "total": wanted.amount,
        },
        "utid": item.utid,
        "rewardName": item.name,
        "sendEmail": False,
        "etid": None,
        "campaign": None,
        "emailSubject": None,
        "message": None,
        "sender": None,
        "recipient": None,
    }


def order_record(order: Order, cards: list[Card] | None = None) -> dict[str, Any]:
    """Write an order, with its credentials where `cards` are given and it is complete."""
    record = {
        "referenceOrderID": f"RA{order.transaction_id}",
        "externalRefID": order.reference,
        **order.facts,
        "status": STATUS.get(order.status, "PENDING"),
        "createdAt": iso(order.created_at),
    }
    if cards is None:
        return record
    listed = _credentials(order, cards) if order.status == SUCCESSFUL else []
    instructions = "Enter the code at the checkout."
    return record | {"reward": {"credentialList": listed, "redemptionInstructions": instructions}}


def order_number(reference_order_id: str) -> int:
    """The number in an order's name; an order with another name is not known."""
    if not re.fullmatch(r"RA[0-9]{1,18}", reference_order_id):
        raise unknown_order()
    return int(reference_order_id[2:])


def unknown_order() -> Refused:
    return Refused(404, "404.002", "The order was not found")


def new_card() -> Card:
    return Card("SBX" + MARK + base64.b32encode(secrets.token_bytes(10)).decode()[:9], PIN)


def read_search(filters: Mapping[str, str]) -> tuple[Search, int, int]:
    """The search, its page from 0 and its size."""
    size, page = _whole(filters, "elementsPerBlock", BLOCK_MAX), _whole(filters, "page", 0)
    if not 1 <= size <= BLOCK_MAX:
        raise Refused(400, "422.042", "elementsPerBlock is not between 1 and 100")
    since, until = _moment(filters, "startDate"), _moment(filters, "endDate")
    if since and until and until - since > timedelta(days=SPAN_DAYS_MAX):
        raise Refused(400, "422.043", "The dates are more than 100 days apart")
    conditions = {
        f"$.{name}": filters[name]
        for name in ("customerIdentifier", "accountIdentifier")
        if name in filters
    }
    search = Search(
        reference=filters.get("externalRefID"),
        created_from=since.timestamp() if since else None,
        created_to=until.timestamp() if until else None,
        conditions=conditions,
    )
    return search, page, size


def _credentials(order: Order, cards: list[Card]) -> list[dict[str, str]]:
    card = cards[0]
    expires = datetime.fromtimestamp(order.created_at, UTC) + timedelta(days=CARD_LIFE_DAYS)
    values = {
        "cardNumber": card.number,
        "claimCode": card.number,
        "PIN": card.pin,
        "redemptionUrl": f"https://redeem.example/{card.number}",
        "expirationDate": f"{expires:%Y-%m-%d}",
    }
    return [
        {"label": label, "value": values[kind], "type": form, "credentialType": kind}
        for label, form, kind in ITEMS[order.facts["utid"]].credentials
    ]


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = read_json(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise Refused(400, "400.001", "The body is not a JSON object")
    return fields


def _amount(fields: Mapping[str, Any], item: Item) -> Decimal:
    given = fields.get("amount")
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise _field("amount", "422.025")
    amount = Decimal(given)
    if amount != amount.quantize(_CENT) or amount >= 1_000_000:
        raise _field("amount", "422.025")
    if item.fixed is not None and amount != item.fixed:
        raise _field("amount", "422.027")
    if item.fixed is None and not item.least <= amount <= item.most:
        raise _field("amount", "422.025")
    if item.is_whole and amount != amount.to_integral_value():
        raise _field("amount", "422.026")
    return amount


def _field(path: str, key: str) -> Refused:
    """Faults of fields have keys that begin with 422, and come with status 400."""
    return Refused(400, "400.000", "The request is not valid", fields=[(path, key)])


def _whole(filters: Mapping[str, str], name: str, default: int) -> int:
    text = filters.get(name, str(default))
    if not text.isdecimal():
        raise Refused(400, "400.000", f"{name} is not a number")
    return int(text)


def _moment(filters: Mapping[str, str], name: str) -> datetime | None:
    if name not in filters:
        return None
    try:
        moment = datetime.fromisoformat(filters[name])
    except ValueError as error:
        raise Refused(400, "400.000", f"{name} is not a date") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
