"""Agencies over HTTP."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import Row

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.queue.keys import once
from pipelines.tenants import agencies
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, PageQuery, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, read_version, with_version

routes = Routes("agencies", "Agencies of the platform.")


class AgencyBody(Schema):
    name = Text(required=True, longest=200)


class AgencyChange(Schema):
    name = Text(required=True, longest=200)
    version = Count(low=1, high=2**31 - 1)


class Agency(Schema):
    id = fields.UUID()
    name = fields.String()
    version = fields.Integer()
    created_at = fields.DateTime()


class AgencyPage(Schema):
    data = fields.List(fields.Nested(Agency))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


@routes.post("/agencies")
@permitted(Permission.AGENCIES_CREATE)
@reads(AgencyBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Agency)
def create_agency(body: dict[str, Any]) -> Response:
    """Make an agency."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(agencies.create_agency, session, actor_id=caller.actor_id, **body)
        done = once(session, key, make, status=201, resource_kind="agency")
        row = agencies.agency(session, done.resource_id)
    return mark_replay(with_version(shown(row), 201), is_replay=done.is_replay)


@routes.get("/agencies")
@permitted(Permission.AGENCIES_READ)
@asks(PageQuery)
@answers(200, AgencyPage)
def list_agencies(query: dict[str, Any]) -> Response:
    """List agencies, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = agencies.list_agencies(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/agencies/<uuid:agency_id>")
@permitted(Permission.AGENCIES_READ)
@answers(200, Agency)
def get_agency(agency_id: UUID) -> Response:
    """One agency."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(shown(agencies.agency(session, agency_id)))


@routes.patch("/agencies/<uuid:agency_id>")
@permitted(Permission.AGENCIES_EDIT)
@reads(AgencyChange)
@answers(200, Agency)
def change_agency(body: dict[str, Any], agency_id: UUID) -> Response:
    """Rename an agency; `If-Match` or `version` says what you last read."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        agencies.rename_agency(
            session,
            agency_id,
            name=body["name"],
            version=read_version(body),
            actor_id=caller.actor_id,
        )
        row = agencies.agency(session, agency_id)
    return with_version(shown(row))
