"""What is known of a payment, and the state that follows from it: pure (EC-008, EC-048).

Facts only grow: each is the highest that anybody told. So it makes no difference how often events
come, nor in which order, and the state is read off what is known, never off what came last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from models.payments import Paid, PaymentState, RefundState, SessionStatus
from pipelines.payments.news import News

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

    @property
    def is_good(self) -> bool:
        """Whether what was paid may confirm: as asked, or taken by a person."""
        return self.is_as_asked or self.is_accepted


def is_of_another(known: str | None, told: str | None) -> bool:
    """Whether news is of another page or payment than the one that is known."""
    return known is not None and told is not None and known != told


def learned(facts: Facts, news: News) -> Facts:
    """What is known once somebody has told this too."""
    paid = _more(_money(facts), _money(news))
    return replace(
        facts,
        session_status=_later(_SESSIONS, facts.session_status, news.session_status),
        payment=_later(_PAYMENTS, facts.payment, news.payment),
        paid_minor=None if paid is None else paid[0],
        paid_currency=None if paid is None else paid[1],
        charge_refunded_minor=max(facts.charge_refunded_minor, news.charge_refunded_minor or 0),
    )


def state_of(facts: Facts, *, refunded_minor: int) -> PaymentState:
    """The state of a payment of which so much was paid back."""
    if facts.is_paid:
        if refunded_minor > 0 and refunded_minor >= (facts.paid_minor or 0):
            return PaymentState.REFUNDED
        return PaymentState.SUCCEEDED if facts.is_good else PaymentState.MISMATCHED
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


_Money = tuple[int, str]


def _money(told: Facts | News) -> _Money | None:
    """An amount with its currency: neither is anything without the other."""
    if told.paid_minor is None or told.paid_currency is None:
        return None
    return told.paid_minor, told.paid_currency


def _more(one: _Money | None, other: _Money | None) -> _Money | None:
    return one if other is None else other if one is None else max(one, other)
