"""How buffer pools stand: stock, orders on the way, spending of today, and the route to buy by."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from models.tasks import NIL
from pipelines.limits import Limits
from pipelines.pools.health import usable_from
from pipelines.pricing.dear_stock import NO_DEAR, Dear, too_dear
from pipelines.pricing.read import price_rules
from pipelines.pricing.rules import charge_of, is_too_dear
from pipelines.provisioning.orders import PoolInHand
from pipelines.provisioning.sources import ways_by_brand
from pipelines.provisioning.waterfall import Route, Ways, next_route
from pipelines.queue.ring import BEHIND_ALL
from pipelines.refilling.launches import FOLLOWED, KEPT, USED
from pipelines.refilling.rules import (
    Level,
    Means,
    Plan,
    Purchase,
    Waits,
    allowance,
    left_over,
    purchase,
)

# What was bought and is not stock keeps its slot until a person has looked, or it would be bought
# again each minute. An order costs on the day on which it was sent; one that was not, today.
# A card whose cost nobody told, or told in another currency, counts with what was expected of it,
# and without that with its face value: the ceiling must hold whatever vendors leave out.
_POOLS = text("""
SELECT p.id, p.client_id, p.brand_id, p.denomination_minor, p.currency, p.kind, p.low_watermark, p.refill_target,
    p.refill_ceiling_minor, p.refill_since, p.refill_paused_at, p.disabled_at,
    (SELECT count(*) FROM cards c WHERE c.pool_id = p.id AND c.state = 'available'
        AND c.expires_on >= CAST(:usable_from AS date)) AS stock,
    held.orders AS on_the_way, held.in_review,
    (SELECT coalesce(sum(coalesce(
            CASE WHEN c.cost_currency = p.currency THEN c.cost_minor END,
            o.expected_cost_minor, o.face_value_minor)), 0)
        FROM (SELECT id, expected_cost_minor, face_value_minor FROM provider_orders
              WHERE pool_id = p.id AND state = 'created'
              UNION ALL
              SELECT id, expected_cost_minor, face_value_minor FROM provider_orders
              WHERE pool_id = p.id AND sent_at >= :day
                AND state NOT IN ('created', 'refused', 'cancelled')) o
        LEFT JOIN cards c ON c.provider_order_id = o.id) AS spent
FROM card_pools p CROSS JOIN LATERAL (
    SELECT count(*) AS orders, count(o.review_since) AS in_review FROM provider_orders o
    WHERE o.pool_id = p.id AND (o.state IN ('created', 'sent', 'accepted', 'unknown')
        OR o.state = 'succeeded' AND o.review_since IS NOT NULL)) held
WHERE p.kind = 'buffer' AND (CAST(:pools AS uuid[]) IS NULL OR p.id = ANY(:pools))
  AND (CAST(:pools AS uuid[]) IS NOT NULL OR p.refill_target IS NOT NULL
       OR EXISTS (SELECT FROM refill_plans l WHERE l.pool_id = p.id AND l.by > :now
                   AND l.cancelled_at IS NULL))
ORDER BY p.id
""")
_PLANS = text("""
SELECT id, pool_id, needed, by, missed_at FROM refill_plans
WHERE pool_id = ANY(:pools) AND cancelled_at IS NULL
  AND (by > :now OR missed_at IS NOT NULL AND met_at IS NULL AND by > :followed)
ORDER BY by, id
""")
_KEPT = text(f"""
WITH had AS (
    SELECT l.*, sum(l.needed) OVER (PARTITION BY l.pool_id) AS all_need FROM refill_plans l
    WHERE l.pool_id = ANY(:pools) AND l.by <= :now AND l.by > :kept AND l.met_at IS NOT NULL
      AND l.cancelled_at IS NULL)
SELECT plan.pool_id, plan.needed, {USED}
FROM had plan ORDER BY plan.pool_id, plan.by, plan.id
""")
_RESTING = text("""
SELECT pool_id, vendor, product FROM provider_orders
WHERE pool_id = ANY(:pools) AND created_at > :day_ago AND settled_at > :since
  AND state IN ('refused', 'cancelled') AND coalesce(code, '') NOT IN ('refill_paused', 'margin_below_floor')
UNION
SELECT pool_id, vendor, product FROM provider_orders
WHERE pool_id = ANY(:pools) AND state = 'succeeded' AND review_since IS NOT NULL
""")
# What the last card cost that the pool bought by each of its routes, and what it was expected to.
_LAST_BOUGHT = text("""
SELECT p.id AS pool_id, r.vendor, r.product, c.cost_minor,
    coalesce(o.expected_cost_minor, o.face_value_minor) AS expected_minor
