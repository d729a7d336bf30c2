"""Purchases, refunds, disputes and top-ups in words: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from models.discounts import Restores, UsageState
from models.payments import PaymentState, RefundState
from pipelines.checkout.read import state_of_purchase
from pipelines.payments.facts import DisputeStanding, standing_of
from web.console.formats import moment, money
from web.console.job_words import StateWords

STATES: Mapping[str, StateWords] = {
    "pending": StateWords("Not paid yet", "clock", "info"),
    "processing": StateWords("Being paid", "clock", "info"),
    "confirmed": StateWords("Confirmed", "check", "good"),
    "paid": StateWords("Paid, not confirmed", "alert", "warn"),
    "refunded": StateWords("Paid back", "repeat", "plain"),
    "failed": StateWords("Payment failed", "cross", "bad"),
    "expired": StateWords("Ended unpaid", "stop", "plain"),
}
_MEANINGS = {
    "processing": "The bank was asked and answers within days. The code’s slot is kept meanwhile.",
    "confirmed": "What was asked for is paid.",
    "refunded": "All that was paid went back.",
    "expired": "Its page was ended before anybody paid. Nothing was paid.",
}
_REFUSED = {
    "late": "It came when its slot was given back and no other was free.",
    "paid_twice": "The same reservation was paid already, with another purchase.",
    "rejected": "Somebody here decided not to take it.",
}
REFUND_STATES: Mapping[str, StateWords] = {
    RefundState.ASKED: StateWords("Asked for", "clock", "info"),
    RefundState.PENDING: StateWords("On its way", "clock", "info"),
    RefundState.SUCCEEDED: StateWords("Arrived", "check", "good"),
    RefundState.FAILED: StateWords("Failed", "cross", "bad"),
}
_REFUND_REASONS = {
    "person": "Asked for here",
    "outside": "Made in Stripe’s own pages",
    "late": "Paid too late",
    "paid_twice": "Paid twice",
    "rejected": "Not taken",
}
_DISPUTES: Mapping[DisputeStanding, StateWords] = {
    DisputeStanding.ASKED: StateWords("The bank asks", "alert", "warn"),
    DisputeStanding.OPEN: StateWords("Open", "alert", "bad"),
    DisputeStanding.OVER: StateWords("Over, the money stays", "check", "good"),
    DisputeStanding.LOST: StateWords("Lost", "cross", "bad"),
}
#: What a full refund makes of a use that counts.
_RESTORED = {
    Restores.NOTHING: "Stays used: the code gives nothing back",
    Restores.SLOT: "Comes back to the code: somebody else can have it",
    Restores.CUSTOMER: "Comes back, and the customer may use the code again",
}
_CAME_BACK = {
    None: "Paid back; still counts as used",
    Restores.SLOT: "Came back to the code when it was paid back",
    Restores.CUSTOMER: "Came back when it was paid back; the customer may use the code again",
}
TOP_UP_STATES: Mapping[str, StateWords] = {
    PaymentState.OPEN: StateWords("Not paid yet", "clock", "info"),
    PaymentState.PROCESSING: StateWords("Being paid", "clock", "info"),
    PaymentState.SUCCEEDED: StateWords("Paid", "check", "good"),
    PaymentState.MISMATCHED: StateWords("Another amount was paid", "alert", "warn"),
    PaymentState.REFUNDED: StateWords("Paid back", "repeat", "plain"),
    PaymentState.FAILED: StateWords("Payment failed", "cross", "bad"),
    PaymentState.EXPIRED: StateWords("Ended unpaid", "stop", "plain"),
}
_CREDIT_IS_THERE = ("good", "{} is paid", "The credit is in this account.")
#: Of an amount: tone, title and words.
_NEWS: Mapping[str, tuple[str, str, str]] = {
    PaymentState.SUCCEEDED: (
        "info",
        "{} is paid",
        "The credit is there in seconds; load this page again.",
    ),
    PaymentState.OPEN: (
        "info",
        "{} is not paid yet, as far as we know",
        "Who has paid is told so here in seconds; load this page again.",
    ),
    PaymentState.PROCESSING: (
        "info",
        "{} is being paid",
        "The bank takes days for this. Credit is there once it says yes.",
    ),
    PaymentState.MISMATCHED: (
        "warn",
        "Another amount than {} was paid",
        "No credit was given for it. The platform’s people have to look at it.",
    ),
    PaymentState.REFUNDED: ("warn", "{} was paid back", "Its credit is taken back too."),
    PaymentState.FAILED: ("bad", "The payment failed", "Nothing of {} was paid. Begin again."),
    PaymentState.EXPIRED: (
        "warn",
        "The payment page is over",
        "Nothing of {} was paid. Begin again.",
    ),
}


@dataclass(frozen=True, slots=True)
class TopUpNews:
    """What came of a top-up."""

    tone: str
    title: str
    words: str


def why(row: Row[Any]) -> str:
    """What the state of a purchase means, and what it waits for."""
    name = state_of_purchase(row)
    if name in _MEANINGS:
        return _MEANINGS[name]
    if name == "pending":
        return _waits(row)
    if name == "paid":
        return _not_confirmed(row)
    code = f" ({row.last_failure_code})" if row.last_failure_code else ""
    return f"The bank said no{code}. Nothing was paid, and the code’s slot was given back."


def remarks(row: Row[Any]) -> list[str]:
    """What is out of the ordinary with it, one sentence each."""
    told = []
    if row.is_overflow and row.is_its_slot:
        told.append(
            "It was paid after its slot had been given back, and no other was free: its use counts "
            "beside the code’s limit."
        )
    elif row.is_late:
        told.append(
            "It was paid after its slot had been given back; another one was free and was taken."
        )
    if row.is_disputed:
        told.append("The payer’s bank asks the money back. Answer it in Stripe’s pages.")
    if row.refused is not None and state_of_purchase(row) != "paid":
        told.append(_REFUSED.get(row.refused, row.refused))
    return told


def asked_words(row: Row[Any]) -> str:
    """`$90.00`"""
    return money(row.amount_minor, row.currency)


def paid_words(row: Row[Any]) -> str:
    """`$90.00`, or a dash while nothing is paid."""
    if row.paid_minor is None:
        return "–"
    return money(row.paid_minor, row.paid_currency or row.currency)


def slot_words(row: Row[Any], code: Mapping[str, Any]) -> str:
    """Where the use of one of its codes stands."""
    if not row.is_its_slot and row.usage_state != UsageState.RELEASED:
        return "Another purchase’s"
    match row.usage_state:
        case UsageState.CONFIRMED:
            return "Counts beside the limit" if code["is_overflow"] else "Counts as used"
        case UsageState.REFUNDED:
            return _CAME_BACK[code["restored"]]
        case other:
            kept = "Reserved" if row.review is None else "Kept until somebody decides"
            return kept if other == UsageState.RESERVED else "Given back"


def slot_then(row: Row[Any], code: Mapping[str, Any], *, is_whole: bool) -> str:
    """What a refund makes of the use of one of its codes, by the code's own rule (EC-051)."""
    if row.payment_state == PaymentState.MISMATCHED:
        is_waiting = row.usage_state == UsageState.RESERVED and row.is_its_slot
        return "Given back at once" if is_waiting and row.refused is None else "Stays as it is"
    if row.review is not None and row.usage_state == UsageState.RESERVED:
        return "Given back once all is paid back" if is_whole else "Kept until somebody decides"
    if row.usage_state != UsageState.CONFIRMED or not row.is_its_slot:
        return "Stays as it is"
    if not is_whole:
        return "Stays used: only when all is paid back the code is asked"
    return restored_words(code["restore_on_refund"])


