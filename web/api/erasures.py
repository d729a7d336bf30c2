"""Erasure of a person over HTTP: asked once, done by a task, counted by table."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.erasure.ask import Asked, ask_erasure, erasure, list_erasures
from pipelines.errors import NotFound
from pipelines.jobs.addresses import person_key
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, request_key
from web.api.routes import IDEMPOTENCY_KEY, Routes, answers, asks, documented, reads
from web.api.users import EmailAddress
from web.fields import Identity, PageQuery, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("erasures", "Forget a person: what was sent to them stays counted, not theirs.")


class ErasureBody(Schema):
    email = EmailAddress(required=True, longest=320)
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)
    client_id = Identity(
        load_default=None,
        allow_none=True,
        metadata={"description": "Only there; the platform may leave it out: everywhere."},
    )


class ErasureCounts(Schema):
    items = fields.Integer()
    provisions = fields.Integer()
    redemption_codes = fields.Integer()
    drafts = fields.Integer()
    users = fields.Integer()


class ErasureShown(Schema):
    id = fields.UUID()
    state = fields.String()
    client_id = fields.UUID(allow_none=True)
    erased = fields.Nested(ErasureCounts)
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)


class ErasurePage(Schema):
    data = fields.List(fields.Nested(ErasureShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.post("/erasures")
@permitted(Permission.PEOPLE_ERASE)
@reads(ErasureBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(202, ErasureShown)
def create_erasure(body: dict[str, Any]) -> Response:
    """Erase who has this address from all that was submitted before; 202, a task does it."""
    caller, house = principal(), front().house
    asked = Asked(body["email"], body["reason"], _place(caller, body["client_id"]))
    # What is kept of a request is a fast hash, which would find the address again.
    named = body | {"email": person_key(asked.email, house.person_secret).hex()}
    key = request_key(caller, canonical(named))
    with scoped_transaction(house.sessions, caller.scope) as session:
        ask = partial(
            ask_erasure,
            session,
            asked,
            actor_id=caller.actor_id,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )
        done = once(session, key, ask, status=202, resource_kind="erasure")
        response = jsonify(_shown(erasure(session, done.resource_id)))
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/erasures/{done.resource_id}"
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/erasures")
@permitted(Permission.PEOPLE_ERASE)
@asks(PageQuery)
@answers(200, ErasurePage)
def list_erasure_requests(query: dict[str, Any]) -> Response:
    """Erasures of your tenant, newest first; whom they forgot is not kept."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = list_erasures(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=_shown, place=lambda row: row.id)


@routes.get("/erasures/<uuid:erasure_id>")
@permitted(Permission.PEOPLE_ERASE)
@answers(200, ErasureShown)
def get_erasure(erasure_id: UUID) -> Response:
    """How far an erasure has come, and what it found by table."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(_shown(erasure(session, erasure_id)))


def _place(caller: Principal, given: UUID | None) -> UUID | None:
    """The caller's own client; of the platform the one named, or everywhere."""
    if caller.client_id is None:
        return given
    if given not in (None, caller.client_id):
        raise NotFound
    return caller.client_id


def _shown(row: Any) -> dict[str, Any]:
    counts = ("items", "provisions", "redemption_codes", "drafts", "users")
    return {
        "id": row.id,
        "state": row.state,
        "client_id": row.client_id,
        "erased": {name: getattr(row, name) for name in counts},
        "created_at": row.created_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
    }
