"""Queues over HTTP: what waits, who works, and the switch that stops a queue."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.queue import pausing
from web.api.routes import Routes, answers, reads
from web.fields import Text
from web.front import front
from web.guards import permitted, principal
from web.queues_seen import look_at_engine

routes = Routes("queues", "The work engine at a glance, for the platform.")


class PauseBody(Schema):
    reason = Text(longest=REASON_CHARACTERS_MAX, required=True)


class QueuePause(Schema):
    since = fields.DateTime()
    by = fields.UUID(allow_none=True)
    reason = fields.String(allow_none=True)


class QueueShown(Schema):
    name = fields.String()
    ready = fields.Integer()
    due = fields.Integer()
    scheduled = fields.Integer()
    in_hand = fields.Integer()
    dead = fields.Integer()
    oldest_due_seconds = fields.Float(allow_none=True)
    workers = fields.Integer()
    threads = fields.Integer()
    busy = fields.Integer()
    rate_per_second = fields.Float()
    paused = fields.Nested(QueuePause, allow_none=True)
    broker_depth = fields.Integer(allow_none=True)


class ProcessShown(Schema):
    id = fields.UUID()
    name = fields.String()
    host = fields.String()
    pid = fields.Integer()
    threads = fields.Integer()
    busy = fields.Integer()
    done = fields.Integer()
    failed = fields.Integer()
    rate_per_second = fields.Float()
    rss_bytes = fields.Integer()
    state = fields.String()
    trouble = fields.String(allow_none=True)
    started_at = fields.DateTime()
    beat_at = fields.DateTime()
    is_alive = fields.Boolean()


class Engine(Schema):
    queues = fields.List(fields.Nested(QueueShown))
    processes = fields.List(fields.Nested(ProcessShown))


class QueueMoved(Schema):
    name = fields.String()
    is_paused = fields.Boolean()


@routes.get("/queues")
@permitted(Permission.QUEUES_READ)
@answers(200, Engine)
def list_queues() -> Response:
    """Every queue with its backlog and its workers, and every process that said it lives."""
    seen = look_at_engine()
    return jsonify(
        {
            "queues": [q.as_json(broker_depth=seen.depth(q.name)) for q in seen.queues],
            "processes": [process.as_json() for process in seen.processes],
        }
    )


@routes.post("/queues/<name>/pause")
@permitted(Permission.QUEUES_CONTROL)
@reads(PauseBody)
@answers(200, QueueMoved)
def pause_queue(body: dict[str, Any], name: str) -> Response:
    """Begin nothing of this queue; what runs ends, what comes waits."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        pausing.pause_queue(
            session,
            name,
            reason=body["reason"],
            actor_id=principal().actor_id,
            now=clock.now(session),
        )
    return jsonify({"name": name, "is_paused": True})


@routes.post("/queues/<name>/resume")
@permitted(Permission.QUEUES_CONTROL)
@answers(200, QueueMoved)
def resume_queue(name: str) -> Response:
    """Let the queue run again."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        pausing.resume_queue(session, name, actor_id=principal().actor_id, now=clock.now(session))
    return jsonify({"name": name, "is_paused": False})
