"""Claim cards for a group of items, pool by pool, and never twice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Row, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models.cards import Source
from pipelines.pools.health import usable_from
from pipelines.provisioning.effects import CardInHand, JobInHand, OpenItem
from pipelines.provisioning.waterfall import Served, serve

_CLAIM = text("""
SELECT card_id, cost_minor, cost_currency, last4 FROM claim_cards(
    :client, :brand, :denomination, :currency, :source, CAST(:usable_from AS date), :wanted, :wait,
    CAST(:cost_max AS bigint))
""")


def claim_from_pools(
    session: Session,
    job: JobInHand,
    items: Sequence[OpenItem],
    *,
    pools: Sequence[Source],
    cost_max: int | None,
    now: datetime,
) -> Served[OpenItem, CardInHand]:
    """Serve items of one brand, denomination and charge from these pools, in the waterfall's order.

    A card that costs more than `cost_max`, in minor units, is passed over; None: at any cost.

    A claim that comes up short looks once more without skipping what others have locked, since
    their transaction may roll back, before money is spent at a vendor. It waits for them as long
    as the login's lock_timeout allows (2 seconds), or until they wait for it in turn.
    """
    pairs: list[tuple[OpenItem, CardInHand]] = []
    rest = tuple(items)
    for source in pools:
        for wait in (False, True):
            if not rest:
                break
            cards = _claim(session, job, rest, source, wait=wait, cost_max=cost_max, now=now)
            served = serve(rest, cards)
            pairs.extend(served.pairs)
            rest = served.rest
    return Served(tuple(pairs), rest)


def _claim(
    session: Session,
    job: JobInHand,
    items: Sequence[OpenItem],
    source: Source,
    *,
    wait: bool,
    cost_max: int | None,
    now: datetime,
) -> list[CardInHand]:
    values: dict[str, object] = {
        "client": job.client_id,
        "brand": items[0].brand_id,
        "denomination": items[0].denomination_minor,
        "currency": job.currency,
        "source": source.value,
        "usable_from": usable_from(now),
        "wanted": len(items),
        "wait": wait,
        "cost_max": cost_max,
    }
    rows = _waited_for(session, values) if wait else session.execute(_CLAIM, values).all()
    return [
        CardInHand(row.card_id, source, row.cost_minor, row.cost_currency, row.last4)
        for row in rows
    ]


def _waited_for(session: Session, values: dict[str, object]) -> Sequence[Row[Any]]:
    """The cards that come free in time; none if they do not.

    Two claims may wait for each other's cards: the one that is told so goes on without them.
    """
    try:
        with session.begin_nested():
            return session.execute(_CLAIM, values).all()
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            return []
        raise
