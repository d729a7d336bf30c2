"""Tell of routes whose product is gone, is another one, or costs too much for the charge (EC-081)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.alerts.kind import AlertKind
from pipelines.alerts.kinds import (
    ROUTE_BELOW_FLOOR,
    ROUTE_DOES_NOT_FIT,
    ROUTE_PRODUCT_GONE,
)
from pipelines.alerts.raise_alert import Sighting, signal_all
from pipelines.pricing.read import price_rules
from pipelines.pricing.rules import PriceRule, charge_of, cost_max, expected_cost, is_too_dear

# A catalogue that was never read to its end does not say what is not listed.
_ROUTES = text("""
SELECT r.brand_id, r.vendor, r.product, r.min_minor, r.max_minor, b.min_margin_minor,
    p.vanished_at IS NOT NULL OR (p.id IS NULL AND v.catalogue_read_at IS NOT NULL) AS is_gone,
    c.fits,
    p.least_minor, p.most_minor, p.fixed_minor, c.cost_bp, c.cost_flat_minor
FROM brand_routes r JOIN brands b ON b.id = r.brand_id JOIN route_costs c ON c.route_id = r.id
LEFT JOIN vendor_products p ON p.vendor = r.vendor AND p.product = r.product
LEFT JOIN vendor_accounts v ON v.vendor = r.vendor
ORDER BY r.brand_id, r.priority, r.vendor, r.product
""")
_KINDS = (ROUTE_PRODUCT_GONE, ROUTE_DOES_NOT_FIT, ROUTE_BELOW_FLOOR)
_OPEN = text("""
SELECT kind, subject_id FROM alerts WHERE kind = ANY(:kinds) AND state <> 'resolved'
""")


def judge_routes(session: Session, *, now: datetime) -> None:
    """Alerts by brand; those whose cause is gone are over."""
    routes = session.execute(_ROUTES).all()
    prices = price_rules(session, (route.brand_id for route in routes))
    standing: dict[tuple[AlertKind, UUID], list[Row[Any]]] = defaultdict(list)
    for route in routes:
        if route.is_gone:
            standing[ROUTE_PRODUCT_GONE, route.brand_id].append(route)
        elif not route.fits:
            standing[ROUTE_DOES_NOT_FIT, route.brand_id].append(route)
        elif dear_denominations(route, prices.get(route.brand_id, ())):
            standing[ROUTE_BELOW_FLOOR, route.brand_id].append(route)
    seen = [
        Sighting(
            kind,
            brand_id,
            None,
            None,
            detail={
                "vendor": found[0].vendor,
                "product": found[0].product,
                "routes": len(found),
            },
        )
        for (kind, brand_id), found in standing.items()
    ]
    signal_all(session, [*seen, *_over(session, standing)], now=now)


def _over(session: Session, standing: Iterable[tuple[AlertKind, UUID]]) -> list[Sighting]:
    kinds = {kind.name: kind for kind in _KINDS}
    kept = {(kind.name, brand_id) for kind, brand_id in standing}
    return [
        Sighting(kinds[row.kind], row.subject_id, None, None, is_over=True)
        for row in session.execute(_OPEN, {"kinds": list(kinds)})
        if (row.kind, row.subject_id) not in kept
    ]


def dear_denominations(route: Any, rules: Sequence[PriceRule]) -> list[int]:
    """Where everybody's price leaves too little: at the values it is sold at, or at their ends.

    Charge and cost are shares with a flat part, so that the ends say it for all between, but for
    denominations that have a price of their own.
    """
    values = set(route.fixed_minor or ())
    if not values:
        lows = [value for value in (route.least_minor, route.min_minor) if value is not None]
        highs = [value for value in (route.most_minor, route.max_minor) if value is not None]
        ends = {max(lows, default=None), min(highs, default=None)}
        values = {value for value in ends if value is not None}
        values |= {rule.denomination_minor for rule in rules if rule.denomination_minor}
    return sorted(
        value
        for value in values
        if (route.min_minor or 0) <= value <= (route.max_minor or value)
        and is_too_dear(
            expected_cost(value, route.cost_bp, route.cost_flat_minor),
            cost_max(charge_of(rules, value, None), route.min_margin_minor),
        )
    )
