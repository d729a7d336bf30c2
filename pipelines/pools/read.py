"""Read pools for pages: counts by state, expiry, cost, consumption, health.

What a tenant may see of pools is asked in the tenant's scope; cards are then counted in the system's,
because tenants do not see unissued cards. Each count is a walk along one index that holds all it
needs (`ix_cards_pool_available`, `ix_cards_pool_issued`, `ix_cards_pool_state`): no card row is read.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM, Scope, ScopeRole
from pipelines.errors import NotFound
from pipelines.pools.health import CONSUMPTION_DAYS, PoolHealth, judge, usable_from

#: What stands for "does not expire" in the order of claims.
FAR_DAY = date(2099, 12, 31)
COUNTED = (
    "available",
    "expiring",
    "expired",
    "issued",
    "quarantined",
    "void",
    "defective",
)

COUNT_POOLS = text("""
SELECT p.id, p.brand_id, b.name AS brand, p.client_id, p.denomination_minor, p.currency, p.kind,
    p.cost_per_card_minor, p.low_watermark, p.disabled_at, p.created_at,
    a.*, s.*, g.issued_lately, n.last_import_at
FROM card_pools p JOIN brands b ON b.id = p.brand_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.expires_on >= :usable_from) AS available,
        count(*) FILTER (WHERE c.expires_on >= :today AND c.expires_on < :usable_from) AS expiring,
        count(*) FILTER (WHERE c.expires_on < :today) AS expired,
        min(c.expires_on) FILTER (WHERE c.expires_on >= :today) AS soonest_expiry,
        avg(c.cost_minor) AS cost_average,
        count(*) FILTER (WHERE c.cost_minor IS NULL) AS cost_missing
    FROM cards c WHERE c.pool_id = p.id AND c.state = 'available') a
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.state = 'issued') AS issued,
        count(*) FILTER (WHERE c.state = 'quarantined') AS quarantined,
        count(*) FILTER (WHERE c.state = 'void') AS void,
        count(*) FILTER (WHERE c.state = 'defective') AS defective
    FROM cards c WHERE c.pool_id = p.id AND c.state = ANY (:spent_states)) s
CROSS JOIN LATERAL (
    SELECT count(*) AS issued_lately FROM cards c
    WHERE c.pool_id = p.id AND c.state = 'issued' AND c.issued_at > :lately) g
CROSS JOIN LATERAL (
    SELECT max(i.created_at) AS last_import_at FROM card_batches i WHERE i.pool_id = p.id) n
WHERE p.id = ANY (:pools)
ORDER BY p.id DESC
""")
#: Whatever is not available: the states that are counted by their index.
_SPENT_STATES = ["issued", "quarantined", "void", "defective"]
# A client's pool of a brand that it may not draw on any more is of no use to it; one without any
# row in client_brands may draw on every brand.
_VISIBLE = text("""
SELECT p.id FROM card_pools p
WHERE (CAST(:before AS uuid) IS NULL OR p.id < :before)
  AND (CAST(:pool AS uuid) IS NULL OR p.id = :pool)
  AND (:sees_all
    OR NOT EXISTS (SELECT FROM client_brands a WHERE a.client_id = p.client_id)
    OR EXISTS (SELECT FROM client_brands a
               WHERE a.client_id = p.client_id AND a.brand_id = p.brand_id))
ORDER BY p.id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool with its counts; money in minor units."""

    row: Row[Any]
    now: datetime

    @property
    def counts(self) -> dict[str, int]:
        """Cards by state; `available` can be given out, `expiring` and `expired` no more."""
        return {name: int(getattr(self.row, name)) for name in COUNTED}

    @property
    def health(self) -> PoolHealth:
        return judge(
            usable=self.row.available,
            low_watermark=self.row.low_watermark,
            issued_lately=self.row.issued_lately,
        )

    @property
    def soonest_expiry(self) -> date | None:
        day: date | None = self.row.soonest_expiry
        return None if day == FAR_DAY else day

    @property
    def cost_average_minor(self) -> int | None:
        """What a card on stock costs on average, of those whose cost is known."""
        average = self.row.cost_average
        return None if average is None else round(average)

    def as_json(self, *, sees_costs: bool) -> dict[str, Any]:
        row, health = self.row, self.health
        costs = {
            "cost_per_card_minor": row.cost_per_card_minor,
            "cost_average_minor": self.cost_average_minor,
            "cost_missing": row.cost_missing,
        }
        return {
            "id": row.id,
            "brand_id": row.brand_id,
            "brand": row.brand,
            "client_id": row.client_id,
            "denomination_minor": row.denomination_minor,
            "currency": row.currency,
            "kind": row.kind,
            **(costs if sees_costs else {}),
            "low_watermark": row.low_watermark,
            "disabled": row.disabled_at is not None,
            "created_at": row.created_at,
            "counts": self.counts,
            "health": health.health.value,
            "health_rule": health.rule,
            "issued_per_day": round(health.per_day, 2),
            "days_left": None if health.days_left is None else round(health.days_left, 1),
            "soonest_expiry": self.soonest_expiry,
            "last_import_at": row.last_import_at,
        }


def read_pools(
    sessions: Sessions, scope: Scope, *, before: UUID | None = None, limit: int
) -> list[PoolView]:
    """Pools that `scope` may see, newest first, counted."""
    with scoped_transaction(sessions, scope) as session:
        visible = visible_pools(session, scope, before=before, limit=limit)
    return _counted(sessions, visible)


def read_pool(sessions: Sessions, scope: Scope, pool_id: UUID) -> PoolView:
    """One pool, or `NotFound`."""
    with scoped_transaction(sessions, scope) as session:
        visible = visible_pools(session, scope, before=None, limit=1, pool_id=pool_id)
    if not visible:
        raise NotFound
    return _counted(sessions, visible)[0]


def visible_pools(
    session: Session,
    scope: Scope,
    *,
    before: UUID | None,
    limit: int,
    pool_id: UUID | None = None,
) -> list[UUID]:
    """Ids of the pools this scope can see, newest first; a tenant's by its access to brands."""
    values = {
        "before": before,
        "limit": limit,
        "pool": pool_id,
        "sees_all": scope.role in (ScopeRole.PLATFORM, ScopeRole.SYSTEM),
    }
    return list(session.execute(_VISIBLE, values).scalars())


def count_pools(session: Session, pool_ids: list[UUID]) -> list[PoolView]:
    """These pools with their counts, newest first; in the SYSTEM scope."""
    now = clock.now(session)
    values = count_values(pool_ids, now)
    return [PoolView(row, now) for row in session.execute(COUNT_POOLS, values)]


def count_values(pool_ids: list[UUID], now: datetime) -> dict[str, Any]:
    """The parameters of `COUNT_POOLS`."""
    return {
        "pools": pool_ids,
        "today": now.date(),
        "usable_from": date.fromisoformat(usable_from(now)),
        "lately": now - timedelta(days=CONSUMPTION_DAYS),
        "spent_states": _SPENT_STATES,
    }


def _counted(sessions: Sessions, pool_ids: list[UUID]) -> list[PoolView]:
    if not pool_ids:
        return []
    with scoped_transaction(sessions, SYSTEM) as session:
        return count_pools(session, pool_ids)
