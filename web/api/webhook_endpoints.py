"""Endpoints that are told of events, over HTTP; a secret is shown when it is drawn, and never again."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields, validate
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.queue.keys import Done, once
from pipelines.webhooks import endpoints
from pipelines.webhooks.catalogue import ALL
from pipelines.webhooks.endpoints import DESCRIPTION_CHARACTERS_MAX, Wanted
from pipelines.webhooks.signing import secret_of
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Identity, PageQuery, Text, one_of
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.pages import id_cursor, listed
from web.tenant_choice import place_of_endpoint

routes = Routes("webhook-endpoints", "Addresses of yours that are told of events.")
#: Longer than any address may be, so that its own rule says so.
URL_TEXT_MAX = 8 * 1024


def event_names(**options: Any) -> "fields.List[str]":
    """Types of events, each once; null is every type, those to come included."""
    some = validate.Length(1, len(ALL), error="required|Name each type once, or give null.")
    name = fields.String(validate=one_of(*sorted(ALL)))
    said = {"description": "Null: every type, those to come included."}
    return fields.List(name, validate=some, allow_none=True, metadata=said, **options)


class EndpointBody(Schema):
    url = Text(required=True, longest=URL_TEXT_MAX)
    description = Text(longest=DESCRIPTION_CHARACTERS_MAX, load_default="")
    events = event_names(load_default=None)
    client_id = Identity(
        load_default=None,
        allow_none=True,
        metadata={"description": "For a client below you; without it for yourselves."},
    )


class EndpointChange(Schema):
    url = Text(longest=URL_TEXT_MAX)
    description = Text(longest=DESCRIPTION_CHARACTERS_MAX)
    events = event_names()


class EndpointShown(Schema):
    id = fields.UUID()
    url = fields.String()
    description = fields.String()
    events = fields.List(fields.String(), allow_none=True)
    state = fields.String(metadata={"description": "`enabled` or `disabled`."})
    disabled_for = fields.String(
        allow_none=True, metadata={"description": "`by_person`, `no_success` or `gone`."}
    )
    disabled_at = fields.DateTime(allow_none=True)
    old_secret_until = fields.DateTime(
        allow_none=True, metadata={"description": "Until then two secrets sign."}
    )
    succeeded_at = fields.DateTime(allow_none=True)
    failing_since = fields.DateTime(allow_none=True)
    agency_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    created_at = fields.DateTime()


class EndpointMade(EndpointShown):
    secret = fields.String(
        allow_none=True, metadata={"description": "Shown this once; null in a repeat."}
    )


class EndpointPage(Schema):
    data = fields.List(fields.Nested(EndpointShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class EventTypeShown(Schema):
    type = fields.String()
    object = fields.String(metadata={"description": "What the id of its object belongs to."})
    sentence = fields.String()
    facts = fields.List(fields.String(), metadata={"description": "The members of `data`."})


class EventTypes(Schema):
    data = fields.List(fields.Nested(EventTypeShown))


def shown(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in EndpointShown().fields}


@routes.get("/webhook-event-types")
@permitted(Permission.WEBHOOKS_READ)
@answers(200, EventTypes)
def list_webhook_event_types() -> Response:
    """The types of events there are, and what is told of each."""
    told = [
        {
            "type": kind.name,
            "object": kind.object,
            "sentence": kind.sentence,
            "facts": list(kind.facts),
        }
        for kind in ALL.values()
    ]
    return jsonify({"data": told})


@routes.post("/webhook-endpoints")
@permitted(Permission.WEBHOOKS_MANAGE)
@reads(EndpointBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, EndpointMade)
def create_webhook_endpoint(body: dict[str, Any]) -> Response:
    """Make an endpoint; a repeat names it and does not show its secret again."""
    caller, house = freshly_proven(), front().house
    key = offered_key(caller, canonical(body))
    wanted = Wanted(body["url"], body["description"], body["events"])
    with scoped_transaction(house.sessions, caller.scope) as session:
        place = place_of_endpoint(session, caller, body["client_id"])
        anywhere = house.settings.webhooks_anywhere
        make = partial(
            endpoints.make_endpoint,
            session,
            wanted,
            place,
            actor_id=caller.actor_id,
            anywhere=anywhere,
        )
        done = once(session, key, make, status=201, resource_kind="webhook_endpoint")
        return _made(session, done, status=201)


@routes.get("/webhook-endpoints")
@permitted(Permission.WEBHOOKS_READ)
@asks(PageQuery)
@answers(200, EndpointPage)
def list_webhook_endpoints(query: dict[str, Any]) -> Response:
    """List endpoints, newest first; never their secrets."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = endpoints.list_endpoints(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/webhook-endpoints/<uuid:endpoint_id>")
