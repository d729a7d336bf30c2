"""Read Tremendous' answers: from status and body to an outcome, without any call.

The rule is proof. Only a refusal in Tremendous' own error body, or an order it calls failed or
cancelled, proves that nothing is bought; anything else that is not a readable order is `Unknown`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pipelines.providers.asking import (
    as_currency,
    as_object,
    as_text,
    not_told,
    retry_after_seconds,
)
from pipelines.providers.exact import Unreadable, decode_json, to_minor, to_minor_half_up
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

#: Ids of products, as of everything there.
PRODUCT = re.compile(r"[A-Z0-9]{4,20}")
#: What an order costs is always told in dollars, and so is the account's balance.
_COST_CURRENCY = "USD"
#: Ten calls a second are allowed; after a 429 a pause of this is asked for.
_PAUSE_SECONDS = 1.0

_BOUGHT = "EXECUTED"
_OPEN = {"OPEN", "CART", "PENDING APPROVAL", "PENDING INTERNAL PAYMENT APPROVAL"}
_DEAD = {"CANCELED", "FAILED"}

#: A timeout at a gateway proves nothing.
_UNPROVEN = frozenset({408})
#: What a refusal names of the request, in our words; the first that fits.
_PATHS = (
    (re.compile(r"denomination"), "invalid_amount"),
    (re.compile(r"products|currency_code|campaign_id"), "product_unavailable"),
)
#: Words of a refusal that tell more than its status.
_WORDS = (
    (re.compile(r"out[ _]of[ _]stock", re.IGNORECASE), "out_of_stock"),
    (re.compile(r"insufficient|not enough", re.IGNORECASE), "vendor_insufficient_balance"),
)
_VENDOR_CODE = re.compile(r"[a-z_]+(\.[a-z_]+){0,5}")
_LINK = re.compile(r"https?://[^\s/]\S*")
_DEPTH_MAX = 6


@dataclass(frozen=True, slots=True, repr=False)
class Bought:
    """The order is executed; its link is here, or is still to be made."""

    vendor_order_id: str
    reward_id: str
    link: str | None
    face_value_minor: int
    currency: str
    cost_minor: int | None
    cost_currency: str | None
    expires_on: date | None

    def __repr__(self) -> str:
        return f"Bought({self.vendor_order_id}, [removed])"


def read_order(answer: Answer, request: OrderRequest) -> Outcome | Bought:
    """The outcome of `POST /orders`: 200 made it, 201 had it already."""
    if not 200 <= answer.status < 300:
        return _not_taken(answer)
    try:
        order = _order_in(answer)
        if as_text(order.get("external_id")) not in {None, request.reference}:
            return Unknown("other_reference")
        return _settled(order, request)
    except Unreadable:
        return Unknown("unreadable_answer")


def read_found(answer: Answer, request: OrderRequest) -> LookUp | Bought:
    """What `GET /orders/{our reference or its own id}` says of our order.

    An order that is ours and is not what we asked for needs a person, not another look.
    """
    if answer.status == 404:
        return Absent() if _error_in(answer) is not None else Unknown("http_404_unstructured")
    if answer.status != 200:
        return not_told(answer, throttled_seconds=_PAUSE_SECONDS)
    try:
        return _judged(_order_in(answer), request)
    except Unreadable:
        return Unknown("unreadable_answer")


def _judged(order: Mapping[str, object], request: OrderRequest) -> LookUp | Bought:
    reference = as_text(order.get("external_id"))
    if reference is None:
        return Unknown("no_reference")
    if reference != request.reference:
        return Conflicting("other_reference")
    match _settled(order, request):
        case Unknown(reason="other_product" | "other_quantity" as reason):
            return Conflicting(reason)
        case settled:
            return settled


def read_link(answer: Answer, reward_id: str) -> str | None:
    """The link of `POST /rewards/{id}/generate_link`; None if there is none to read."""
    if not 200 <= answer.status < 300:
        return None
    try:
        reward = as_object(as_object(decode_json(answer.body)).get("reward"))
    except Unreadable:
        return None
    return _link(reward.get("link")) if as_text(reward.get("id")) == reward_id else None


def read_balance_source(answer: Answer) -> str | Unknown:
    """The id of the account's own balance in `GET /funding_sources`."""
    if answer.status != 200:
        return not_told(answer, throttled_seconds=_PAUSE_SECONDS)
    with suppress(Unreadable):
        sources = as_object(decode_json(answer.body)).get("funding_sources")
        for source in map(as_object, sources if isinstance(sources, list) else []):
            identity = as_text(source.get("id"))
            if source.get("method") == "balance" and identity is not None:
                return identity
        return Unknown("no_balance_source")
    return Unknown("unreadable_answer")


def read_balance(answer: Answer) -> Balance | Unknown:
    """What `GET /funding_sources/{id}` says may be spent."""
    if answer.status != 200:
        return not_told(answer, throttled_seconds=_PAUSE_SECONDS)
    with suppress(Unreadable):
        source = as_object(as_object(decode_json(answer.body)).get("funding_source"))
        cents = as_object(source.get("meta")).get("available_cents")
        if isinstance(cents, int) and not isinstance(cents, bool):
            return Balance(cents, _COST_CURRENCY)
    return Unknown("unreadable_answer")


