"""Disputed and refunded top-ups over HTTP: take them back, see what is owed, write it off."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields

from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.approvals.corrections import ask_to_claw_back, ask_to_write_off
from pipelines.credit.read import account
from pipelines.credit.receivables import list_receivables, receivable_view
from web.api.approvals import Approval
from web.api.credit_corrections import ASKED, CorrectionReason, asked
from web.api.routes import IDEMPOTENCY_KEY, Routes, answers, asks, documented, reads
from web.fields import Identity, Minor, PageQuery, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("credit-claw-backs", "Top-ups that were refunded or disputed, and what is owed.")


class ClawBack(CorrectionReason):
    transfer_id = Identity(
        required=True, metadata={"description": "What brought the credit into the account."}
    )
    dispute_id = Text(
        longest=120,
        required=True,
        metadata={"description": "The dispute's or refund's name outside; taken once."},
    )
    amount_minor = Minor(metadata={"description": "All that the transfer brought, if left out."})


class WriteOff(CorrectionReason):
    amount_minor = Minor(metadata={"description": "All that is owed, if left out."})


class Receivable(Schema):
    id = fields.UUID()
    account_id = fields.UUID()
    transfer_id = fields.UUID()
    dispute_id = fields.String()
    currency = fields.String()
    claimed_minor = fields.Integer()
    taken_minor = fields.Integer(metadata={"description": "Moved back so far."})
    written_off_minor = fields.Integer()
    owed_minor = fields.Integer()
    reason = fields.String()
    settled_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()


class ReceivablePage(Schema):
    data = fields.List(fields.Nested(Receivable))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.post("/credit/claw-backs")
@permitted(Permission.CREDIT_CORRECT)
@reads(ClawBack)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(ASKED, Approval)
def make_claw_back(body: dict[str, Any]) -> Response:
    """Ask for a top-up to be taken back that was refunded or disputed; a second person approves it.

    Then as much as is available goes at once, and what was spent of it is owed. While the account
    owes it is restricted: new jobs, allocations and recalls from it answer 423
    `account_restricted`, and jobs it pays for stand. One `dispute_id` is taken once.
    """
    chosen = {key: body[key] for key in ("transfer_id", "dispute_id")}
    amount = body.get("amount_minor")
    return asked(body, partial(ask_to_claw_back, **chosen, amount=amount))


@routes.get("/credit/accounts/<uuid:account_id>/receivables")
@permitted(Permission.CREDIT_READ)
@asks(PageQuery)
@answers(200, ReceivablePage)
def list_of_account(query: dict[str, Any], account_id: UUID) -> Response:
    """What was clawed back from an account and what it owes, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        account(session, account_id)
        rows = list_receivables(session, account_id, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=receivable_view, place=lambda row: row.id)


@routes.post("/credit/receivables/<uuid:receivable_id>/write-off")
@permitted(Permission.CREDIT_CORRECT)
@reads(WriteOff)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(ASKED, Approval)
def write_off(body: dict[str, Any], receivable_id: UUID) -> Response:
    """Ask to forgive what an account owes; it is done when a second person approves it."""
    amount = body.get("amount_minor")
    body |= {"receivable_id": str(receivable_id)}
    return asked(body, partial(ask_to_write_off, receivable_id=receivable_id, amount=amount))
