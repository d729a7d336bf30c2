"""Cards on stock that nobody is given, because they cost more than their price and floor allow (EC-081)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM
from pipelines.pools.health import usable_from
from pipelines.pricing.read import price_rules
from pipelines.pricing.rules import charge_of, cost_max

_FLOORS = text("""
SELECT id, min_margin_minor FROM brands WHERE id = ANY(:brands) AND min_margin_minor IS NOT NULL
""")
# By the index of claims: cards that are cheap enough are passed over in it.
_DEAR = text("""
SELECT w.pool, n.cards, n.bought FROM unnest(CAST(:pools AS uuid[]), CAST(:brands AS uuid[]),
    CAST(:denominations AS bigint[]), CAST(:currencies AS text[]), CAST(:kinds AS text[]),
    CAST(:cost_maxes AS bigint[])) AS w (pool, brand, denomination, currency, kind, cost_max)
CROSS JOIN LATERAL (
    SELECT count(*) AS cards, count(o.id) AS bought FROM cards c
    LEFT JOIN provider_orders o ON o.id = c.provider_order_id AND o.pool_id = w.pool
    WHERE c.state = 'available' AND c.brand_id = w.brand
      AND c.denomination_minor = w.denomination AND c.currency = w.currency AND c.source = w.kind
      AND c.expires_on >= CAST(:usable_from AS date)
      AND known_cost(c.cost_minor, c.cost_currency, c.currency) > w.cost_max
      AND c.pool_id = w.pool) n
WHERE n.cards > 0
""")


@dataclass(frozen=True, slots=True)
class Dear:
    """Usable cards of a pool that cost too much, and how many of them it bought itself."""

    cards: int
    bought: int


NO_DEAR = Dear(0, 0)


def too_dear(session: Session, pools: Sequence[Row[Any]], *, now: datetime) -> dict[UUID, Dear]:
    """By pool, its usable cards that cost too much; pools without such cards are left out.

    What counts is the price of who draws on it: of a client's own pool that client's, else
    everybody's. A client with a price of its own may see it otherwise. `pools` have their `id`,
    `brand_id`, `client_id`, `denomination_minor`, `currency` and `kind`; where unissued cards can
    be seen.
    """
    brands = sorted({pool.brand_id for pool in pools})
    floors = {row.id: row.min_margin_minor for row in session.execute(_FLOORS, {"brands": brands})}
    rules = price_rules(session, floors)
    held = [pool for pool in pools if pool.brand_id in floors]
    values = {
        "pools": [pool.id for pool in held],
        "brands": [pool.brand_id for pool in held],
        "denominations": [pool.denomination_minor for pool in held],
        "currencies": [pool.currency for pool in held],
        "kinds": [pool.kind for pool in held],
        "cost_maxes": [
            cost_max(
                charge_of(rules.get(pool.brand_id, ()), pool.denomination_minor, pool.client_id),
                floors[pool.brand_id],
            )
            for pool in held
        ],
        "usable_from": usable_from(now),
    }
    return {row.pool: Dear(row.cards, row.bought) for row in session.execute(_DEAR, values)}


def read_too_dear(sessions: Sessions, pool: Row[Any]) -> int:
    """Of one pool, for its page; 0 if there is none."""
    with scoped_transaction(sessions, SYSTEM) as session:
        return too_dear(session, [pool], now=clock.now(session)).get(pool.id, NO_DEAR).cards
