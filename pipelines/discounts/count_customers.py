"""What one customer has set aside and used, by everything that says who it is (EC-014, EC-015)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.discounts.refusals import AlreadyReserved, AlreadyUsed, TooManyReservations
from pipelines.errors import Refusal
from pipelines.limits import Limits

# In the order of the keys: two who are known by the same ones wait in no circle.
_COUNT_CUSTOMER = text("""
INSERT INTO discount_customers (client_id, customer_key, agency_id, live)
SELECT :client, key, :agency, 1 FROM unnest(CAST(:keys AS bytea[])) AS key ORDER BY key
ON CONFLICT (client_id, customer_key) DO UPDATE SET live = discount_customers.live + 1
  WHERE discount_customers.live < :most
RETURNING timeouts
""")
_COUNT_USE = text("""
INSERT INTO discount_customer_uses (code_id, customer_key, agency_id, client_id, uses)
SELECT :code, key, :agency, :client, 1 FROM unnest(CAST(:keys AS bytea[])) AS key ORDER BY key
ON CONFLICT (code_id, customer_key) DO UPDATE SET uses = discount_customer_uses.uses + 1
  WHERE discount_customer_uses.uses < coalesce(:most, discount_customer_uses.uses + 1)
RETURNING uses
""")
# A person who comes now by this, now by that, is one all the same. What is over counts until it was
# given back, but for who only looks.
_TOGETHER = text("""
SELECT count(*) FILTER (WHERE state = 'reserved') AS live,
    count(*) FILTER (WHERE code_id = :code AND restored IS DISTINCT FROM 'customer') AS uses
FROM discount_usages WHERE client_id = :client AND customer_keys && CAST(:keys AS bytea[])
  AND state <> 'released' AND id IS DISTINCT FROM CAST(:but AS uuid)
  AND (CAST(:now AS timestamptz) IS NULL OR state <> 'reserved' OR expires_at > :now)
""")
_ELSEWHERE = text("""
SELECT id, expires_at FROM discount_usages
WHERE client_id = :client AND code_id = :code AND state = 'reserved'
  AND (CAST(:now AS timestamptz) IS NULL OR expires_at > :now)
  AND customer_keys && CAST(:keys AS bytea[])
ORDER BY expires_at DESC LIMIT 1
""")
_PURCHASES = text("""
SELECT coalesce(max(purchases), 0) FROM discount_customers
WHERE client_id = :client AND customer_key = ANY (CAST(:keys AS bytea[]))
""")
_BETTER_KNOWN = text("""
UPDATE discount_usages SET customer_keys = customer_keys || CAST(:keys AS bytea[]),
    version = version + 1
WHERE id = :usage
""")


def count_customer(
    session: Session,
    code: Row[Any],
    keys: Sequence[bytes],
    *,
    most_uses: int | None,
    limits: Limits,
) -> int:
    """One slot more of this code for the customer; how many of theirs ran out in a row.

    Raises `TooManyReservations`, `AlreadyReserved`, `AlreadyUsed`.
    """
    who = {"agency": code.agency_id, "client": code.client_id, "code": code.id}
    return _count(session, who, keys, keys, most_uses=most_uses, limits=limits)


def count_more(
    session: Session,
    live: Row[Any],
    keys: Sequence[bytes],
    *,
    most_uses: int | None,
    limits: Limits,
) -> None:
    """The customer of a reservation is known by more than before; raises as `count_customer` does."""
    who = {"agency": live.agency_id, "client": live.client_id, "code": live.code_id}
    whole = [*live.customer_keys, *keys]
    _count(session, who, keys, whole, but=live.id, most_uses=most_uses, limits=limits)
    session.execute(_BETTER_KNOWN, {"usage": live.id, "keys": list(keys)})


def _count(
    session: Session,
    who: dict[str, UUID],
    new: Sequence[bytes],
    whole: Sequence[bytes],
    *,
    most_uses: int | None,
    limits: Limits,
    but: UUID | None = None,
) -> int:
    """One more for each of the `new` keys, unless the person by the `whole` of them has enough.

    `but` is the reservation itself, where it is there already.
    """
    most_live = limits.reservations_per_customer_max
    values = who | {"keys": list(new)}
    counted = session.execute(_COUNT_CUSTOMER, values | {"most": most_live}).all()
    if len(counted) < len(new):
        raise TooManyReservations
    if len(session.execute(_COUNT_USE, values | {"most": most_uses}).all()) < len(new):
        raise used_up(session, values)
    if len(whole) > 1:
        refusal = has_enough(session, who | {"keys": list(whole)}, most_uses, limits, but=but)
        if refusal is not None:
            raise refusal
    return max((row.timeouts for row in counted), default=0)


def has_enough(
    session: Session,
    values: dict[str, Any],
    most_uses: int | None,
    limits: Limits,
    *,
    now: datetime | None = None,
    but: UUID | None = None,
) -> Refusal | None:
    """Why one person has no slot more, by `client`, `code` and `keys`; at `now` what is over is gone."""
    together = session.execute(_TOGETHER, values | {"now": now, "but": but}).one()
    if most_uses is not None and together.uses >= most_uses:
        return used_up(session, values, now)
    return TooManyReservations() if together.live >= limits.reservations_per_customer_max else None


def used_up(session: Session, uses: dict[str, Any], now: datetime | None = None) -> Refusal:
    """Whether the customer has paid with the code, or is about to; at `now`, or ever."""
    elsewhere = session.execute(_ELSEWHERE, uses | {"now": now}).one_or_none()
    return AlreadyUsed() if elsewhere is None else AlreadyReserved(*elsewhere)


def is_first_purchase(session: Session, client_id: UUID, keys: Sequence[bytes]) -> bool:
    """Whether nobody who is the customer has paid with a code of the client."""
    values = {"client": client_id, "keys": list(keys)}
    purchases: int = session.execute(_PURCHASES, values).scalar_one()
    return purchases == 0
