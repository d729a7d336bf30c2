"""What becomes of a purchase and its slot when something is learned of its payment (EC-003..EC-010).

The payment's state decides, and where the slot stands: a table of both is in docs/states.md, and a
test walks it. Locked are the payment, the purchase, the usage, then what is counted.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import UsageState
from models.payments import PaymentState
from pipelines.alerts.kind import AlertKind
from pipelines.alerts.payment_kinds import (
    AMOUNT_MISMATCH,
    LATE_PAYMENT_OVERFLOW,
    PAID_TWICE,
    PAYMENT_DISPUTED,
)
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.audit.record import record
from pipelines.checkout import review
from pipelines.checkout.refuse import RefusedFor, give_slot_back, refuse_money
from pipelines.discounts.release import ReleaseReason, release
from pipelines.discounts.settle import (
    begin_purchase,
    confirm,
    count_purchase,
    hold_until,
    refund_usage,
    take_refund_back,
    usage_locked,
)
from pipelines.fraud.cards import know_card
from pipelines.payments.learn import Learned
from pipelines.payments.page import KEEPS_RESERVATION
from pipelines.payments.read import facts_of
from pipelines.queue.defer import defer
from pipelines.queue.kinds import END_CHECKOUT
from pipelines.referrals.follow import follow_reward
from pipelines.webhooks.catalogue import (
    PURCHASE_CONFIRMED,
    PURCHASE_DISPUTED,
    PURCHASE_ENDED,
    PURCHASE_REFUNDED,
    EventType,
)
from pipelines.webhooks.happened import Event, happened

#: A bank debit may take so long; its slot is kept (EC-047).
ASYNC_HOLD = timedelta(days=14)

_UNPAID = frozenset({UsageState.RESERVED, UsageState.RELEASED})

# Two that were begun for one cart may be paid at the same moment: who follows the second sees the first.
# A cart's id may be used for ever, so only its newest are locked, in one order.
_CART = text("""
SELECT id FROM purchases WHERE id = :purchase OR id = ANY (ARRAY(
    SELECT o.id FROM purchases o JOIN purchases p ON o.client_id = p.client_id
      AND o.cart_reference = p.cart_reference
    WHERE p.id = :purchase ORDER BY o.id DESC LIMIT 20))
ORDER BY id FOR NO KEY UPDATE
""")
_PURCHASE = text("SELECT * FROM purchases WHERE id = :purchase")
_ENDS = text("UPDATE purchases SET is_live = false WHERE id = :purchase AND is_live")
# A page that existed when the other was paid: nobody pays one cart on purpose twice at a time.
_OTHER_PAID = text("""
SELECT 1 FROM purchases p JOIN purchases o ON o.client_id = p.client_id
  AND o.cart_reference = p.cart_reference AND o.id <> p.id AND o.refused IS NULL
