"""Dead letters over HTTP: work whose attempts are spent, listed, replayed or buried."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from models.tasks import TaskState
from pipelines.access.permissions import Permission
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.queue import dead_letters
from web.api.routes import Routes, answers, asks, may_read, reads
from web.fields import PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("dead-letters", "Background work that waits for a person, for the platform.")

NAME_CHARACTERS_MAX = 64


class DeadLettersQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*dead_letters.KEPT_STATES))
    kind = Text(longest=NAME_CHARACTERS_MAX, load_default=None)
    queue = Text(longest=NAME_CHARACTERS_MAX, load_default=None)


class BuryBody(Schema):
    reason = Text(longest=REASON_CHARACTERS_MAX, required=True)


class ReplayBody(Schema):
    kind = Text(longest=NAME_CHARACTERS_MAX, load_default=None)


class DeadLetter(Schema):
    id = fields.UUID()
    kind = fields.String()
    queue = fields.String()
    state = fields.String()
    tenant_id = fields.UUID(allow_none=True)
    job_id = fields.UUID(allow_none=True)
    attempts = fields.Integer()
    last_error = fields.String(allow_none=True)
    died_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    request_id = fields.String(allow_none=True)
    args = fields.Dict()


class DeadLetterPage(Schema):
    data = fields.List(fields.Nested(DeadLetter))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class TaskMoved(Schema):
    id = fields.UUID()
    state = fields.String()


class Replayed(Schema):
    replayed = fields.Integer()


def shown(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


@routes.get("/dead-letters")
@permitted(Permission.QUEUES_READ)
@asks(DeadLettersQuery)
@answers(200, DeadLetterPage)
def list_dead_letters(query: dict[str, Any]) -> Response:
    """List tasks that spent their attempts, youngest first; `args` holds ids and numbers only."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        rows = dead_letters.list_dead_letters(
            session,
            state=query["state"],
            kind=query["kind"],
            queue=query["queue"],
            before=before,
            limit=limit + 1,
        )
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.post("/dead-letters/<uuid:task_id>/replay")
@permitted(Permission.QUEUES_CONTROL)
@answers(200, TaskMoved)
def replay_dead_letter(task_id: UUID) -> Response:
    """Give one dead task all its attempts again."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        dead_letters.replay_dead_letter(
            session, task_id, actor_id=principal().actor_id, now=clock.now(session)
        )
    return jsonify({"id": task_id, "state": TaskState.READY.value})


@routes.post("/dead-letters/<uuid:task_id>/bury")
@permitted(Permission.QUEUES_CONTROL)
@reads(BuryBody)
@answers(200, TaskMoved)
def bury_dead_letter(body: dict[str, Any], task_id: UUID) -> Response:
    """Decide that a dead task is not to be done; it is kept for a month."""
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        dead_letters.bury_dead_letter(
            session,
            task_id,
            reason=body["reason"],
            actor_id=principal().actor_id,
            now=clock.now(session),
            limits=house.limits,
        )
    return jsonify({"id": task_id, "state": TaskState.BURIED.value})


@routes.post("/dead-letters/replay")
@permitted(Permission.QUEUES_CONTROL)
@may_read(ReplayBody)
@answers(200, Replayed)
def replay_dead_letters(body: dict[str, Any]) -> Response:
    """Replay all dead tasks, or those of one kind, the longest dead first; at most 1,000 a call."""
    house = front().house
    with scoped_transaction(house.sessions, SYSTEM) as session:
        replayed = dead_letters.replay_all(
            session,
            kind=body["kind"],
            actor_id=principal().actor_id,
            now=clock.now(session),
            limits=house.limits,
        )
    return jsonify({"replayed": replayed})
