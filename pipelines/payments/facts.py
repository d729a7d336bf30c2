"""What is known of a payment, and the state that follows from it: pure (EC-008, EC-048).

Facts only grow: each is the highest that anybody told. So it makes no difference how often events
come, nor in which order, and the state is read off what is known, never off what came last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from models.payments import Paid, PaymentState, RefundState, SessionStatus
from pipelines.payments.news import News

_Known = TypeVar("_Known", str, int)

_SESSIONS: Sequence[str] = list(SessionStatus)
_PAYMENTS: Sequence[str] = list(Paid)
_REFUNDS: Sequence[str] = list(RefundState)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one payment; amounts in minor units, None until somebody says."""

    amount_minor: int
    currency: str
    session_status: str = SessionStatus.NONE.value
    payment: str = Paid.UNPAID.value
    paid_minor: int | None = None
    paid_currency: str | None = None
    charge_refunded_minor: int = 0
    is_accepted: bool = False

    @property
    def is_paid(self) -> bool:
        return self.payment in {Paid.PAID, Paid.NOT_REQUIRED}

    @property
    def is_as_asked(self) -> bool:
        """Whether what was paid is what we asked for, to the unit and in its currency (EC-049)."""
        return (self.paid_minor, self.paid_currency) == (self.amount_minor, self.currency)


def learned(facts: Facts, news: News) -> Facts:
    """What is known once somebody has told this too."""
    return replace(
        facts,
        session_status=_later(_SESSIONS, facts.session_status, news.session_status),
        payment=_later(_PAYMENTS, facts.payment, news.payment),
        paid_minor=_more(facts.paid_minor, news.paid_minor),
        paid_currency=_more(facts.paid_currency, news.paid_currency),
        charge_refunded_minor=max(facts.charge_refunded_minor, news.charge_refunded_minor or 0),
    )


def state_of(facts: Facts, *, refunded_minor: int) -> PaymentState:
    """The state of a payment of which so much was paid back."""
    if facts.is_paid:
        if not (facts.is_as_asked or facts.is_accepted):
            return PaymentState.MISMATCHED
        is_back = refunded_minor > 0 and refunded_minor >= (facts.paid_minor or 0)
        return PaymentState.REFUNDED if is_back else PaymentState.SUCCEEDED
    if facts.payment == Paid.FAILED:
        return PaymentState.FAILED
    if facts.payment == Paid.PROCESSING:
        return PaymentState.PROCESSING
    if facts.session_status == SessionStatus.EXPIRED:
        return PaymentState.EXPIRED
    return PaymentState.OPEN


@dataclass(frozen=True, slots=True)
class Refunds:
    """Sums over what is known of a payment's refunds, in minor units."""

    standing_minor: int = 0
    failed_minor: int = 0


def refunded_minor(facts: Facts, refunds: Refunds) -> int:
    """What was paid back: of which refunds were told, or which the charge tells; never above it.

    A refund that failed comes back to us, and the charge may have been told with it.
    """
    told = max(refunds.standing_minor, facts.charge_refunded_minor - refunds.failed_minor)
    return max(0, min(told, facts.paid_minor or 0))


def later_refund(one: str, other: str) -> str:
    """Which of two states of a refund is the later one."""
    return _later(_REFUNDS, one, other)


class DisputeStanding(StrEnum):
    """What a dispute means for us, whatever its status is called."""

    #: The bank asks; no money has moved.
    ASKED = "asked"
    OPEN = "open"
    OVER = "over"
    LOST = "lost"


def standing_of(status: str) -> DisputeStanding:
    """A status that nobody knows yet is taken for an open dispute."""
    match status:
        case "warning_needs_response" | "warning_under_review":
            return DisputeStanding.ASKED
        case "won" | "warning_closed" | "prevented":
            return DisputeStanding.OVER
        case "lost":
            return DisputeStanding.LOST
        case _:
            return DisputeStanding.OPEN


def _later(order: Sequence[str], one: str, other: str | None) -> str:
    return one if other is None or order.index(other) <= order.index(one) else other


def _more(one: _Known | None, other: _Known | None) -> _Known | None:
    return one if other is None else other if one is None else max(one, other)
