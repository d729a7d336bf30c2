"""Vendor orders over HTTP, for the people who watch the unknown ones."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields
from sqlalchemy import Row

from models import clock
from models.cards import OrderState
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.provisioning.order_list import list_orders, order_named
from pipelines.provisioning.resolve_order import Outcome, resolve_order
from web.api.routes import Routes, answers, asks, reads
from web.fields import PageQuery, Text, one_of
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.pages import id_cursor, listed

routes = Routes("provider-orders", "Orders placed at vendors.")


VENDOR_NUMBER_CHARACTERS_MAX = 100


class OrdersQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*OrderState))
    vendor = Text(load_default=None, longest=64)


class Resolution(Schema):
    outcome = fields.String(required=True, validate=one_of(*Outcome))
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)
    vendor_order_id = Text(load_default=None, longest=VENDOR_NUMBER_CHARACTERS_MAX)


class Order(Schema):
    id = fields.UUID()
    client_id = fields.UUID(allow_none=True)
    job_id = fields.UUID(allow_none=True)
    position = fields.Integer(allow_none=True)
    pool_id = fields.UUID(
        allow_none=True, metadata={"description": "What it fills, if it serves no job."}
    )
    brand_id = fields.UUID()
    vendor = fields.String()
    product = fields.String()
    face_value_minor = fields.Integer()
    currency = fields.String()
    state = fields.String()
    vendor_order_id = fields.String(allow_none=True)
    code = fields.String(allow_none=True)
    vendor_code = fields.String(allow_none=True)
    sends = fields.Integer()
    lookups = fields.Integer()
    sent_at = fields.DateTime(allow_none=True)
    review_since = fields.DateTime(allow_none=True)
    settled_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()


class OrderPage(Schema):
    data = fields.List(fields.Nested(Order))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


@routes.get("/provider-orders")
@permitted(Permission.ORDERS_READ)
@asks(OrdersQuery)
@answers(200, OrderPage)
def list_provider_orders(query: dict[str, Any]) -> Response:
    """List orders, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = list_orders(
            session,
            state=query["state"],
            vendor=query["vendor"],
            before=before,
            limit=limit + 1,
        )
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.post("/provider-orders/<uuid:order_id>/resolve")
@permitted(Permission.ORDERS_RESOLVE)
@reads(Resolution)
@answers(200, Order)
def resolve_provider_order(body: dict[str, Any], order_id: UUID) -> Response:
    """Say what became of an order that the vendor does not tell of; once, and who says it is named.

    `never_placed` tries the next route, gives the credit back or frees the pool's slot, `placed`
    asks the vendor again (by `vendor_order_id` if you have it), `written_off` ends an item whose
    card is the wrong one.
    """
    caller, house = freshly_proven(), front().house
    with scoped_transaction(house.sessions, caller.scope) as session:
        resolve_order(
            session,
            order_id,
            Outcome(body["outcome"]),
            reason=body["reason"],
            vendor_order_id=body["vendor_order_id"],
            actor_id=caller.actor_id,
            now=clock.now(session),
            limits=house.limits,
        )
        found = order_named(session, order_id)
    return jsonify(shown(found))
