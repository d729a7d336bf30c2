"""Take one code off a cart: a page on which it could be paid with it is ended first (EC-018)."""

from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from pipelines.checkout.begin import wait_for_cart
from pipelines.discounts.read import read_reservation
from pipelines.discounts.refusals import PaymentUnderWay
from pipelines.discounts.release import BeingPaid
from pipelines.discounts.unstack import remove_code
from pipelines.fraud.judge import take_over
from pipelines.payments.page import Pages


def unstack(
    sessions: Sessions, usage_id: UUID, code_id: UUID, *, pages: Pages, actor_id: UUID | None
) -> UUID:
    """Give the slot of one code back, in the scope in force; the cart's reservation, as it is then.

    Raises `NotFound`, `CodeNotOnCart`, `ReservationEnded` for one that is over or paid,
    `PaymentUnderWay`, and `PaymentProviderUnavailable`.
    """
    try:
        with transaction(sessions) as session:
            return _unstack(session, usage_id, code_id, actor_id)
    except BeingPaid as paying:
        pages.end(paying.purchase_id, paying.reason)
    try:
        with transaction(sessions) as session:
            return _unstack(session, usage_id, code_id, actor_id)
    except BeingPaid:
        raise PaymentUnderWay from None


def _unstack(session: Session, usage_id: UUID, code_id: UUID, actor_id: UUID | None) -> UUID:
    # Whoever pays the cart by its own id finds its reservation, whichever it is.
    row = read_reservation(session, usage_id)
    wait_for_cart(session, row.client_id, row.cart_reference)
    now = clock.now(session)
    done = remove_code(session, usage_id, code_id, now=now, actor_id=actor_id)
    if done.usage_id != done.was:
        take_over(session, done.usage_id, done.was)
    return done.usage_id
