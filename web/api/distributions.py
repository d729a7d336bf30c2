"""Bulk distribution over HTTP: previewed, accepted, and drawn again by whoever doubts it."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.database import scoped_transaction
from models.jobs import Priority
from models.scope import Scope, client
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.distribution.draw import Mode, RemainderPolicy
from pipelines.distribution.plan import DistributionOptions, OnFailure
from pipelines.distribution.read import draw_json, members_csv
from pipelines.distribution.submit import Submission, submit_distribution
from pipelines.limits import DEFAULTS
from pipelines.user_pools.pools import pool
from web.admission import canonical, request_key
from web.api.job_schemas import Job
from web.api.routes import (
    IDEMPOTENCY_KEY,
    PREFER,
    Routes,
    answers,
    answers_csv,
    asks,
    documented,
    reads,
)
from web.backpressure import saturation_now
from web.fields import PRIORITIES, Count, Flag, Identity, Stamp, Text, one_of
from web.foreseen import foreseen
from web.front import front
from web.guards import permitted, principal
from web.jobs_shown import accepted
from web.rate_limits import limited

routes = Routes("distributions", "Coupons of a book, given to the people of a pool.")
SEED_CHARACTERS_MAX = 128
PLAN_HASH_CHARACTERS_MAX = 96


class DistributeBody(Schema):
    book_id = Identity(required=True)
    mode = fields.String(required=True, validate=one_of(*Mode))
    count = Count(required=True, low=1, high=DEFAULTS.distribution_items_max)
    remainder_policy = fields.String(
        load_default=RemainderPolicy.KEEP.value,
        validate=one_of(*RemainderPolicy),
        metadata={
            "description": "What becomes of coupons that an equal share leaves over: they stay in "
            "the book, or go to members drawn at random, or to the first of the pool."
        },
    )
    mode_on_failure = fields.String(
        load_default=OnFailure.PER_RECIPIENT.value, validate=one_of(*OnFailure)
    )
    max_per_recipient = Count(
        load_default=None,
        allow_none=True,
        low=1,
        high=DEFAULTS.distribution_items_max,
        metadata={"description": "At most so many of this job for one member: 1 draws winners."},
    )
    seed = Text(
        longest=SEED_CHARACTERS_MAX,
        load_default=None,
        allow_none=True,
        metadata={"description": "Your own seed; without one it is made from the plan."},
    )
    allow_partial = Flag(
        load_default=False,
        metadata={"description": "Serve as many as there are coupons for."},
    )
    force = Flag(load_default=False)
    plan_hash = Text(longest=PLAN_HASH_CHARACTERS_MAX, load_default=None, allow_none=True)
    allow_drift = Flag(
        load_default=False,
        metadata={"description": "Submit although the plan is another one than `plan_hash`."},
    )
    scheduled_for = Stamp(load_default=None, allow_none=True)
    priority = fields.String(load_default="normal", validate=one_of(*PRIORITIES))


class DistributeQuery(Schema):
    preview = Flag(in_text=True, load_default=False)


class PersonShown(Schema):
    user_id = fields.UUID()
    email = fields.String(allow_none=True)
    external_id = fields.String(allow_none=True)


class AffectedPerson(PersonShown):
    count = fields.Integer(allow_none=True, metadata={"description": "Null in a random draw."})


class RefusedPerson(PersonShown):
    code = fields.String()
    detail = fields.String()


class StockForeseen(Schema):
    available = fields.Integer()
    after = fields.Integer()


class DistributionBlocker(Schema):
    code = fields.String()
    detail = fields.String()


class DistributionPlan(Schema):
    plan_hash = fields.String()
    mode = fields.String()
    count = fields.Integer()
    rows = fields.Integer()
    members = fields.Integer()
    active = fields.Integer()
    affected_count = fields.Integer()
    affected = fields.List(
        fields.Nested(AffectedPerson), metadata={"description": "The first hundred."}
    )
    per_user = fields.Integer(
        allow_none=True, metadata={"description": "The equal share, whatever limits leave of it."}
    )
    fewest_per_user = fields.Integer(
        allow_none=True, metadata={"description": "Equal mode: of those who get some."}
    )
    most_per_user = fields.Integer(allow_none=True)
    remainder = fields.Integer()
    remainder_policy = fields.String()
    to_assign = fields.Integer()
    refused_count = fields.Integer()
    refused = fields.List(
        fields.Nested(RefusedPerson), metadata={"description": "The first hundred."}
    )
    stock = fields.Nested(StockForeseen)
    seed_sha256 = fields.String(
        metadata={"description": "The digest of the seed, before the draw."}
    )
    draw_number = fields.Integer()
    blockers = fields.List(fields.Nested(DistributionBlocker))


class DrawShown(Schema):
    job_id = fields.UUID()
    mode = fields.String()
    count = fields.Integer()
    remainder_policy = fields.String()
    draw_number = fields.Integer()
    plan_hash = fields.String()
    seed_sha256 = fields.String()
    seed = fields.String(allow_none=True, metadata={"description": "Null until the job has ended."})
    seed_is_given = fields.Boolean()
    members = fields.Integer()
    members_csv = fields.String()
    results_csv = fields.String()


@routes.post("/pools/<uuid:user_pool_id>/distribute")
@permitted(Permission.COUPONS_ASSIGN)
@limited(Policy.SUBMIT)
@asks(DistributeQuery)
@reads(DistributeBody)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, DistributionPlan)
@answers(202, Job)
def distribute_to_pool(query: dict[str, Any], body: dict[str, Any], user_pool_id: UUID) -> Response:
    """Give coupons of a book to the people of a pool; `?preview=true` shows the plan and writes nothing.

    Random draws a member for each coupon; equal gives each the same number. Who is in the pool is
    fixed when it is accepted, and so is the digest of the seed that everything is drawn from.
    """
    house, caller = front().house, principal()
    key = None if query["preview"] else request_key(caller, canonical(body))
    asked = _submission(body, user_pool_id)
    with scoped_transaction(house.sessions, _scope_of_pool(user_pool_id)) as session:
        if query["preview"]:
            return jsonify(foreseen(session, asked, caller.actor_id))
        done = submit_distribution(
            session,
            asked,
            actor_id=caller.actor_id,
            key=key,
            draw_key=house.draw_key,
            limits=house.limits,
        )
    return accepted(caller, done.resource_id, is_replay=done.is_replay)


@routes.get("/jobs/<uuid:job_id>/draw")
@permitted(Permission.JOBS_READ)
@answers(200, DrawShown)
def get_draw(job_id: UUID) -> Response:
    """What a distribution was drawn from; with the two files anybody can draw it again."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(draw_json(session, job_id))