FROM card_pools p JOIN brand_routes r ON r.brand_id = p.brand_id
CROSS JOIN LATERAL (
    SELECT o.id, o.expected_cost_minor, o.face_value_minor FROM provider_orders o
    WHERE o.pool_id = p.id AND o.vendor = r.vendor AND o.product = r.product
      AND o.state = 'succeeded' ORDER BY o.id DESC LIMIT 1) o
JOIN cards c ON c.provider_order_id = o.id AND c.cost_currency = p.currency
WHERE p.id = ANY(:pools) AND c.cost_minor IS NOT NULL
""")
# What nobody will ever send, because its task is dead or buried, does not wait. More than the rate
# is never looked at: it leaves no room in any case.
_VENDORS = text("""
SELECT v.vendor, v.rate_per_minute,
    v.breaker_refuses_keys OR coalesce(v.breaker_blocked_until > :now, false) AS is_down,
    (SELECT count(*) FROM (
        SELECT FROM tasks t WHERE t.state = 'ready' AND t.rung_at IS NULL AND t.queue = 'vendors'
          AND t.lane = v.vendor AND t.flow = :nil AND t.priority >= :behind_all
          AND t.kind = 'place_pool_order' LIMIT v.rate_per_minute) unrung)
    + (SELECT count(*) FROM (
        SELECT FROM tasks t WHERE t.state = 'ready' AND t.rung_at IS NOT NULL
          AND t.queue = 'vendors' AND t.lane = v.vendor
          AND t.kind = 'place_pool_order' LIMIT v.rate_per_minute) rung) AS waiting
FROM vendor_accounts v
""")


@dataclass(frozen=True, slots=True)
class Vendor:
    """What filling may take of a vendor's rate, and what waits there.

    In orders per minute: on the average, and in this one.
    """

    per_minute: float
    this_minute: int
    waiting: int
    is_down: bool


@dataclass(frozen=True, slots=True)
class Buffer:
    """A buffer pool as it stands; money in minor units of its currency."""

    row: Row[Any]
    #: Those to come, and those whose time passed without their cards.
    plans: tuple[Row[Any], ...]
    level: Level
    means: Means
    route: Route | None
    vendor: Vendor | None
    #: What stands against buying anything, before what is missing is looked at.
    hurdle: Waits | None
    #: Cards that cost more than the floor allows: nobody is given them, so they are no stock.
    too_dear: int
    #: Whether a route rests because its last card came dearer than the floor allows.
    came_dear: bool

    @property
    def pool(self) -> PoolInHand:
        row = self.row
        return PoolInHand(row.id, row.brand_id, row.denomination_minor, row.currency)

    def purchase(self, *, now: datetime, limits: Limits) -> Purchase:
        """What is to be bought now, if anything may be."""
        lead = limits.refill_lead_seconds
        wish = purchase(self.level, self.means, now=now, lead_seconds=lead)
        if self.hurdle in (Waits.NOT_SET_UP, Waits.NO_CEILING, Waits.PAUSED):
            return Purchase(0, 0, self.hurdle)
        if wish.missing and self.hurdle is not None:
            return Purchase(0, wish.missing, self.hurdle)
        if wish.missing == 0 and self.level.bought_dear:
            free = replace(self.level, bought_dear=0)
            lacks = purchase(free, self.means, now=now, lead_seconds=lead).missing
            return Purchase(0, lacks, Waits.CAME_DEAR) if lacks else wish
        return wish


def look(
    session: Session, *, now: datetime, limits: Limits, pool_ids: Sequence[UUID] | None = None
) -> list[Buffer]:
    """These buffer pools, or all that are to be filled; where unissued cards can be seen."""
    values = {
        "pools": None if pool_ids is None else list(pool_ids),
        "now": now,
        "day": now.replace(hour=0, minute=0, second=0, microsecond=0),
        "usable_from": usable_from(now),
    }
    rows = session.execute(_POOLS, values).all()
    named = {"pools": [row.id for row in rows], "now": now, "day_ago": now - timedelta(days=1)}
    named |= {"followed": now - FOLLOWED, "kept": now - KEPT}
    plans, kept = _by_pool(session, _PLANS, named), _by_pool(session, _KEPT, named)
    since = now - timedelta(seconds=limits.refill_route_rests_seconds)
    resting = _by_pool(session, _RESTING, named | {"since": since})
    bought = _by_pool(session, _LAST_BOUGHT, named)
    ways = ways_by_brand(session, [(row.brand_id, row.denomination_minor) for row in rows])
    prices = price_rules(session, ways)
    vendors = _vendors(session, now, limits)
    dear = too_dear(session, rows, now=now)
    return [
        _buffer(
            row,
            _Facts(
                tuple(plans[row.id]),
                max(0, -min(left_over(0, [(k.needed, k.used) for k in kept[row.id]]), default=0)),
                ways[row.brand_id],
                # What its cards will be charged at; a client's own pool serves nobody else.
                charge_of(prices.get(row.brand_id, ()), row.denomination_minor, row.client_id),
                frozenset((one.vendor, one.product) for one in resting[row.id]),
                bought[row.id],
                dear.get(row.id, NO_DEAR),
            ),
            vendors,
            now,
        )
        for row in rows
    ]


def _by_pool(
    session: Session, statement: TextClause, values: Mapping[str, Any]
) -> defaultdict[UUID, list[Row[Any]]]:
    found: defaultdict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in session.execute(statement, values):
        found[row.pool_id].append(row)
    return found


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known beside a pool's row."""

    plans: tuple[Row[Any], ...]
    #: Cards that launches of the last day have not used yet.
    kept: int
    ways: Ways
    charge_minor: int
    #: Vendor and product of what refused, or brought a card that a person must look at.
    resting: frozenset[tuple[str, str]]
    last_bought: list[Row[Any]]
    dear: Dear