JOIN payments m ON m.id = o.id
WHERE p.id = :purchase AND m.state = 'succeeded' AND m.paid_at > p.created_at LIMIT 1
""")
_OTHERS_LIVE = text("""
SELECT id FROM purchases
WHERE client_id = :client AND cart_reference = :cart AND is_live AND id <> :own
""")
_COUNTED = text("UPDATE purchases SET is_counted = true WHERE id = :purchase")
_IS_KEPT = text("""
SELECT refused IS NULL AND review IS NULL FROM purchases WHERE id = :purchase
""")
_LATE = text("UPDATE purchases SET is_late = true WHERE id = :purchase")


def follow_purchase(session: Session, learned: Learned, now: datetime) -> None:
    """Let a purchase and its slot follow what is known of its payment; its payment is locked."""
    own = {"purchase": learned.after.id}
    session.execute(_CART, own)
    purchase = session.execute(_PURCHASE, own).one()
    usage = None if purchase.usage_id is None else usage_locked(session, purchase.usage_id)
    match learned.state:
        case PaymentState.OPEN:
            pass
        case PaymentState.PROCESSING:
            if usage is not None and usage.purchase_id == purchase.id:
                hold_until(session, usage.id, now + ASYNC_HOLD)
        case PaymentState.MISMATCHED:
            _mismatched(session, learned, now)
        case PaymentState.SUCCEEDED | PaymentState.REFUNDED:
            _paid(session, learned, purchase, usage, now)
        case PaymentState.FAILED | PaymentState.EXPIRED:
            _not_paid(session, learned, purchase, usage, now)
    if usage is not None:
        follow_reward(session, purchase.id, now=now)
    _tell(session, learned, now)


def _paid(
    session: Session, learned: Learned, purchase: Row[Any], usage: Row[Any] | None, now: datetime
) -> None:
    """Confirmed once, whoever says that it is paid; and refunded, if all of it went back."""
    session.execute(_ENDS, {"purchase": purchase.id})
    if learned.before.state == PaymentState.MISMATCHED:
        _settle(session, AMOUNT_MISMATCH, purchase, now)
    if purchase.refused is not None:
        return
    if not facts_of(learned.after).is_good:
        # Another amount than was asked for, of which all went back before anybody took it.
        refuse_money(session, learned.after, RefusedFor.REJECTED, now=now)
        give_slot_back(session, purchase, ReleaseReason.PAYMENT, now=now)
        return
    if _is_second(session, purchase, usage):
        _paid_twice(session, learned, purchase, now)
        return
    _end_others(session, purchase, now)
    if usage is None:
        if not purchase.is_counted:
            keys = list(purchase.customer_keys)
            count_purchase(session, purchase.agency_id, purchase.client_id, keys)
            session.execute(_COUNTED, {"purchase": purchase.id})
        return
    usage = _known_by(session, learned, usage, now)
    if usage.state in _UNPAID:
        if review.stops(session, learned, purchase, usage, now):
            return
        if not confirm_paid(session, learned, purchase, usage, now):
            return
        usage = usage_locked(session, usage.id)
    if learned.state is PaymentState.REFUNDED and usage.state == UsageState.CONFIRMED:
        refund_usage(session, usage, now=now)
        review.follow_flag(session, purchase, usage, now, is_over=True)
    elif learned.state is PaymentState.SUCCEEDED:
        if usage.state == UsageState.REFUNDED:
            take_refund_back(session, usage, now=now)
        review.follow_flag(session, purchase, usage, now)


def _is_second(session: Session, purchase: Row[Any], usage: Row[Any] | None) -> bool:
    """Whether its slot, or its cart, was paid by another that could be paid at the same time."""
    if usage is not None and usage.state not in _UNPAID:
        return bool(usage.purchase_id != purchase.id)
    if purchase.is_counted:
        return False
    return session.execute(_OTHER_PAID, {"purchase": purchase.id}).one_or_none() is not None


def _end_others(session: Session, purchase: Row[Any], now: datetime) -> None:
    """Another page of the same cart is not to be paid any more."""
    values = {"client": purchase.client_id, "cart": purchase.cart_reference, "own": purchase.id}
    for other in session.execute(_OTHERS_LIVE, values).scalars():
        args: dict[str, str | int] = {"purchase_id": str(other), "at_once": 1}
        defer(session, END_CHECKOUT, args=args, now=now)


def _known_by(session: Session, learned: Learned, usage: Row[Any], now: datetime) -> Row[Any]:
    """The usage, whose customer is known by the card, too, that paid for it (EC-014)."""
    card = learned.after.card
    if card is None or not know_card(session, usage, card, now=now):
        return usage
    return usage_locked(session, usage.id)


def confirm_paid(
    session: Session, learned: Learned, purchase: Row[Any], usage: Row[Any], now: datetime
) -> bool:
    """Whether the usage could be confirmed; a payment that comes too late may be paid back."""
    done = confirm(session, usage, purchase_id=purchase.id, now=now)
    if done is None:
        refuse_money(session, learned.after, RefusedFor.LATE, now=now)
        return False
    session.execute(_COUNTED, {"purchase": purchase.id})
    if done.is_late:
        session.execute(_LATE, {"purchase": purchase.id})
    for one in done.beside:
        detail = {"purchase_id": str(purchase.id)}
        _raise(session, LATE_PAYMENT_OVERFLOW, purchase, one.code_id, detail, now)
    return True


def _paid_twice(session: Session, learned: Learned, purchase: Row[Any], now: datetime) -> None:
    refuse_money(session, learned.after, RefusedFor.PAID_TWICE, now=now)
    _raise(session, PAID_TWICE, purchase, purchase.id, {}, now)


def _not_paid(
    session: Session, learned: Learned, purchase: Row[Any], usage: Row[Any] | None, now: datetime
) -> None:
    """Its slot is given back, unless the page was ended for another price of the same cart."""
    session.execute(_ENDS, {"purchase": purchase.id})
    if usage is None or usage.state != UsageState.RESERVED or usage.purchase_id != purchase.id:
        return
    asked = learned.after.end_reason
    if asked == KEEPS_RESERVATION and learned.state is PaymentState.EXPIRED:
        begin_purchase(session, usage.id, None)
        return
    reason = ReleaseReason.TIMEOUT if usage.expires_at <= now else ReleaseReason.PAYMENT
    if asked in {ReleaseReason.CUSTOMER, ReleaseReason.MANAGER}:
        reason = ReleaseReason(asked)
    release(session, usage.id, reason, now=now, purchase_id=purchase.id)


def _mismatched(session: Session, learned: Learned, now: datetime) -> None:
    """Nothing is confirmed by another amount, and nothing given back: a person decides."""
    if learned.before.state == PaymentState.MISMATCHED:
        return
    payment = learned.after
    detail: dict[str, str | int | None] = {
        "expected_minor": payment.amount_minor,
        "expected_currency": payment.currency,
        "actual_minor": payment.paid_minor,
        "actual_currency": payment.paid_currency,
    }
    _raise(session, AMOUNT_MISMATCH, payment, payment.id, detail, now)


def _tell(session: Session, learned: Learned, now: datetime) -> None:
    """Write down, and tell whoever listens, what became of the purchase."""
    before, after = learned.before, learned.after
    if before.is_disputed != after.is_disputed:
        if after.is_disputed:
            _raise(session, PAYMENT_DISPUTED, after, after.id, {}, now)
        else:
            _settle(session, PAYMENT_DISPUTED, after, now)
        _happened(session, PURCHASE_DISPUTED, after, now)
    if before.state != after.state:
        _audit(session, after, before.state)
        match learned.state:
            case PaymentState.SUCCEEDED:
                tell_confirmed(session, after, now)
            case PaymentState.EXPIRED | PaymentState.FAILED:
                _happened(session, PURCHASE_ENDED, after, now)
    if before.refunded_minor != after.refunded_minor:
        _happened(session, PURCHASE_REFUNDED, after, now)


def tell_confirmed(session: Session, payment: Row[Any], now: datetime) -> None:
    """Unless it waits for a person, or is paid back."""
    if session.execute(_IS_KEPT, {"purchase": payment.id}).scalar_one():
        _happened(session, PURCHASE_CONFIRMED, payment, now)


def _happened(session: Session, kind: EventType, payment: Row[Any], now: datetime) -> None:
    reservation = None if payment.reference == payment.id else str(payment.reference)
    data = {
        "state": payment.state,
        "reservation_id": reservation,
        "amount_minor": payment.amount_minor,
        "refunded_minor": payment.refunded_minor,
        "currency": payment.currency,
    }
    event = Event(kind, payment.id, payment.agency_id, payment.client_id, data)
    happened(session, event, now=now)


def _audit(session: Session, payment: Row[Any], before: str) -> None:
    action = f"purchase.{payment.state}"
    record(
        session,
        action,
        object_kind="purchase",
        object_id=payment.id,
        actor_id=None,
        agency_id=payment.agency_id,
        client_id=payment.client_id,
        detail={"state": [before, payment.state], "amount_minor": payment.amount_minor},
    )


def _raise(
    session: Session,
    kind: AlertKind,
    owner: Row[Any],
    subject_id: UUID,
    detail: dict[str, str | int | None] | dict[str, str],
    now: datetime,
) -> None:
    tenant = {"agency_id": owner.agency_id, "client_id": owner.client_id}
    raise_alert(session, kind, subject_id=subject_id, detail=detail, now=now, **tenant)


def _settle(session: Session, kind: AlertKind, owner: Row[Any], now: datetime) -> None:
    tenant = {"agency_id": owner.agency_id, "client_id": owner.client_id}
    settle_alert(session, kind, subject_id=owner.id, now=now, **tenant)