@routes.get("/jobs/<uuid:job_id>/draw-members.csv")
@permitted(Permission.JOBS_READ)
@answers_csv()
def download_draw_members(job_id: UUID) -> Response:
    """Who was in the pool when it was drawn, in its order; `capacity` is what each could still take."""
    blocks = members_csv(front().house.sessions, principal().scope, job_id)
    response = Response(blocks, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=f"draw-{job_id}.csv")
    return response


def _scope_of_pool(pool_id: UUID) -> Scope:
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return client(pool(session, pool_id).client_id)


def _submission(body: dict[str, Any], pool_id: UUID) -> Submission:
    options = DistributionOptions(
        pool_id=pool_id,
        book_id=body["book_id"],
        mode=Mode(body["mode"]),
        count=body["count"],
        remainder_policy=RemainderPolicy(body["remainder_policy"]),
        on_failure=OnFailure(body["mode_on_failure"]),
        max_per_recipient=body["max_per_recipient"],
        seed=body["seed"],
    )
    return Submission(
        options,
        plan_hash=body["plan_hash"],
        allow_drift=body["allow_drift"],
        allow_partial=body["allow_partial"],
        force=body["force"],
        scheduled_for=body["scheduled_for"],
        priority=Priority[body["priority"].upper()],
        saturated=saturation_now(),
    )