def _vendors(session: Session, now: datetime, limits: Limits) -> dict[str, Vendor]:
    found = {}
    for row in session.execute(_VENDORS, {"now": now, "nil": NIL, "behind_all": BEHIND_ALL}):
        rate = row.rate_per_minute * limits.refill_rate_share
        found[row.vendor] = Vendor(rate, allowance(rate, _minute(now)), row.waiting, row.is_down)
    return found


def _minute(now: datetime) -> int:
    return int(now.timestamp() // 60)


def _came_dear(row: Row[Any], facts: _Facts, at_most: int | None) -> frozenset[tuple[str, str]]:
    """Routes whose last card cost too much, though they say still what they said before it.

    Whoever corrects what the route says, or the floor or the price, has it tried again.
    """
    value = row.denomination_minor
    said = {(one.vendor, one.product): one.cost(value) for one in facts.ways.routes}
    return frozenset(
        (last.vendor, last.product)
        for last in facts.last_bought
        if is_too_dear(last.cost_minor, at_most)
        and (last.vendor, last.product) in said
        and last.expected_minor == _expected(said[last.vendor, last.product], value)
    )


def _expected(cost: int | None, value: int) -> int:
    """A card of a cost that nobody knows is counted with its face value."""
    return value if cost is None else cost


def _buffer(row: Row[Any], facts: _Facts, vendors: Mapping[str, Vendor], now: datetime) -> Buffer:
    known = [route for route in facts.ways.routes if route.vendor in vendors]
    at_most, value = facts.ways.cost_max(facts.charge_minor), row.denomination_minor
    dear, none = _came_dear(row, facts, at_most), frozenset[tuple[str, str]]()
    route, patient, any_route = (
        next_route(known, value, tried=tried, cost_max=at_most)
        for tried in (facts.resting | dear, facts.resting, none)
    )
    vendor = vendors[route.vendor] if route else None
    hurdle = None
    if row.refill_target is None and all(plan.by <= now for plan in facts.plans):
        hurdle = Waits.NOT_SET_UP
    elif row.refill_ceiling_minor is None:
        hurdle = Waits.NO_CEILING
    elif row.refill_paused_at is not None or row.disabled_at is not None:
        hurdle = Waits.PAUSED
    elif any_route is None:
        hurdle = Waits.NO_ROUTE
    elif vendor is None:
        hurdle = Waits.ROUTES_REST if patient is None else Waits.CAME_DEAR
    elif vendor.is_down:
        hurdle = Waits.VENDOR_DOWN
    level = Level(
        stock=row.stock - facts.dear.cards,
        on_the_way=row.on_the_way,
        low_watermark=row.low_watermark,
        target=row.refill_target,
        is_filling=row.refill_since is not None,
        plans=[Plan(plan.needed, plan.by) for plan in facts.plans if plan.by > now],
        kept=facts.kept,
        bought_dear=facts.dear.bought,
    )
    means = Means(
        cost_minor=_expected(route.cost(value) if route else None, value),
        spent_minor=int(row.spent),
        ceiling_minor=row.refill_ceiling_minor or 0,
        cards_per_minute=vendor.per_minute if vendor else 0,
        minute=_minute(now),
    )
    return Buffer(
        row, facts.plans, level, means, route, vendor, hurdle, facts.dear.cards, bool(dear)
    )
