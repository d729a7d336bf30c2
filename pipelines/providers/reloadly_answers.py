"""Read Reloadly's answers: from status and body to an outcome, without any call.

The rule is proof. Only a refusal in Reloadly's own error body, or an order it calls failed,
proves that nothing is bought; anything else that is not a readable order is `Unknown`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipelines.providers.asking import (
    as_currency,
    as_object,
    as_text,
    not_found,
    not_told,
    retry_after_seconds,
)
from pipelines.providers.exact import Unreadable, decode_json, to_minor, to_minor_half_up
from pipelines.providers.ports import (
    Absent,
    Accepted,
    AuthFailed,
    Conflicting,
    IssuedCard,
    LookUp,
    OrderRequest,
    Outcome,
    Refused,
    Throttled,
    Unknown,
)
from pipelines.providers.transport import Answer

#: Rows asked for at once; Reloadly caps gift transactions here.
PAGE_ROWS = 50
_VENDOR_CODE = re.compile(r"[A-Z0-9_]{1,64}")
_REFERENCE_USED = "CUSTOM_IDENTIFIER_ALREADY_USED"

#: A timeout at a gateway, or a word about another order under this reference.
_UNPROVEN = frozenset({408, 409})

#: Reloadly's error codes in our words.
_CODES = {
    "INSUFFICIENT_BALANCE": "vendor_insufficient_balance",
    "WRONG_PRODUCT_PRICE": "invalid_amount",
    "INVALID_PRODUCT": "product_unavailable",
    "TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT": "product_unavailable",
}
#: Words in code or message that tell the rest apart; the code is often null.
_WORDS = (
    (re.compile(r"out[ _]of[ _]stock", re.IGNORECASE), "out_of_stock"),
    (re.compile(r"insufficient", re.IGNORECASE), "vendor_insufficient_balance"),
    (re.compile(r"invalid price|products valued more than", re.IGNORECASE), "invalid_amount"),
)


class Standing(StrEnum):
    """What a transaction's status means to us."""

    BOUGHT = "bought"
    OPEN = "open"
    DEAD = "dead"
    UNKNOWN = "unknown"


_STANDINGS = {
    "SUCCESSFUL": Standing.BOUGHT,
    "PENDING": Standing.OPEN,
    "PROCESSING": Standing.OPEN,
    "FAILED": Standing.DEAD,
    "REFUNDED": Standing.DEAD,
}


