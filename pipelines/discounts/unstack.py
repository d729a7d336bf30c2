"""Take one code off a cart and price the others anew; without others the reservation ends (EC-018)."""

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

# By itself from now on: what becomes of the cart later is not its own story. Its reason says that it
# was part of one.
_RELEASE_ONE = text("""
UPDATE discount_usages SET state = 'released', release_reason = :reason, ended_at = :now,
    stacked_on = NULL, version = version + 1
WHERE id = :usage RETURNING id, agency_id, client_id, code_id, customer_keys
""")
# The reservation keeps its id, by which the shop knows it: its first code and the next one change rows.
_SWAP = text("""
WITH next AS MATERIALIZED (
    SELECT id FROM discount_usages WHERE stacked_on = :usage AND state = 'reserved'
    ORDER BY id LIMIT 1)
UPDATE discount_usages u SET code_id = o.code_id, rules_version = o.rules_version,
    discount_minor = o.discount_minor, version = u.version + 1
FROM discount_usages o, next
WHERE (u.id = :usage AND o.id = next.id) OR (u.id = next.id AND o.id = :usage)
RETURNING u.id
""")


def remove_code(
    session: Session, usage_id: UUID, code_id: UUID, *, now: datetime, actor_id: UUID | None
) -> UUID:
    """Give one code's slot back; the others stay as long as before. The usage that was released.

    The reservation is the same, also without its first code, and ends with its last one. Raises
    `NotFound`, `CodeNotOnCart`, `ReservationEnded`, and `BeingPaid` while all of them could be paid
    together.
    """
    client_id = read_reservation(session, usage_id).client_id
    live = live_by_id(session, client_id, usage_id)
    if live is None:
        raise ReservationEnded(read_reservation(session, usage_id).state)
    codes = codes_on(session, usage_id)
    gone = next((one.id for one in codes if one.code_id == code_id), None)
    if gone is None:
        raise CodeNotOnCart
    if live.purchase_id is not None:
        raise BeingPaid(live.purchase_id, ReleaseReason.CART_CHANGED)
    if len(codes) == 1:
        release(session, usage_id, ReleaseReason.CUSTOMER, now=now, actor_id=actor_id)
        return usage_id
    if gone == usage_id:
        changed = session.execute(_SWAP, {"usage": usage_id}).scalars()
        gone = next(one for one in changed if one != usage_id)
    values = {"usage": gone, "reason": ReleaseReason.CODE_REMOVED.value, "now": now}
    usage = session.execute(_RELEASE_ONE, values).one()
    left = codes_on(session, usage_id)
    cart = cart_of(live.cart_reference, read_reservation(session, usage_id).quote)
    priced = price_stack([on_cart(one) for one in left], cart)
    # Each was good for this very cart, and asks nothing of the others.
    assert isinstance(priced, Stack), "what was priced together is priced without one of them"
    write_prices(session, left, cart, priced)
    give_back(session, [usage])
    _tell(session, usage, usage_id, actor_id)
    return UUID(str(usage.id))


def _tell(session: Session, usage: Row[Any], kept: UUID, actor_id: UUID | None) -> None:
    record(
        session,
        "reservation.code_removed",
        object_kind="reservation",
        object_id=kept,
        actor_id=actor_id,
        agency_id=usage.agency_id,
        client_id=usage.client_id,
        detail={"discount_id": str(usage.code_id), "released": str(usage.id)},
    )
