"""Where the cards of many groups could come from: one statement, however many amounts there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.cards import Source
from pipelines.provisioning.effects import JobInHand, OpenItem
from pipelines.provisioning.waterfall import Route

#: Cards that expire sooner than this are not given to anybody (EC-068).
CARD_VALIDITY_DAYS_MIN = 30

#: A brand and a denomination in minor units: the cards of one group are all equal.
Group = tuple[UUID, int]

_STOCK = text("""
SELECT brand_id, denomination_minor, source, cards FROM count_available_cards(
    :client, CAST(:brands AS uuid[]), CAST(:denominations AS bigint[]), :currency, CAST(:usable_from AS date))
""")
_STOCKED = text("""
SELECT brand_id, denomination_minor, source FROM stocked_sources(
    :client, CAST(:brands AS uuid[]), CAST(:denominations AS bigint[]), :currency, CAST(:usable_from AS date))
""")
_SOLD = text("""
SELECT w.brand_id, w.denomination_minor, min(v.rate_per_minute) / 60.0 AS rate
FROM unnest(CAST(:brands AS uuid[]), CAST(:denominations AS bigint[]))
    AS w (brand_id, denomination_minor)
JOIN brand_routes r ON r.brand_id = w.brand_id
    AND w.denomination_minor BETWEEN coalesce(r.min_minor, 0)
                                 AND coalesce(r.max_minor, 9223372036854775807)
JOIN vendor_accounts v ON v.vendor = r.vendor
GROUP BY w.brand_id, w.denomination_minor
""")
_ROUTES = text("""
SELECT brand_id, vendor, product, priority, min_minor, max_minor FROM brand_routes
WHERE brand_id = ANY(CAST(:brands AS uuid[])) ORDER BY priority, vendor, product
""")


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cards by source, and the slowest vendor that is needed: other jobs draw on the same pools."""

    sources: Mapping[str, int]
    vendor_rate_per_second: float


def usable_from(now: datetime) -> str:
    """The first acceptable expiry day, as ISO text."""
    return (now + timedelta(days=CARD_VALIDITY_DAYS_MIN)).date().isoformat()


def estimate(
    session: Session,
    wanted: Mapping[Group, int],
    *,
    client_id: UUID,
    currency: str,
    now: datetime,
) -> Estimate:
    """What the waterfall would draw from where, if nobody else drew meanwhile."""
    values = _arrays(list(wanted)) | {
        "client": client_id,
        "currency": currency,
        "usable_from": usable_from(now),
    }
    stock = {
        (row.brand_id, row.denomination_minor, row.source): row.cards
        for row in session.execute(_STOCK, values)
    }
    rates = {
        (row.brand_id, row.denomination_minor): float(row.rate)
        for row in session.execute(_SOLD, _arrays(list(wanted)))
    }
    totals = {"csv": 0, "buffer": 0, "api": 0, "none": 0}
    needed: list[float] = []
    for group, items in wanted.items():
        left = items
        for source in ("csv", "buffer"):
            taken = min(left, stock.get((*group, source), 0))
            totals[source] += taken
            left -= taken
        totals["api" if group in rates else "none"] += left
        if left and group in rates:
            needed.append(rates[group])
    return Estimate(totals, min(needed, default=0.0))


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


def routes_by_brand(session: Session, groups: Sequence[Group]) -> dict[UUID, list[Route]]:
    """Every brand's ways to vendors, in the order of priority."""
    brands = sorted({brand_id for brand_id, _denomination in groups})
    found: dict[UUID, list[Route]] = {brand_id: [] for brand_id in brands}
    for row in session.execute(_ROUTES, {"brands": brands}):
        found[row.brand_id].append(
            Route(row.vendor, row.product, row.priority, row.min_minor, row.max_minor)
        )
    return found


def routes_of_item(session: Session, item: OpenItem) -> list[Route]:
    """One item's ways to vendors, in the order of priority."""
    return routes_by_brand(session, [(item.brand_id, item.denomination_minor)])[item.brand_id]


def _arrays(groups: Sequence[Group]) -> dict[str, Any]:
    return {
        "brands": [brand_id for brand_id, _denomination in groups],
        "denominations": [denomination for _brand_id, denomination in groups],
    }
