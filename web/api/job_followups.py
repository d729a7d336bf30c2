"""What follows a job that has ended, over HTTP: take it back, or run it again."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.database import scoped_transaction
from models.jobs import Priority
from models.scope import Scope, client
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.jobs.kinds import OnError
from pipelines.jobs.read import job_row
from pipelines.jobs.undo import preview_undo, submit_undo
from pipelines.provisioning.clone import CloneChoices, preview_clone, submit_clone
from pipelines.provisioning.clone_rows import Only
from pipelines.provisioning.plan import Dedupe
from pipelines.provisioning.recipients import DeliveryMethod
from web.admission import canonical, intake_slot, request_key
from web.api.job_schemas import Job
from web.api.provision_jobs import Plan
from web.api.routes import IDEMPOTENCY_KEY, PREFER, Routes, answers, asks, documented, may_read
from web.backpressure import saturation_now
from web.fields import PRIORITIES, Flag, Identity, Minor, Secret, Stamp, one_of
from web.front import front
from web.guards import permitted, principal
from web.jobs_shown import accepted
from web.rate_limits import limited

routes = Routes("job-followups", "What follows a job that has ended.")


class FollowupQuery(Schema):
    preview = Flag(in_text=True, load_default=False)


class CloneFields(Schema):
    campaign_id = Identity(load_default=None, allow_none=True)
    brand_id = Identity(load_default=None, allow_none=True)
    denomination_minor = Minor(load_default=None, allow_none=True)
    delivery_method = fields.String(load_default=None, validate=one_of(*DeliveryMethod))
    on_error = fields.String(load_default=None, validate=one_of(*OnError))
    dedupe = fields.String(load_default=None, validate=one_of(*Dedupe))
    allow_repeat = Flag(load_default=None)
    priority = fields.String(load_default=None, validate=one_of(*PRIORITIES))
    scheduled_for = Stamp(load_default=None, allow_none=True)
    plan_hash = Secret(longest=64, load_default=None, allow_none=True)


#: A schema has an attribute `only` of its own, so the field is not written as one.
CloneBody = CloneFields.from_dict(
    {"only": fields.String(load_default=Only.ALL.value, validate=one_of(*Only))}, name="CloneBody"
)


class LeftAsItIs(Schema):
    code = fields.String()
    count = fields.Integer()
    detail = fields.String()


class UndoPlan(Schema):
    undoable = fields.Integer()
    refund_minor = fields.Integer()
    currency = fields.String()
    not_undoable = fields.List(fields.Nested(LeftAsItIs))


@routes.post("/jobs/<uuid:job_id>/undo")
@permitted(Permission.JOBS_CONTROL)
@limited(Policy.SUBMIT)
@asks(FollowupQuery)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, UndoPlan)
@answers(202, Job)
def undo_job(query: dict[str, Any], job_id: UUID) -> Response:
    """Take back what a job gave; `?preview=true` counts it and writes nothing.

    Cards that nobody has seen go back to stock and their credit to its payer, and links die; coupons
    that were not redeemed go back into their book.
    """
    house, caller = front().house, principal()
    key = None if query["preview"] else request_key(caller)
    with scoped_transaction(house.sessions, scope_of_job(caller, job_id)) as session:
        if query["preview"]:
            return jsonify(preview_undo(session, job_id, kinds=house.job_kinds).as_json())
        done = submit_undo(
            session,
            job_id,
            actor_id=caller.actor_id,
            key=key,
            kinds=house.job_kinds,
            limits=house.limits,
        )
    return accepted(caller, done.resource_id, is_replay=done.is_replay)


@routes.post("/jobs/<uuid:job_id>/clone")
@permitted(Permission.PROVISION)
@limited(Policy.SUBMIT)
@asks(FollowupQuery)
@may_read(CloneBody)
@documented(parameters=[IDEMPOTENCY_KEY, PREFER])
@answers(200, Plan)
@answers(202, Job)
def clone_job(query: dict[str, Any], body: dict[str, Any], job_id: UUID) -> Response:
    """Give the recipients of an ended job cards again; `?preview=true` shows the plan.

    What the body leaves out is as it was. `only` takes the failed, the cancelled or the undone;
    rows that were refused for their own text are never tried again.
    """
    house, caller = front().house, principal()
    key = None if query["preview"] else request_key(caller, canonical(body))
    own: dict[str, Any] = {
        "person_secret": house.person_secret,
        "limits": house.limits,
        "saturated": saturation_now(),
    }
    scope, choices = scope_of_job(caller, job_id), _choices(body)
    with intake_slot(), scoped_transaction(house.sessions, scope) as session:
        if query["preview"]:
            return jsonify(preview_clone(session, job_id, choices, **own))
        done = submit_clone(session, job_id, choices, actor_id=caller.actor_id, key=key, **own)
    return accepted(caller, done.job_id, is_replay=done.is_replay)


def scope_of_job(caller: Principal, job_id: UUID) -> Scope:
    """The scope of the job's client, in which what follows it happens.

    Raises `NotFound` beyond the caller's own scope. The platform's own jobs have no client.
    """
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        client_id: UUID | None = job_row(session, job_id).client_id
    return client(client_id) if client_id is not None else caller.scope


def _choices(body: dict[str, Any]) -> CloneChoices:
    on_error, dedupe, priority = body["on_error"], body["dedupe"], body["priority"]
    return CloneChoices(
        campaign_id=body["campaign_id"],
        brand_id=body["brand_id"],
        denomination_minor=body["denomination_minor"],
        delivery_method=body["delivery_method"],
        on_error=OnError(on_error) if on_error else None,
        dedupe=Dedupe(dedupe) if dedupe else None,
        allow_repeat=body["allow_repeat"],
        priority=Priority[priority.upper()] if priority else None,
        scheduled_for=body["scheduled_for"],
        plan_hash=body["plan_hash"],
        only=Only(body["only"]),
    )
