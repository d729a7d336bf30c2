"""Statements of credit accounts over HTTP: as pages, and as a file."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.database import scoped_transaction
from models.ledger import TransferKind
from pipelines.access.permissions import Permission
from pipelines.credit.statement import Movement, Statement, movements
from web.api.routes import Routes, answers, answers_csv, asks
from web.fields import PageQuery, Stamp, Word
from web.front import front
from web.guards import permitted, principal
from web.pages import next_place, number_cursor
from web.statements import framed, statement_file

routes = Routes("credit-statements", "Statements of credit accounts.")


class Period(Schema):
    since = Stamp(data_key="from", load_default=None)
    until = Stamp(data_key="to", load_default=None)


class StatementQuery(PageQuery, Period):
    pass


class MovementShown(Schema):
    id = fields.String()
    transfer_id = fields.UUID()
    kind = Word(TransferKind)
    source = fields.String(data_key="from")
    target = fields.String(data_key="to")
    amount_minor = fields.Integer(metadata={"description": "Negative where credit left."})
    balance_minor = fields.Integer(metadata={"description": "The balance after it."})
    notes = fields.String()
    job_id = fields.UUID(allow_none=True)
    actor_id = fields.UUID(allow_none=True)
    created_at = fields.DateTime()


class StatementShown(Schema):
    account_id = fields.UUID()
    currency = fields.String()
    since = fields.DateTime(data_key="from")
    until = fields.DateTime(data_key="to", metadata={"description": "Not within the statement."})
    opening_balance_minor = fields.Integer()
    in_minor = fields.Integer()
    out_minor = fields.Integer()
    closing_balance_minor = fields.Integer()
    held_now_minor = fields.Integer()
    owed_now_minor = fields.Integer(
        metadata={"description": "For top-ups that were taken back after they were spent."}
    )
    movements = fields.Integer()
    data = fields.List(fields.Nested(MovementShown))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.get("/credit/accounts/<uuid:account_id>/statement")
@permitted(Permission.CREDIT_READ)
@asks(StatementQuery)
@answers(200, StatementShown)
def get_statement(query: dict[str, Any], account_id: UUID) -> Response:
    """Opening balance, movements oldest first with the balance after each, closing balance.

    Times are UTC; without `from` it begins with the account, without `to` it ends now.
    """
    limit, after = query["limit"], number_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        frame = framed(session, account_id, query)
        page = movements(session, frame, after=after, limit=limit + 1)
    shown = page[:limit]
    place = shown[-1].id if len(page) > limit else None
    return jsonify(
        _frame_view(frame)
        | {
            "data": [_movement_view(one) for one in shown],
            "has_more": place is not None,
            "next_cursor": next_place(place),
        }
    )


@routes.get("/credit/accounts/<uuid:account_id>/statement.csv")
@permitted(Permission.CREDIT_READ)
@asks(Period)
@answers_csv()
def download_statement(query: dict[str, Any], account_id: UUID) -> Response:
    """The same as a file, whole."""
    return statement_file(account_id, query)


def _frame_view(frame: Statement) -> dict[str, Any]:
    return {
        "account_id": frame.account_id,
        "currency": frame.currency,
        "from": frame.since,
        "to": frame.until,
        "opening_balance_minor": frame.opening,
        "in_minor": frame.came_in,
        "out_minor": frame.went_out,
        "closing_balance_minor": frame.closing,
        "held_now_minor": frame.held_now,
        "owed_now_minor": frame.owed_now,
        "movements": frame.movements,
    }


def _movement_view(one: Movement) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "transfer_id": one.transfer_id,
        "kind": one.kind,
        "from": one.source,
        "to": one.target,
        "amount_minor": one.amount,
        "balance_minor": one.balance,
        "notes": one.notes,
        "job_id": one.job_id,
        "actor_id": one.actor_id,
        "created_at": one.at,
    }