def _not_taken(answer: Answer) -> Outcome:
    match answer.status:
        case 401:
            return AuthFailed("key_refused")
        case 429:
            return Throttled(retry_after_seconds(answer, default=_PAUSE_SECONDS))
        case status if 400 <= status < 500 and status not in _UNPROVEN:
            return _refusal(answer)
        case status:
            return Unknown(f"http_{status}")


def _refusal(answer: Answer) -> Outcome:
    error = _error_in(answer)
    if error is None:
        return Unknown(f"http_{answer.status}_unstructured")  # a gateway's, not Tremendous'
    if answer.status == 403:
        return AuthFailed("not_permitted")
    if answer.status == 409:  # an order of other content stands under our reference
        return Unknown("reference_used")
    paths = sorted(set(_leaves(error.payload)))
    return Refused(_our_code(answer.status, paths, error.message), _vendor_code(paths))


def _our_code(status: int, paths: list[str], message: str) -> str:
    said = next((code for words, code in _WORDS if words.search(message)), None)
    if said is not None:
        return said
    if status == 402:
        return "vendor_insufficient_balance"
    named = ((code for path in paths if part.search(path)) for part, code in _PATHS)
    return next((code for codes in named for code in codes), "vendor_rejected")


def _vendor_code(paths: list[str]) -> str | None:
    """Which part of the order it minds; it has no codes of its own."""
    first = paths[0] if paths else ""
    return first if len(first) <= 64 and _VENDOR_CODE.fullmatch(first) else None


@dataclass(frozen=True, slots=True)
class _Error:
    """Tremendous' error body: `errors` or, as for a 429, `error`."""

    message: str
    payload: object


def _error_in(answer: Answer) -> _Error | None:
    try:
        body = as_object(decode_json(answer.body))
    except Unreadable:
        return None
    for name in ("errors", "error"):
        match body.get(name):
            case str(text) if text:
                return _Error(text, None)
            case {"message": str(text), **told}:
                return _Error(text, told.get("payload"))
    return None


def _leaves(payload: object, path: str = "", depth: int = 0) -> Iterator[str]:
    """The payload mirrors the request: `{"reward": {"products": "..."}}` is `reward.products`."""
    if isinstance(payload, dict) and depth < _DEPTH_MAX:
        for name, value in payload.items():
            yield from _leaves(value, f"{path}.{name}" if path else str(name), depth + 1)
    elif path:
        yield path


def _order_in(answer: Answer) -> Mapping[str, object]:
    return as_object(as_object(decode_json(answer.body)).get("order"))


def _settled(order: Mapping[str, object], request: OrderRequest) -> Outcome | Bought:
    identity, status = as_text(order.get("id")), order.get("status")
    if identity is None or not isinstance(status, str):
        raise Unreadable("not an order")
    match status.upper().replace("_", " "):
        case said if said == _BOUGHT:
            return _bought(identity, order, request)
        case said if said in _OPEN:
            return Accepted(identity)
        case said if said in _DEAD:
            return Refused("refunded", said)
        case _:
            return Unknown("unknown_status")


def _bought(identity: str, order: Mapping[str, object], request: OrderRequest) -> Bought | Unknown:
    rewards = order.get("rewards")
    if not isinstance(rewards, list) or not rewards:
        raise Unreadable("no reward")
    if len(rewards) > 1:
        return Unknown("other_quantity")
    reward = as_object(rewards[0])
    products = reward.get("products")
    if isinstance(products, list) and products != [request.product]:
        return Unknown("other_product")
    reward_id = as_text(reward.get("id"))
    if reward_id is None:
        raise Unreadable("a reward without an id")
    value = as_object(reward.get("value"))
    currency = as_currency(value.get("currency_code"))
    delivery = reward.get("delivery")
    link = _link(delivery.get("link")) if isinstance(delivery, dict) else None
    cost = _cost(order)
    return Bought(
        vendor_order_id=identity,
        reward_id=reward_id,
        link=link,
        face_value_minor=to_minor(value.get("denomination"), currency),
        currency=currency,
        cost_minor=cost,
        cost_currency=None if cost is None else _COST_CURRENCY,
        expires_on=_day(reward.get("expires_at")),
    )


def _cost(order: Mapping[str, object]) -> int | None:
    """What the account was charged; a card is not lost because its cost cannot be read."""
    with suppress(Unreadable):
        return to_minor_half_up(as_object(order.get("payment")).get("total"), _COST_CURRENCY)
    return None


def _day(value: object) -> date | None:
    if isinstance(value, str):
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).date()
    return None


def _link(value: object) -> str | None:
    """A link that can be opened; a placeholder is none (EC-062)."""
    return value if isinstance(value, str) and _LINK.fullmatch(value) else None
