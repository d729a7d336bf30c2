"""Read Giftbit's answers: from status and body to an outcome, without any call.

The rule is proof. Only a refusal in Giftbit's own error body proves that nothing is bought. A 200
does not mean paid: an order that waits for funds is taken, and will be filled when they come.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from pipelines.currencies import is_accepted
from pipelines.providers.asking import as_object, as_text, not_told, retry_after_seconds
from pipelines.providers.exact import Unreadable, decode_json
from pipelines.providers.ports import (
    Absent,
    Accepted,
    AuthFailed,
    Balance,
    Conflicting,
    LookUp,
    OrderRequest,
    Outcome,
    Refused,
    Throttled,
    Unknown,
)
from pipelines.providers.transport import Answer

BRAND = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: What its brands are priced in, all with cents.
CURRENCIES = frozenset({"USD", "CAD", "AUD"})
#: The account whose balance is told.
_BALANCE_CURRENCY = "USD"

#: An accepted order's states, by whether money is missing.
_PAID = {"API_CREATING", "CAMPAIGN_CREATED"}
_UNPAID = {"AWAITING_FUNDS"}
_NEEDS_FUNDS = re.compile(r"FUNDS_(REQUIRED|PENDING)")
AWAITING_FUNDS = "awaiting_funds"

#: A timeout at a gateway proves nothing.
_UNPROVEN = frozenset({408})
#: Giftbit's error codes in our words; the first that fits.
_CODES = (
    (re.compile(r"OUT_OF_STOCK"), "out_of_stock"),
    (re.compile(r"FUNDS|CARD_ERROR"), "vendor_insufficient_balance"),
    (re.compile(r"BRAND|REGION"), "product_unavailable"),
    (re.compile(r"PRICE|AMOUNT"), "invalid_amount"),
)
_OUT_OF_STOCK = re.compile(r"out[ _]of[ _]stock", re.IGNORECASE)
#: How a used id is refused is not documented; it is no refusal of the order that has it.
_ID_USED = re.compile(
    r"\bid\b.*\b(already|exists?|in use|unique|used)\b|_ID_.*(USED|EXISTS|UNIQUE)|DUPLICATE",
    re.IGNORECASE,
)
#: Nor is how an id is answered that nobody has.
_NOBODY = re.compile(r"NO_SUCH|NOT_FOUND|NOT_EXIST")
_VENDOR_CODE = re.compile(r"[A-Z0-9_]{1,64}")
_LINK = re.compile(r"https?://[^\s/]\S*")


@dataclass(frozen=True, slots=True, repr=False)
class Ordered:
    """The order is taken and paid for; `links` are those of the same answer."""

    vendor_order_id: str
    face_value_minor: int
    currency: str
    cost_minor: int | None
    cost_currency: str | None
    expires_on: date | None
    links: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Ordered({self.vendor_order_id}, [removed])"


def read_order(answer: Answer, request: OrderRequest) -> Outcome | Ordered:
    """The outcome of `POST /direct_links`."""
    if not 200 <= answer.status < 300:
        return _not_taken(answer)
    try:
        body = as_object(decode_json(answer.body))
        campaign = as_object(body.get("campaign"))
        if as_text(campaign.get("id")) not in {None, request.reference}:
            return Unknown("other_reference")
        return _settled(body, campaign, request)
    except Unreadable:
        return Unknown("unreadable_answer")


def read_found(answer: Answer, request: OrderRequest) -> LookUp | Ordered:
    """What `GET /campaign/{our reference or its own id}` says of our order.

    An order that is ours and is not what we asked for needs a person, not another look.
    """
    if answer.status in {404, 422}:
        return _nobody(answer)
    if answer.status != 200:
        return not_told(answer)
    try:
        body = as_object(decode_json(answer.body))
        return _judged(body, as_object(body.get("campaign")), request)
    except Unreadable:
        return Unknown("unreadable_answer")


def _judged(
    body: Mapping[str, object], campaign: Mapping[str, object], request: OrderRequest
) -> LookUp | Ordered:
    reference = as_text(campaign.get("id"))
    if reference is None:
        return Unknown("no_reference")
    if reference != request.reference:
        return Conflicting("other_reference")
    match _settled(body, campaign, request):
        case Unknown(reason="other_product" | "other_quantity" as reason):
            return Conflicting(reason)
        case settled:
            return settled


def read_links(answer: Answer) -> tuple[str, ...]:
    """The links of `GET /links/{our reference}`; empty while they are being made."""
    if answer.status != 200:
        return ()
    try:
        rows = as_object(decode_json(answer.body)).get("directlinks")
        found = [as_object(row).get("link") for row in rows] if isinstance(rows, list) else []
    except Unreadable:
        return ()
    return _links(found)


def read_balance(answer: Answer) -> Balance | Unknown:
    """What `GET /funds` says may be spent; pending and reserved money is not counted."""
    if answer.status != 200:
        return not_told(answer)
    with suppress(Unreadable):
        funds = as_object(as_object(decode_json(answer.body)).get("fundsbycurrency"))
        cents = _cents(as_object(funds.get(_BALANCE_CURRENCY)).get("available_in_cents"))
        if cents is not None:
            return Balance(cents, _BALANCE_CURRENCY)
    return Unknown("unreadable_answer")


def _not_taken(answer: Answer) -> Outcome:
    match answer.status:
        case 401:
            return AuthFailed("key_refused")
        case 429:
            return Throttled(retry_after_seconds(answer))
        case status if 400 <= status < 500 and status not in _UNPROVEN:
            return _refusal(answer)
        case status:
            return Unknown(f"http_{status}")


def _refusal(answer: Answer) -> Outcome:
    error = _error_in(answer)
    if error is None:
        return Unknown(f"http_{answer.status}_unstructured")  # a gateway's, not Giftbit's
    code, message = error
    if answer.status == 403:
        return AuthFailed("not_permitted")
    if answer.status == 409 or _ID_USED.search(code) or _ID_USED.search(message):
        return Unknown("reference_used")
    return Refused(_our_code(answer.status, code, message), code)


def _our_code(status: int, code: str, message: str) -> str:
    if _OUT_OF_STOCK.search(message):
        return "out_of_stock"
    if status == 402:
        return "vendor_insufficient_balance"
    return next((ours for words, ours in _CODES if words.search(code)), "vendor_rejected")


def _nobody(answer: Answer) -> Absent | Unknown:
    error = _error_in(answer)
    if error is None:
        return Unknown(f"http_{answer.status}_unstructured")
    is_unknown_there = answer.status == 404 or _NOBODY.search(error[0])
    return Absent() if is_unknown_there else Unknown(f"http_{answer.status}")


def _error_in(answer: Answer) -> tuple[str, str] | None:
    """Code and message of Giftbit's error body."""
    try:
        error = as_object(as_object(decode_json(answer.body)).get("error"))
    except Unreadable:
        return None
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, str) or not _VENDOR_CODE.fullmatch(code):
        return None
    return code, message if isinstance(message, str) else ""