def restored_words(restores: str) -> str:
    """What a code makes of its use once all is paid back."""
    return _RESTORED[Restores(restores)]


def refund_reason(reason: str) -> str:
    return _REFUND_REASONS.get(reason, reason)


def dispute_words(status: str) -> StateWords:
    return _DISPUTES[standing_of(status)]


def top_up_news(row: Row[Any]) -> TopUpNews:
    """What is told of a top-up to who comes back from its page."""
    is_there = row.state == PaymentState.SUCCEEDED and row.transfer_id is not None
    tone, title, words = _CREDIT_IS_THERE if is_there else _NEWS[row.state]
    amount = money(row.amount_minor, row.currency)
    return TopUpNews(tone, title.format(amount), words.format(amount))


def _waits(row: Row[Any]) -> str:
    if row.session_id is None:
        return "Its payment page is not made yet: the shop asks for it again."
    return f"The customer can pay on its page until {moment(row.expires_at)} at the latest."


def _not_confirmed(row: Row[Any]) -> str:
    if row.refused is not None:
        is_back = row.refunded_minor >= (row.paid_minor or 0)
        goes = "It was paid back." if is_back else "It is being paid back."
        return f"{_REFUSED.get(row.refused, row.refused)} {goes}"
    if row.review is not None:
        return (
            f"{paid_words(row)} was paid, as it was asked for, and the use of its code looks like a "
            "deception. The money is kept, and the slot, until somebody approves or rejects it."
        )
    return (
        f"{asked_words(row)} was asked for and {paid_words(row)} was paid. Nothing is confirmed by "
        "another amount: take what was paid, or pay it back."
    )
