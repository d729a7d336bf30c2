"""How discount codes are used, over HTTP: by day and currency, and codes and days as files."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.discounts.read import Standing, Wanted, beginning
from web.api.discount_schemas import CODE_CHARACTERS_MAX
from web.api.routes import Routes, answers, answers_csv, asks
from web.discount_reports import codes_file, report_file, report_on_all, report_on_code
from web.fields import Identity, Text, one_of
from web.front import front
from web.guards import permitted, principal

routes = Routes("discount-analytics", "How discount codes are used, by day and by currency.")


class Day(fields.Date):
    """A day such as 2027-01-31."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "invalid": "invalid_date|Give a day such as 2027-01-31.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%Y-%m-%d", load_default=None, **kwargs)


class DaysQuery(Schema):
    first = Day(
        data_key="from",
        metadata={"description": "The first day; without both, the last 30 days."},
    )
    last = Day(data_key="to", metadata={"description": "The last day, which is in it whole."})


class AllDaysQuery(DaysQuery):
    client_id = Identity(
        load_default=None, metadata={"description": "Of one client, for who sees several."}
    )


class ExportQuery(Schema):
    standing = fields.String(load_default=None, validate=one_of(*Standing))
    code = Text(
        longest=CODE_CHARACTERS_MAX,
        load_default=None,
        metadata={"description": "How the code begins."},
    )
    client_id = Identity(load_default=None)


class DiscountOutcomes(Schema):
    """Reservations that were made, and how they stand now."""

    made = fields.Integer()
    confirmed = fields.Integer(metadata={"description": "Paid, and not refunded."})
    refunded = fields.Integer()
    live = fields.Integer(metadata={"description": "Not settled yet."})
    released = fields.Integer(metadata={"description": "Given back, for whatever reason."})
    abandoned = fields.Integer(metadata={"description": "Of these, not paid in time."})
    conversion_bp = fields.Integer(
        allow_none=True,
        metadata={
            "description": "How many of those that are settled were paid, in basis points; null "
            "where none is settled."
        },
    )


class DiscountOutcomesOfDay(DiscountOutcomes):
    day = fields.Date()


class ReleasedFor(Schema):
    reason = fields.String()
    count = fields.Integer()


class RefusedFor(Schema):
    """A reason why codes were refused, the one that was given most first; at most twenty."""

    reason = fields.String(metadata={"description": "The code of the refusal."})
    applied = fields.Integer(metadata={"description": "Times when it was applied to a cart."})
    validated = fields.Integer(metadata={"description": "Times when it was only asked about."})


class DiscountAmounts(Schema):
    """Of uses that are paid and not refunded."""

    currency = fields.String()
    discount_minor = fields.Integer()
    revenue_minor = fields.Integer(
        metadata={
            "description": "What was paid for them in this currency, with tax, less what went back."
        }
    )


class DiscountAnalytics(Schema):
    first = fields.Date(data_key="from")
    last = fields.Date(data_key="to")
    time_zone = fields.String(metadata={"description": "Whose days these are."})
    totals = fields.Nested(DiscountOutcomes)
    released = fields.List(fields.Nested(ReleasedFor))
    refused = fields.List(
        fields.Nested(RefusedFor),
        metadata={
            "description": "Tries that took no slot, counted within seconds; see docs/discounts.md."
        },
    )
    amounts = fields.List(fields.Nested(DiscountAmounts))
    data = fields.List(
        fields.Nested(DiscountOutcomesOfDay),
        metadata={"description": "Each day, the oldest first; one without anything is zeros."},
    )


@routes.get("/discounts.csv")
@permitted(Permission.DISCOUNTS_MANAGE)
@asks(ExportQuery)
@answers_csv()
def download_discounts(query: dict[str, Any]) -> Response:
    """The list of codes as a file, newest first, after a fresh proof of who you are; audited."""
    standing = query["standing"] and Standing(query["standing"])
    return codes_file(Wanted(standing, beginning(query["code"]), query["client_id"]))


@routes.get("/discounts/analytics")
@permitted(Permission.DISCOUNTS_READ)
@asks(AllDaysQuery)
@answers(200, DiscountAnalytics)
def get_discounts_analytics(query: dict[str, Any]) -> Response:
    """How all codes were used that you see: by the days of the client's time zone, or of UTC.

    A reservation belongs to the day on which it was made.
    """
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = report_on_all(session, query["client_id"], (query["first"], query["last"]))
    return jsonify(found.as_json())


@routes.get("/discounts/analytics.csv")
@permitted(Permission.DISCOUNTS_READ)
@asks(AllDaysQuery)
@answers_csv()
def download_discounts_analytics(query: dict[str, Any]) -> Response:
    """The same as a file: a row for each day and currency with anything in it."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = report_on_all(session, query["client_id"], (query["first"], query["last"]))
    return report_file(found, "discounts")


@routes.get("/discounts/<uuid:discount_id>/analytics")
@permitted(Permission.DISCOUNTS_READ)
@asks(DaysQuery)
@answers(200, DiscountAnalytics)
def get_discount_analytics(query: dict[str, Any], discount_id: UUID) -> Response:
    """How one code was used, by the days of its client's time zone."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        _view, found = report_on_code(session, discount_id, (query["first"], query["last"]))
    return jsonify(found.as_json())


@routes.get("/discounts/<uuid:discount_id>/analytics.csv")
@permitted(Permission.DISCOUNTS_READ)
@asks(DaysQuery)
@answers_csv()
def download_discount_analytics(query: dict[str, Any], discount_id: UUID) -> Response:
    """The same as a file."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        _view, found = report_on_code(session, discount_id, (query["first"], query["last"]))
    return report_file(found, f"discount-{discount_id}")
