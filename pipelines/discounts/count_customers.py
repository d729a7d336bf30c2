"""What one customer has set aside and used, by everything that says who it is (EC-014, EC-015)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.discounts.refusals import AlreadyReserved, AlreadyUsed, TooManyReservations
from pipelines.discounts.rules import DiscountRules
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
# given back, but for who only looks. All codes of a cart are one of the reservations.
_TOGETHER = text("""
SELECT count(*) FILTER (WHERE state = 'reserved' AND stacked_on IS NULL) AS live,
    count(*) FILTER (WHERE code_id = :code AND restored IS DISTINCT FROM 'customer') AS uses
FROM discount_usages WHERE client_id = :client AND customer_keys && CAST(:keys AS bytea[])
  AND state <> 'released' AND id <> ALL (CAST(:but AS uuid[]))
  AND (CAST(:now AS timestamptz) IS NULL OR state <> 'reserved' OR expires_at > :now)
""")
_ELSEWHERE = text("""
SELECT coalesce(stacked_on, id) AS id, expires_at FROM discount_usages
WHERE client_id = :client AND code_id = :code AND state = 'reserved'
  AND (CAST(:now AS timestamptz) IS NULL OR expires_at > :now)
  AND customer_keys && CAST(:keys AS bytea[])
ORDER BY expires_at DESC LIMIT 1
""")
#: SQL: whether nobody who is the customer has paid with a code of the client.
IS_FIRST_PURCHASE = """NOT EXISTS (
    SELECT FROM discount_customers
    WHERE client_id = :client AND customer_key = ANY (CAST(:keys AS bytea[])) AND purchases > 0)"""
_IS_FIRST = text(f"SELECT {IS_FIRST_PURCHASE}")
_BETTER_KNOWN = text("""
UPDATE discount_usages SET customer_keys = customer_keys || CAST(:keys AS bytea[]),
    version = version + 1
WHERE id = :usage OR stacked_on = :usage
""")


@dataclass(frozen=True, slots=True)
class Use:
    """One use more of a code, by these names of a customer, who has `most` of them; None: no limit."""

    code_id: UUID
    keys: Sequence[bytes]
    most: int | None


def count_customer(
    session: Session,
    tenant: dict[str, UUID],
    uses: Sequence[Use],
    *,
    slots: Sequence[bytes],
    whole: Sequence[bytes],
    but: Sequence[UUID] = (),
    limits: Limits,
) -> int:
    """One use more for each of `uses`, and one cart more for each name in `slots`, unless it is enough.

    `tenant` has `agency` and `client`, `whole` all names of the person; `but` are usages of the cart
    itself, where it has some. How many of theirs ran out in a row. Raises `TooManyReservations`,
    `AlreadyReserved`, `AlreadyUsed`.
    """
    values = tenant | {"keys": list(slots), "most": limits.reservations_per_customer_max}
    counted = session.execute(_COUNT_CUSTOMER, values).all() if slots else []
    if len(counted) < len(slots):
        raise TooManyReservations
    # In the order in which everybody locks them: by code, then by name.
    for use in sorted(uses, key=lambda one: one.code_id):
        told = tenant | {"code": use.code_id, "keys": list(use.keys), "most": use.most}
        if len(session.execute(_COUNT_USE, told).all()) < len(use.keys):
            raise used_up(session, told)
    if len(whole) > 1:
        for use in uses:
            person = tenant | {"code": use.code_id, "keys": list(whole)}
            refusal = has_enough(session, person, use.most, limits, but=but)
            if refusal is not None:
                raise refusal
    return max((row.timeouts for row in counted), default=0)


def know_better(session: Session, usage_id: UUID, keys: Sequence[bytes]) -> None:
    """The customer of a reservation is known by these, too; they are counted already."""
    session.execute(_BETTER_KNOWN, {"usage": usage_id, "keys": list(keys)})


def has_enough(
    session: Session,
    values: dict[str, Any],
    most_uses: int | None,
    limits: Limits,
    *,
    now: datetime | None = None,
    but: Sequence[UUID] = (),
) -> Refusal | None:
    """Why one person has no slot more, by `client`, `code` and `keys`; at `now` what is over is gone."""
    together = session.execute(_TOGETHER, values | {"now": now, "but": list(but)}).one()
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
    is_first: bool = session.execute(_IS_FIRST, values).scalar_one()
    return is_first


def may_be_first(
    session: Session, rules: DiscountRules, client_id: UUID, keys: Sequence[bytes]
) -> bool:
    """Whether it is the customer's first purchase; of rules that do not ask nobody looks."""
    return not rules.first_order_only or is_first_purchase(session, client_id, keys)
