"""Filling buffer pools ahead, over HTTP: for the platform, which pays for the cards."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound
from pipelines.queue.keys import once
from pipelines.refilling.controls import (
    NewPlan,
    change_refill,
    plan_refill,
    refill_now,
    refill_state,
    withdraw_plan,
)
from web.admission import canonical, mark_replay, offered_key, request_key
from web.api.routes import IDEMPOTENCY_KEY, MAY_HAVE_KEY, Routes, answers, documented, reads
from web.fields import Count, Flag, Minor, Stamp
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

routes = Routes("gift-card-pool-refills", "Buffers that are filled ahead.")

CARDS_MAX = 1_000_000


class RefillChange(Schema):
    """What is left out stays as it is; null takes it away."""

    target = Count(
        low=1,
        high=CARDS_MAX,
        allow_none=True,
        metadata={"description": "Cards to fill up to; without one it is filled for plans only."},
    )
    ceiling_minor = Minor(
        zero=True,
        allow_none=True,
        metadata={
            "description": "What may be spent in a day (UTC), in the pool's currency; a target "
            "and a plan need one."
        },
    )
    paused = Flag(metadata={"description": "Nothing is bought; orders not sent yet end."})

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required|Give `target`, `ceiling_minor` or `paused`.")


class RefillPlanBody(Schema):
    needed = Count(required=True, low=1, high=CARDS_MAX)
    by = Stamp(required=True)


class RefillNow(Schema):
    """No field is taken."""


class RefillPlanned(Schema):
    id = fields.UUID()
    needed = fields.Integer()
    by = fields.DateTime()
    begins_at = fields.DateTime(
        allow_none=True, metadata={"description": "When buying must begin, at the vendor's rate."}
    )
    can_be_met = fields.Boolean()
    missed_at = fields.DateTime(
        allow_none=True, metadata={"description": "When its time had passed without its cards."}
    )


class PoolRefill(Schema):
    pool_id = fields.UUID()
    currency = fields.String()
    low_watermark = fields.Integer()
    target = fields.Integer(allow_none=True)
    ceiling_minor = fields.Integer(allow_none=True)
    paused = fields.Boolean()
    filling_since = fields.DateTime(allow_none=True)
    stock = fields.Integer()
    too_dear = fields.Integer(
        metadata={"description": "Cards that cost more than the floor allows; `stock` is without."}
    )
    on_the_way = fields.Integer(
        metadata={"description": "Orders whose cards count as being there, `in_review` among them."}
    )
    in_review = fields.Integer(
        metadata={"description": "Of these, orders that a person must look at and resolve."}
    )
    spent_today_minor = fields.Integer()
    missing = fields.Integer()
    waits_for = fields.String(allow_none=True)
    vendor = fields.String(allow_none=True)
    plans = fields.List(fields.Nested(RefillPlanned))


@routes.get("/gift-card-pools/<uuid:pool_id>/refill")
@permitted(Permission.POOLS_REFILL)
@answers(200, PoolRefill)
def get_pool_refill(pool_id: UUID) -> Response:
    """How filling a buffer stands, and what it waits for."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(_state(session, pool_id))


@routes.patch("/gift-card-pools/<uuid:pool_id>/refill")
@permitted(Permission.POOLS_REFILL)
@reads(RefillChange)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, PoolRefill)
def change_pool_refill(body: dict[str, Any], pool_id: UUID) -> Response:
    """Set how far and how dearly a buffer is filled, or pause filling."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now, by = clock.now(session), caller.actor_id
        change = partial(change_refill, session, pool_id, body, actor_id=by, now=now)
        done = once(session, key, change, status=200, resource_kind="card_pool")
        return mark_replay(jsonify(_state(session, pool_id)), is_replay=done.is_replay)


@routes.post("/gift-card-pools/<uuid:pool_id>/refill")
@permitted(Permission.POOLS_REFILL)
@limited(Policy.SUBMIT)
@reads(RefillNow)
@documented(parameters=[MAY_HAVE_KEY])
@answers(202, PoolRefill)
def refill_pool_now(body: dict[str, Any], pool_id: UUID) -> Response:
    """Fill a buffer up to its target now, within its ceiling and the vendor's rate."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now, by = clock.now(session), caller.actor_id
        ask = partial(refill_now, session, pool_id, actor_id=by, now=now)
        done = once(session, key, ask, status=202, resource_kind="card_pool")
        response = jsonify(_state(session, pool_id))
    response.status_code = 202
    return mark_replay(response, is_replay=done.is_replay)


@routes.post("/gift-card-pools/<uuid:pool_id>/plans")
@permitted(Permission.POOLS_REFILL)
@limited(Policy.SUBMIT)
@reads(RefillPlanBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(201, PoolRefill)
def plan_pool_refill(body: dict[str, Any], pool_id: UUID) -> Response:
    """Have so many cards in a buffer by a time: buying begins as late as it can."""
    caller = principal()
    key = request_key(caller, canonical(body | {"by": body["by"].isoformat()}))
    plan = NewPlan(**body)
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now, by = clock.now(session), caller.actor_id
        make = partial(plan_refill, session, pool_id, plan, actor_id=by, now=now)
        done = once(session, key, make, status=201, resource_kind="refill_plan")
        response = jsonify(_state(session, pool_id))
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


@routes.delete("/gift-card-pools/<uuid:pool_id>/plans/<uuid:plan_id>")
@permitted(Permission.POOLS_REFILL)
@answers(204)
def withdraw_pool_plan(pool_id: UUID, plan_id: UUID) -> Response:
    """Buy nothing more for this launch; cards that are there stay."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now, by = clock.now(session), caller.actor_id
        withdraw_plan(session, pool_id, plan_id, actor_id=by, now=now)
    return Response(status=204)


def _state(session: Session, pool_id: UUID) -> dict[str, Any]:
    limits = front().house.limits
    found = refill_state(session, [pool_id], now=clock.now(session), limits=limits)
    if not found:
        raise NotFound
    return found[0]
