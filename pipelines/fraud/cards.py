"""Cards that customers paid with: one more thing that says who somebody is (EC-014).

A card is known only when it has paid. From then on its key is one of the customer's, and whoever comes
again by any name that has paid with it is counted by it as well.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import Restores, UsageState
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.settle import all_of_cart
from pipelines.fraud.judge import judge_card
from pipelines.fraud.traces import card_key

#: Of one customer; who has more is known well enough by these.
CARDS_MAX = 20

_CARDS_OF = text("""
SELECT DISTINCT r.card_key FROM discount_usages u JOIN usage_risks r ON r.usage_id = u.id
WHERE u.client_id = :client AND u.customer_keys && CAST(:keys AS bytea[])
  AND r.card_key IS NOT NULL LIMIT :most
""")
# All of the customer's rows, in the order of the keys as everybody locks them, though one changes.
_COUNT = text("""
INSERT INTO discount_customers (client_id, customer_key, agency_id, live, purchases)
SELECT :client, key, :agency, :live, :purchases
FROM unnest(CAST(:keys AS bytea[])) AS key ORDER BY key
ON CONFLICT (client_id, customer_key) DO UPDATE
SET live = discount_customers.live
        + CASE WHEN discount_customers.customer_key = :card THEN :live ELSE 0 END,
    purchases = discount_customers.purchases
        + CASE WHEN discount_customers.customer_key = :card THEN :purchases ELSE 0 END
""")
_COUNT_USES = text("""
INSERT INTO discount_customer_uses (code_id, customer_key, agency_id, client_id, uses)
SELECT :code, key, :agency, :client, :uses
FROM unnest(CAST(:keys AS bytea[])) AS key ORDER BY key
ON CONFLICT (code_id, customer_key) DO UPDATE SET uses = discount_customer_uses.uses
    + CASE WHEN discount_customer_uses.customer_key = :card THEN :uses ELSE 0 END
""")
_KNOW = text("""
UPDATE discount_usages SET customer_keys = customer_keys || CAST(:card AS bytea),
    version = version + 1
WHERE id = :usage OR stacked_on = :usage
""")


def with_cards(session: Session, client_id: UUID, customer: KnownCustomer) -> KnownCustomer:
    """A customer by the cards, too, that they have paid with."""
    values = {"client": client_id, "keys": list(customer.keys), "most": CARDS_MAX}
    cards = session.execute(_CARDS_OF, values).scalars().all()
    return replace(customer, keys=tuple(sorted({*customer.keys, *cards})))


def know_card(session: Session, usage: Row[Any], card: str, *, now: datetime) -> bool:
    """The card that paid for a reservation, which is locked: judged and counted, once; whether it was new."""
    key = card_key(usage.client_id, card)
    usages = all_of_cart(session, usage.id)
    is_news = judge_card(session, usage, usages, key, card, now=now)
    if not is_news or key in usage.customer_keys:
        return False
    if usage.state != UsageState.RELEASED:
        _count(session, usage, usages, key)
    session.execute(_KNOW, {"usage": usage.id, "card": key})
    return True


def _count(session: Session, usage: Row[Any], usages: Sequence[Row[Any]], key: bytes) -> None:
    """One cart or purchase more for the card, and a use of each code that counts."""
    live = int(usage.state == UsageState.RESERVED)
    values = {
        "client": usage.client_id,
        "agency": usage.agency_id,
        "card": key,
        "keys": [*usage.customer_keys, key],
    }
    session.execute(_COUNT, values | {"live": live, "purchases": 1 - live})
    for one in usages:
        uses = {"code": one.code_id, "uses": int(one.restored != Restores.CUSTOMER)}
        session.execute(_COUNT_USES, values | uses)