@dataclass(frozen=True, slots=True)
class Transaction:
    """One row of Reloadly's report, the same record as the order's answer."""

    id: str
    standing: Standing
    status: str
    reference: str | None
    record: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Page:
    """Part of the report; `is_last` says that no row is missing after it."""

    rows: tuple[Transaction, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class Bought:
    """The order succeeded; its card is still to be fetched."""

    vendor_order_id: str
    face_value_minor: int
    currency: str
    cost_minor: int | None
    cost_currency: str | None


def read_order(answer: Answer, request: OrderRequest) -> Outcome | Bought:
    """The outcome of `POST /orders`."""
    if not 200 <= answer.status < 300:
        return _not_taken(answer)
    try:
        transaction = _transaction(decode_json(answer.body))
        if transaction.reference not in {None, request.reference}:
            return Unknown("other_reference")
        return _settled(transaction, request)
    except Unreadable:
        return Unknown("unreadable_answer")


def _not_taken(answer: Answer) -> Outcome:
    match answer.status:
        case 401:
            return AuthFailed("token_refused")
        case 429:
            return Throttled(retry_after_seconds(answer))
        case status if 400 <= status < 500 and status not in _UNPROVEN:
            return _refusal(answer)
        case status:
            return Unknown(f"http_{status}")


def _refusal(answer: Answer) -> Outcome:
    try:
        body = as_object(decode_json(answer.body))
    except Unreadable:
        return Unknown(f"http_{answer.status}_unreadable")
    message = body.get("message")
    if not isinstance(message, str) or not {"errorCode", "timeStamp"} & body.keys():
        return Unknown(f"http_{answer.status}_unstructured")  # a gateway's, not Reloadly's
    code = body.get("errorCode")
    vendor_code = code if isinstance(code, str) and _VENDOR_CODE.fullmatch(code) else None
    if vendor_code == _REFERENCE_USED:
        return Unknown("reference_used")
    return Refused(_our_code(vendor_code, message), vendor_code)


def _our_code(vendor_code: str | None, message: str) -> str:
    if vendor_code in _CODES:
        return _CODES[vendor_code]
    text = f"{vendor_code or ''} {message}"
    return next((code for words, code in _WORDS if words.search(text)), "vendor_rejected")


def _settled(transaction: Transaction, request: OrderRequest) -> Outcome | Bought:
    match transaction.standing:
        case Standing.BOUGHT:
            return _bought(transaction, request)
        case Standing.OPEN:
            return Accepted(transaction.id)
        case Standing.DEAD:
            return Refused("refunded", transaction.status)
        case Standing.UNKNOWN:
            return Unknown("unknown_status")


def _bought(transaction: Transaction, request: OrderRequest) -> Bought | Unknown:
    record = transaction.record
    product = as_object(record.get("product"))
    if as_text(product.get("productId")) != request.product:
        return Unknown("other_product")
    if product.get("quantity", 1) != 1:
        return Unknown("other_quantity")
    currency = as_currency(product.get("currencyCode"))
    face_value_minor = to_minor(product.get("unitPrice"), currency)
    cost_minor, cost_currency = _cost(record)
    return Bought(transaction.id, face_value_minor, currency, cost_minor, cost_currency)


def _cost(record: Mapping[str, object]) -> tuple[int, str] | tuple[None, None]:
    """What the account was charged; a card is not lost because its cost cannot be read."""
    try:
        currency = as_currency(record.get("currencyCode"))
        return to_minor_half_up(record.get("amount"), currency), currency
    except Unreadable:
        return None, None


def read_page(answer: Answer) -> Page | Unknown:
    """One page of `GET /reports/transactions`."""
    if answer.status != 200:
        return not_told(answer)
    try:
        body = as_object(decode_json(answer.body))
        content = body.get("content")
        if not isinstance(content, list):
            raise Unreadable("no rows")
        last = body.get("last")
        is_last = last if isinstance(last, bool) else len(content) < PAGE_ROWS
        return Page(tuple(map(_transaction, content)), is_last)
    except Unreadable:
        return Unknown("unreadable_answer")


def judge_rows(rows: Sequence[Transaction], request: OrderRequest) -> LookUp | Bought:
    """What the report says about our reference.

    The search ignores case and may return strangers, so the reference is compared here.
    A failed order frees its reference, so dead rows may stand beside one live order.
    """
    ours = {row.id: row for row in rows if row.reference == request.reference}
    live = [row for row in ours.values() if row.standing is not Standing.DEAD]
    if not ours:
        return Absent()
    if len(live) > 1:
        return Conflicting("several_live_orders")
    return _judged(live[0] if live else next(iter(ours.values())), request)


def read_poll(answer: Answer, request: OrderRequest, vendor_order_id: str) -> LookUp | Bought:
    """The outcome of `GET /reports/transactions/{id}` for an order Reloadly has accepted."""
    if not_found(answer):
        return Unknown("order_gone")
    if answer.status != 200:
        return not_told(answer)
    try:
        transaction = _transaction(decode_json(answer.body))
    except Unreadable:
        return Unknown("unreadable_answer")
    if transaction.id != vendor_order_id:
        return Unknown("other_order")
    if transaction.reference not in {None, request.reference}:
        return Conflicting("other_reference")
    return _judged(transaction, request)


def _judged(row: Transaction, request: OrderRequest) -> LookUp | Bought:
    """An order that is ours and is not what we asked for needs a person, not another look."""
    try:
        settled = _settled(row, request)
    except Unreadable:
        return Unknown("unreadable_answer")
    match settled:
        case Unknown(reason="other_product" | "other_quantity" as reason):
            return Conflicting(reason)
        case _:
            return settled


def read_cards(answer: Answer) -> tuple[IssuedCard, ...]:
    """The cards of `GET /orders/transactions/{id}/cards`; empty while there are none to read.

    Documented as an object and sent as an array; numbers may come as integers.
    """
    if answer.status != 200:
        return ()
    try:
        body = decode_json(answer.body)
        return tuple(map(_card, body if isinstance(body, list) else [body]))
    except Unreadable:
        return ()


def _card(value: object) -> IssuedCard:
    fields = as_object(value)
    number, pin, url = (as_text(fields.get(k)) for k in ("cardNumber", "pinCode", "redemptionUrl"))
    if number:
        return IssuedCard(number, pin, url, None)
    if pin:
        return IssuedCard(pin, None, url, None)
    if url:
        return IssuedCard(url, None, None, None)
    raise Unreadable("an empty card")


def _transaction(value: object) -> Transaction:
    record = as_object(value)
    identity, status = as_text(record.get("transactionId")), record.get("status")
    if identity is None or not isinstance(status, str):
        raise Unreadable("not a transaction")
    status = status.upper()
    standing = _STANDINGS.get(status, Standing.UNKNOWN)
    return Transaction(identity, standing, status, as_text(record.get("customIdentifier")), record)
