"""End a purchase that nobody paid in time: its page first, and then its slot (EC-005)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from models.payments import PaymentState
from models.scope import client, tenant_scope
from pipelines.discounts.refusals import PaymentUnderWay, ReservationEnded
from pipelines.discounts.release import (
    RELEASED_AT_ONCE,
    BeingPaid,
    ReleaseReason,
    release,
    release_timed_out,
)
from pipelines.payments.page import KEEPS_RESERVATION, Pages
from pipelines.payments.refusals import PaymentProviderUnavailable, PaymentsNotSetUp
from pipelines.queue.defer import defer_many
from pipelines.queue.kinds import END_CHECKOUT
from pipelines.queue.work import Postpone, TaskInHand, fence, finish

#: While Stripe cannot be asked.
LOOK_AGAIN = timedelta(minutes=1)
#: A task that was lost with its database's backup, or put down, is written again after this.
ASK_AGAIN = timedelta(minutes=15)

_STANDS = text("""
SELECT p.is_live, m.state, u.expires_at, u.id AS usage_id FROM purchases p
JOIN payments m ON m.id = p.id
LEFT JOIN discount_usages u ON u.id = p.usage_id AND u.purchase_id = p.id AND u.state = 'reserved'
WHERE p.id = :purchase
""")
_OVERDUE = text("""
UPDATE payments SET end_asked_at = :now
WHERE id = ANY (ARRAY(
    SELECT m.id FROM discount_usages u JOIN payments m ON m.id = u.purchase_id
    WHERE u.state = 'reserved' AND u.stacked_on IS NULL
      AND u.expires_at <= CAST(:now AS timestamptz) - interval '1 minute'
      AND m.state IN ('open', 'processing') AND (m.end_asked_at IS NULL
        OR m.end_asked_at < CAST(:now AS timestamptz) - CAST(:again AS interval))
    ORDER BY m.id LIMIT :limit))
  AND state IN ('open', 'processing')
RETURNING id
""")


def end_checkout(
    sessions: Sessions, task: TaskInHand, *, pages: Pages, draw: Callable[[], float]
) -> None:
    """The work of END_CHECKOUT, when the time of a purchase's slot is over, or `at_once`.

    Raises `Postpone` for a slot whose time was made longer, and while Stripe cannot be asked.
    """
    purchase_id = UUID(task.args["purchase_id"])
    with transaction(sessions) as session:
        stands = session.execute(_STANDS, {"purchase": purchase_id}).one_or_none()
        now = clock.now(session)
    if stands is not None and stands.is_live:
        is_early = stands.expires_at is not None and stands.expires_at > now
        if is_early and "at_once" not in task.args:
            raise Postpone(stands.expires_at, "payment")
        try:
            state = pages.end(purchase_id, ReleaseReason.TIMEOUT)
        except (PaymentProviderUnavailable, PaymentsNotSetUp):
            until = now + LOOK_AGAIN * (0.5 + draw() / 2)
            raise Postpone(until, "payment_provider") from None
        if state is PaymentState.PROCESSING:
            _wait_no_longer(sessions, purchase_id)
    with transaction(sessions) as session:
        fence(session, task)
        finish(session, task)


def end_purchase(pages: Pages, client_id: UUID) -> Callable[[UUID, ReleaseReason], PaymentState]:
    """How a door ends the purchase that is in its way; raises `PaymentProviderUnavailable`."""

    def end(purchase_id: UUID, reason: ReleaseReason) -> PaymentState:
        with tenant_scope(client(client_id)):
            return pages.end(purchase_id, reason)

    return end


def release_reservation(
    sessions: Sessions,
    usage_id: UUID,
    reason: ReleaseReason,
    *,
    pages: Pages,
    actor_id: UUID | None,
    tell: Callable[[Session], None] | None = None,
) -> None:
    """Give a slot back, in the scope in force: a page on which it could be paid is ended first.

    `tell` says more of it in the transaction that gives it back, and nothing where somebody else did:
    for it a page is ended in a way that keeps the slot until then.
    Raises `NotFound`, `ReservationEnded` for one that is paid or being paid, `PaymentUnderWay` where
    another page was opened meanwhile, and `PaymentProviderUnavailable`.
    """

    def give_back() -> None:
        with transaction(sessions) as session:
            now = clock.now(session)
            is_done = release(session, usage_id, reason, now=now, actor_id=actor_id)
            if is_done and tell is not None:
                tell(session)

    try:
        give_back()
        return
    except BeingPaid as paying:
        state = pages.end(paying.purchase_id, reason if tell is None else KEEPS_RESERVATION)
    if state not in {PaymentState.EXPIRED, PaymentState.FAILED}:
        raise ReservationEnded(state)
    # The page may have been ended for another reason, which kept the slot.
    try:
        give_back()
    except BeingPaid:
        raise PaymentUnderWay from None


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass of the duty did; `is_full`: there may be more."""

    released: int
    is_full: bool


def release_expired(session: Session, now: datetime) -> Pass:
    """Give back a pass of the slots whose time is over; those that could be paid end at Stripe first.

    A purchase ends itself at its time (END_CHECKOUT); here that is only written again, should it
    have been lost.
    """
    # Payments are locked before slots, as everywhere.
    values = {"now": now, "limit": RELEASED_AT_ONCE, "again": ASK_AGAIN}
    overdue = session.execute(_OVERDUE, values).scalars().all()
    args = [{"purchase_id": str(payment_id)} for payment_id in overdue]
    defer_many(session, END_CHECKOUT, args, now=now, tenant_id=None, job_id=None)
    released = release_timed_out(session, now)
    return Pass(released, RELEASED_AT_ONCE in {released, len(overdue)})


def _wait_no_longer(sessions: Sessions, purchase_id: UUID) -> None:
    """A bank that says nothing for so long keeps no slot; should it pay yet, that is late."""
    with transaction(sessions) as session:
        stands = session.execute(_STANDS, {"purchase": purchase_id}).one()
        now = clock.now(session)
        if stands.usage_id is not None and stands.expires_at <= now:
            reason = ReleaseReason.TIMEOUT
            release(session, stands.usage_id, reason, now=now, purchase_id=purchase_id)
