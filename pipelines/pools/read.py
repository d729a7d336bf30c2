"""Card pools as pages show them: counts by state and health."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session


class Health(StrEnum):
    HEALTHY = "healthy"
    LOW = "low"
    EMPTY = "empty"


def health_of(*, available: int, low_watermark: int) -> Health:
    """Empty without a card, low at or under the watermark, else healthy (S4-039)."""
    if available == 0:
        return Health.EMPTY
    return Health.LOW if available <= low_watermark else Health.HEALTHY


_POOLS = text("""
SELECT p.id, p.brand_id, b.name AS brand, p.client_id, p.denomination_minor, p.currency, p.kind,
    p.cost_per_card_minor, p.low_watermark, p.created_at, n.*
FROM card_pools p JOIN brands b ON b.id = p.brand_id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'available') AS available,
        count(*) FILTER (WHERE state = 'issued') AS issued,
        count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
        count(*) FILTER (WHERE state = 'void') AS void
    FROM cards WHERE pool_id = p.id) n ON true
WHERE (CAST(:before AS uuid) IS NULL OR p.id < :before)
  AND (CAST(:pools AS uuid[]) IS NULL OR p.id = ANY(:pools))
ORDER BY p.id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool with its counts; money in minor units."""

    row: Row[Any]

    def as_json(self, *, sees_costs: bool) -> dict[str, Any]:
        row = self.row
        cost = {"cost_per_card_minor": row.cost_per_card_minor} if sees_costs else {}
        counts = {
            name: int(getattr(row, name)) for name in ("available", "issued", "quarantined", "void")
        }
        return {
            "id": row.id,
            "brand_id": row.brand_id,
            "brand": row.brand,
            "client_id": row.client_id,
            "denomination_minor": row.denomination_minor,
            "currency": row.currency,
            "kind": row.kind,
            **cost,
            "low_watermark": row.low_watermark,
            "created_at": row.created_at,
            "counts": counts,
            "health": health_of(
                available=counts["available"], low_watermark=row.low_watermark
            ).value,
        }


_VISIBLE = text("""
SELECT id FROM card_pools
WHERE (CAST(:before AS uuid) IS NULL OR id < :before)
  AND (CAST(:pool AS uuid) IS NULL OR id = :pool)
ORDER BY id DESC LIMIT :limit
""")


def visible_pools(
    session: Session, *, before: UUID | None, limit: int, pool_id: UUID | None = None
) -> list[UUID]:
    """Ids of the pools this scope can see, newest first."""
    values = {"before": before, "limit": limit, "pool": pool_id}
    return list(session.execute(_VISIBLE, values).scalars())


def list_pools(
    session: Session,
    *,
    before: UUID | None,
    limit: int,
    pool_id: UUID | None = None,
    pool_ids: list[UUID] | None = None,
) -> list[PoolView]:
    """Pools this scope can see, newest first; `pool_id` or `pool_ids` name the only ones wanted.

    Tenants do not see unissued cards: count their pools in the SYSTEM scope, by `pool_ids`.
    """
    wanted = [pool_id] if pool_id is not None else pool_ids
    rows = session.execute(_POOLS, {"before": before, "limit": limit, "pools": wanted})
    return [PoolView(row) for row in rows]
