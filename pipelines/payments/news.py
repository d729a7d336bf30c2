"""What one object of Stripe's says of a payment: pure, and no more than we act on.

Names, addresses and cards stay where they are; a card is told by a digest of its fingerprint.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from models.payments import Paid, RefundState, SessionStatus
from pipelines.currencies import is_accepted
from pipelines.payments.amounts import Unpayable, from_stripe

#: Turns a card's fingerprint into what cards are told apart by.
Blind = Callable[[str], str]
_CHARACTERS_MAX = 255
#: No currency is charged so much, and a bigint of ours has no more.
_AMOUNT_LIMIT = 10**15


@dataclass(frozen=True, slots=True)
class News:
    """What is told of one payment; None for what is not. Amounts in our minor units."""

    #: Our own id, as we told Stripe; anybody may write a `client_reference_id` into an address.
    payment_id: str | None = None
    session_id: str | None = None
    payment_intent_id: str | None = None
    session_status: str | None = None
    session_url: str | None = None
    payment: str | None = None
    paid_minor: int | None = None
    paid_currency: str | None = None
    charge_refunded_minor: int | None = None
    failure_code: str | None = None
    card: str | None = None
    #: Of a refund: Stripe's id, ours if it is ours, how far it is.
    refund_id: str | None = None
    our_refund_id: str | None = None
    refund_state: str | None = None
    refund_minor: int | None = None
    #: Of a dispute: Stripe's id and words.
    dispute_id: str | None = None
    dispute_status: str | None = None
    dispute_minor: int | None = None
    dispute_reason: str | None = None
    #: When that was so, by Stripe's clock.
    at: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def is_ours(self) -> bool:
        """Whether it names a payment of ours, or goes back to one that may be: others use the account, too."""
        goes_back = self.refund_id is not None or self.dispute_id is not None
        return self.payment_id is not None or goes_back


NAMES = frozenset(field.name for field in fields(News))


def news_from(told: Mapping[str, Any]) -> News:
    """What was kept as JSON; what another release kept beside it is left out."""
    return News(**{name: value for name, value in told.items() if name in NAMES})


def news_of_event(kind: str, thing: Mapping[str, Any], blind: Blind, at: int) -> News | None:
    """What an event says, made at `at` seconds since 1970; None: of this type we know nothing.

    Raises ValueError, TypeError or KeyError for an object that has another shape.
    """
    told_at = datetime.fromtimestamp(at, UTC).isoformat()
    match kind.split("."):
        case ["checkout", "session", what]:
            return news_of_session(thing, has_failed=what == "async_payment_failed")
        case ["payment_intent", what]:
            return _of_intent(thing, what)
        case ["charge", "succeeded" | "refunded" | "updated" | "captured"]:
            return _of_charge(thing, blind)
        case ["refund", "created" | "updated" | "failed"] | ["charge", "refund", "updated"]:
            return news_of_refund(thing)
        case ["charge", "dispute", _]:
            return _of_dispute(thing, told_at)
        case _:
            return None


def news_of_session(thing: Mapping[str, Any], *, has_failed: bool = False) -> News:
    """What a Checkout session says."""
    told = thing.get("status")
    # A word that nobody knows yet is no news (EC-043).
    status = SessionStatus(told) if told in set(SessionStatus) else SessionStatus.NONE
    money = _money(thing.get("amount_total"), thing.get("currency"))
    match thing.get("payment_status"):
        case "paid":
            paid = Paid.PAID
        case "no_payment_required":
            paid = Paid.NOT_REQUIRED
        case _ if has_failed:
            paid = Paid.FAILED
        case _ if status is SessionStatus.COMPLETE:
            paid = Paid.PROCESSING
        case _:
            paid = Paid.UNPAID
    has_paid = paid in {Paid.PAID, Paid.NOT_REQUIRED}
    return News(
        payment_id=_ours(thing),
        session_id=_text(thing["id"]),
        payment_intent_id=_id(thing.get("payment_intent")),
        session_status=status.value,
        session_url=_text(thing.get("url"), longest=4_096),
        payment=paid.value,
        paid_minor=money[0] if has_paid else None,
        paid_currency=money[1] if has_paid else None,
    )


def news_of_refund(thing: Mapping[str, Any]) -> News:
    """What a refund says; one that was canceled has failed."""
    state = {
        "succeeded": RefundState.SUCCEEDED,
        "failed": RefundState.FAILED,
        "canceled": RefundState.FAILED,
    }.get(str(thing.get("status")), RefundState.PENDING)
    amount, _currency = _money(thing["amount"], thing["currency"])
    return News(
        payment_id=_ours(thing),
        payment_intent_id=_id(thing.get("payment_intent")),
        refund_id=_text(thing["id"]),
        our_refund_id=_uuid((thing.get("metadata") or {}).get("refund_id")),
        refund_state=state.value,
        refund_minor=amount,
        failure_code=_text(thing.get("failure_reason")),
    )


def _of_intent(thing: Mapping[str, Any], what: str) -> News:
    news = News(payment_id=_ours(thing), payment_intent_id=_text(thing["id"]))
    match what:
        case "succeeded":
            minor, currency = _money(thing["amount_received"], thing["currency"])
            told = {"payment": Paid.PAID.value, "paid_minor": minor, "paid_currency": currency}
        case "processing":
            told = {"payment": Paid.PROCESSING.value}
        case "payment_failed":
            error = thing.get("last_payment_error") or {}
            told = {"failure_code": _text(error.get("decline_code") or error.get("code"))}
        case _:
            told = {}
    return news_from(news.as_json() | told)


def _of_charge(thing: Mapping[str, Any], blind: Blind) -> News:
    """A charge that went through says that it was paid, and how much went back in all."""
    minor, currency = _money(thing["amount"], thing["currency"])
    refunded, _ = _money(thing.get("amount_refunded") or 0, thing["currency"])
    card = ((thing.get("payment_method_details") or {}).get("card") or {}).get("fingerprint")
    is_paid = thing.get("paid") is True and thing.get("status") == "succeeded"
    return News(
        payment_id=_ours(thing),
        payment_intent_id=_id(thing.get("payment_intent")),
        payment=Paid.PAID.value if is_paid else None,
        paid_minor=minor if is_paid else None,
        paid_currency=currency if is_paid else None,
        charge_refunded_minor=refunded,
        card=blind(card) if isinstance(card, str) else None,
    )


def _of_dispute(thing: Mapping[str, Any], told_at: str) -> News:
    amount, _currency = _money(thing["amount"], thing["currency"])
    return News(
        payment_id=_ours(thing),
        payment_intent_id=_id(thing.get("payment_intent")),
        dispute_id=_text(thing["id"]),
        dispute_status=_text(thing["status"]),
        dispute_minor=amount,
        dispute_reason=_text(thing.get("reason")) or "",
        at=told_at,
    )


def _ours(thing: Mapping[str, Any]) -> str | None:
    return _uuid((thing.get("metadata") or {}).get("payment_id"))


def _money(amount: object, currency: object) -> tuple[int | None, str | None]:
    """In our minor units; a currency that we do not accept, or a part of a unit, is no amount."""
    if type(amount) is not int or not 0 <= amount < _AMOUNT_LIMIT or not isinstance(currency, str):
        return None, None
    code = currency.upper()
    if not is_accepted(code):
        return None, code[:3]
    try:
        return from_stripe(amount, code), code
    except Unpayable:
        return None, code


def _id(thing: object) -> str | None:
    """Of an object that may be told whole."""
    return _text(thing["id"] if isinstance(thing, Mapping) else thing)


def _text(value: object, *, longest: int = _CHARACTERS_MAX) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\0" in value:
        return None
    return value if _is_text(value) else None


def _is_text(value: str) -> bool:
    """Half a pair of surrogates is none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _uuid(value: object) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None
