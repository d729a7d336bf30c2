"""API keys of storefronts over HTTP; a key is shown once, when it is made."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields, validate
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access import api_keys
from pipelines.access.permissions import KeyScope, Permission
from pipelines.queue.keys import once
from pipelines.settings import Environment
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Identity, PageQuery, Text, one_of
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.pages import id_cursor, listed
from web.tenant_choice import chosen_client

routes = Routes("api-keys", "Keys with which storefronts call this API.")


class KeyBody(Schema):
    name = Text(required=True, longest=200)
    client_id = Identity()
    scopes = fields.List(
        fields.String(validate=one_of(*KeyScope)),
        required=True,
        validate=validate.Length(min=1, error="required|Name at least one scope."),
    )


class Key(Schema):
    id = fields.UUID()
    name = fields.String()
    prefix = fields.String()
    client_id = fields.UUID()
    scopes = fields.List(fields.String())
    expires_at = fields.DateTime()
    last_used_at = fields.DateTime(allow_none=True)
    revoked_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()


class MadeKey(Key):
    key = fields.String(
        allow_none=True, metadata={"description": "Shown this once; null in a repeat."}
    )


class KeyPage(Schema):
    data = fields.List(fields.Nested(Key))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


@routes.post("/api-keys")
@permitted(Permission.KEYS_MANAGE)
@reads(KeyBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, MadeKey)
def create_api_key(body: dict[str, Any]) -> Response:
    """Make a key for a client; a repeat names the key and does not show it again."""
    house, caller = front().house, freshly_proven()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:
        client_id = chosen_client(session, caller, body.get("client_id"))
        agency_id = api_keys.client_for_key(session, client_id)
    drawn = api_keys.draw_key(is_live=house.settings.environment is Environment.PRODUCTION)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        make = partial(
            api_keys.make_key,
            session,
            drawn,
            name=body["name"],
            agency_id=agency_id,
            client_id=client_id,
            scopes=frozenset(KeyScope(scope) for scope in body["scopes"]),
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        done = once(session, key, make, status=201, resource_kind="api_key")
        row = api_keys.key_row(session, caller, done.resource_id)
    response = jsonify(shown(row) | {"key": None if done.is_replay else drawn.text})
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/api-keys")
@permitted(Permission.KEYS_MANAGE)
@asks(PageQuery)
@answers(200, KeyPage)
def list_api_keys(query: dict[str, Any]) -> Response:
    """List keys, newest first; never the keys themselves."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        rows = api_keys.list_keys(session, principal(), before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.delete("/api-keys/<uuid:key_id>")
@permitted(Permission.KEYS_MANAGE)
@answers(204)
def delete_api_key(key_id: UUID) -> Response:
    """End a key at once."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        api_keys.end_key(session, key_id, principal(), now=clock.now(session))
    return Response(status=204)
