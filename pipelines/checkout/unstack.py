"""Take one code off a cart: a page on which it could be paid with it is ended first (EC-018)."""

from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from pipelines.discounts.refusals import PaymentUnderWay
from pipelines.discounts.release import BeingPaid
from pipelines.discounts.unstack import remove_code
from pipelines.fraud.judge import judged_as_swapped
from pipelines.payments.page import Pages


def unstack(
    sessions: Sessions, usage_id: UUID, code_id: UUID, *, pages: Pages, actor_id: UUID | None
) -> None:
    """Give the slot of one code back, in the scope in force; the reservation is the cart's as before.

    Raises `NotFound`, `CodeNotOnCart`, `ReservationEnded` for one that is over or paid,
    `PaymentUnderWay`, and `PaymentProviderUnavailable`.
    """
    try:
        with transaction(sessions) as session:
            _unstack(session, usage_id, code_id, actor_id)
        return
    except BeingPaid as paying:
        pages.end(paying.purchase_id, paying.reason)
    try:
        with transaction(sessions) as session:
            _unstack(session, usage_id, code_id, actor_id)
    except BeingPaid:
        raise PaymentUnderWay from None


def _unstack(session: Session, usage_id: UUID, code_id: UUID, actor_id: UUID | None) -> None:
    now = clock.now(session)
    gone = remove_code(session, usage_id, code_id, now=now, actor_id=actor_id)
    judged_as_swapped(session, [usage_id, gone])
