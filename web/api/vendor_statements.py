"""Statements of vendors over HTTP: taken by the day, and what differs from our orders."""

from datetime import date
from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.errors import FieldError, ValidationFailed
from pipelines.reconciliation.vendor_statement import (
    list_statements,
    statement,
    take_statement,
)
from web.admission import intake_slot
from web.api.routes import Routes, answers, documented
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited
from web.uploads import csv_upload

routes = Routes("vendor-statements", "What vendors say that they sold us.")

STATEMENTS_SHOWN = 100


class StatementLine(Schema):
    day = fields.Date()
    rows = fields.Integer()
    findings = fields.Integer(metadata={"description": "As many as there were when it was taken."})
    taken_at = fields.DateTime()


class Statements(Schema):
    data = fields.List(fields.Nested(StatementLine))


class StatementFinding(Schema):
    kind = fields.String(
        metadata={
            "description": "`missing_here`, `missing_there`, `amount_differs`, `not_bought_here` "
            "or `told_twice`."
        }
    )
    row = fields.Integer(allow_none=True)
    order_id = fields.UUID(allow_none=True)
    vendor_order_id = fields.String(allow_none=True)
    ours_minor = fields.Integer(allow_none=True)
    ours_currency = fields.String(allow_none=True)
    theirs_minor = fields.Integer(allow_none=True)
    theirs_currency = fields.String(allow_none=True)


class Statement(Schema):
    vendor = fields.String()
    day = fields.Date()
    rows = fields.Integer()
    taken_at = fields.DateTime()
    agree = fields.Integer(metadata={"description": "Rows that are as in our orders."})
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    findings = fields.List(fields.Nested(StatementFinding))


@routes.get("/vendor-accounts/<vendor>/statements")
@permitted(Permission.VENDORS_READ)
@answers(200, Statements)
def list_vendor_statements(vendor: str) -> Response:
    """The last hundred statements that were taken of a vendor."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = list_statements(session, vendor, limit=STATEMENTS_SHOWN)
    return jsonify({"data": [_line(dict(row._mapping)) for row in found]})


@routes.get("/vendor-accounts/<vendor>/statements/<day>")
@permitted(Permission.VENDORS_READ)
@answers(200, Statement)
def get_vendor_statement(vendor: str, day: str) -> Response:
    """A statement, and what differs from our orders now.

    At most a thousand findings are shown, those to act on first.
    """
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(_line(statement(session, vendor, _day(day))))


@routes.put("/vendor-accounts/<vendor>/statements/<day>")
@permitted(Permission.VENDORS_MANAGE)
@limited(Policy.UPLOAD)
@documented(requestBody={"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}})
@answers(200, Statement)
def take_vendor_statement(vendor: str, day: str) -> Response:
    """Take the statement of a day (UTC): `amount,currency` and `reference` or `vendor_order_id`.

    It takes the place of an earlier one of that day; other columns are not looked at.
    """
    house, caller, of_day = front().house, principal(), _day(day)
    with (
        intake_slot(),
        csv_upload(bytes_max=house.limits.upload_bytes_max) as upload,
        scoped_transaction(house.sessions, caller.scope) as session,
    ):
        taken = take_statement(
            session,
            vendor,
            of_day,
            upload.stream,
            actor_id=caller.actor_id,
            now=clock.now(session),
            limits=house.limits,
        )
    return jsonify(_line(taken))


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        error = FieldError("invalid_day", "Give the day as 2026-11-27.", pointer="/day")
        raise ValidationFailed(errors=(error,)) from None


def _line(view: dict[str, Any]) -> dict[str, Any]:
    return view | {"day": view["day"].isoformat()}
