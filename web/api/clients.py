"""Clients of agencies over HTTP, and the brands they may draw on."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields, validate
from sqlalchemy import Row

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.errors import FieldError, ValidationFailed
from pipelines.queue.keys import once
from pipelines.tenants import clients
from pipelines.tenants.time_zones import TIME_ZONES
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Identity, PageQuery, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, read_version, with_version

routes = Routes("clients", "Clients of agencies.")
BRANDS_MAX = 1_000
TIME_ZONE = validate.OneOf(TIME_ZONES, error="choice|Give a time zone such as Europe/Berlin.")


class ClientBody(Schema):
    name = Text(required=True, longest=200)
    agency_id = Identity()
    time_zone = Text(longest=64, load_default="UTC", validate=TIME_ZONE)


class ClientChange(Schema):
    name = Text(longest=200)
    time_zone = Text(longest=64, validate=TIME_ZONE)
    version = Count(low=1, high=2**31 - 1)


class ClientBrands(Schema):
    brand_ids = fields.List(Identity(), required=True, validate=validate.Length(max=BRANDS_MAX))


class BrandsOfClient(Schema):
    client_id = fields.UUID()
    brand_ids = fields.List(fields.UUID())


class Client(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    name = fields.String()
    time_zone = fields.String()
    suspended_at = fields.DateTime(allow_none=True)
    version = fields.Integer()
    created_at = fields.DateTime()


class ClientPage(Schema):
    data = fields.List(fields.Nested(Client))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


@routes.post("/clients")
@permitted(Permission.CLIENTS_CREATE)
@reads(ClientBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Client)
def create_client(body: dict[str, Any]) -> Response:
    """Make a client; an agency's administrator need not name the agency."""
    caller = principal()
    agency_id = body.get("agency_id") or caller.agency_id
    if agency_id is None:
        missing = FieldError("required", "Name the agency.", pointer="/agency_id")
        raise ValidationFailed(errors=(missing,))
    values = body | {"agency_id": agency_id}
    key = offered_key(caller, canonical(values))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(clients.create_client, session, actor_id=caller.actor_id, **values)
        done = once(session, key, make, status=201, resource_kind="client")
        row = clients.client(session, done.resource_id)
    return mark_replay(with_version(shown(row), 201), is_replay=done.is_replay)


@routes.get("/clients")
@permitted(Permission.CLIENTS_READ)
@asks(PageQuery)
@answers(200, ClientPage)
def list_clients(query: dict[str, Any]) -> Response:
    """List clients, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = clients.list_clients(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/clients/<uuid:client_id>")
@permitted(Permission.CLIENTS_READ)
@answers(200, Client)
def get_client(client_id: UUID) -> Response:
    """One client."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(shown(clients.client(session, client_id)))


@routes.patch("/clients/<uuid:client_id>")
@permitted(Permission.CLIENTS_EDIT)
@reads(ClientChange)
@answers(200, Client)
def change_client(body: dict[str, Any], client_id: UUID) -> Response:
    """Change a client; `If-Match` or `version` says what you last read."""
    caller = principal()
    values = {name: value for name, value in body.items() if name != "version"}
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        clients.change_client(
            session, client_id, values, version=read_version(body), actor_id=caller.actor_id
        )
        row = clients.client(session, client_id)
    return with_version(shown(row))


@routes.put("/clients/<uuid:client_id>/brands")
@permitted(Permission.CLIENT_BRANDS_MANAGE)
@reads(ClientBrands)
@answers(200, BrandsOfClient)
def restrict_brands(body: dict[str, Any], client_id: UUID) -> Response:
    """Let a client draw on these brands only; an empty list allows every brand."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        chosen = clients.restrict_brands(
            session, client_id, frozenset(body["brand_ids"]), actor_id=caller.actor_id
        )
    return jsonify({"client_id": client_id, "brand_ids": chosen})
