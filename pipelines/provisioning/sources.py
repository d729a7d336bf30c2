"""Where the cards of many groups could come from: one statement, however many amounts there are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.cards import Source
from pipelines.pools.health import usable_from
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.provisioning.eta import VendorLoad, job_seconds
from pipelines.provisioning.staging import StagedGroup
from pipelines.provisioning.waterfall import Route, Ways, next_route

#: A brand and a denomination in minor units: the cards of one group are all equal.
Group = tuple[UUID, int]

_STOCK = text("""
SELECT brand_id, denomination_minor, source, cards FROM count_available_cards(
    :client, CAST(:brands AS uuid[]), CAST(:denominations AS bigint[]), :currency,
    CAST(:usable_from AS date), CAST(:cost_maxes AS bigint[]))
""")
_STOCKED = text("""
SELECT brand_id, denomination_minor, source FROM stocked_sources(
    :client, CAST(:brands AS uuid[]), CAST(:denominations AS bigint[]), :currency, CAST(:usable_from AS date))
""")
_DEARER = text("""
SELECT has_dearer_cards(:client, :brand, :denomination, :currency, CAST(:usable_from AS date),
    CAST(:cost_max AS bigint))
""")
# What stands in a bucket now is what stood there when it was last filled, and what flowed since.
_LOADS = text("""
SELECT v.vendor, v.rate_per_minute / 60.0 AS rate,
    greatest(0, least(v.burst, v.micro_tokens / 1e6
        + extract(epoch FROM :now - greatest(v.filled_at, v.paused_until))
            * v.rate_per_minute / 60.0)) AS tokens,
    (SELECT count(*) FROM (SELECT FROM tasks t WHERE t.kind = 'place_order' AND t.lane = v.vendor
        AND t.state = 'ready' LIMIT :most) waiting) AS ahead
FROM vendor_accounts v WHERE v.vendor = ANY(:vendors)
""")
_WAYS = text("""
SELECT b.id AS brand_id, b.min_margin_minor, r.vendor, r.product, r.priority, r.min_minor,
    r.max_minor, c.cost_bp, c.cost_flat_minor, p.fixed_minor, p.least_minor, p.most_minor,
    coalesce(v.breaker_refuses_keys, false) AS is_blocked,
    r.id IS NOT NULL AND c.fits AND v.disabled_at IS NULL AS is_in_use
FROM brands b LEFT JOIN brand_routes r ON r.brand_id = b.id
LEFT JOIN route_costs c ON c.route_id = r.id
LEFT JOIN vendor_products p ON p.vendor = r.vendor AND p.product = r.product
LEFT JOIN vendor_accounts v ON v.vendor = r.vendor
WHERE b.id = ANY(CAST(:brands AS uuid[]))
""")


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cards by source, and how long they take: other jobs draw on the same pools and vendors."""

    sources: Mapping[str, int]
    seconds: float


def estimate(
    session: Session,
    wanted: Mapping[Group, StagedGroup],
    *,
    client_id: UUID,
    currency: str,
    now: datetime,
) -> Estimate:
    """What the waterfall would draw from where, if nobody else drew meanwhile."""
    ways = ways_by_brand(session, wanted)
    cost_maxes = {
        group: ways[group[0]].cost_max(staged.charge_minor) for group, staged in wanted.items()
    }
    values = _arrays(list(wanted)) | {
        "cost_maxes": list(cost_maxes.values()),
        "client": client_id,
        "currency": currency,
        "usable_from": usable_from(now),
    }
    stock = {
        (row.brand_id, row.denomination_minor, row.source): row.cards
        for row in session.execute(_STOCK, values)
    }
    totals = {"csv": 0, "buffer": 0, "api": 0, "none": 0}
    of_vendor: Counter[str] = Counter()
    for (brand_id, denomination), staged in wanted.items():
        left = staged.items
        for source in ("csv", "buffer"):
            taken = min(left, stock.get((brand_id, denomination, source), 0))
            totals[source] += taken
            left -= taken
        cost_max = cost_maxes[brand_id, denomination]
        routes = ways[brand_id].routes
        route = next_route(routes, denomination, tried=frozenset(), cost_max=cost_max)
        totals["none" if route is None else "api"] += left
        if route is not None:
            of_vendor[route.vendor] += left
    loads = _loads(session, of_vendor, now=now)
    pool_items = totals["csv"] + totals["buffer"]
    return Estimate(totals, job_seconds(pool_items=pool_items, vendors=loads))


def _loads(session: Session, of_vendor: Counter[str], *, now: datetime) -> list[VendorLoad]:
    """A vendor without an account row has never been called: nothing is known of its rate.

    No more of those who wait are counted than a job shares its calls with.
    """
    rows = session.execute(
        _LOADS,
        {"vendors": sorted(of_vendor), "now": now, "most": max(of_vendor.values(), default=0)},
    )
    return [
        VendorLoad(of_vendor[row.vendor], int(row.ahead), float(row.tokens), float(row.rate))
        for row in rows
    ]


def stocked_sources(
    session: Session, job: JobInHand, groups: Sequence[Group], *, now: datetime
) -> frozenset[tuple[Group, Source]]:
    """Where at least one card is available; one that another claim has locked counts."""
    values = _arrays(groups) | {
        "client": job.client_id,
        "currency": job.currency,
        "usable_from": usable_from(now),
    }
    return frozenset(
        ((row.brand_id, row.denomination_minor), Source(row.source))
        for row in session.execute(_STOCKED, values)
    )


def has_dearer_cards(
    session: Session, job: JobInHand, group: Group, at_most: int | None, *, now: datetime
) -> bool:
    """Whether a pool holds such a card that is passed over for what it costs (EC-081)."""
    if at_most is None:
        return False
    values = {
        "client": job.client_id,
        "brand": group[0],
        "denomination": group[1],
        "currency": job.currency,
        "usable_from": usable_from(now),
        "cost_max": at_most,
    }
    return bool(session.execute(_DEARER, values).scalar_one())


def ways_by_brand(session: Session, groups: Iterable[Group]) -> dict[UUID, Ways]:
    """Every brand's routes to vendors in use, and its floor."""
    brands = sorted({brand_id for brand_id, _denomination in groups})
    routes: dict[UUID, list[Route]] = {brand_id: [] for brand_id in brands}
    floors: dict[UUID, int | None] = {}
    for row in session.execute(_WAYS, {"brands": brands}):
        floors[row.brand_id] = row.min_margin_minor
        if row.is_in_use:
            routes[row.brand_id].append(_route(row))
    return {brand: Ways(tuple(routes[brand]), floors.get(brand)) for brand in brands}


def _route(row: Row[Any]) -> Route:
    return Route(
        row.vendor,
        row.product,
        row.priority,
        row.min_minor,
        row.max_minor,
        is_blocked=row.is_blocked,
        cost_bp=row.cost_bp,
        cost_flat_minor=row.cost_flat_minor,
        listed_minor=frozenset(row.fixed_minor or ()),
        least_minor=row.least_minor,
        most_minor=row.most_minor,
    )


def ways_of_item(session: Session, item: OpenItem) -> Ways:
    """One item's ways to vendors."""
    return ways_by_brand(session, [(item.brand_id, item.denomination_minor)])[item.brand_id]


def _arrays(groups: Sequence[Group]) -> dict[str, Any]:
    return {
        "brands": [brand_id for brand_id, _denomination in groups],
        "denominations": [denomination for _brand_id, denomination in groups],
    }
