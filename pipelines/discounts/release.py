"""Give slots back: because somebody says so, the cart changed, or nobody paid in time (EC-003, EC-013).

Each is a compare-and-set on the reservation, and what it counted is given back once; the other codes of
its cart go with it (EC-018). Whoever changes several rows goes from reservations to customers, to their
uses, to codes, in ascending order; a reservation's row guards the usages of all codes of its cart.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from models.discounts import UsageState
from pipelines.audit.record import record
from pipelines.discounts.read import read_reservation
from pipelines.discounts.refusals import ReservationEnded
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Slots that one pass of the duty gives back in a transaction.
RELEASED_AT_ONCE = 500


class ReleaseReason(StrEnum):
    TIMEOUT = "timeout"
    CUSTOMER = "customer"
    #: Of a cart that had other codes, and kept them: a use that was no reservation by itself.
    CODE_REMOVED = "code_removed"
    CART_CHANGED = "cart_changed"
    #: Its payment failed, or its page was ended outside.
    PAYMENT = "payment"
    #: Whoever runs the code gave it back.
    MANAGER = "manager"


class BeingPaid(Exception):
    """A page is open on which this can be paid: it is ended before the slot is given back (EC-005)."""

    def __init__(self, purchase_id: UUID, reason: ReleaseReason = ReleaseReason.CUSTOMER) -> None:
        super().__init__()
        self.purchase_id = purchase_id
        self.reason = reason


_RETURNING = "RETURNING id, agency_id, client_id, code_id, customer_keys"
_RELEASE = text(f"""
UPDATE discount_usages SET state = 'released', release_reason = :reason, ended_at = :now,
    purchase_id = NULL, version = version + 1
WHERE id = :usage AND state = 'reserved' AND stacked_on IS NULL
  AND purchase_id IS NOT DISTINCT FROM CAST(:purchase AS uuid) {_RETURNING}
""")
_RELEASE_THESE = f"""
UPDATE discount_usages SET state = 'released', release_reason = 'timeout', ended_at = :now,
    version = version + 1
WHERE id = ANY (ARRAY(SELECT id FROM discount_usages
                      WHERE state = 'reserved' AND purchase_id IS NULL AND stacked_on IS NULL
                        AND expires_at <= :now {{which}}))
  AND state = 'reserved' {_RETURNING}
"""
_RELEASE_TIMED_OUT = text(
    _RELEASE_THESE.format(which="ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED")
)
# The cart's and the customer's own first, however many others of the code are over. Who needs one of
# these waits for whoever gives it back at this moment, in the order of all.
_RELEASE_IN_THE_WAY = text(
    _RELEASE_THESE.format(
        which="""AND id = ANY (ARRAY(
        SELECT coalesce(stacked_on, id) FROM discount_usages
        WHERE client_id = :client AND state = 'reserved'
          AND purchase_id IS NULL AND expires_at <= :now AND (code_id = :code OR cart_reference = :cart
            OR customer_keys && CAST(:keys AS bytea[]))
        ORDER BY cart_reference = :cart OR customer_keys && CAST(:keys AS bytea[]) DESC
        LIMIT :limit)) ORDER BY id FOR UPDATE"""
    )
)
# The other codes of these carts, whose reservations are locked by now: a statement that sees them all.
_RELEASE_OTHERS = text(f"""
UPDATE discount_usages SET state = 'released', release_reason = :reason, ended_at = :now,
    purchase_id = NULL, version = version + 1
WHERE stacked_on = ANY (CAST(:usages AS uuid[])) AND state = 'reserved' {_RETURNING}
""")
# The rows are locked in one order, whoever gives back or takes several at once.
_CUSTOMERS = text("""
WITH counted AS MATERIALIZED (
    SELECT c.client_id, c.customer_key, g.slots FROM discount_customers c
    JOIN unnest(CAST(:clients AS uuid[]), CAST(:keys AS bytea[]), CAST(:slots AS integer[]))
      AS g (client, key, slots) ON c.client_id = g.client AND c.customer_key = g.key
    ORDER BY c.client_id, c.customer_key FOR NO KEY UPDATE OF c)
UPDATE discount_customers c
SET live = c.live - n.slots,
    timeouts = CASE WHEN :timed_out THEN c.timeouts + n.slots ELSE 0 END
FROM counted n WHERE c.client_id = n.client_id AND c.customer_key = n.customer_key
  AND c.live >= n.slots
""")
_USES = text("""
WITH counted AS MATERIALIZED (
    SELECT c.code_id, c.customer_key, g.slots FROM discount_customer_uses c
    JOIN unnest(CAST(:codes AS uuid[]), CAST(:keys AS bytea[]), CAST(:slots AS integer[]))
      AS g (code, key, slots) ON c.code_id = g.code AND c.customer_key = g.key
    ORDER BY c.code_id, c.customer_key FOR NO KEY UPDATE OF c)
