"""Read Tango's answers (RaaS v2): from status and body to an outcome, without any call.

Tango answers a used reference with its original order whatever the body says, so what came back is
compared with what was asked. Proof that nothing is bought is a refusal with Tango's own `i18nKey`;
a 5xx proves nothing, but for the two keys that mean "this item, now".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.providers.asking import (
    as_currency,
    as_object,
    as_text,
    not_found,
    not_told,
    retry_after_seconds,
)
from pipelines.providers.exact import (
    Unreadable,
    decode_json,
    to_minor,
    to_minor_floor,
    to_minor_half_up,
)
from pipelines.providers.ports import (
    Absent,
    Accepted,
    AuthFailed,
    Balance,
    Conflicting,
    IssuedCard,
    LookUp,
    OrderRequest,
    Outcome,
    Refused,
    Succeeded,
    Throttled,
    Unknown,
)
from pipelines.providers.transport import Answer

#: Rows asked for at once; Tango refuses more.
PAGE_ROWS = 100
#: One call in a second is what Tango allows.
_THROTTLE_SECONDS = 1.0
_KEY = re.compile(r"[0-9]{3}\.[0-9]{3}")

#: Tango's keys in our words; a key that is not here and comes with a 4xx is `vendor_rejected`.
CODES = {
    "402.001": "vendor_insufficient_balance",
    "422.024": "product_unavailable",
    "422.030": "product_unavailable",
    "422.097": "product_unavailable",
    "428.001": "product_unavailable",
    "422.025": "invalid_amount",
    "422.026": "invalid_amount",
    "422.027": "invalid_amount",
    "422.098": "invalid_amount",
    "422.099": "invalid_amount",
    "503.002": "out_of_stock",
    "503.042": "out_of_stock",
}
#: The account is missing or not active: as good as no credentials, until a person mends it.
_NO_ACCOUNT = frozenset({"422.053", "404.004"})
#: The first order with this reference still runs; ask again after two seconds or more.
_IN_PROGRESS = "409.002"

#: Where a credential goes, by Tango's `credentialType`; the first of a part wins.
_PARTS = {
    "cardNumber": "number",
    "claimCode": "number",
    "PIN": "pin",
    "securityCode": "pin",
    "redemptionUrl": "url",
    "securityUrl": "url",
    "barcode": "barcode",
    "expirationDate": "expiry",
}
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)(?:T.*)?"),
    re.compile(r"(?P<m>\d\d)/(?P<d>\d\d)/(?P<y>\d{4})"),
)


@dataclass(frozen=True, slots=True)
class TangoOrder:
    """An order as Tango shows it, with or without its credentials."""

    id: str
    status: str
    reference: str | None
    record: Mapping[str, object]


def read_order(answer: Answer, request: OrderRequest) -> Outcome:
    """The outcome of `POST /orders`: 201 for a new order, 200 for the original of a repeat."""
    if answer.status not in {200, 201}:
        return _not_taken(answer)
    try:
        order = _order(decode_json(answer.body))
        if order.reference != request.reference:
            return Unknown("other_reference")
        return _settled(order, request)
    except Unreadable:
        return Unknown("unreadable_answer")


def read_rows(answer: Answer, request: OrderRequest) -> TangoOrder | Absent | Conflicting | Unknown:
    """Which order `GET /orders?externalRefID=` shows under our reference."""
    if answer.status != 200:
        return not_told(answer, throttled_seconds=_THROTTLE_SECONDS)
    try:
        rows = as_object(decode_json(answer.body)).get("orders")
        if not isinstance(rows, list):
            raise Unreadable("no rows")
        found = {order.id: order for order in map(_order, rows)}
    except Unreadable:
        return Unknown("unreadable_answer")
    ours = [order for order in found.values() if order.reference == request.reference]
    if len(ours) > 1:
        return Conflicting("several_live_orders")
    if not ours and len(rows) >= PAGE_ROWS:
        return Unknown("report_too_long")
    return ours[0] if ours else Absent()


def read_poll(answer: Answer, request: OrderRequest, vendor_order_id: str) -> LookUp:
    """The outcome of `GET /orders/{referenceOrderID}`; what is not as asked needs a person."""
    if not_found(answer):
        return Unknown("order_gone")
    if answer.status != 200:
        return not_told(answer, throttled_seconds=_THROTTLE_SECONDS)
    try:
        order = _order(decode_json(answer.body))
        if order.id != vendor_order_id:
            return Unknown("other_order")
        if order.reference != request.reference:
            return Conflicting("other_reference")
        settled = _settled(order, request)
    except Unreadable:
        return Unknown("unreadable_answer")
    return Conflicting("other_product") if settled == Unknown("other_product") else settled


def read_balance(answer: Answer) -> Balance | Unknown:
    """The account's funds of `GET /accounts/{accountIdentifier}`."""
    if answer.status != 200:
        return not_told(answer, throttled_seconds=_THROTTLE_SECONDS)
    try:
        account = as_object(decode_json(answer.body))
        currency = as_currency(account.get("currencyCode"))
        return Balance(to_minor_floor(account.get("currentBalance"), currency), currency)
    except Unreadable:
        return Unknown("unreadable_answer")