def _settled(
    body: Mapping[str, object], campaign: Mapping[str, object], request: OrderRequest
) -> Outcome | Ordered:
    identity, status = as_text(campaign.get("uuid")), campaign.get("status")
    if identity is None:
        raise Unreadable("not an order")
    if campaign.get("brand_codes") not in (None, [request.product]):
        return Unknown("other_product")
    if campaign.get("link_count") not in (None, 1):
        return Unknown("other_quantity")
    if status in _UNPAID or _NEEDS_FUNDS.search(_info_code(body)):
        return Accepted(identity, AWAITING_FUNDS)
    if status not in _PAID:
        return Unknown("unknown_status")
    links = body.get("direct_links")
    cost, currency = _cost(campaign)
    face = _cents(campaign.get("price_in_cents"))
    return Ordered(
        vendor_order_id=identity,
        face_value_minor=request.face_value_minor if face is None else face,
        # A brand is priced in the currency that it is paid in; no other is told.
        currency=currency or request.currency,
        cost_minor=cost,
        cost_currency=None if cost is None else currency,
        expires_on=_day(campaign.get("expiry")),
        links=_links(links) if isinstance(links, list) else (),
    )


def _info_code(body: Mapping[str, object]) -> str:
    info = body.get("info")
    code = info.get("code") if isinstance(info, dict) else None
    return code if isinstance(code, str) else ""


def _cost(campaign: Mapping[str, object]) -> tuple[int | None, str | None]:
    """What the account is charged and in which currency; a card is not lost without them."""
    fees = campaign.get("fees")
    entries = fees.get("cost_entries") if isinstance(fees, dict) else None
    if not isinstance(fees, dict) or not isinstance(entries, list):
        return None, None
    told = {entry.get("currency") for entry in entries if isinstance(entry, dict)}
    currency = told.pop() if len(told) == 1 else None
    if not isinstance(currency, str) or not is_accepted(currency):
        return None, None
    return _cents(fees.get("total_in_cents")), currency


def _cents(value: object) -> int | None:
    """Money is whole cents here."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _day(value: object) -> date | None:
    """A day on the Pacific calendar, the last on which the gift can be claimed."""
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value)
    return None


def _links(values: list[object]) -> tuple[str, ...]:
    """Those that can be opened; a placeholder is none (EC-062)."""
    return tuple(v for v in values if isinstance(v, str) and _LINK.fullmatch(v))
