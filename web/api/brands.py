"""Brands over HTTP, with the routes by which vendors sell their cards."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import Row

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.currencies import EXPONENTS
from pipelines.queue.keys import once
from pipelines.tenants import brands
from pipelines.tenants.brands import Route
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Minor, PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, read_version, with_version

routes = Routes("brands", "Brands and who sells their cards.")
VENDORS = ("reloadly", "tango", "tremendous", "giftbit")
ROUTES_MAX = 20
CURRENCY = validate.OneOf(
    sorted(EXPONENTS), error="unknown_currency|Give an ISO 4217 currency such as USD."
)


class RouteBody(Schema):
    vendor = fields.String(required=True, validate=one_of(*VENDORS))
    product = Text(required=True, longest=100)
    priority = Count(low=0, high=10_000, load_default=100)
    min_minor = Minor(load_default=None, allow_none=True)
    max_minor = Minor(load_default=None, allow_none=True)


class BrandBody(Schema):
    name = Text(required=True, longest=200)
    currency = Text(required=True, longest=3, validate=CURRENCY)
    routes = fields.List(
        fields.Nested(RouteBody), load_default=list, validate=validate.Length(max=ROUTES_MAX)
    )


class BrandChange(Schema):
    name = Text(longest=200)
    routes = fields.List(fields.Nested(RouteBody), validate=validate.Length(max=ROUTES_MAX))
    version = Count(low=1, high=2**31 - 1)


class Brand(Schema):
    id = fields.UUID()
    name = fields.String()
    currency = fields.String()
    routes = fields.List(fields.Nested(RouteBody))
    version = fields.Integer()
    created_at = fields.DateTime()


class BrandPage(Schema):
    data = fields.List(fields.Nested(Brand))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(found: tuple[Row[Any], list[Row[Any]]]) -> dict[str, Any]:
    row, ways = found
    listed_routes = [dict(way._mapping) for way in ways]
    for way in listed_routes:
        del way["brand_id"]
    return dict(row._mapping) | {"routes": listed_routes}


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
    """Rename a brand or replace its routes; `If-Match` or `version` says what you last read."""
    caller = principal()
    ways = None if "routes" not in body else [Route(**way) for way in body["routes"]]
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        brands.change_brand(
            session,
            brand_id,
            name=body.get("name"),
            routes=ways,
            version=read_version(body),
            actor_id=caller.actor_id,
        )
        found = brands.brand(session, brand_id)
    return with_version(shown(found))
