"""What is paid and looks like a deception waits for a person: money and slot are kept (S2-109, EC-014).

Payment, purchase and usage are locked by who calls, in this order; the risk is after them.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import UsageState
from models.payments import PaymentState
from models.risks import Decision
from pipelines.alerts.payment_kinds import RISKY_PURCHASE_WAITS
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.audit.record import record
from pipelines.checkout.refuse import RefusedFor, give_slot_back, refuse_money
from pipelines.discounts.release import ReleaseReason, release
from pipelines.discounts.settle import begin_purchase, hold_until
from pipelines.payments.learn import Learned

RISK_HIGH = "risk_high"
#: No slot runs out while what paid for it waits: whoever counts the time sees this.
KEPT_FOR = timedelta(days=3_650)

_RISK = text("""
SELECT usage_id, score, flagged_at, decision FROM usage_risks
WHERE usage_id = :usage FOR NO KEY UPDATE
""")
_REVIEW = text("UPDATE purchases SET review = :review WHERE id = :purchase")


def risk_locked(session: Session, usage_id: UUID) -> Row[Any] | None:
    """What a usage was judged by; None for one from before anybody was."""
    return session.execute(_RISK, {"usage": usage_id}).one_or_none()


def stops(
    session: Session, learned: Learned, purchase: Row[Any], usage: Row[Any], now: datetime
) -> bool:
    """Whether a paid purchase is not confirmed: a person decides on its usage, or has refused it."""
    risk = risk_locked(session, usage.id)
    if risk is None or risk.flagged_at is None or risk.decision == Decision.APPROVED:
        return False
    if risk.decision == Decision.REJECTED:
        refuse(session, learned.after, purchase, usage, now)
    elif learned.state is PaymentState.REFUNDED:
        # All of it went back at Stripe: there is nothing left to decide.
        refuse_money(session, learned.after, RefusedFor.REJECTED, now=now)
        settle_review(session, purchase, now)
        give_slot_back(session, purchase, ReleaseReason.PAYMENT, now=now)
    elif purchase.review is None:
        _hold(session, purchase, usage, int(risk.score), now)
    return True


def refuse(
    session: Session,
    payment: Row[Any],
    purchase: Row[Any],
    usage: Row[Any],
    now: datetime,
    *,
    note: str | None = None,
) -> None:
    """Pay a purchase back that a person has refused, and give its slot to somebody else."""
    refuse_money(session, payment, RefusedFor.REJECTED, now=now, note=note)
    settle_review(session, purchase, now)
    if usage.purchase_id is None and usage.state == UsageState.RESERVED:
        release(session, usage.id, ReleaseReason.MANAGER, now=now)
        return
    give_slot_back(session, purchase, ReleaseReason.MANAGER, now=now)


def settle_review(session: Session, purchase: Row[Any], now: datetime) -> None:
    """Nobody has to decide any more."""
    if purchase.review is None:
        return
    session.execute(_REVIEW, {"purchase": purchase.id, "review": None})
    tell_over(session, purchase, now)


def follow_flag(
    session: Session, purchase: Row[Any], usage: Row[Any], now: datetime, *, is_over: bool = False
) -> None:
    """A use that was flagged after it was confirmed waits for a person, too, until its money is back."""
    risk = risk_locked(session, usage.id)
    if risk is None or risk.flagged_at is None or risk.decision is not None:
        return
    if is_over:
        tell_over(session, purchase, now)
    else:
        _tell(session, purchase, usage, int(risk.score), now)


def tell_over(session: Session, purchase: Row[Any], now: datetime) -> None:
    """Nobody has to look any more; where nobody had to, nothing comes of it."""
    tenant = {"agency_id": purchase.agency_id, "client_id": purchase.client_id}
    settle_alert(session, RISKY_PURCHASE_WAITS, subject_id=purchase.id, now=now, **tenant)


def _tell(session: Session, purchase: Row[Any], usage: Row[Any], score: int, now: datetime) -> None:
    tenant = {"agency_id": purchase.agency_id, "client_id": purchase.client_id}
    detail: dict[str, str | int | None] = {"score": score, "reservation_id": str(usage.id)}
    raise_alert(
        session, RISKY_PURCHASE_WAITS, subject_id=purchase.id, detail=detail, now=now, **tenant
    )


def _hold(session: Session, purchase: Row[Any], usage: Row[Any], score: int, now: datetime) -> None:
    """Keep slot and money; one that was given back before is looked for when it is approved."""
    session.execute(_REVIEW, {"purchase": purchase.id, "review": RISK_HIGH})
    if usage.state == UsageState.RESERVED:
        begin_purchase(session, usage.id, purchase.id)
        hold_until(session, usage.id, now + KEPT_FOR)
    _tell(session, purchase, usage, score, now)
    record(
        session,
        "purchase.held",
        object_kind="purchase",
        object_id=purchase.id,
        actor_id=None,
        agency_id=purchase.agency_id,
        client_id=purchase.client_id,
        detail={"reason": RISK_HIGH, "score": score},
    )
