"""How coupons of a book were used over time, over HTTP."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.books.usage import DAYS_MAX, DAYS_SHOWN, usage_json, usage_of_book
from web.api.routes import Routes, answers, asks
from web.fields import Count
from web.front import front
from web.guards import permitted, principal

routes = Routes("book-usage", "How coupons of books were used over time.")


class UsageQuery(Schema):
    days = Count(
        low=1,
        high=DAYS_MAX,
        in_query=True,
        load_default=DAYS_SHOWN,
        metadata={"description": "So many days in UTC, today included."},
    )


class CouponUsage(Schema):
    """Coupons that were moved; one that is redeemed more than once counts each time."""

    assigned = fields.Integer()
    released = fields.Integer(
        metadata={"description": "Back into the book, by undone distributions too."}
    )
    redeemed = fields.Integer()
    voided = fields.Integer()


class CouponUsageOfDay(CouponUsage):
    day = fields.Date()


class BookUsage(Schema):
    data = fields.List(
        fields.Nested(CouponUsageOfDay),
        metadata={"description": "Each day, the oldest first; one without anything is zeros."},
    )
    totals = fields.Nested(CouponUsage)


@routes.get("/books/<uuid:book_id>/usage")
@permitted(Permission.BOOKS_READ)
@asks(UsageQuery)
@answers(200, BookUsage)
def get_book_usage(query: dict[str, Any], book_id: UUID) -> Response:
    """How many coupons of a book were assigned, released, redeemed and voided on each of the last days."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        today = clock.now(session).date()
        usage = usage_of_book(session, book_id, today=today, days=query["days"])
    return jsonify(usage_json(usage))
