"""Write down that something is to be paid: before Stripe hears of it, so that nothing is paid unknown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from models.payments import Paid, Payment, PaymentPurpose
from pipelines.payments.amounts import MAXIMUM, Unpayable, least_minor, to_stripe
from pipelines.payments.refusals import AmountOutOfRange, BelowMinimumCharge, InvalidPrecision

#: Stripe keeps a page open for half an hour at least; a slot is kept for a quarter, so that a page
#: which is made at its end, by a try that was late, is still of this length.
PAGE_OPEN = timedelta(minutes=50)
#: A payment page lists no more; more are told as one.
LINES_SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be paid: `lines` are name, quantity and minor units of one, and sum to the amount."""

    payment_id: UUID
    agency_id: UUID | None
    client_id: UUID | None
    purpose: PaymentPurpose
    amount_minor: int
    currency: str
    lines: Sequence[tuple[str, int, int]]
    reference: UUID
    success_url: str
    cancel_url: str


def check_payable(amount_minor: int, currency: str) -> None:
    """Raises `BelowMinimumCharge`, `InvalidPrecision` or `AmountOutOfRange`; nothing is payable."""
    if amount_minor == 0:
        return
    try:
        amount = to_stripe(amount_minor, currency)
    except Unpayable:
        raise InvalidPrecision(amount_minor, currency) from None
    if amount_minor < (least := least_minor(currency)):
        raise BelowMinimumCharge(least, amount_minor, currency)
    if amount > MAXIMUM:
        raise AmountOutOfRange


def begin_payment(
    session: Session, charge: Charge, *, actor_id: UUID | None, now: datetime
) -> None:
    """The intent of a payment; what costs nothing is paid by that (EC-019).

    Raises what `check_payable` does.
    """
    check_payable(charge.amount_minor, charge.currency)
    is_free = charge.amount_minor == 0
    session.execute(
        insert(Payment).values(
            id=charge.payment_id,
            agency_id=charge.agency_id,
            client_id=charge.client_id,
            purpose=charge.purpose,
            amount_minor=charge.amount_minor,
            currency=charge.currency,
            lines=[list(line) for line in _payable(charge)],
            reference=charge.reference,
            success_url=charge.success_url,
            cancel_url=charge.cancel_url,
            session_expires_at=now + PAGE_OPEN,
            payment=Paid.NOT_REQUIRED if is_free else Paid.UNPAID,
            paid_minor=0 if is_free else None,
            paid_currency=charge.currency if is_free else None,
            created_by=actor_id,
        )
    )


def _payable(charge: Charge) -> Sequence[tuple[str, int, int]]:
    """The lines as a page can list them, or all as one: too many, or parts of what can be paid."""
    try:
        for _name, _quantity, unit in charge.lines:
            to_stripe(unit, charge.currency)
    except Unpayable:
        return [("Purchase", 1, charge.amount_minor)]
    if len(charge.lines) > LINES_SHOWN_MAX:
        return [("Purchase", 1, charge.amount_minor)]
    return charge.lines
