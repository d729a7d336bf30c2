"""Change a pool: its threshold, what its cards cost, and whether claims draw on it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.cards import CardPool
from pipelines.audit.record import record
from pipelines.errors import NotFound


def change_pool(
    session: Session, pool_id: UUID, changes: dict[str, Any], *, actor_id: UUID, now: datetime
) -> UUID:
    """Set `low_watermark`, `cost_per_card_minor` (minor units or None) and `disabled`.

    What is not named stays. The cost is that of cards imported from now on. Raises `NotFound`.
    """
    pool = session.execute(
        select(
            CardPool.agency_id,
            CardPool.client_id,
            CardPool.low_watermark,
            CardPool.cost_per_card_minor,
            CardPool.disabled_at,
        )
        .where(CardPool.id == pool_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if pool is None:
        raise NotFound
    was = {
        "low_watermark": pool.low_watermark,
        "cost_per_card_minor": pool.cost_per_card_minor,
        "disabled": pool.disabled_at is not None,
    }
    moved = {name: [was[name], value] for name, value in changes.items() if was[name] != value}
    if not moved:
        return pool_id
    values = {name: value for name, (_before, value) in moved.items() if name != "disabled"}
    if "disabled" in moved:
        values["disabled_at"] = now if changes["disabled"] else None
    session.execute(update(CardPool).where(CardPool.id == pool_id).values(**values))
    record(
        session,
        "pool.changed",
        object_kind="card_pool",
        object_id=pool_id,
        actor_id=actor_id,
        agency_id=pool.agency_id,
        client_id=pool.client_id,
        detail=moved,
    )
    return pool_id
