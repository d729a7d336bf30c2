"""Give back what is over before a slot is refused for it: abandoned carts block nobody (EC-013)."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction
from models.payments import PaymentState
from models.scope import Scope, client
from pipelines.discounts.look_up import code_named
from pipelines.discounts.paid import refuse_by
from pipelines.discounts.refusals import (
    AlreadyReserved,
    AlreadyUsed,
    CodeBusy,
    PaymentUnderWay,
    SlotExhausted,
    TooManyReservations,
)
from pipelines.discounts.release import BeingPaid, ReleaseReason, release, release_in_the_way
from pipelines.discounts.reserve import (
    Ask,
    InTheWay,
    is_another_s,
    live_in_cart,
)
from pipelines.discounts.take import Again

Done = TypeVar("Done")
#: Somebody else may take the same cart, or change the code, between a look and the write.
TRIES_MAX = 5

#: What time may have mended, though nobody has tidied yet.
PASSING = (AlreadyReserved, AlreadyUsed, SlotExhausted, TooManyReservations, InTheWay)


#: Ends the page of a purchase, for a reason, and tells what its payment is then; whoever follows the
#: purchase gives its slot back.
EndPurchase = Callable[[UUID, ReleaseReason], PaymentState]


def reserve_giving_way(
    sessions: Sessions,
    ask: Ask,
    attempt: Callable[[Session], Done],
    end_purchase: EndPurchase,
) -> Done:
    """Attempt it in the client's scope, and once more when what is over has been given back.

    A double click that was refused beside the first click finds its reservation then (EC-002). A
    page on which the cart can still be paid as it was is ended before; one that was paid by then has
    sold the cart, and nothing is reserved for it once more.

    Whoever holds the counts of a customer or a code waits for nobody else's: tidying is a
    transaction of its own. Raises what the second attempt says, `CartPaid` and `PaymentUnderWay`, and
    `CodeBusy` where somebody else has taken the cart since.
    """
    try:
        return _giving_way(sessions, ask, attempt)
    except BeingPaid as paying:
        refuse_by(paying.purchase_id, end_purchase(paying.purchase_id, paying.reason))
    try:
        return _giving_way(sessions, ask, attempt)
    except BeingPaid:
        raise PaymentUnderWay from None


def _giving_way(sessions: Sessions, ask: Ask, attempt: Callable[[Session], Done]) -> Done:
    scope = client(ask.client_id)
    try:
        return _tried(sessions, scope, attempt)
    except PASSING:
        with scoped_transaction(sessions, scope) as session:
            _give_way(session, ask)
    try:
        return _tried(sessions, scope, attempt)
    except InTheWay:
        raise CodeBusy from None


def _tried(sessions: Sessions, scope: Scope, attempt: Callable[[Session], Done]) -> Done:
    """In a transaction of its own, and in another where somebody was quicker; raises `CodeBusy`."""
    for _ in range(TRIES_MAX):
        try:
            with scoped_transaction(sessions, scope) as session:
                return attempt(session)
        except Again:
            continue
    raise CodeBusy


def _give_way(session: Session, ask: Ask) -> None:
    now = clock.now(session)
    live = live_in_cart(session, ask)
    if live is not None and live.kept_until > now and is_another_s(live, ask.customer):
        release(session, live.id, ReleaseReason.CUSTOMER, now=now)
        return
    release_in_the_way(
        session,
        now,
        client_id=ask.client_id,
        code_id=code_named(session, ask.client_id, ask.code, ask.customer).id,
        cart=ask.cart.reference,
        keys=ask.customer.keys,
    )
