"""The stock of cards: each pool with its counts and health."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response

from pipelines.access.permissions import Permission, may
from pipelines.pools.read import Health, list_pools
from web.console.formats import money, number
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.visit import looking
from web.guards import permitted, principal

POOLS_SHOWN_MAX = 100
HEALTH: Mapping[str, StateWords] = {
    Health.HEALTHY: StateWords("Healthy", "check", "good"),
    Health.LOW: StateWords("Low", "alert", "warn"),
    Health.EMPTY: StateWords("Empty", "cross", "bad"),
}
KINDS = {"csv": "Imported", "buffer": "Buffer"}


@dataclass(frozen=True, slots=True)
class PoolWords:
    """One pool as the page says it."""

    id: UUID
    brand: str
    value: str
    kind: str
    health: StateWords
    rule: str
    available: int
    issued: int
    kept_back: int


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/pools", "pools", show)


@permitted(Permission.POOLS_READ)
def show() -> Response:
    with looking() as session:
        pools = [
            pool_words(p.as_json(sees_costs=False))
            for p in list_pools(session, before=None, limit=POOLS_SHOWN_MAX)
        ]
    return page(
        "pools.html",
        title="Card pools",
        section="pools",
        pools=pools,
        may_import=may(principal().role, Permission.POOLS_MANAGE),
    )


def pool_words(view: Mapping[str, Any]) -> PoolWords:
    """Put a pool view into words; the rule behind its health is always stated."""
    counts = view["counts"]
    return PoolWords(
        id=view["id"],
        brand=view["brand"],
        value=money(view["denomination_minor"], view["currency"]),
        kind=KINDS[view["kind"]],
        health=HEALTH[view["health"]],
        rule=f"Low at {number(view['low_watermark'])} or fewer",
        available=counts["available"],
        issued=counts["issued"],
        kept_back=counts["quarantined"] + counts["void"],
    )
