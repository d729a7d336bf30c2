"""What becomes of a slot once its purchase is paid, paid back, or waits (EC-003, EC-006, EC-050).

Each is a compare-and-set on the reservation, with it locked, and all codes of its cart move with it
(EC-018); what is counted follows in the order of all: customers, their uses, codes, each in ascending
order. A purchase is counted once for its customer, however many codes it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from models.discounts import OnLate, Restores, UsageState
from pipelines.audit.record import record
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_READ = """
SELECT u.id, u.agency_id, u.client_id, u.code_id, u.state, u.customer_keys, u.is_overflow,
    u.restored, u.purchase_id, u.expires_at, c.restore_on_refund, c.on_late
FROM discount_usages u JOIN discount_codes c ON c.id = u.code_id
"""
_USAGE = text(_READ + "WHERE u.id = :usage FOR NO KEY UPDATE OF u")
# In the order in which their counts are locked.
_ALL_OF_CART = text(_READ + "WHERE u.id = :usage OR u.stacked_on = :usage ORDER BY u.code_id")
_CONFIRM = text("""
UPDATE discount_usages SET state = 'confirmed', release_reason = NULL, ended_at = :now,
    purchase_id = :purchase, is_overflow = id = ANY (CAST(:beside AS uuid[])), restored = NULL,
    version = version + 1
WHERE id = :usage OR stacked_on = :usage
""")
_REFUND = text("""
UPDATE discount_usages u SET state = 'refunded', restored = g.restored, ended_at = :now,
    version = version + 1
FROM unnest(CAST(:usages AS uuid[]), CAST(:restored AS text[])) AS g (usage, restored)
WHERE u.id = g.usage
""")
_HOLD = text("""
UPDATE discount_usages SET expires_at = greatest(expires_at, :until), version = version + 1
WHERE (id = :usage OR stacked_on = :usage) AND state = 'reserved'
""")
_PAYS = text("""
UPDATE discount_usages SET purchase_id = :purchase, version = version + 1
WHERE (id = :usage OR stacked_on = :usage) AND state = 'reserved'
""")
# In the order of the keys, as whoever reserves.
_BOUGHT = text("""
INSERT INTO discount_customers (client_id, customer_key, agency_id, purchases)
SELECT :client, key, :agency, 1 FROM unnest(CAST(:keys AS bytea[])) AS key ORDER BY key
ON CONFLICT (client_id, customer_key) DO UPDATE
SET purchases = discount_customers.purchases + 1, timeouts = 0,
    live = discount_customers.live
        - CASE WHEN discount_customers.live >= :live THEN :live ELSE 0 END
""")
_USES = text("""
INSERT INTO discount_customer_uses (code_id, customer_key, agency_id, client_id, uses)
SELECT :code, key, :agency, :client, 1 FROM unnest(CAST(:keys AS bytea[])) AS key ORDER BY key
ON CONFLICT (code_id, customer_key) DO UPDATE SET uses = discount_customer_uses.uses + 1
""")
_FEWER_USES = text("""
WITH counted AS MATERIALIZED (
    SELECT code_id, customer_key FROM discount_customer_uses
    WHERE code_id = :code AND customer_key = ANY (CAST(:keys AS bytea[]))
    ORDER BY customer_key FOR NO KEY UPDATE)
UPDATE discount_customer_uses c SET uses = c.uses - 1
FROM counted n WHERE c.code_id = n.code_id AND c.customer_key = n.customer_key AND c.uses > 0
""")
_SLOT_AGAIN = text("""
UPDATE discount_codes SET used = used + 1
WHERE id = :code AND used < coalesce(max_uses, used + 1)
""")
_OVERFLOW = text("UPDATE discount_codes SET overflow_uses = overflow_uses + 1 WHERE id = :code")
_SLOT_BACK = text("""
UPDATE discount_codes SET used = used - CASE WHEN :is_overflow THEN 0 ELSE 1 END,
    overflow_uses = overflow_uses - CASE WHEN :is_overflow THEN 1 ELSE 0 END
WHERE id = :code AND CASE WHEN :is_overflow THEN overflow_uses ELSE used END > 0
""")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """How a reservation came to be confirmed."""

    #: Its slots had been given back before.
    is_late: bool = False
    #: Usages for which no other slot was free: they count beside the limits of their codes.
    beside: Sequence[Row[Any]] = ()


def usage_locked(session: Session, usage_id: UUID) -> Row[Any]:
    """A reservation's usage with what its code says of refunds and late payments, locked."""
    return session.execute(_USAGE, {"usage": usage_id}).one()


def all_of_cart(session: Session, usage_id: UUID) -> Sequence[Row[Any]]:
    """The usages of a reservation, whose row is locked: one for each of its codes, in their order."""
    return session.execute(_ALL_OF_CART, {"usage": usage_id}).all()


def begin_purchase(session: Session, usage_id: UUID, purchase_id: UUID | None) -> None:
    """Let a reservation be paid with this purchase, or, with None, with none any more."""
    session.execute(_PAYS, {"usage": usage_id, "purchase": purchase_id})


