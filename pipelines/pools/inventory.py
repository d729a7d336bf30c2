"""The stock as a whole: a line per brand, denomination and currency, by source (S4-038)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from models.cards import PoolKind
from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM, Scope, ScopeRole
from pipelines.pools.health import Health, PoolHealth, judge
from pipelines.pools.read import COUNTED, PoolView, read_pools
from pipelines.pools.without_pool import groups_without_pool

#: Pools of one look; who has more asks pool by pool.
POOLS_MAX = 1_000

#: A brand, a denomination in minor units, a currency.
Line = tuple[UUID, int, str]

# Orders that were not settled yet are few, and have an index of their own.
_ON_THE_WAY = text("""
SELECT brand_id, face_value_minor, currency, count(*) AS cards FROM provider_orders
WHERE state IN ('created', 'sent', 'accepted', 'unknown')
GROUP BY brand_id, face_value_minor, currency
""")
_ROUTES = text("""
SELECT r.brand_id, r.vendor, r.priority, r.min_minor, r.max_minor, v.breaker_state
FROM brand_routes r LEFT JOIN vendor_accounts v ON v.vendor = r.vendor
WHERE r.brand_id = ANY (:brands) ORDER BY r.priority, r.vendor, r.product
""")


@dataclass(frozen=True, slots=True)
class Route:
    """A vendor that sells the line's cards, and its breaker: `closed` is well, None is not set up."""

    vendor: str
    breaker: str | None


@dataclass(frozen=True, slots=True)
class StockLine:
    """The pools of one kind of card, by source, and what is bought of it.

    One without pools is there for its cards that are in none.
    """

    brand_id: UUID
    #: The brand's name, the denomination and the currency.
    name: tuple[str, int, str]
    pools: tuple[PoolView, ...]
    routes: tuple[Route, ...]
    on_the_way: int
    #: Cards that undos gave back, and that wait for a buffer.
    without_pool: int

    def counts(self, kind: PoolKind | None = None) -> dict[str, int]:
        """Cards by state, of all pools or of one kind."""
        chosen = [p.counts for p in self.pools if kind is None or p.row.kind == kind]
        return {name: sum(counts[name] for counts in chosen) for name in COUNTED}

    @property
    def health(self) -> PoolHealth:
        """Of the pools that claims draw on, taken together."""
        if not self.pools:
            return PoolHealth(Health.EMPTY, "Empty: there is no pool", 0.0, None)
        drawn = [pool.row for pool in self.pools if pool.row.disabled_at is None]
        if not drawn:
            return PoolHealth(Health.EMPTY, "Empty: every pool is switched off", 0.0, None)
        return judge(
            usable=sum(row.available for row in drawn),
            low_watermark=sum(row.low_watermark for row in drawn),
            issued_lately=sum(row.issued_lately for row in drawn),
        )

    @property
    def soonest_expiry(self) -> date | None:
        return min((p.soonest_expiry for p in self.pools if p.soonest_expiry), default=None)

    def as_json(self, *, sees_sources: bool, sees_costs: bool) -> dict[str, Any]:
        """The line; vendors and what is on the way are the platform's business."""
        brand, denomination, currency = self.name
        api = {
            "on_the_way": self.on_the_way,
            "routes": [{"vendor": r.vendor, "breaker": r.breaker} for r in self.routes],
        }
        return {
            "brand_id": self.brand_id,
            "brand": brand,
            "denomination_minor": denomination,
            "currency": currency,
            "health": self.health.health.value,
            "health_rule": self.health.rule,
            "soonest_expiry": self.soonest_expiry,
            "counts": self.counts(),
            "by_source": {kind.value: self.counts(kind) for kind in PoolKind},
            "api": api if sees_sources else None,
            "without_pool": self.without_pool if sees_sources else None,
            "pools": [pool.as_json(sees_costs=sees_costs) for pool in self.pools],
        }


@dataclass(frozen=True, slots=True)
class Bought:
    """What is bought of every line, and how: the platform's business."""

    on_the_way: dict[Line, int]
    routes: dict[UUID, list[Any]]
    without_pool: dict[Line, int]
    names: dict[UUID, str]


_NOTHING = Bought({}, {}, {}, {})


def read_inventory(sessions: Sessions, scope: Scope) -> list[StockLine]:
    """The stock that `scope` may see, by brand and denomination."""
    lines: dict[Line, list[PoolView]] = defaultdict(list)
    for pool in read_pools(sessions, scope, limit=POOLS_MAX):
        row = pool.row
        lines[row.brand_id, row.denomination_minor, row.currency].append(pool)
    names = {line[0]: pools[0].row.brand for line, pools in lines.items()}
    bought = _bought(sessions, set(names)) if scope.role is ScopeRole.PLATFORM else _NOTHING
    names |= bought.names
    found = [
        StockLine(
            brand_id,
            (names[brand_id], denomination, currency),
            _in_order(lines.get((brand_id, denomination, currency), [])),
            tuple(_selling(bought.routes.get(brand_id, []), denomination)),
            bought.on_the_way.get((brand_id, denomination, currency), 0),
            bought.without_pool.get((brand_id, denomination, currency), 0),
        )
        for brand_id, denomination, currency in {**lines, **bought.without_pool}
    ]
    return sorted(found, key=lambda line: line.name)


def _in_order(pools: list[PoolView]) -> tuple[PoolView, ...]:
    return tuple(sorted(pools, key=lambda p: (p.row.kind != PoolKind.CSV, str(p.row.client_id))))


def _bought(sessions: Sessions, brands: set[UUID]) -> Bought:
    """Cards ordered and not here yet, those in no pool, and every brand's ways to vendors."""
    with scoped_transaction(sessions, SYSTEM) as session:
        on_the_way = {
            (row.brand_id, row.face_value_minor, row.currency): int(row.cards)
            for row in session.execute(_ON_THE_WAY)
        }
        outside = [row for row in groups_without_pool(session) if row.given_back]
        routes: dict[UUID, list[Any]] = defaultdict(list)
        known = sorted(brands | {row.brand_id for row in outside})
        for row in session.execute(_ROUTES, {"brands": known}):
            routes[row.brand_id].append(row)
    return Bought(
        on_the_way,
        routes,
        {(r.brand_id, r.denomination_minor, r.currency): int(r.given_back) for r in outside},
        {row.brand_id: row.brand for row in outside},
    )


def _selling(routes: list[Any], denomination: int) -> list[Route]:
    return [
        Route(row.vendor, row.breaker_state)
        for row in routes
        if (row.min_minor or 0) <= denomination
        and (row.max_minor is None or denomination <= row.max_minor)
    ]
