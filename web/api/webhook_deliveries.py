"""What became of each event that was sent, over HTTP: listed, sent again, and tried out."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.webhooks import WebhookState
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.queue.keys import once
from pipelines.webhooks import redeliver
from web.admission import mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented
from web.fields import Identity, PageQuery, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed
from web.rate_limits import limited

routes = Routes("webhook-deliveries", "What became of each event that was sent to an endpoint.")


class DeliveriesQuery(PageQuery):
    endpoint_id = Identity(load_default=None)
    state = fields.String(load_default=None, validate=one_of(*WebhookState))


class WebhookTry(Schema):
    at = fields.DateTime()
    outcome = fields.String()
    milliseconds = fields.Integer()


class EventObject(Schema):
    kind = fields.String()
    id = fields.UUID()


class WebhookDeliveryShown(Schema):
    id = fields.UUID()
    endpoint_id = fields.UUID()
    event_id = fields.UUID()
    type = fields.String()
    object = fields.Nested(EventObject)
    sequence = fields.Integer(metadata={"description": "Among the events of its object."})
    data = fields.Dict(keys=fields.String())
    happened_at = fields.DateTime()
    is_test = fields.Boolean()
    state = fields.String()
    outcome = fields.String(
        allow_none=True,
        metadata={"description": "`http_<status>`, or a word of ours for what hindered it."},
    )
    attempts = fields.Integer()
    tries = fields.List(fields.Nested(WebhookTry))
    next_at = fields.DateTime(allow_none=True)
    ended_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()


class WebhookDeliveryPage(Schema):
    data = fields.List(fields.Nested(WebhookDeliveryShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(row: Row[Any]) -> dict[str, Any]:
    named = WebhookDeliveryShown(exclude=("object",)).fields
    told = {name: getattr(row, name) for name in named}
    return told | {"object": {"kind": row.object_kind, "id": row.object_id}}


@routes.get("/webhook-deliveries")
@permitted(Permission.WEBHOOKS_READ)
@asks(DeliveriesQuery)
@answers(200, WebhookDeliveryPage)
def list_webhook_deliveries(query: dict[str, Any]) -> Response:
    """List deliveries to your endpoints, newest first."""
    limit = query["limit"]
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = redeliver.list_deliveries(
            session,
            endpoint_id=query["endpoint_id"],
            state=query["state"],
            before=id_cursor(query),
            limit=limit + 1,
        )
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/webhook-deliveries/<uuid:delivery_id>")
@permitted(Permission.WEBHOOKS_READ)
@answers(200, WebhookDeliveryShown)
def get_webhook_delivery(delivery_id: UUID) -> Response:
    """One delivery with all its tries."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(shown(redeliver.delivery_row(session, delivery_id)))


@routes.post("/webhook-deliveries/<uuid:delivery_id>/retry")
@permitted(Permission.WEBHOOKS_MANAGE)
@limited(Policy.REDELIVER)
@answers(202, WebhookDeliveryShown)
def retry_webhook_delivery(delivery_id: UUID) -> Response:
    """Send the event again under its old `event_id`, whatever became of it before."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now = clock.now(session)
        redeliver.redeliver(session, delivery_id, actor_id=caller.actor_id, now=now)
        response = jsonify(shown(redeliver.delivery_row(session, delivery_id)))
    response.status_code = 202
    return response


@routes.post("/webhook-endpoints/<uuid:endpoint_id>/test")
@permitted(Permission.WEBHOOKS_MANAGE)
@limited(Policy.TRIAL)
@documented(parameters=[MAY_HAVE_KEY])
@answers(202, WebhookDeliveryShown)
def test_webhook_endpoint(endpoint_id: UUID) -> Response:
    """Send a test, once, also to a disabled endpoint; it never counts for or against it."""
    caller = principal()
    key = offered_key(caller, b"")
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now = clock.now(session)
        send = partial(redeliver.send_test, session, endpoint_id, actor_id=caller.actor_id, now=now)
        done = once(session, key, send, status=202, resource_kind="webhook_delivery")
        response = jsonify(shown(redeliver.delivery_row(session, done.resource_id)))
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/webhook-deliveries/{done.resource_id}"
    return mark_replay(response, is_replay=done.is_replay)