def hold_until(session: Session, usage_id: UUID, until: datetime) -> None:
    """Keep a slot for a payment that takes days (EC-047)."""
    session.execute(_HOLD, {"usage": usage_id, "until": until})


def count_purchase(
    session: Session, agency_id: UUID, client_id: UUID, keys: list[bytes], *, live: int = 0
) -> None:
    """A customer has bought; `live` slots of theirs are none any more, and no time ran out."""
    values = {"agency": agency_id, "client": client_id, "keys": keys, "live": live}
    session.execute(_BOUGHT, values)


def confirm(
    session: Session, usage: Row[Any], *, purchase_id: UUID, now: datetime
) -> Confirmed | None:
    """A reservation is paid: confirmed at once, or, if it was released, with slots that are free.

    Where a code has none, it is confirmed beside the limit. If one of them says that it is not, none
    is: None, and nothing is written.
    """
    if usage.state == UsageState.RELEASED:
        confirmed = _take_again(session, usage)
    else:
        keys = list(usage.customer_keys)
        count_purchase(session, usage.agency_id, usage.client_id, keys, live=1)
        confirmed = Confirmed()
    if confirmed is None:
        return None
    beside = [one.id for one in confirmed.beside]
    told = {"usage": usage.id, "purchase": purchase_id, "now": now, "beside": beside}
    session.execute(_CONFIRM, told)
    detail = {"is_late": confirmed.is_late, "is_overflow": bool(beside)}
    _audit(session, "reservation.confirmed", usage, {"purchase_id": str(purchase_id)} | detail)
    return confirmed


def _take_again(session: Session, usage: Row[Any]) -> Confirmed | None:
    usages = all_of_cart(session, usage.id)
    savepoint = session.begin_nested()
    count_purchase(session, usage.agency_id, usage.client_id, list(usage.customer_keys))
    _count_uses(session, usages)
    beside = [one for one in usages if not _take_slot(session, one.code_id)]
    if any(one.on_late == OnLate.REFUND for one in beside):
        savepoint.rollback()
        return None
    savepoint.commit()
    return Confirmed(is_late=True, beside=beside)


def _count_uses(session: Session, usages: Sequence[Row[Any]]) -> None:
    for one in usages:
        values = {"code": one.code_id, "agency": one.agency_id, "client": one.client_id}
        session.execute(_USES, values | {"keys": list(one.customer_keys)})


def refund_usage(session: Session, usage: Row[Any], *, now: datetime) -> None:
    """All of its purchase was paid back; each code says what of its use comes back (EC-051)."""
    usages = all_of_cart(session, usage.id)
    restored = [_restored(one) for one in usages]
    for one, what in zip(usages, restored, strict=True):
        if what == Restores.CUSTOMER:
            values = {"code": one.code_id, "keys": list(one.customer_keys)}
            _count_down(session, _FEWER_USES, values, len(one.customer_keys))
    for one, what in zip(usages, restored, strict=True):
        if what is not None:
            slot = {"code": one.code_id, "is_overflow": one.is_overflow}
            _count_down(session, _SLOT_BACK, slot, 1)
    values = {"usages": [one.id for one in usages], "restored": restored, "now": now}
    session.execute(_REFUND, values)
    for one, what in zip(usages, restored, strict=True):
        told = {"discount_id": str(one.code_id), "restored": what}
        _audit(session, "reservation.refunded", usage, told)


def _restored(usage: Row[Any]) -> str | None:
    restores = Restores(usage.restore_on_refund)
    return None if restores is Restores.NOTHING else restores.value


def take_refund_back(session: Session, usage: Row[Any], *, now: datetime) -> None:
    """The refund failed: every use is what it was, with a slot if its code has one that is free."""
    usages = all_of_cart(session, usage.id)
    _count_uses(session, [one for one in usages if one.restored == Restores.CUSTOMER])
    beside = [
        one.id
        for one in usages
        if (one.is_overflow if one.restored is None else not _take_slot(session, one.code_id))
    ]
    told = {"usage": usage.id, "purchase": usage.purchase_id, "now": now, "beside": beside}
    session.execute(_CONFIRM, told)
    _audit(session, "reservation.confirmed", usage, {"after": "refund_failed"})


def _take_slot(session: Session, code_id: UUID) -> bool:
    """Count a use within the limit, or else beside it; whether it was within."""
    taken: int = session.execute(_SLOT_AGAIN, {"code": code_id}).rowcount  # type: ignore[attr-defined]
    if not taken:
        session.execute(_OVERFLOW, {"code": code_id})
    return taken > 0


def _count_down(session: Session, statement: TextClause, values: dict[str, Any], of: int) -> None:
    """Never clamped: a count that would fall below zero stays, and is found by the night's look."""
    done: int = session.execute(statement, values).rowcount  # type: ignore[attr-defined]
    if done != of:
        log.error("discounts.count_drift", expected=of, counted=done)


def _audit(session: Session, action: str, usage: Row[Any], detail: dict[str, Any]) -> None:
    record(
        session,
        action,
        object_kind="reservation",
        object_id=usage.id,
        actor_id=None,
        agency_id=usage.agency_id,
        client_id=usage.client_id,
        detail=detail,
    )