@permitted(Permission.WEBHOOKS_READ)
@answers(200, EndpointShown)
def get_webhook_endpoint(endpoint_id: UUID) -> Response:
    """One endpoint; never its secret."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(shown(endpoints.endpoint_row(session, endpoint_id)))


@routes.patch("/webhook-endpoints/<uuid:endpoint_id>")
@permitted(Permission.WEBHOOKS_MANAGE)
@reads(EndpointChange)
@answers(200, EndpointShown)
def change_webhook_endpoint(body: dict[str, Any], endpoint_id: UUID) -> Response:
    """Change its address, description or types; what waits goes to the new address."""
    caller, house = principal(), front().house
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)
        row = endpoints.held_for_change(session, endpoint_id, now=now)
        named = {name: body.get(name, getattr(row, name)) for name in EndpointChange().fields}
        anywhere = house.settings.webhooks_anywhere
        endpoints.change_endpoint(
            session,
            endpoint_id,
            Wanted(**named),
            actor_id=caller.actor_id,
            anywhere=anywhere,
            now=now,
        )
        return jsonify(shown(endpoints.endpoint_row(session, endpoint_id)))


@routes.post("/webhook-endpoints/<uuid:endpoint_id>/disable")
@permitted(Permission.WEBHOOKS_MANAGE)
@answers(200, EndpointShown)
def disable_webhook_endpoint(endpoint_id: UUID) -> Response:
    """Tell it of nothing more, and cancel what waits."""
    return _changed(endpoint_id, endpoints.disable_endpoint)


@routes.post("/webhook-endpoints/<uuid:endpoint_id>/enable")
@permitted(Permission.WEBHOOKS_MANAGE)
@answers(200, EndpointShown)
def enable_webhook_endpoint(endpoint_id: UUID) -> Response:
    """Tell it of what happens from now on; what it missed is sent again one by one."""
    return _changed(endpoint_id, endpoints.enable_endpoint)


@routes.post("/webhook-endpoints/<uuid:endpoint_id>/rotate-secret")
@permitted(Permission.WEBHOOKS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, EndpointMade)
def rotate_webhook_secret(endpoint_id: UUID) -> Response:
    """Draw another secret; for 24 hours the one before signs beside it."""
    caller, house = freshly_proven(), front().house
    key = offered_key(caller, b"")
    with scoped_transaction(house.sessions, caller.scope) as session:
        rotate = partial(
            endpoints.rotate_secret,
            session,
            endpoint_id,
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        done = once(session, key, rotate, status=200, resource_kind="webhook_endpoint")
        return _made(session, done, status=200)


@routes.delete("/webhook-endpoints/<uuid:endpoint_id>")
@permitted(Permission.WEBHOOKS_MANAGE)
@answers(204)
def delete_webhook_endpoint(endpoint_id: UUID) -> Response:
    """End it for good, and cancel what waits."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        now = clock.now(session)
        endpoints.delete_endpoint(session, endpoint_id, actor_id=caller.actor_id, now=now)
    return Response(status=204)


def _changed(endpoint_id: UUID, change: Any) -> Response:
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        change(session, endpoint_id, actor_id=caller.actor_id, now=clock.now(session))
        return jsonify(shown(endpoints.endpoint_row(session, endpoint_id)))


def _made(session: Session, done: Done, *, status: int) -> Response:
    row = endpoints.endpoint_row(session, done.resource_id)
    key = front().house.webhook_key
    secret = None if done.is_replay else secret_of(row.id, row.secret_version, key=key)
    response = jsonify(shown(row) | {"secret": secret})
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return mark_replay(response, is_replay=done.is_replay)
