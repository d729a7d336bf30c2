"""What people decide about filling a buffer: how far, how dearly, when, and not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from models.base import new_id
from models.cards import CardPool, PoolKind
from models.locks import Namespace, wait_for_lock
from models.refill_plans import RefillPlan
from pipelines.audit.record import Detail, record
from pipelines.errors import FieldError, Kind, NotFound, Refusal, ValidationFailed
from pipelines.limits import Limits
from pipelines.queue.defer import defer
from pipelines.queue.kinds import REFILL_BUFFERS
from pipelines.refilling.launches import settle_missed
from pipelines.refilling.look import Buffer, look
from pipelines.refilling.rules import begins_before


class NotABuffer(Refusal):
    """Only buffers are bought ahead."""

    code = "not_a_buffer"
    kind = Kind.CONFLICT
    detail = "Cards of this pool are imported. Only a pool of kind buffer is filled by orders."


class RefillNotSetUp(Refusal):
    """There is nothing to fill up to, no ceiling, or filling is paused."""

    code = "refill_not_set_up"
    kind = Kind.CONFLICT
    detail = "Set a target and a ceiling for this pool, and end its pause, before it is refilled."


class CeilingMissing(Refusal):
    """Nobody has said what may be spent in a day."""

    code = "refill_ceiling_missing"
    kind = Kind.CONFLICT
    detail = "Set a ceiling for this pool (`ceiling_minor`: what may be spent in a day) before cards are planned."


@dataclass(frozen=True, slots=True)
class NewPlan:
    """So many cards are to be in the pool at that time."""

    needed: int
    by: datetime


_POOL = select(
    CardPool.id,
    CardPool.kind,
    CardPool.low_watermark,
    CardPool.refill_target,
    CardPool.refill_ceiling_minor,
    CardPool.refill_paused_at,
    CardPool.disabled_at,
)
_HAS_PLANS = text(
    "SELECT EXISTS (SELECT FROM refill_plans WHERE pool_id = :pool AND by > :now "
    "AND cancelled_at IS NULL)"
)


def change_refill(
    session: Session, pool_id: UUID, changes: dict[str, Any], *, actor_id: UUID, now: datetime
) -> UUID:
    """Set `target` (cards), `ceiling_minor` (per day, UTC) and `paused`; None takes one away.

    What is not named stays. Raises `NotFound`, `NotABuffer`, and `ValidationFailed` for a target
    that is not above the pool's low watermark, and for a target or a plan without a ceiling.
    """
    pool = _locked(session, pool_id)
    was = {
        "target": pool.refill_target,
        "ceiling_minor": pool.refill_ceiling_minor,
        "paused": pool.refill_paused_at is not None,
    }
    moved = {name: [was[name], value] for name, value in changes.items() if was[name] != value}
    _refuse(session, pool, {**was, **changes}, now)
    if not moved:
        return pool_id
    values: dict[str, Any] = {}
    if "target" in moved:
        values["refill_target"] = changes["target"]
    if "ceiling_minor" in moved:
        values["refill_ceiling_minor"] = changes["ceiling_minor"]
    if "paused" in moved:
        values["refill_paused_at"] = now if changes["paused"] else None
    session.execute(update(CardPool).where(CardPool.id == pool_id).values(**values))
    _audit(session, "pool.refill_changed", pool_id, actor_id, moved)
    return pool_id


def _refuse(session: Session, pool: Any, wanted: dict[str, Any], now: datetime) -> None:
    target = wanted["target"]
    if target is not None and target <= pool.low_watermark:
        detail = f"Give a target above the low watermark, which is {pool.low_watermark}."
        raise ValidationFailed(errors=(FieldError("out_of_range", detail, pointer="/target"),))
    if wanted["ceiling_minor"] is not None:
        return
    if target is not None or session.execute(_HAS_PLANS, {"pool": pool.id, "now": now}).scalar():
        detail = "Give what may be spent in a day: nothing is bought ahead without a ceiling."
        raise ValidationFailed(errors=(FieldError("required", detail, pointer="/ceiling_minor"),))


def refill_now(session: Session, pool_id: UUID, *, actor_id: UUID, now: datetime) -> UUID:
    """Fill the pool up to its target, whatever its low watermark; ceiling and rate hold.

    Raises `NotFound`, `NotABuffer`, `RefillNotSetUp`.
    """
    pool = _locked(session, pool_id)
    if pool.refill_target is None or pool.refill_ceiling_minor is None:
        raise RefillNotSetUp
    if pool.refill_paused_at or pool.disabled_at:
        raise RefillNotSetUp
    session.execute(update(CardPool).where(CardPool.id == pool_id).values(refill_since=now))
    defer(session, REFILL_BUFFERS, args={}, now=now, dedupe_key=REFILL_BUFFERS.name)
    _audit(session, "pool.refill_asked", pool_id, actor_id, {})
    return pool_id


def plan_refill(
    session: Session, pool_id: UUID, plan: NewPlan, *, actor_id: UUID, now: datetime
) -> UUID:
    """Have `needed` cards in the pool by a time.

    Raises `NotFound`, `NotABuffer`, `CeilingMissing`, and `ValidationFailed` for a time that is past.
    """
    if _locked(session, pool_id).refill_ceiling_minor is None:
        raise CeilingMissing
    if plan.by <= now:
        error = FieldError("in_the_past", "Give a time that is still to come.", pointer="/by")
        raise ValidationFailed(errors=(error,))
    identity = new_id()
    session.execute(
        insert(RefillPlan).values(
            id=identity, pool_id=pool_id, needed=plan.needed, by=plan.by, created_by=actor_id
        )
    )
    told: Detail = {"needed": plan.needed, "by": plan.by.isoformat()}
    _audit(session, "pool.refill_planned", pool_id, actor_id, told)
    return identity


def withdraw_plan(
    session: Session, pool_id: UUID, plan_id: UUID, *, actor_id: UUID, now: datetime
) -> UUID:
    """Buy nothing more for this plan; cards that are there stay. Done twice it is done once.

    Raises `NotFound` for a plan that is not this pool's, and as `refill_now` does for the pool.
    """
    # Before any row, as everywhere: a pass may be telling just now that the plan was missed.
    wait_for_lock(session, Namespace.REFILLING, "pass")
    _locked(session, pool_id)
    mine = (RefillPlan.id == plan_id, RefillPlan.pool_id == pool_id)
    plan = session.execute(
        select(RefillPlan.needed, RefillPlan.by, RefillPlan.cancelled_at).where(*mine)
    ).one_or_none()
    if plan is None:
        raise NotFound
    if plan.cancelled_at is None:
        session.execute(update(RefillPlan).where(*mine).values(cancelled_at=now))
        told: Detail = {"needed": plan.needed, "by": plan.by.isoformat()}
        _audit(session, "pool.refill_plan_withdrawn", pool_id, actor_id, told)
        settle_missed(session, [pool_id], now=now)
    return plan_id


def refill_state(
    session: Session, pool_ids: list[UUID], *, now: datetime, limits: Limits
) -> list[dict[str, Any]]:
    """How filling these pools stands, ready for JSON; the platform's only, since it tells costs.

    Pools that are no buffers are left out.
    """
    asked = look(session, now=now, limits=limits, pool_ids=pool_ids)
    has_plans = any(buffer.plans for buffer in asked)
    beside = look(session, now=now, limits=limits) if has_plans else []
    return [_shown(buffer, beside, now, limits) for buffer in asked]


def _shown(
    buffer: Buffer, beside: Sequence[Buffer], now: datetime, limits: Limits
) -> dict[str, Any]:
    row, wish = buffer.row, buffer.purchase(now=now, limits=limits)
    return {
        "pool_id": row.id,
        "currency": row.currency,
        "low_watermark": row.low_watermark,
        "target": row.refill_target,
        "ceiling_minor": row.refill_ceiling_minor,
        "paused": row.refill_paused_at is not None,
        "filling_since": row.refill_since,
        "stock": buffer.level.stock,
        "too_dear": buffer.too_dear,
        "on_the_way": buffer.level.on_the_way,
        "in_review": row.in_review,
        "spent_today_minor": buffer.means.spent_minor,
        "missing": wish.missing,
        "waits_for": wish.waits.value if wish.waits else None,
        "vendor": buffer.route.vendor if buffer.route else None,
        "plans": _plans_shown(buffer, beside, now, limits),
    }


def _plans_shown(
    buffer: Buffer, beside: Sequence[Buffer], now: datetime, limits: Limits
) -> list[dict[str, Any]]:
    """`can_be_met` counts what is left of today's ceiling, and what other pools want before."""
    shown, total, means = [], buffer.level.kept, buffer.means
    for plan in buffer.plans:
        begins, can_be_met = None, False
        if plan.missed_at is None:
            total += plan.needed
            before = begins_before(total, buffer.level.has, means.cards_per_day)
            if before is not None:
                begins = plan.by - timedelta(seconds=before + limits.refill_lead_seconds)
            missing = max(0, total - buffer.level.has)
            takes = means.seconds_for(missing, now, ahead=_ahead(buffer, beside, plan.by))
            can_be_met = takes is not None and now + timedelta(seconds=takes) <= plan.by
        shown.append(
            {
                "id": plan.id,
                "needed": plan.needed,
                "by": plan.by,
                "begins_at": begins,
                "can_be_met": can_be_met,
                "missed_at": plan.missed_at,
            }
        )
    return shown


def _ahead(buffer: Buffer, beside: Sequence[Buffer], by: datetime) -> int:
    """Cards that other pools want of the same vendor until then."""
    if buffer.route is None:
        return 0
    return sum(
        other.level.missing_by(by)
        for other in beside
        if other.row.id != buffer.row.id
        and other.hurdle is None
        and other.route is not None
        and other.route.vendor == buffer.route.vendor
    )


def _locked(session: Session, pool_id: UUID) -> Any:
    found = session.execute(_POOL.where(CardPool.id == pool_id).with_for_update(key_share=True))
    pool = found.one_or_none()
    if pool is None:
        raise NotFound
    if pool.kind != PoolKind.BUFFER:
        raise NotABuffer
    return pool


def _audit(session: Session, action: str, pool_id: UUID, actor_id: UUID, detail: Detail) -> None:
    record(
        session,
        action,
        object_kind="card_pool",
        object_id=pool_id,
        actor_id=actor_id,
        detail=detail,
    )
