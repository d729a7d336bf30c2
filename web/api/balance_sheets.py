"""The balance sheet that credit begins from, over HTTP: checked as often as one likes, applied once."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.approvals.approvals import approval_row
from pipelines.openings.check import BYTES_MAX, check_sheet, report_of
from pipelines.openings.open_sheet import ask_to_open, lines_csv, sheet_row
from pipelines.openings.read import report_csv
from pipelines.openings.sheet import SheetTier
from pipelines.queue.keys import once
from web.admission import canonical, intake_slot, mark_replay, request_key
from web.api.approvals import Approval, view
from web.api.credit_corrections import ASKED, REASON_CHARACTERS_MAX
from web.api.job_schemas import RowFault
from web.api.routes import CSV_BODY, IDEMPOTENCY_KEY, Routes, answers, answers_csv, asks, documented
from web.fields import Text, Word
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.rate_limits import limited
from web.uploads import csv_upload

routes = Routes("balance-sheets", "The balance sheet that credit begins from.")


class OpeningQuery(Schema):
    reason = Text(longest=REASON_CHARACTERS_MAX, required=True)


class SheetTotal(Schema):
    currency = fields.String()
    tier = Word(SheetTier)
    rows = fields.Integer()
    balance_minor = fields.Integer()


class SheetBranch(Schema):
    currency = fields.String()
    agency = fields.String()
    total_minor = fields.Integer()


class SheetMade(Schema):
    accounts = fields.Integer()
    movements = fields.Integer()


class SheetDrift(Schema):
    currency = fields.String()
    sheet_minor = fields.Integer()
    ledger_minor = fields.Integer()
    drift_minor = fields.Integer()


class SheetReport(Schema):
    id = fields.UUID(metadata={"description": "Once it was asked for."})
    applied_at = fields.DateTime(allow_none=True)
    sha256 = fields.String()
    ok = fields.Boolean()
    rows = fields.Integer()
    error_count = fields.Integer()
    errors = fields.List(fields.Nested(RowFault), metadata={"description": "The first hundred."})
    totals = fields.List(
        fields.Nested(SheetTotal), metadata={"description": "By currency and tier."}
    )
    hierarchy = fields.List(
        fields.Nested(SheetBranch),
        metadata={"description": "Each agency with all below it; the whole has no name."},
    )
    found = fields.Dict(keys=fields.String(), values=fields.Integer())
    accounts_missing = fields.Integer(metadata={"description": "Those that will be made."})
    made = fields.Nested(SheetMade)
    drift = fields.List(
        fields.Nested(SheetDrift), metadata={"description": "Sheet beside ledger: zero."}
    )


@routes.post("/credit/balance-sheets/check")
@permitted(Permission.CREDIT_CORRECT)
@limited(Policy.UPLOAD)
@documented(requestBody=CSV_BODY)
@answers(200, SheetReport)
def check_balance_sheet() -> Response:
    """Look at a sheet and write nothing: every error with its row, sums, what is there and missing.

    Columns `agency,client,campaign,currency,balance_minor[,total_minor]`: names, empty above the
    tier a row is about; the credit an entity has itself; and, to be checked, with all below it.
    """
    with intake_slot(), csv_upload(bytes_max=BYTES_MAX) as upload:
        content, house = upload.stream.read(), front().house
        with scoped_transaction(house.sessions, principal().scope) as session:
            checked = check_sheet(session, content, house.limits)
        return jsonify(report_of(checked, upload.sha256))


@routes.post("/credit/balance-sheets/check.csv")
@permitted(Permission.CREDIT_CORRECT)
@limited(Policy.UPLOAD)
@documented(requestBody=CSV_BODY)
@answers_csv()
def check_as_file() -> Response:
    """The same as a file with a line for every row, and all errors."""
    with intake_slot(), csv_upload(bytes_max=BYTES_MAX) as upload:
        content, house = upload.stream.read(), front().house
        with scoped_transaction(house.sessions, principal().scope) as session:
            lines = lines_csv(check_sheet(session, content, house.limits))
    return _file(lines, "balance-sheet-check.csv")


@routes.post("/credit/balance-sheets")
@permitted(Permission.CREDIT_CORRECT)
@limited(Policy.UPLOAD)
@asks(OpeningQuery)
@documented(parameters=[IDEMPOTENCY_KEY], requestBody=CSV_BODY)
@answers(ASKED, Approval)
def open_accounts(query: dict[str, Any]) -> Response:
    """Ask for accounts to be opened from a sheet without errors.

    It is done when a second person approves it: whole or not at all, and once per file.
    """
    caller, house = freshly_proven(), front().house
    request_key(caller)
    with intake_slot(), csv_upload(bytes_max=BYTES_MAX) as upload:
        content, sha256 = upload.stream.read(), upload.sha256
    key = request_key(caller, canonical(query), sha256)
    with scoped_transaction(house.sessions, caller.scope) as session:
        now = clock.now(session)
        ask = partial(
            ask_to_open,
            session,
            caller,
            content=content,
            sha256=sha256,
            reason=query["reason"],
            limits=house.limits,
            now=now,
        )
        done = once(session, key, ask, status=ASKED, resource_kind="approval")
        response = jsonify(view(approval_row(session, done.resource_id), now))
    response.status_code = done.status
    where = url_for("approvals.get_approval", approval_id=done.resource_id)
    response.headers["Location"] = where
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/credit/balance-sheets/<uuid:sheet_id>")
@permitted(Permission.CREDIT_CORRECT)
@answers(200, SheetReport)
def get_balance_sheet(sheet_id: UUID) -> Response:
    """What was found in a sheet; once it is applied, what was made and that nothing drifted."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        row = sheet_row(session, sheet_id)
    return jsonify(row.report | {"id": row.id, "applied_at": row.applied_at})


@routes.get("/credit/balance-sheets/<uuid:sheet_id>/report.csv")
@permitted(Permission.CREDIT_CORRECT)
@answers_csv()
def download_report(sheet_id: UUID) -> Response:
    """Every row with its account: what a check says now; once it is applied, its movement too.

    Taking it is in the audit log.
    """
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, caller.scope) as session:
        content = report_csv(session, sheet_id, actor_id=caller.actor_id, limits=house.limits)
    return _file(content, f"balance-sheet-{sheet_id}.csv")


def _file(content: bytes, name: str) -> Response:
    response = Response(content, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
