"""Take one code off a cart and price the others anew; without others the reservation ends (EC-018)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.audit.record import record
from pipelines.discounts.read import read_reservation
from pipelines.discounts.refusals import CodeNotOnCart, ReservationEnded
from pipelines.discounts.release import BeingPaid, ReleaseReason, give_back, release
from pipelines.discounts.reserve import live_by_id
from pipelines.discounts.stack import cart_of, codes_on, on_cart, write_prices
from pipelines.discounts.stacking import Stack, price_stack

# By itself from now on: what becomes of the cart later is not its own story.
_RELEASE_ONE = text("""
UPDATE discount_usages SET state = 'released', release_reason = :reason, ended_at = :now,
    stacked_on = NULL, version = version + 1
WHERE id = :usage RETURNING id, agency_id, client_id, code_id, customer_keys
""")
# The one that was applied next; afterwards the others, so that the cart has one at every moment.
_LEAD = text("""
UPDATE discount_usages SET stacked_on = NULL, version = version + 1
WHERE id = (SELECT id FROM discount_usages WHERE stacked_on = :usage AND state = 'reserved'
            ORDER BY id LIMIT 1)
RETURNING id
""")
_FOLLOW = text("""
UPDATE discount_usages SET stacked_on = :leads, version = version + 1 WHERE stacked_on = :usage
""")


@dataclass(frozen=True, slots=True)
class Removed:
    """The cart's reservation, which has another id where its first code was taken off."""

    usage_id: UUID
    was: UUID


def remove_code(
    session: Session, usage_id: UUID, code_id: UUID, *, now: datetime, actor_id: UUID | None
) -> Removed:
    """Give one code's slot back; the others stay as long as before.

    Where it was the first one, the next is the reservation from now on. Raises `NotFound`,
    `CodeNotOnCart`, `ReservationEnded`, and `BeingPaid` while all of them could be paid together.
    """
    client_id = read_reservation(session, usage_id).client_id
    live = live_by_id(session, client_id, usage_id)
    if live is None:
        raise ReservationEnded(read_reservation(session, usage_id).state)
    codes = codes_on(session, usage_id)
    gone = next((one for one in codes if one.code_id == code_id), None)
    if gone is None:
        raise CodeNotOnCart
    if live.purchase_id is not None:
        raise BeingPaid(live.purchase_id, ReleaseReason.CART_CHANGED)
    left = [one for one in codes if one is not gone]
    if not left:
        release(session, usage_id, ReleaseReason.CUSTOMER, now=now, actor_id=actor_id)
        return Removed(usage_id, usage_id)
    # The lines that were priced are read before the usage that has them goes.
    cart = cart_of(live.cart_reference, read_reservation(session, usage_id).quote)
    values = {"usage": gone.id, "reason": ReleaseReason.CUSTOMER.value, "now": now}
    usage = session.execute(_RELEASE_ONE, values).one()
    leads = _lead(session, usage_id) if gone.id == usage_id else usage_id
    priced = price_stack([on_cart(one) for one in left], cart)
    # Each was good for this very cart, and asks nothing of the others.
    assert isinstance(priced, Stack), "what was priced together is priced without one of them"
    write_prices(session, left, cart, priced)
    give_back(session, [usage])
    _tell(session, usage, leads, actor_id)
    return Removed(leads, usage_id)


def _lead(session: Session, usage_id: UUID) -> UUID:
    leads: UUID = session.execute(_LEAD, {"usage": usage_id}).scalar_one()
    session.execute(_FOLLOW, {"usage": usage_id, "leads": leads})
    return leads


def _tell(session: Session, usage: Row[Any], leads: UUID, actor_id: UUID | None) -> None:
    record(
        session,
        "reservation.code_removed",
        object_kind="reservation",
        object_id=leads,
        actor_id=actor_id,
        agency_id=usage.agency_id,
        client_id=usage.client_id,
        detail={"discount_id": str(usage.code_id), "released": str(usage.id)},
    )
