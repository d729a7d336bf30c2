"""Vendor orders over HTTP, for the people who watch the unknown ones."""

from typing import Any

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import Row

from models.cards import OrderState
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.provisioning.order_list import list_orders
from web.api.routes import Routes, answers, asks
from web.fields import PageQuery, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("provider-orders", "Orders placed at vendors.")


class OrdersQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*OrderState))


class Order(Schema):
    id = fields.UUID()
    client_id = fields.UUID()
    job_id = fields.UUID()
    position = fields.Integer()
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
        rows = list_orders(session, state=query["state"], before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)
