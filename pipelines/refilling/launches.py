"""Whether a launch had its cards in time; one alert per pool that a launch found without them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.alerts.kinds import REFILL_PLAN_MISSED
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.pools.health import usable_from
from pipelines.pricing.dear_stock import NO_DEAR, too_dear
from pipelines.refilling.rules import left_over

#: So long after its time a plan is still asked whether its cards have come.
FOLLOWED = timedelta(days=30)
#: So long what a launch has not used of its cards is kept for it.
KEPT = timedelta(days=1)

#: Cards of a plan's pool that were used since its launch: they count as having been there. No more
#: are counted than all plans of the pool need. A part of statements whose `plan` has `all_need`.
USED = """(SELECT count(*) FROM (
    SELECT FROM cards c WHERE c.pool_id = plan.pool_id AND c.state = 'issued'
      AND c.issued_at >= plan.by LIMIT plan.all_need) issued) AS used"""
_FOLLOWED = text(f"""
WITH followed AS (
    SELECT l.*, sum(l.needed) OVER (PARTITION BY l.pool_id) AS all_need FROM refill_plans l
    WHERE l.by <= :now AND l.by > :since AND l.cancelled_at IS NULL
      AND (l.met_at IS NULL OR l.by > :kept))
SELECT plan.id, plan.pool_id, plan.needed, plan.met_at, plan.missed_at, {USED}
FROM followed plan
WHERE EXISTS (SELECT FROM followed o WHERE o.pool_id = plan.pool_id AND o.met_at IS NULL)
ORDER BY plan.pool_id, plan.by, plan.id
""")
_POOLS = text("""
SELECT p.id, p.brand_id, p.client_id, p.denomination_minor, p.currency, p.kind,
    (SELECT count(*) FROM cards c WHERE c.pool_id = p.id AND c.state = 'available'
        AND c.expires_on >= CAST(:usable_from AS date)) AS stock
FROM card_pools p WHERE p.id = ANY(:pools)
""")
# One that somebody has withdrawn meanwhile is neither.
_MET = text("""
UPDATE refill_plans SET met_at = :now
WHERE id = ANY(CAST(:plans AS uuid[])) AND cancelled_at IS NULL RETURNING pool_id
""")
_MISSED = text("""
UPDATE refill_plans SET missed_at = :now
WHERE id = ANY(CAST(:plans AS uuid[])) AND cancelled_at IS NULL RETURNING id
""")
_DROPPED = text("""
UPDATE refill_plans SET dropped_at = :now
WHERE by <= :since AND missed_at IS NOT NULL AND met_at IS NULL AND cancelled_at IS NULL
  AND dropped_at IS NULL RETURNING pool_id
""")
_OVER = text("""
SELECT DISTINCT l.pool_id FROM refill_plans l
WHERE l.pool_id = ANY(CAST(:pools AS uuid[])) AND l.missed_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM refill_plans o WHERE o.pool_id = l.pool_id AND o.missed_at IS NOT NULL
      AND o.met_at IS NULL AND o.cancelled_at IS NULL AND o.dropped_at IS NULL)
""")


def judge_plans(session: Session, *, now: datetime) -> None:
    """Of plans whose time has come: which were met, which are by now, and which were not.

    One that was not is told once; nothing is bought for it beyond what was ordered in time. One
    that is too long ago is dropped. The caller holds `Namespace.REFILLING`.
    """
    values = {"now": now, "since": now - FOLLOWED, "kept": now - KEPT}
    plans = session.execute(_FOLLOWED, values).all()
    left = _left(session, plans, now=now)
    met = [plan.id for plan in plans if plan.met_at is None and left[plan.id] >= 0]
    missed = [plan for plan in plans if left[plan.id] < 0 and _is_new(plan)]
    over = set(session.execute(_MET, {"plans": met, "now": now}).scalars())
    over.update(session.execute(_DROPPED, values).scalars())
    settle_missed(session, over, now=now)
    named = {"plans": [plan.id for plan in missed], "now": now}
    told = set(session.execute(_MISSED, named).scalars())
    for plan in missed:
        if plan.id in told:
            has = max(0, plan.needed + left[plan.id])
            detail = {"plan_id": str(plan.id), "needed": plan.needed, "has": has}
            subject = plan.pool_id
            raise_alert(session, REFILL_PLAN_MISSED, subject_id=subject, detail=detail, now=now)


def _is_new(plan: Row[Any]) -> bool:
    return plan.met_at is None and plan.missed_at is None


def _left(session: Session, plans: Sequence[Row[Any]], *, now: datetime) -> dict[UUID, int]:
    """By plan, the cards of its pool that no launch until then needs; negative: what it lacks.

    Cards that cost too much are none: nobody is given them.
    """
    values = {"pools": sorted({plan.pool_id for plan in plans}), "usable_from": usable_from(now)}
    pools = session.execute(_POOLS, values).all() if plans else []
    dear = too_dear(session, pools, now=now) if pools else {}
    left: dict[UUID, int] = {}
    for pool in pools:
        own = [plan for plan in plans if plan.pool_id == pool.id]
        stock = pool.stock - dear.get(pool.id, NO_DEAR).cards
        spare = left_over(stock, [(plan.needed, plan.used) for plan in own])
        left.update(zip((plan.id for plan in own), spare, strict=True))
    return left


def settle_missed(session: Session, pools: Iterable[UUID], *, now: datetime) -> None:
    """Say that it is over where no plan of the pool is missed any more: met, withdrawn or dropped."""
    for pool_id in session.execute(_OVER, {"pools": sorted(pools)}).scalars().all():
        settle_alert(session, REFILL_PLAN_MISSED, subject_id=pool_id, now=now)
