"""Card pools over HTTP, and the import of cards into them."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from models.cards import PoolKind
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound
from pipelines.jobs.kinds import OnError
from pipelines.pools.accept_import import accept_import
from pipelines.pools.create import NewPool, create_pool
from pipelines.pools.read import PoolView, list_pools, visible_pools
from pipelines.queue.keys import once
from web.admission import canonical, intake_slot, mark_replay, offered_key, request_key
from web.api.brands import CURRENCY
from web.api.job_schemas import Job
from web.api.routes import (
    IDEMPOTENCY_KEY,
    MAY_HAVE_KEY,
    Routes,
    answers,
    asks,
    documented,
    reads,
)
from web.fields import Count, Flag, Identity, Minor, PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.jobs_shown import accepted
from web.pages import id_cursor, listed
from web.rate_limits import limited
from web.tenant_choice import chosen_client
from web.uploads import csv_upload

routes = Routes("gift-card-pools", "Stocks of gift cards, by brand and denomination.")


class PoolBody(Schema):
    brand_id = Identity(required=True)
    denomination_minor = Minor(required=True)
    currency = Text(required=True, longest=3, validate=CURRENCY)
    kind = fields.String(required=True, validate=one_of(*PoolKind))
    cost_per_card_minor = Minor(zero=True, load_default=None, allow_none=True)
    low_watermark = Count(low=0, high=10_000_000, load_default=0)
    client_id = Identity(load_default=None, allow_none=True)


class Pool(Schema):
    id = fields.UUID()
    brand_id = fields.UUID()
    brand = fields.String()
    client_id = fields.UUID(allow_none=True)
    denomination_minor = fields.Integer()
    currency = fields.String()
    kind = fields.String()
    cost_per_card_minor = fields.Integer(
        allow_none=True, metadata={"description": "Not shown to clients."}
    )
    low_watermark = fields.Integer()
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    health = fields.String()
    created_at = fields.DateTime()


class PoolPage(Schema):
    data = fields.List(fields.Nested(Pool))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class ImportQuery(Schema):
    on_error = fields.String(load_default=OnError.ABORT.value, validate=one_of(*OnError))
    force = Flag(in_text=True, load_default=False)


@routes.post("/gift-card-pools")
@permitted(Permission.POOLS_MANAGE)
@reads(PoolBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Pool)
def create_gift_card_pool(body: dict[str, Any]) -> Response:
    """Make a pool: the platform's, or a client's own."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(_made, session, caller, body)
        done = once(session, key, make, status=201, resource_kind="card_pool")
    response = jsonify(_one(caller, done.resource_id))
    response.status_code = 201
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/gift-card-pools")
@permitted(Permission.POOLS_READ)
@asks(PageQuery)
@answers(200, PoolPage)
def list_gift_card_pools(query: dict[str, Any]) -> Response:
    """List pools with their counts and health, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        visible = visible_pools(session, before=before, limit=limit + 1)
    view = partial(PoolView.as_json, sees_costs=principal().sees_costs)
    return listed(_counted(visible), limit=limit, view=view, place=lambda pool: pool.row.id)


@routes.get("/gift-card-pools/<uuid:pool_id>")
@permitted(Permission.POOLS_READ)
@answers(200, Pool)
def get_gift_card_pool(pool_id: UUID) -> Response:
    """One pool with its counts and health."""
    return jsonify(_one(principal(), pool_id))


@routes.post("/gift-card-pools/<uuid:pool_id>/cards")
@permitted(Permission.POOLS_MANAGE)
@limited(Policy.UPLOAD)
@asks(ImportQuery)
@documented(
    parameters=[IDEMPOTENCY_KEY],
    requestBody={
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    },
)
@answers(202, Job)
def import_gift_cards(query: dict[str, Any], pool_id: UUID) -> Response:
    """Import cards: `card_number,pin,expires_on[,cost_minor]`; rejects are listed per row.

    Rows are counted without the header.
    """
    house, caller = front().house, principal()
    request_key(caller)
    with intake_slot(), csv_upload(bytes_max=house.limits.upload_bytes_max) as upload:
        key = request_key(caller, canonical(query), upload.sha256)
        with scoped_transaction(house.sessions, caller.scope) as session:
            done = accept_import(
                session,
                pool_id,
                upload.stream,
                on_error=OnError(query["on_error"]),
                force=query["force"],
                file_name=upload.name,
                actor_id=caller.actor_id,
                key=key,
                keyring=house.settings.keyring,
                limits=house.limits,
            )
    return accepted(caller, done.job_id, is_replay=done.is_replay)


def _made(session: Session, caller: Principal, body: dict[str, Any]) -> UUID:
    client_id = body["client_id"]
    if client_id is not None or caller.agency_id is not None:
        client_id = chosen_client(session, caller, client_id)
    pool = NewPool(**(body | {"kind": PoolKind(body["kind"]), "client_id": client_id}))
    return create_pool(session, pool, actor_id=caller.actor_id)


def _one(caller: Principal, pool_id: UUID) -> dict[str, Any]:
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        visible = visible_pools(session, before=None, limit=1, pool_id=pool_id)
    if not visible:
        raise NotFound
    return _counted(visible)[0].as_json(sees_costs=caller.sees_costs)


def _counted(pool_ids: list[UUID]) -> list[PoolView]:
    """What the caller's scope was seen to have, counted where unissued cards can be seen."""
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        return list_pools(session, before=None, limit=len(pool_ids), pool_ids=pool_ids)
