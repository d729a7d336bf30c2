"""Cards in no pool: bought for a recipient, given back by an undo, with no buffer to go to.

Beside them lie cards that a vendor sent and nobody ordered so: of another value, or sent twice.
These wait for a person, with their order, and join no pool. All are the platform's business.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.cards import PoolKind
from pipelines.audit.record import record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: Cards that join a pool in one transaction.
ADOPTED_AT_ONCE = 20_000


class HoldsNoBoughtCards(Refusal):
    """Bought cards are kept apart from imported ones."""

    code = "holds_no_bought_cards"
    kind = Kind.CONFLICT
    detail = "Cards of this pool are imported. Choose, or make, a pool of kind buffer."


# A card that was given has the provision of its order's item; one that was not ordered so has none.
_GIVEN_BACK = """
FROM cards c JOIN provider_orders o ON o.id = c.provider_order_id
LEFT JOIN provisions p ON p.job_id = o.job_id AND p.position = o.position AND p.card_id = c.id
    AND p.undone_at IS NOT NULL
"""
_OUTSIDE = "c.pool_id IS NULL AND c.state = 'quarantined'"
# The pool is the platform's if there is one: who gets its cards is anybody.
_GROUPS = text(f"""
SELECT g.*, b.name AS brand, (
    SELECT k.id FROM card_pools k
    WHERE k.brand_id = g.brand_id AND k.denomination_minor = g.denomination_minor
      AND k.currency = g.currency AND k.kind = 'buffer' AND k.client_id IS NULL) AS pool_id
FROM (SELECT c.brand_id, c.denomination_minor, c.currency, count(p.id) AS given_back,
        count(*) - count(p.id) AS not_as_ordered
      {_GIVEN_BACK} WHERE {_OUTSIDE} GROUP BY c.brand_id, c.denomination_minor, c.currency) g
JOIN brands b ON b.id = g.brand_id
ORDER BY b.name, g.denomination_minor, g.currency
""")
_LIST = text(f"""
SELECT c.id, c.last4, c.brand_id, b.name AS brand, c.denomination_minor, c.currency, c.expires_on,
    c.cost_minor, c.cost_currency, coalesce(p.undone_at, o.settled_at, c.created_at) AS since,
    p.undone_job_id, o.id AS order_id, o.vendor,
    CASE WHEN p.id IS NULL THEN coalesce(o.code, 'not_as_ordered') ELSE 'given_back' END AS reason
{_GIVEN_BACK} JOIN brands b ON b.id = c.brand_id
WHERE {_OUTSIDE} AND (CAST(:before AS uuid) IS NULL OR c.id < :before)
ORDER BY c.id DESC LIMIT :limit
""")
_POOL = text("""
SELECT id, agency_id, client_id, brand_id, denomination_minor, currency, kind FROM card_pools
WHERE id = :pool
""")
# A client's own pool takes what was bought for that client, as an undo does.
_ADOPT = text(f"""
WITH taken AS MATERIALIZED (
    SELECT c.id {_GIVEN_BACK}
    WHERE {_OUTSIDE} AND p.id IS NOT NULL AND c.brand_id = :brand
      AND c.denomination_minor = :denomination AND c.currency = :currency
      AND (CAST(:client AS uuid) IS NULL OR c.client_id = :client)
    ORDER BY c.id LIMIT :limit FOR NO KEY UPDATE OF c SKIP LOCKED)
UPDATE cards c SET pool_id = :pool, client_id = :client, source = 'buffer', state = 'available'
FROM taken t WHERE c.id = t.id
""")


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many cards joined the pool at once; whether there may be more."""

    cards: int
    goes_on: bool


def groups_without_pool(session: Session) -> list[Row[Any]]:
    """What lies in no pool, by brand, denomination and currency, and the buffer that would do."""
    return list(session.execute(_GROUPS))


def list_without_pool(session: Session, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    """The cards by their last four and never their numbers, newest first."""
    return list(session.execute(_LIST, {"before": before, "limit": limit}))


def adopt_cards(session: Session, pool_id: UUID, *, actor_id: UUID) -> Adopted:
    """Put what undos gave back, and fits the pool, on its stock; in the platform's scope.

    What an undo gives back while this runs is left to the next time.
    Raises `NotFound`, `HoldsNoBoughtCards`.
    """
    pool = session.execute(_POOL, {"pool": pool_id}).one_or_none()
    if pool is None:
        raise NotFound
    if pool.kind != PoolKind.BUFFER:
        raise HoldsNoBoughtCards
    values = {
        "pool": pool_id,
        "client": pool.client_id,
        "brand": pool.brand_id,
        "denomination": pool.denomination_minor,
        "currency": pool.currency,
        "limit": ADOPTED_AT_ONCE,
    }
    cards = int(session.execute(_ADOPT, values).rowcount)  # type: ignore[attr-defined]
    if cards:
        record(
            session,
            "pool.cards_adopted",
            object_kind="card_pool",
            object_id=pool_id,
            actor_id=actor_id,
            agency_id=pool.agency_id,
            client_id=pool.client_id,
            detail={"cards": cards},
        )
        log.info("cards.adopted", pool_id=str(pool_id), cards=cards)
    return Adopted(cards, cards == ADOPTED_AT_ONCE)
