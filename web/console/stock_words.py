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
from pipelines.pools.read import FAR_DAY, PoolView
from web.console.formats import decimal_of, money, number, plural
from web.console.job_words import JOB_STATES, StateWords

HEALTH: Mapping[str, StateWords] = {
    Health.HEALTHY: StateWords("Healthy", "check", "good"),
    Health.LOW: StateWords("Low", "alert", "warn"),
    Health.EMPTY: StateWords("Empty", "cross", "bad"),
}
OFF = StateWords("Switched off", "pause", "plain")
NO_POOL = StateWords("No pool", "skip", "plain")
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
    without_pool: int
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
        state=HEALTH[health.health] if pools else NO_POOL,
        rule=health.rule if pools else "",
        csv=line.counts(PoolKind.CSV)["available"],
        buffer=line.counts(PoolKind.BUFFER)["available"],
        issued=counts["issued"],
        kept_back=sum(kept.values()),
        kept_back_words=", ".join(f"{number(count)} {name}" for name, count in kept.items()),
        on_the_way=line.on_the_way,
        without_pool=line.without_pool,
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


#: Why a card that no undo gave back is in no pool, by the code of its order.
NOT_AS_ORDERED = {
    "value_mismatch": "Another value than ordered",
    "duplicate_card": "Sent by the vendor before",
}


@dataclass(frozen=True, slots=True)
class OutsideWords:
    """Cards of one brand and amount that are in no pool; `pool_id` of the buffer that takes them."""

    brand_id: UUID
    brand: str
    value: str
    #: As a form takes it.
    amount: str
    given_back: int
    not_as_ordered: int
    pool_id: UUID | None


@dataclass(frozen=True, slots=True)
class OutsideCardWords:
    id: UUID
    last4: str
    brand: str
    value: str
    why: str
    job_id: UUID | None
    order_id: UUID
    since: datetime
    expires_on: date | None
    cost: str


def outside_words(row: Row[Any]) -> OutsideWords:
    return OutsideWords(
        brand_id=row.brand_id,
        brand=row.brand,
        value=money(row.denomination_minor, row.currency),
        amount=decimal_of(row.denomination_minor, row.currency),
        given_back=row.given_back,
        not_as_ordered=row.not_as_ordered,
        pool_id=row.pool_id,
    )


def outside_card_words(row: Row[Any], *, sees_costs: bool) -> OutsideCardWords:
    is_known = sees_costs and row.cost_minor is not None
    return OutsideCardWords(
        id=row.id,
        last4=row.last4,
        brand=row.brand,
        value=money(row.denomination_minor, row.currency),
        why=(
            "Taken back by an undo"
            if row.undone_job_id
            else NOT_AS_ORDERED.get(row.reason, "Not as ordered")
        ),
        job_id=row.undone_job_id,
        order_id=row.order_id,
        since=row.since,
        expires_on=None if row.expires_on == FAR_DAY else row.expires_on,
        cost=money(row.cost_minor, row.cost_currency or row.currency) if is_known else "",
    )
