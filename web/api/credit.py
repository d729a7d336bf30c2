"""Credit over HTTP: the tree of accounts, their movements, allocations and recalls."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.ledger import Tier, TransferKind
from pipelines.access.permissions import Permission
from pipelines.approvals.approvals import ApprovalKind, approval_row
from pipelines.approvals.movements import ALLOCATION, RECALL, move_or_ask
from pipelines.credit import read
from pipelines.queue.keys import Done, once_made
from web.admission import canonical, mark_replay, request_key
from web.api.approvals import Approval, view
from web.api.routes import (
    IDEMPOTENCY_KEY,
    Routes,
    answers,
    asks,
    documented,
    may_answer,
    reads,
)
from web.fields import Identity, Minor, PageQuery, Text, Word
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, number_cursor

#: The status of a movement that waits for a second person.
ASKED = 202

routes = Routes("credit", "Credit accounts and what moves between them.")


class MovementBody(Schema):
    from_account_id = Identity(required=True)
    to_account_id = Identity(required=True)
    amount_minor = Minor(required=True)
    notes = Text(longest=500, least=0, load_default="")


class Account(Schema):
    id = fields.UUID()
    owner_id = fields.UUID()
    name = fields.String()
    tier = Word(Tier)
    parent_id = fields.UUID(allow_none=True)
    currency = fields.String()
    balance_minor = fields.Integer()
    held_minor = fields.Integer()
    available_minor = fields.Integer()
    spent_minor = fields.Integer()
    unlimited = fields.Boolean()
    frozen_at = fields.DateTime(
        allow_none=True,
        metadata={"description": "Nothing moves while its books are in doubt: 423."},
    )
    restricted_at = fields.DateTime(
        allow_none=True,
        metadata={"description": "It owes for a top-up that was taken back; nothing leaves: 423."},
    )
    owed_minor = fields.Integer()


class AccountPage(Schema):
    data = fields.List(fields.Nested(Account))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class Transaction(Schema):
    id = fields.String()
    transfer_id = fields.UUID()
    kind = Word(TransferKind)
    amount_minor = fields.Integer()
    balance_after_minor = fields.Integer()
    currency = fields.String()
    notes = fields.String()
    job_id = fields.UUID(allow_none=True)
    actor_id = fields.UUID(allow_none=True)
    created_at = fields.DateTime()


class TransactionPage(Schema):
    data = fields.List(fields.Nested(Transaction))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class Side(Schema):
    id = fields.String()
    account_id = fields.UUID()
    amount_minor = fields.Integer()
    balance_after_minor = fields.Integer()
    currency = fields.String()
    created_at = fields.DateTime()


class Movement(Schema):
    transfer_id = fields.UUID()
    out_transaction = fields.Nested(Side)
    in_transaction = fields.Nested(Side)
    from_account_balance_minor = fields.Integer()
    to_account_balance_minor = fields.Integer()


@routes.get("/credit/accounts")
@permitted(Permission.CREDIT_READ)
@asks(PageQuery)
@answers(200, AccountPage)
def list_accounts(query: dict[str, Any]) -> Response:
    """The tree of credit accounts as far as you see it; `parent_id` says where each hangs."""
    limit, after = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = read.list_accounts(session, after=after, limit=limit + 1)
    return listed(rows, limit=limit, view=read.account_view, place=lambda row: row.id)


@routes.get("/credit/accounts/<uuid:account_id>")
@permitted(Permission.CREDIT_READ)
@answers(200, Account)
def get_account(account_id: UUID) -> Response:
    """One credit account."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(read.account_view(read.account(session, account_id)))


@routes.get("/credit/accounts/<uuid:account_id>/transactions")
@permitted(Permission.CREDIT_READ)
@asks(PageQuery)
@answers(200, TransactionPage)
def list_transactions(query: dict[str, Any], account_id: UUID) -> Response:
    """The movements of an account, newest first, each with the balance after it."""
    limit, before = query["limit"], number_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        read.account(session, account_id)
        rows = read.list_postings(session, account_id, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=read.posting_view, place=lambda row: row.id)


@routes.post("/credit/allocations")
@permitted(Permission.CREDIT_MOVE)
@reads(MovementBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(201, Movement)
@may_answer(ASKED, Approval)
def allocate(body: dict[str, Any]) -> Response:
    """Move credit from an account to one right below it.

    When you moved 1,000,000.00 alone within a day, a second person has to agree: 202 with the
    approval instead.
    """
    sides = {"parent_id": body["from_account_id"], "child_id": body["to_account_id"]}
    return _moved(body, ALLOCATION, sides)


@routes.post("/credit/recalls")
@permitted(Permission.CREDIT_MOVE)
@reads(MovementBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(201, Movement)
@may_answer(ASKED, Approval)
def recall(body: dict[str, Any]) -> Response:
    """Take unused credit back from an account right below: `from` is the child, `to` the parent."""
    sides = {"parent_id": body["to_account_id"], "child_id": body["from_account_id"]}
    return _moved(body, RECALL, sides)


def _moved(body: dict[str, Any], kind: ApprovalKind, sides: dict[str, UUID]) -> Response:
    """Move it, or let it wait for a second person: then 202 and the approval."""
    caller, house = principal(), front().house
    key = request_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:
        make = partial(
            move_or_ask,
            session,
            kind,
            caller,
            **sides,
            amount=body["amount_minor"],
            notes=body["notes"],
            key=key.key,
            limits=house.limits,
            now=clock.now(session),
        )
        done = once_made(session, key, make)
        response = jsonify(_shown(session, done))
    response.status_code = done.status
    if done.status == ASKED:
        where = url_for("approvals.get_approval", approval_id=done.resource_id)
        response.headers["Location"] = where
    return mark_replay(response, is_replay=done.is_replay)


def _shown(session: Session, done: Done) -> dict[str, Any]:
    if done.status == ASKED:
        return view(approval_row(session, done.resource_id), clock.now(session))
    return read.transfer_view(session, done.resource_id)
