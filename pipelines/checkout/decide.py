"""What a person decides on a flagged use of a code: to let it be, or to refuse it (S2-138).

Decided once, by a compare-and-set on its risk, behind the locks of payment, purchase and usage: whether
it is paid at this moment is told by the same locks.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from models.discounts import UsageState
from models.risks import Decision
from models.scope import Scope, tenant_scope
from pipelines.audit.record import record
from pipelines.checkout import review
from pipelines.checkout.end import release_reservation
from pipelines.checkout.follow import confirm_paid, tell_confirmed
from pipelines.checkout.refusals import AlreadyDecided, NotFlagged
from pipelines.checkout.refuse import RefusedFor
from pipelines.discounts.read import read_reservation
from pipelines.discounts.refusals import CodeBusy, ReservationEnded
from pipelines.discounts.release import ReleaseReason
from pipelines.discounts.settle import usage_locked
from pipelines.payments.learn import Learned
from pipelines.payments.news import News
from pipelines.payments.page import Pages
from pipelines.payments.read import payment_row
from pipelines.payments.refund import ask_refund, refundable_minor
from pipelines.referrals.follow import follow_reward

#: A purchase may come or go between a look and the locks.
TRIES_MAX = 5

#: What waits for a person, and else what pays for the usage now.
_PURCHASE = """
SELECT p.* FROM purchases p JOIN discount_usages u ON u.id = p.usage_id
WHERE u.id = :usage AND (p.review IS NOT NULL OR p.id = u.purchase_id)
ORDER BY p.review IS NOT NULL DESC LIMIT 1
"""
_OF_USAGE = text(_PURCHASE)
_LOCKED = text(_PURCHASE + "FOR NO KEY UPDATE OF p")
_DECIDE = text("""
UPDATE usage_risks SET decision = :decision, decided_by = :actor, decided_at = :now,
    decision_reason = :reason
WHERE usage_id = :usage AND flagged_at IS NOT NULL AND decision IS NULL
""")
_TOLD = {
    Decision.APPROVED: "reservation.approved",
    Decision.REJECTED: "reservation.rejected",
}


@dataclass(frozen=True, slots=True)
class _Case:
    """A usage with what pays for it, locked."""

    usage: Row[Any]
    purchase: Row[Any] | None
    payment: Row[Any] | None


def approve(
    session: Session, usage_id: UUID, *, reason: str, actor_id: UUID, now: datetime
) -> None:
    """Let a flagged use be: what was paid is confirmed by it, what was not goes on.

    Approved already, it stays so. Raises `NotFound`, `NotFlagged`, `AlreadyDecided`, `CodeBusy`.
    """
    case = _locked(session, usage_id)
    if not _decided(session, case, Decision.APPROVED, reason, actor_id, now):
        return
    purchase, payment = case.purchase, case.payment
    if purchase is None or payment is None:
        return
    if purchase.review is None:
        if case.usage.state == UsageState.CONFIRMED:
            review.tell_over(session, purchase, now)
        return
    review.settle_review(session, purchase, now)
    learned = Learned(payment, payment, News())
    if confirm_paid(session, learned, purchase, case.usage, now):
        follow_reward(session, purchase.id, now=now)
        tell_confirmed(session, payment, now)


def reject(
    sessions: Sessions, scope: Scope, usage_id: UUID, *, reason: str, pages: Pages, actor_id: UUID
) -> None:
    """Refuse a flagged use: what was paid goes back, a page that is open ends, the slot is free.

    Rejected already, what is left to do of it is done. Should it be paid while its page is ended,
    whoever learns of that pays it back. Raises as `approve`, and `PaymentProviderUnavailable`, when
    it is decided and its page is still open.
    """
    with tenant_scope(scope):
        with transaction(sessions) as session:
            is_unpaid = _reject(session, usage_id, reason, actor_id, clock.now(session))
        if is_unpaid:
            try:
                release_reservation(
                    sessions, usage_id, ReleaseReason.MANAGER, pages=pages, actor_id=actor_id
                )
            except ReservationEnded:
                return


def _reject(session: Session, usage_id: UUID, reason: str, actor_id: UUID, now: datetime) -> bool:
    """Decide, and pay back; whether it was not paid yet, and its page may be open."""
    case = _locked(session, usage_id)
    usage, purchase, payment = case.usage, case.purchase, case.payment
    is_news = _decided(session, case, Decision.REJECTED, reason, actor_id, now)
    if purchase is not None and payment is not None and is_news:
        follow_reward(session, purchase.id, now=now)
        if purchase.review is not None:
            review.refuse(session, payment, purchase, usage, now, note=reason)
            return False
        if usage.state == UsageState.CONFIRMED:
            review.tell_over(session, purchase, now)
            _pay_back(session, payment, reason, actor_id, now)
    return bool(usage.state == UsageState.RESERVED)


def _pay_back(
    session: Session, payment: Row[Any], note: str, actor_id: UUID, now: datetime
) -> None:
    """It was confirmed before it was flagged: a refund as any other, of all that is left, if any is."""
    left, why = refundable_minor(session, payment), RefusedFor.REJECTED.value
    if left > 0:
        ask_refund(session, payment, left, reason=why, note=note, actor_id=actor_id, now=now)


def _locked(session: Session, usage_id: UUID) -> _Case:
    """Payment, purchase and usage, in the order of all; `CodeBusy` where other purchases come and go."""
    read_reservation(session, usage_id)
    for _ in range(TRIES_MAX):
        savepoint = session.begin_nested()
        case = _locked_once(session, usage_id)
        if case is not None:
            savepoint.commit()
            return case
        savepoint.rollback()
    raise CodeBusy


def _locked_once(session: Session, usage_id: UUID) -> _Case | None:
    """None where, before all was locked, another purchase paid for it, or none any more."""
    found = session.execute(_OF_USAGE, {"usage": usage_id}).one_or_none()
    payment = None if found is None else payment_row(session, found.id, is_locked=True)
    purchase = session.execute(_LOCKED, {"usage": usage_id}).one_or_none()
    usage = usage_locked(session, usage_id)
    known = None if found is None else found.id
    is_same = known == (None if purchase is None else purchase.id)
    is_whole = purchase is not None or usage.purchase_id is None
    return _Case(usage, purchase, payment) if is_same and is_whole else None


def _decided(
    session: Session,
    case: _Case,
    decision: Decision,
    reason: str,
    actor_id: UUID,
    now: datetime,
) -> bool:
    """Write it down; False where the same was decided before."""
    usage = case.usage
    values = {"usage": usage.id, "decision": decision.value, "actor": actor_id}
    done: int = session.execute(_DECIDE, values | {"reason": reason, "now": now}).rowcount  # type: ignore[attr-defined]
    if not done:
        risk = review.risk_locked(session, usage.id)
        if risk is None or risk.flagged_at is None:
            raise NotFlagged
        if risk.decision != decision:
            raise AlreadyDecided(risk.decision)
        return False
    record(
        session,
        _TOLD[decision],
        object_kind="reservation",
        object_id=usage.id,
        actor_id=actor_id,
        agency_id=usage.agency_id,
        client_id=usage.client_id,
        detail={"reason": reason},
    )
    return True
