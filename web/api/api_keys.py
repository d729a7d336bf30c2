"""API keys of storefronts over HTTP; a key is shown once, when it is made."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields, validate
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access import api_keys
from pipelines.access.api_keys import DrawnKey, NewKey
from pipelines.access.networks import NETWORKS_MAX, NOT_A_NETWORK, read_network
from pipelines.access.permissions import KeyScope, Permission
from pipelines.queue.keys import Done, once
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, may_read, reads
from web.fields import Count, Identity, PageQuery, Text, one_of
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.new_keys import draw
from web.pages import id_cursor, listed
from web.tenant_choice import chosen_client

routes = Routes("api-keys", "Keys with which storefronts call this API.")


class Network(fields.String):
    """A network in CIDR notation, in its one spelling."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "invalid": f"invalid_network|{NOT_A_NETWORK}"
    }

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        network = read_network(super()._deserialize(value, *args, **kwargs))
        if network is None:
            raise self.make_error("invalid")
        return network


class KeyBody(Schema):
    name = Text(required=True, longest=200)
    client_id = Identity()
    scopes = fields.List(
        fields.String(validate=one_of(*KeyScope)),
        required=True,
        validate=validate.Length(min=1, error="required|Name at least one scope."),
    )
    allowed_cidrs = fields.List(
        Network(),
        load_default=list,
        validate=validate.Length(max=NETWORKS_MAX, error="too_many|Name at most {max} networks."),
        metadata={"description": "Networks from which the key may be used; none: from anywhere."},
    )
    expires_in_days = Count(low=1, high=api_keys.DAYS_MAX, load_default=api_keys.DAYS_MAX)


class RotationBody(Schema):
    overlap_seconds = Count(
        low=0,
        high=api_keys.OVERLAP_SECONDS_MAX,
        load_default=api_keys.OVERLAP_SECONDS,
        metadata={"description": "How long the key before goes on; 0 ends it at once."},
    )
    expires_in_days = Count(low=1, high=api_keys.DAYS_MAX, load_default=api_keys.DAYS_MAX)


class Key(Schema):
    id = fields.UUID()
    name = fields.String()
    prefix = fields.String()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    scopes = fields.List(fields.String())
    allowed_cidrs = fields.List(fields.String())
    replaces = fields.UUID(
        allow_none=True, metadata={"description": "The key whose place this one took."}
    )
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
    caller, drawn = freshly_proven(), draw()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        wanted = NewKey(
            name=body["name"],
            client_id=chosen_client(session, caller, body.get("client_id")),
            scopes=[KeyScope(scope) for scope in body["scopes"]],
            allowed_cidrs=body["allowed_cidrs"],
            days=body["expires_in_days"],
        )
        now = clock.now(session)
        make = partial(api_keys.make_key, session, drawn, wanted, actor_id=caller.actor_id, now=now)
        done = once(session, key, make, status=201, resource_kind="api_key")
        return _made(session, drawn, done)


@routes.post("/api-keys/<uuid:key_id>/rotate")
@permitted(Permission.KEYS_MANAGE)
@may_read(RotationBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, MadeKey)
def rotate_api_key(body: dict[str, Any], key_id: UUID) -> Response:
    """Make a key that takes this one's place; both live until the overlap is over."""
    caller, drawn = freshly_proven(), draw()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(
            api_keys.rotate_key,
            session,
            key_id,
            drawn,
            overlap_seconds=body["overlap_seconds"],
            days=body["expires_in_days"],
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        done = once(session, key, make, status=201, resource_kind="api_key")
        return _made(session, drawn, done)


@routes.get("/api-keys")
@permitted(Permission.KEYS_MANAGE)
@asks(PageQuery)
@answers(200, KeyPage)
def list_api_keys(query: dict[str, Any]) -> Response:
    """List keys, newest first; never the keys themselves."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = api_keys.list_keys(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/api-keys/<uuid:key_id>")
@permitted(Permission.KEYS_MANAGE)
@answers(200, Key)
def get_api_key(key_id: UUID) -> Response:
    """One key; never the key itself."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(shown(api_keys.key_row(session, key_id)))


@routes.delete("/api-keys/<uuid:key_id>")
@permitted(Permission.KEYS_MANAGE)
@answers(204)
def delete_api_key(key_id: UUID) -> Response:
    """End a key at once."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        api_keys.end_key(session, key_id, caller, now=clock.now(session))
    return Response(status=204)


def _made(session: Session, drawn: DrawnKey, done: Done) -> Response:
    row = api_keys.key_row(session, done.resource_id)
    response = jsonify(shown(row) | {"key": None if done.is_replay else drawn.text})
    response.status_code = 201
    response.headers["Cache-Control"] = "no-store"
    return mark_replay(response, is_replay=done.is_replay)
