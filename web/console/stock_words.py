"""The stock in words: health, sources, cards by state: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from models.cards import PoolKind
from pipelines.pools.batches import Batch
from pipelines.pools.health import Health
from pipelines.pools.inventory import StockLine
from pipelines.pools.read import PoolView
from web.console.formats import money, number, plural
from web.console.job_words import JOB_STATES, StateWords

HEALTH: Mapping[str, StateWords] = {
    Health.HEALTHY: StateWords("Healthy", "check", "good"),
    Health.LOW: StateWords("Low", "alert", "warn"),
    Health.EMPTY: StateWords("Empty", "cross", "bad"),
}
OFF = StateWords("Switched off", "pause", "plain")
KINDS: Mapping[str, str] = {PoolKind.CSV: "Imported", PoolKind.BUFFER: "Buffer"}
#: Breakers of vendors; one without an account sells nothing.
BREAKERS = {
    "closed": StateWords("Well", "check", "good"),
    "half_open": StateWords("Being tried", "clock", "warn"),
    "open": StateWords("Resting", "pause", "bad"),
}
NO_ACCOUNT = StateWords("Not set up", "skip", "plain")
#: What cards are counted by, beside those that can be given out.
KEPT_BACK = ("expiring", "expired", "quarantined", "void", "defective")


@dataclass(frozen=True, slots=True)
class PoolWords:
    """A pool as a line of its card, and as its own page says it."""

    id: UUID
    name: str
    kind: str
    owner: str
    state: StateWords
    rule: str
    counts: dict[str, int]
    cost: str
    soonest_expiry: date | None
    last_import_at: datetime | None


@dataclass(frozen=True, slots=True)
class RouteWords:
    vendor: str
    state: StateWords


@dataclass(frozen=True, slots=True)
class LineWords:
    """One kind of card as the inventory says it."""

    brand: str
    value: str
    state: StateWords
    rule: str
    csv: int
    buffer: int
    issued: int
    kept_back: int
    kept_back_words: str
    on_the_way: int
    routes: tuple[RouteWords, ...]
    soonest_expiry: date | None
    cost: str
    last_import_at: datetime | None
    pools: tuple[PoolWords, ...]


def line_words(line: StockLine, *, sees_costs: bool) -> LineWords:
    brand, denomination, currency = line.name
    counts, health = line.counts(), line.health
    pools = tuple(pool_words(pool, sees_costs=sees_costs) for pool in line.pools)
    kept = {name: counts[name] for name in KEPT_BACK if counts[name]}
    return LineWords(
        brand=brand,
        value=money(denomination, currency),
        state=HEALTH[health.health],
        rule=health.rule,
        csv=line.counts(PoolKind.CSV)["available"],
        buffer=line.counts(PoolKind.BUFFER)["available"],
        issued=counts["issued"],
        kept_back=sum(kept.values()),
        kept_back_words=", ".join(f"{number(count)} {name}" for name, count in kept.items()),
        on_the_way=line.on_the_way,
        routes=tuple(
            RouteWords(route.vendor.capitalize(), BREAKERS.get(route.breaker or "", NO_ACCOUNT))
            for route in line.routes
        ),
        soonest_expiry=line.soonest_expiry,
        cost=", ".join(sorted({pool.cost for pool in pools if pool.cost})),
        last_import_at=max((p.last_import_at for p in pools if p.last_import_at), default=None),
        pools=pools,
    )


def pool_words(pool: PoolView, *, sees_costs: bool, too_dear: int = 0) -> PoolWords:
    """The rule behind a pool's health is always stated; `too_dear` of its cards nobody is given."""
    row, health = pool.row, pool.health
    is_off = row.disabled_at is not None
    return PoolWords(
        id=row.id,
        name=f"{row.brand}, {money(row.denomination_minor, row.currency)}",
        kind=KINDS[row.kind],
        owner="A client's own" if row.client_id else "Shared",
        state=OFF if is_off else HEALTH[health.health],
        rule="Claims pass it over" if is_off else health.rule,
        counts=pool.counts,
        cost=_cost(pool, too_dear) if sees_costs else "",
        soonest_expiry=pool.soonest_expiry,
        last_import_at=row.last_import_at,
    )


def _cost(pool: PoolView, too_dear: int) -> str:
    """What a card on stock costs on average; a cost that is missing is told."""
    row, average = pool.row, pool.cost_average_minor
    said = [] if average is None else [f"{money(average, row.currency)} a card"]
    if row.cost_missing:
        said.append(f"{plural(row.cost_missing, 'card')} without a cost")
    if too_dear:
        said.append(f"{plural(too_dear, 'available card')} too dear to be given at this price")
    return ", ".join(said)


@dataclass(frozen=True, slots=True)
class BatchWords:
    """A card file as a line of its pool, and as its own page says it."""

    id: UUID
    number: int
    file_name: str
    state: StateWords
    imported: int
    duplicate: int
    bad: int
    left_out: int
    available: int
    quarantined: int
    cards: str
    sha256: str | None
    error: str | None
    created_at: datetime
    quarantined_at: datetime | None


@dataclass(frozen=True, slots=True)
class CardWords:
    last4: str
    row: int | None
    issued_at: datetime | None
    redemption_id: UUID | None


def file_words(batch: Batch) -> BatchWords:
    view = batch.as_json()
    rows, cards = view["rows"], view["cards"]
    return BatchWords(
        id=view["id"],
        number=view["number"],
        file_name=view["file_name"] or "A file without a name",
        state=JOB_STATES[view["state"]],
        imported=rows["imported"],
        duplicate=rows["duplicate"],
        bad=rows["bad"],
        left_out=rows["left_out"],
        available=cards.get("available", 0),
        quarantined=cards.get("quarantined", 0),
        cards=", ".join(f"{number(count)} {name}" for name, count in sorted(cards.items())),
        sha256=view["sha256"],
        error=view["error"]["detail"] if view["error"] else None,
        created_at=view["created_at"],
        quarantined_at=view["quarantined_at"],
    )


def card_words(row: Row[Any]) -> CardWords:
    """A card by its last four and its row, never by its number."""
    return CardWords(row.last4, row.import_row, row.issued_at, row.redemption_id)