def _not_taken(answer: Answer) -> Outcome:
    keys = _keys(answer)
    if answer.status == 401 or _NO_ACCOUNT & set(keys):
        return AuthFailed("credentials_refused" if answer.status == 401 else "account_not_usable")
    if answer.status == 429:
        return Throttled(retry_after_seconds(answer, default=_THROTTLE_SECONDS))
    if answer.status == 409:
        return Unknown("order_in_progress" if _IN_PROGRESS in keys else "reference_used")
    known = next((key for key in keys if key in CODES), None)
    if answer.status >= 500 and (known is None or CODES[known] != "out_of_stock"):
        return Unknown(f"http_{answer.status}")
    if not keys or answer.status == 408 or answer.status < 400:
        return Unknown(f"http_{answer.status}_unstructured")
    return Refused(CODES[known], known) if known else Refused("vendor_rejected", keys[0])


def _keys(answer: Answer) -> Sequence[str]:
    """The keys of Tango's own error body, the general one first; none for a gateway's."""
    try:
        body = as_object(decode_json(answer.body))
    except Unreadable:
        return ()
    details = body.get("errors")
    told = [body, *(details if isinstance(details, list) else [])]
    keys = [one.get("i18nKey") for one in told if isinstance(one, dict)]
    return [key for key in keys if isinstance(key, str) and _KEY.fullmatch(key)]


def _order(value: object) -> TangoOrder:
    record = as_object(value)
    identity, status = as_text(record.get("referenceOrderID")), record.get("status")
    if identity is None or not isinstance(status, str):
        raise Unreadable("not an order")
    # The documentation and the wire disagree about the case.
    return TangoOrder(identity, status.upper(), as_text(record.get("externalRefID")), record)


def _settled(order: TangoOrder, request: OrderRequest) -> Outcome:
    match order.status:
        case "COMPLETE":
            return _bought(order, request)
        case "PENDING":
            return Accepted(order.id)
        case "FAILED" | "CANCELED" | "CANCELLED":
            return Refused("refunded", order.status)
        case _:
            return Unknown("unknown_status")


def _bought(order: TangoOrder, request: OrderRequest) -> Outcome:
    """The order with its card; one whose credentials are not shown yet is owed, not lost."""
    record = order.record
    if record.get("utid") != request.product:
        return Unknown("other_product")
    face = as_object(record.get("denomination"))
    currency = as_currency(face.get("currencyCode"))
    face_value_minor = to_minor(face.get("value"), currency)
    card = read_card(record.get("reward"))
    if card is None:
        return Accepted(order.id)
    cost_minor, cost_currency = _cost(record.get("amountCharged"))
    return Succeeded(order.id, card, face_value_minor, currency, cost_minor, cost_currency)


def _cost(charged: object) -> tuple[int, str] | tuple[None, None]:
    """What the account was charged; a card is not lost because its cost cannot be read."""
    try:
        amount = as_object(charged)
        currency = as_currency(amount.get("currencyCode"))
        return to_minor_half_up(amount.get("total"), currency), currency
    except Unreadable:
        return None, None


def read_card(reward: object) -> IssuedCard | None:
    """The card of a `reward.credentialList`; None while there is none to read."""
    listed = reward.get("credentialList") if isinstance(reward, dict) else None
    parts: dict[str, str] = {}
    for credential in listed if isinstance(listed, list) else []:
        if isinstance(credential, dict) and (value := as_text(credential.get("value"))):
            parts.setdefault(_part(credential), value)
    expires_on = _date(parts.get("expiry"))
    # A vendor may issue less than number, PIN and link; what there is stands in the number.
    order = [name for name in ("number", "pin", "url", "barcode") if name in parts]
    if not order:
        return None
    number = parts.pop(order[0])
    return IssuedCard(number, parts.get("pin"), parts.get("url"), expires_on)


def _part(credential: Mapping[str, object]) -> str:
    kind = credential.get("credentialType")
    if isinstance(kind, str) and kind in _PARTS:
        return _PARTS[kind]
    return "url" if credential.get("type") == "url" else "other"


def _date(text: str | None) -> date | None:
    """The day of an expiry in one of Tango's two ways of writing it; None for anything else."""
    for form in _DATES:
        if found := form.fullmatch(text or ""):
            try:
                return date(*(int(found[part]) for part in ("y", "m", "d")))
            except ValueError:
                return None
    return None
