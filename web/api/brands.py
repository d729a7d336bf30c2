"""Brands over HTTP, with the routes by which vendors sell their cards."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import Row

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.currencies import EXPONENTS
from pipelines.queue.keys import once
from pipelines.tenants import brands
from pipelines.tenants.brands import (
    COST_BP_MAX,
    MARGIN_MINOR_MAX,
    PRIORITY_MAX,
    ROUTES_MAX,
    VENDORS,
    Route,
)
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Currency, Minor, PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, read_version, with_version

routes = Routes("brands", "Brands and who sells their cards.")
CURRENCY = validate.OneOf(
    sorted(EXPONENTS), error="unknown_currency|Give an ISO 4217 currency such as USD."
)

COUNTRY = partial(
    Text,
    longest=2,
    allow_none=True,
    validate=validate.Regexp(
        "[A-Z]{2}$", error="unknown_country|Give an ISO 3166-1 code such as US."
    ),
)
MARGIN = partial(
    Count,
    low=-MARGIN_MINOR_MAX,
    high=MARGIN_MINOR_MAX,
    allow_none=True,
    metadata={
        "description": "What is charged for a card must be this much above its cost, or the item "
        "waits for a person; null: no floor. Only for the platform and its agencies."
    },
)
CHANGED = ("name", "country", "min_margin_minor")
COSTS = ("cost_bp", "cost_flat_minor")


class RouteBody(Schema):
    vendor = fields.String(required=True, validate=one_of(*VENDORS))
    product = Text(required=True, longest=100)
    priority = Count(low=0, high=PRIORITY_MAX, load_default=100)
    min_minor = Minor(load_default=None, allow_none=True)
    max_minor = Minor(load_default=None, allow_none=True)
    country = COUNTRY(load_default=None, metadata={"description": "Where its cards are used."})
    cost_bp = Count(
        low=1,
        high=COST_BP_MAX,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "What a card costs in the brand's currency, in basis points of its "
            "face value. Only for the platform and its agencies."
        },
    )
    cost_flat_minor = Minor(
        zero=True,
        load_default=None,
        allow_none=True,
        metadata={"description": "And a flat part for each card, beside `cost_bp`."},
    )

    @validates_schema
    def _is_whole(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("cost_flat_minor") is not None and data.get("cost_bp") is None:
            raise ValidationError("required|Give `cost_bp` beside it.", "cost_flat_minor")


class BrandBody(Schema):
    name = Text(required=True, longest=200)
    currency = Currency(required=True, validate=CURRENCY)
    routes = fields.List(
        fields.Nested(RouteBody), load_default=list, validate=validate.Length(max=ROUTES_MAX)
    )
    country = COUNTRY(load_default=None)
    min_margin_minor = MARGIN(load_default=0)


class BrandChange(Schema):
    name = Text(longest=200)
    country = COUNTRY()
    min_margin_minor = MARGIN()
    routes = fields.List(fields.Nested(RouteBody), validate=validate.Length(max=ROUTES_MAX))
    reason = Text(
        longest=REASON_CHARACTERS_MAX, metadata={"description": "Why; kept in the audit log."}
    )
    version = Count(low=1, high=2**31 - 1)


class Brand(Schema):
    id = fields.UUID()
    name = fields.String()
    currency = fields.String()
    country = fields.String(allow_none=True)
    min_margin_minor = fields.Integer(allow_none=True)
    routes = fields.List(fields.Nested(RouteBody))
    version = fields.Integer()
    created_at = fields.DateTime()


class BrandPage(Schema):
    data = fields.List(fields.Nested(Brand))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(found: tuple[Row[Any], list[Row[Any]]]) -> dict[str, Any]:
    row, ways = found
    view = dict(row._mapping) | {"routes": [dict(way._mapping) for way in ways]}
    sees_costs = principal().sees_costs
    if not sees_costs:
        del view["min_margin_minor"]
    for way in view["routes"]:
        for name in ("brand_id", *(() if sees_costs else COSTS)):
            del way[name]
    return view


@routes.post("/brands")
@permitted(Permission.BRANDS_MANAGE)
@reads(BrandBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Brand)
def create_brand(body: dict[str, Any]) -> Response:
    """Make a brand; accounts in its currency are opened for every tenant."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    values = body | {"routes": [Route(**way) for way in body["routes"]]}
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(brands.create_brand, session, actor_id=caller.actor_id, **values)
        done = once(session, key, make, status=201, resource_kind="brand")
        found = brands.brand(session, done.resource_id)
    return mark_replay(with_version(shown(found), 201), is_replay=done.is_replay)


@routes.get("/brands")
@permitted(Permission.BRANDS_READ)
@asks(PageQuery)
@answers(200, BrandPage)
def list_brands(query: dict[str, Any]) -> Response:
    """List brands, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = brands.list_brands(session, before=before, limit=limit + 1)
    return listed(found, limit=limit, view=shown, place=lambda pair: pair[0].id)


@routes.get("/brands/<uuid:brand_id>")
@permitted(Permission.BRANDS_READ)
@answers(200, Brand)
def get_brand(brand_id: UUID) -> Response:
    """One brand."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(shown(brands.brand(session, brand_id)))


@routes.patch("/brands/<uuid:brand_id>")
@permitted(Permission.BRANDS_MANAGE)
@reads(BrandChange)
@answers(200, Brand)
def change_brand(body: dict[str, Any], brand_id: UUID) -> Response:
    """Rename a brand, set its country and floor, or replace its routes; `If-Match` or `version` says what you last read."""
    caller = principal()
    ways = None if "routes" not in body else [Route(**way) for way in body["routes"]]
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        brands.change_brand(
            session,
            brand_id,
            values={name: body[name] for name in CHANGED if name in body},
            routes=ways,
            version=read_version(body),
            actor_id=caller.actor_id,
            reason=body.get("reason"),
        )
        found = brands.brand(session, brand_id)
    return with_version(shown(found))
