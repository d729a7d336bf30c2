"""Vendor accounts over HTTP, for the platform: how they are, their bounds, their breaker."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.pricing import products
from pipelines.pricing.sync_catalogue import read_later
from pipelines.vendors import accounts
from pipelines.vendors.accounts import HIGHEST_BOUNDS
from web.api.routes import Routes, answers, asks, reads
from web.fields import Count, Flag, PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("vendor-accounts", "The platform's accounts at vendors.")


class AccountChange(Schema):
    rate_per_minute = Count(low=1, high=HIGHEST_BOUNDS["rate_per_minute"])
    burst = Count(low=1, high=HIGHEST_BOUNDS["burst"])
    concurrency = Count(low=1, high=HIGHEST_BOUNDS["concurrency"])
    disabled = Flag()
    reason = Text(
        longest=REASON_CHARACTERS_MAX, metadata={"description": "Why; kept in the audit log."}
    )


class BreakerReason(Schema):
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)


class Breaker(Schema):
    state = fields.String()
    reason = fields.String(allow_none=True)
    since = fields.DateTime(allow_none=True)
    blocked_until = fields.DateTime(allow_none=True)


# `unknown` is a word of marshmallow's own, too.
Calls = Schema.from_dict(
    {name: fields.Integer() for name in ("answered", "failed", "unknown")}, name="Calls"
)


class CallsOfPeriods(Schema):
    hour = fields.Nested(Calls)
    day = fields.Nested(Calls)


class OpenOrders(Schema):
    state = fields.String()
    count = fields.Integer()
    oldest_seconds = fields.Integer()


class LastBalance(Schema):
    minor = fields.Integer()
    currency = fields.String()
    at = fields.DateTime()


class VendorAccount(Schema):
    id = fields.UUID()
    vendor = fields.String()
    configured = fields.Boolean()
    disabled = fields.Boolean()
    disabled_at = fields.DateTime(allow_none=True)
    rate_per_minute = fields.Integer()
    burst = fields.Integer()
    concurrency = fields.Integer()
    in_flight = fields.Integer()
    answered_at = fields.DateTime(allow_none=True)
    breaker = fields.Nested(Breaker)
    calls = fields.Nested(CallsOfPeriods)
    open_orders = fields.List(fields.Nested(OpenOrders))
    balance = fields.Nested(LastBalance, allow_none=True)


class VendorAccounts(Schema):
    data = fields.List(fields.Nested(VendorAccount))


class ProductQuery(PageQuery):
    routed = Text(
        longest=3,
        load_default="no",
        validate=one_of("yes", "no"),
        metadata={"description": "`yes`: only those that a route sells."},
    )


class VendorProduct(Schema):
    id = fields.UUID()
    product = fields.String()
    name = fields.String()
    currency = fields.String()
    countries = fields.List(fields.String())
    least_minor = fields.Integer(allow_none=True)
    most_minor = fields.Integer(allow_none=True)
    fixed_minor = fields.List(fields.Integer())
    cost_bp = fields.Integer(
        allow_none=True, metadata={"description": "Basis points of the face value."}
    )
    cost_flat_minor = fields.Integer(allow_none=True)
    cost_currency = fields.String(allow_none=True)
    was_cost_bp = fields.Integer(allow_none=True)
    was_cost_flat_minor = fields.Integer(allow_none=True)
    cost_changed_at = fields.DateTime(allow_none=True)
    seen_at = fields.DateTime()
    vanished_at = fields.DateTime(allow_none=True)
    routes = fields.Integer(metadata={"description": "How many routes of brands sell it."})


class VendorProductPage(Schema):
    data = fields.List(fields.Nested(VendorProduct))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class CatalogueAsked(Schema):
    """No field is taken."""


@routes.get("/vendor-accounts")
@permitted(Permission.VENDORS_READ)
@answers(200, VendorAccounts)
def list_vendor_accounts() -> Response:
    """Every account: its bounds, breaker, calls, open orders and last balance."""
    house = front().house
    with scoped_transaction(house.sessions, principal().scope) as session:
        now = clock.now(session)
        found = accounts.list_accounts(session, now=now, configured=house.vendors)
    return jsonify({"data": found})


@routes.patch("/vendor-accounts/<vendor>")
@permitted(Permission.VENDORS_MANAGE)
@reads(AccountChange)
@answers(200, VendorAccount)
def change_vendor_account(body: dict[str, Any], vendor: str) -> Response:
    """Bound its calls, or put it out of use: then it gets no orders, and what is sent is driven home."""
    caller, house = principal(), front().house
    values = {name: value for name, value in body.items() if name != "disabled"}
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)
        accounts.change_account(
            session,
            vendor,
            is_disabled=body.get("disabled"),
            actor_id=caller.actor_id,
            now=now,
            **values,
        )
        found = accounts.account_named(session, vendor, now=now, configured=house.vendors)
    return jsonify(found)


@routes.post("/vendor-accounts/<vendor>/close-breaker")
@permitted(Permission.VENDORS_MANAGE)
@reads(BreakerReason)
@answers(200, VendorAccount)
def close_vendor_breaker(body: dict[str, Any], vendor: str) -> Response:
    """Let calls through again without waiting for the probe; jobs that waited for it are resumed."""
    caller, house = principal(), front().house
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)
        accounts.close_breaker(
            session, vendor, reason=body["reason"], actor_id=caller.actor_id, now=now
        )
        found = accounts.account_named(session, vendor, now=now, configured=house.vendors)
    return jsonify(found)


@routes.get("/vendor-accounts/<vendor>/products")
@permitted(Permission.VENDORS_READ)
@asks(ProductQuery)
@answers(200, VendorProductPage)
def list_vendor_products(query: dict[str, Any], vendor: str) -> Response:
    """What the vendor's catalogue listed when it was last read, with what a card costs there."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = products.list_products(
            session, vendor, with_routes=query["routed"] == "yes", before=before, limit=limit + 1
        )
    return listed(found, limit=limit, view=_product, place=lambda row: row.id)


def _product(row: Row[Any]) -> dict[str, Any]:
    view = dict(row._mapping)
    del view["vendor"]
    return view


@routes.post("/vendor-accounts/<vendor>/read-catalogue")
@permitted(Permission.VENDORS_MANAGE)
@reads(CatalogueAsked)
@answers(202, VendorAccount)
def read_vendor_catalogue(_body: dict[str, Any], vendor: str) -> Response:
    """Have the vendor's catalogue read now, and not only every six hours; safe to repeat."""
    caller, house = principal(), front().house
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)
        found = accounts.account_named(session, vendor, now=now, configured=house.vendors)
        read_later(session, found["id"], vendor, now=now)
    answer = jsonify(found)
    answer.status_code = 202
    return answer
