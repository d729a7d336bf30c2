"""A job's timeline over HTTP."""

from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from pipelines.access.permissions import Permission
from web.api.routes import Routes, answers
from web.guards import permitted, principal
from web.timelines import look_at_timeline

routes = Routes("job-timeline", "What happened to a job, and by whom.")


class Actor(Schema):
    id = fields.UUID(allow_none=True)
    name = fields.String(allow_none=True)


class TimelineEvent(Schema):
    at = fields.DateTime()
    event = fields.String()
    by = fields.Nested(Actor)
    detail = fields.Dict()


class TimelineShown(Schema):
    events = fields.List(fields.Nested(TimelineEvent))
    is_cut = fields.Boolean()


@routes.get("/jobs/<uuid:job_id>/timeline")
@permitted(Permission.JOBS_READ)
@answers(200, TimelineShown)
def get_job_timeline(job_id: UUID) -> Response:
    """What happened to the job, oldest first, then what it waits for now.

    `by.name` is `system` for what nobody did. `is_cut` says that older events were left out.
    """
    seen = look_at_timeline(principal(), job_id)
    events = [
        {
            "at": event.at,
            "event": event.event,
            "by": {"id": event.actor_id, "name": seen.name_of(event)},
            "detail": event.detail,
        }
        for event in seen.timeline.events
    ]
    return jsonify({"events": events, "is_cut": seen.timeline.is_cut})
