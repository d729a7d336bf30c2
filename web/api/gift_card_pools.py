"""Card pools over HTTP, and the import of cards into them."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy.orm import Session

from models import clock
from models.cards import PoolKind
from models.database import scoped_transaction
from models.scope import ScopeRole
from pipelines.access.permissions import Permission
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy
from pipelines.jobs.kinds import OnError
from pipelines.pools.accept_import import accept_import
from pipelines.pools.change import change_pool
from pipelines.pools.create import NewPool, create_pool
from pipelines.pools.health import Health
from pipelines.pools.inventory import read_inventory
from pipelines.pools.read import PoolView, read_pool, read_pools
from pipelines.pricing.dear_stock import read_too_dear
from pipelines.queue.keys import once
from web.admission import canonical, intake_slot, mark_replay, offered_key, request_key
from web.api.brands import CURRENCY
from web.api.job_schemas import Job
from web.api.routes import (
    CSV_BODY,
    IDEMPOTENCY_KEY,
    MAY_HAVE_KEY,
    Routes,
    answers,
    asks,
    documented,
    reads,
)
from web.bodies import with_form
from web.fields import Count, Currency, Flag, Identity, Minor, PageQuery, Word, one_of
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
    currency = Currency(required=True, validate=CURRENCY)
    kind = fields.String(required=True, validate=one_of(*PoolKind))
    cost_per_card_minor = Minor(zero=True, load_default=None, allow_none=True)
    low_watermark = Count(low=0, high=10_000_000, load_default=0)
    client_id = Identity(load_default=None, allow_none=True)


class PoolChange(Schema):
    """What is left out stays as it is."""

    low_watermark = Count(low=0, high=10_000_000)
    cost_per_card_minor = Minor(
        zero=True,
        allow_none=True,
        metadata={"description": "Of cards imported from now on that name no cost of their own."},
    )
    disabled = Flag(metadata={"description": "Claims pass over a pool that is disabled."})

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError(
                "required|Give `low_watermark`, `cost_per_card_minor` or `disabled`."
            )


class Pool(Schema):
    id = fields.UUID()
    brand_id = fields.UUID()
    brand = fields.String()
    client_id = fields.UUID(allow_none=True)
    denomination_minor = fields.Integer()
    currency = fields.String()
    kind = Word(PoolKind)
    cost_per_card_minor = fields.Integer(
        allow_none=True, metadata={"description": "Not shown to clients."}
    )
    cost_average_minor = fields.Integer(
        allow_none=True,
        metadata={"description": "Of the cards on stock whose cost is known. Not for clients."},
    )
    cost_missing = fields.Integer(
        metadata={"description": "Cards on stock whose cost nobody gave. Not for clients."}
    )
    too_dear = fields.Integer(
        metadata={
            "description": "Of `available`, cards that cost more than price and floor allow: nobody is "
            "given them. Of a single pool only, and not for clients."
        }
    )
    low_watermark = fields.Integer()
    disabled = fields.Boolean()
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={
            "description": "`available` can be given out; `expiring` expire within 30 days and "
            "are not given any more, nor are `expired`; then `issued`, `quarantined`, `void`, `defective`."
        },
    )
    health = Word(Health)
    health_rule = fields.String()
    issued_per_day = fields.Float(metadata={"description": "Average of the last 7 days."})
    days_left = fields.Float(allow_none=True)
    soonest_expiry = fields.Date(allow_none=True)
    last_import_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()


class StockRoute(Schema):
    vendor = fields.String()
    breaker = fields.String(allow_none=True)


class StockBought(Schema):
    on_the_way = fields.Integer()
    routes = fields.List(fields.Nested(StockRoute))


class StockLine(Schema):
    brand_id = fields.UUID()
    brand = fields.String()
    denomination_minor = fields.Integer()
    currency = fields.String()
    health = Word(Health)
    health_rule = fields.String()
    soonest_expiry = fields.Date(allow_none=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    by_source = fields.Dict(
        keys=fields.String(), values=fields.Dict(keys=fields.String(), values=fields.Integer())
    )
    api = fields.Nested(
        StockBought, allow_none=True, metadata={"description": "Null but for the platform."}
    )
    without_pool = fields.Integer(
        allow_none=True,
        metadata={
            "description": "Cards that undos gave back and that wait for a buffer pool; a line "
            "without pools is there for them. Null but for the platform."
        },
    )
    pools = fields.List(fields.Nested(Pool))


class PoolPage(Schema):
    data = fields.List(fields.Nested(Pool))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class ImportQuery(Schema):
    on_error = fields.String(load_default=OnError.ABORT.value, validate=one_of(*OnError))
    force = Flag(in_text=True, load_default=False)


_PARTS = ImportQuery(partial=True)


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
    limit, caller = query["limit"], principal()
    before = id_cursor(query)
    pools = read_pools(front().house.sessions, caller.scope, before=before, limit=limit + 1)
    view = partial(PoolView.as_json, sees_costs=caller.sees_costs)
    return listed(pools, limit=limit, view=view, place=lambda pool: pool.row.id)


@routes.get("/gift-card-pools/<uuid:pool_id>")
@permitted(Permission.POOLS_READ)
@answers(200, Pool)
def get_gift_card_pool(pool_id: UUID) -> Response:
    """One pool with its counts, cost and health."""
    return jsonify(_one(principal(), pool_id))


@routes.patch("/gift-card-pools/<uuid:pool_id>")
@permitted(Permission.POOLS_MANAGE)
@reads(PoolChange)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Pool)
def change_gift_card_pool(body: dict[str, Any], pool_id: UUID) -> Response:
    """Set a pool's threshold or the cost of its cards, or switch it off as a source."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        change = partial(
            change_pool,
            session,
            pool_id,
            body,
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        done = once(session, key, change, status=200, resource_kind="card_pool")
    return mark_replay(jsonify(_one(caller, pool_id)), is_replay=done.is_replay)


@routes.get("/inventory")
@permitted(Permission.POOLS_READ)
@answers(200, StockLine(many=True))
def get_inventory() -> Response:
    """The stock by brand, denomination and currency, with its sources; at most 1,000 pools."""
    caller = principal()
    lines = read_inventory(front().house.sessions, caller.scope)
    is_platform = caller.scope.role is ScopeRole.PLATFORM
    return jsonify(
        [line.as_json(sees_sources=is_platform, sees_costs=caller.sees_costs) for line in lines]
    )


@routes.post("/gift-card-pools/<uuid:pool_id>/cards")
@permitted(Permission.POOLS_MANAGE)
@limited(Policy.UPLOAD)
@asks(ImportQuery)
@documented(
    parameters=[IDEMPOTENCY_KEY],
    requestBody=CSV_BODY,
)
@answers(202, Job)
def import_gift_cards(query: dict[str, Any], pool_id: UUID) -> Response:
    """Import cards: `card_number,pin,expires_on[,cost_minor]`; rejects are listed per row.

    Rows are counted without the header.
    """
    house, caller = front().house, principal()
    request_key(caller)
    with intake_slot(), csv_upload(bytes_max=house.limits.upload_bytes_max) as upload:
        query = with_form(query, _PARTS)
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
    sessions = front().house.sessions
    pool = read_pool(sessions, caller.scope, pool_id)
    shown = pool.as_json(sees_costs=caller.sees_costs)
    return shown | {"too_dear": read_too_dear(sessions, pool.row)} if caller.sees_costs else shown
