"""Pools of a client's people over HTTP: made, changed, listed."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.queue.keys import once
from pipelines.user_pools import pools
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Flag, Identity, PageQuery, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, read_version, with_version
from web.tenant_choice import chosen_client

routes = Routes("user-pools", "Named groups of a client's people.")

DESCRIPTION_CHARACTERS_MAX = 1_000


class UserPoolBody(Schema):
    name = Text(required=True, longest=200)
    description = Text(longest=DESCRIPTION_CHARACTERS_MAX, least=0, load_default="")
    client_id = Identity(load_default=None, allow_none=True)


class UserPoolChange(Schema):
    """What is left out stays as it is."""

    name = Text(longest=200)
    description = Text(longest=DESCRIPTION_CHARACTERS_MAX, least=0)
    archived = Flag(
        metadata={"description": "An archived pool keeps its people and takes no more."}
    )
    version = Count(low=1, high=2**31 - 1)

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data.keys() - {"version"}:
            raise ValidationError("required|Give `name`, `description` or `archived`.")


class UserPoolsQuery(PageQuery):
    q = Text(
        longest=200,
        load_default="",
        metadata={"description": "Words that all stand in the name."},
    )
    archived = Flag(in_text=True, load_default=False)


class UserPool(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    name = fields.String()
    description = fields.String()
    members = fields.Integer()
    members_version = fields.Integer(
        metadata={"description": "Moves when somebody is added or removed."}
    )
    version = fields.Integer(
        metadata={"description": "Moves when the pool itself is changed: its ETag."}
    )
    archived = fields.Boolean()
    created_at = fields.DateTime()


class UserPoolPage(Schema):
    data = fields.List(fields.Nested(UserPool))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(row: Row[Any]) -> dict[str, Any]:
    facts = dict(row._mapping)
    return facts | {"archived": facts.pop("archived_at") is not None}


@routes.post("/pools")
@permitted(Permission.USER_POOLS_MANAGE)
@reads(UserPoolBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, UserPool)
def create_user_pool(body: dict[str, Any]) -> Response:
    """Make an empty pool of people."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(_made, session, caller, body)
        done = once(session, key, make, status=201, resource_kind="user_pool")
        row = pools.pool(session, done.resource_id)
    return mark_replay(with_version(shown(row), 201), is_replay=done.is_replay)


@routes.get("/pools")
@permitted(Permission.USER_POOLS_READ)
@asks(UserPoolsQuery)
@answers(200, UserPoolPage)
def list_user_pools(query: dict[str, Any]) -> Response:
    """List pools of people with how many are in each, newest first."""
    limit, before = query["limit"], id_cursor(query)
    wanted = pools.Wanted(query["q"], query["archived"])
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = pools.list_pools(session, wanted, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/pools/<uuid:user_pool_id>")
@permitted(Permission.USER_POOLS_READ)
@answers(200, UserPool)
def get_user_pool(user_pool_id: UUID) -> Response:
    """One pool of people."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(shown(pools.pool(session, user_pool_id)))


@routes.patch("/pools/<uuid:user_pool_id>")
@permitted(Permission.USER_POOLS_MANAGE)
@reads(UserPoolChange)
@answers(200, UserPool)
def change_user_pool(body: dict[str, Any], user_pool_id: UUID) -> Response:
    """Change a pool's name or description, or put it away and back.

    `If-Match` or `version` says what you last read; people who come and go do not change it.
    """
    caller = principal()
    values = {name: value for name, value in body.items() if name != "version"}
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        pools.change_pool(
            session,
            user_pool_id,
            values,
            version=read_version(body),
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        row = pools.pool(session, user_pool_id)
    return with_version(shown(row))


def _made(session: Session, caller: Principal, body: dict[str, Any]) -> UUID:
    return pools.create_pool(
        session,
        client_id=chosen_client(session, caller, body["client_id"]),
        name=body["name"],
        description=body["description"],
        actor_id=caller.actor_id,
    )