UPDATE discount_customer_uses c SET uses = c.uses - n.slots
FROM counted n WHERE c.code_id = n.code_id AND c.customer_key = n.customer_key
  AND c.uses >= n.slots
""")
_CODES = text("""
WITH counted AS MATERIALIZED (
    SELECT c.id, g.slots FROM discount_codes c
    JOIN unnest(CAST(:codes AS uuid[]), CAST(:slots AS integer[])) AS g (code, slots)
      ON c.id = g.code
    ORDER BY c.id FOR NO KEY UPDATE OF c)
UPDATE discount_codes c SET used = c.used - n.slots
FROM counted n WHERE c.id = n.id AND c.used >= n.slots
""")


def release(
    session: Session,
    usage_id: UUID,
    reason: ReleaseReason,
    *,
    now: datetime,
    actor_id: UUID | None = None,
    purchase_id: UUID | None = None,
) -> bool:
    """Give a reservation back with all its codes; one that is released already stays so: False.

    While it can be paid, only who ends its purchase does, and names it. Raises `NotFound`,
    `BeingPaid` for somebody else, and `ReservationEnded` for one that was paid.
    """
    values = {"usage": usage_id, "reason": reason, "now": now, "purchase": purchase_id}
    found = session.execute(_RELEASE, values).all()
    if not found:
        row = read_reservation(session, usage_id)
        if row.state == UsageState.RESERVED:
            raise BeingPaid(row.purchase_id)
        if row.state != UsageState.RELEASED:
            raise ReservationEnded(row.state)
        return False
    _give_back_whole(session, found, reason, now)
    record(
        session,
        "reservation.released",
        object_kind="reservation",
        object_id=usage_id,
        actor_id=actor_id,
        agency_id=found[0].agency_id,
        client_id=found[0].client_id,
        detail={"reason": reason.value},
    )
    return True


def release_timed_out(session: Session, now: datetime, *, limit: int = RELEASED_AT_ONCE) -> int:
    """Give back a pass of the reservations whose time is over; how many they were.

    What another pass has in hand is left to it.
    """
    return _release(session, _RELEASE_TIMED_OUT, {"now": now, "limit": limit})


def release_in_the_way(
    session: Session,
    now: datetime,
    *,
    client_id: UUID,
    code_id: UUID,
    cart: str,
    keys: Sequence[bytes],
    limit: int = RELEASED_AT_ONCE,
) -> None:
    """Give back what is over of this code, this cart and this customer."""
    values = {"client": client_id, "code": code_id, "cart": cart, "keys": list(keys)}
    _release(session, _RELEASE_IN_THE_WAY, values | {"now": now, "limit": limit})


def _release(session: Session, statement: TextClause, values: dict[str, Any]) -> int:
    found = session.execute(statement, values).all()
    if found:
        _give_back_whole(session, found, ReleaseReason.TIMEOUT, values["now"])
        log.info("reservations.released", count=len(found))
    return len(found)


def _give_back_whole(
    session: Session, found: Sequence[Row[Any]], reason: ReleaseReason, now: datetime
) -> None:
    """Of carts whose reservations were released just now; a cart is one of its customer's slots."""
    values = {"usages": [row.id for row in found], "reason": reason.value, "now": now}
    others = session.execute(_RELEASE_OTHERS, values).all()
    is_timeout = reason is ReleaseReason.TIMEOUT
    give_back(session, [*found, *others], carts=found, timed_out=is_timeout)


def give_back(
    session: Session,
    usages: Sequence[Row[Any]],
    *,
    carts: Sequence[Row[Any]] = (),
    timed_out: bool = False,
) -> None:
    """Count released usages no more, and customers' carts that hold nothing any more."""
    live = Counter((row.client_id, key) for row in carts for key in row.customer_keys)
    uses = Counter((row.code_id, key) for row in usages for key in row.customer_keys)
    codes = Counter(row.code_id for row in usages)
    customers = {
        "clients": [client for client, _key in live],
        "keys": [key for _client, key in live],
        "slots": list(live.values()),
        "timed_out": timed_out,
    }
    used = {
        "codes": [code for code, _key in uses],
        "keys": [key for _code, key in uses],
        "slots": list(uses.values()),
    }
    given = {"codes": list(codes), "slots": list(codes.values())}
    for statement, values, expected in (
        (_CUSTOMERS, customers, len(live)),
        (_USES, used, len(uses)),
        (_CODES, given, len(codes)),
    ):
        done: int = session.execute(statement, values).rowcount  # type: ignore[attr-defined]
        # Never clamped: a count that would fall below zero stays, and is found by the night's look.
        if done != expected:
            log.error("discounts.count_drift", expected=expected, counted=done)
