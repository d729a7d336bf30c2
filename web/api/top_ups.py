"""Credit that is paid for at Stripe, over HTTP."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from marshmallow import Schema, fields, validate

from models import clock
from models.database import scoped_transaction
from models.payments import PaymentState
from models.scope import tenant_scope
from pipelines.access.permissions import Permission
from pipelines.credit import read_top_ups
from pipelines.credit.read_top_ups import read_top_up, top_up_json
from pipelines.credit.top_up import NewTopUp, begin_top_up
from pipelines.payments.refusals import PaymentEnded
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, request_key
from web.api.return_address import ReturnAddress
from web.api.routes import IDEMPOTENCY_KEY, Routes, answers, asks, documented, reads
from web.fields import Identity, Minor, PageQuery
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("credit-top-ups", "Credit that a tenant pays for itself.")


class TopUpBody(Schema):
    account_id = Identity(required=True)
    amount_minor = Minor(
        required=True, metadata={"description": "In minor units of the account's currency."}
    )
    success_url = ReturnAddress(required=True)
    cancel_url = ReturnAddress(required=True)


class TopUp(Schema):
    id = fields.UUID()
    account_id = fields.UUID()
    state = fields.String(validate=validate.OneOf(list(PaymentState)))
    amount_minor = fields.Integer()
    currency = fields.String()
    refunded_minor = fields.Integer()
    is_disputed = fields.Boolean()
    transfer_id = fields.UUID(
        allow_none=True, metadata={"description": "The movement of credit, once it is paid."}
    )
    session_id = fields.String(allow_none=True)
    checkout_url = fields.String(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    created_by = fields.UUID(allow_none=True)
    created_at = fields.DateTime()


class TopUpPage(Schema):
    data = fields.List(fields.Nested(TopUp))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.post("/credit/top-ups")
@permitted(Permission.CREDIT_MOVE)
@reads(TopUpBody)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(201, TopUp)
def make_top_up(body: dict[str, Any]) -> Response:
    """Pay for credit on a page of Stripe's, `checkout_url`; the credit is there once it is paid.

    After 503 send the same again, under the same key: nothing is paid twice. Once its page is over
    that is 409 `payment_ended`.
    """
    house, caller = front().house, principal()
    key = request_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:
        make = partial(
            begin_top_up,
            session,
            NewTopUp(**body),
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        done = once(session, key, make, status=201, resource_kind="top_up")
        row = read_top_up(session, done.resource_id)
    if done.is_replay and row.state in {PaymentState.EXPIRED, PaymentState.FAILED}:
        raise PaymentEnded(row.id, row.state)
    if row.state == PaymentState.OPEN and row.session_id is None:
        with tenant_scope(caller.scope):
            house.paying.pages.open(done.resource_id)
        with scoped_transaction(house.sessions, caller.scope) as session:
            row = read_top_up(session, done.resource_id)
    response = jsonify(top_up_json(row))
    response.status_code = 201
    response.headers["Location"] = url_for("credit-top-ups.get_top_up", top_up_id=row.id)
    return mark_replay(response, is_replay=done.is_replay)


@routes.get("/credit/top-ups/<uuid:top_up_id>")
@permitted(Permission.CREDIT_READ)
@answers(200, TopUp)
def get_top_up(top_up_id: UUID) -> Response:
    """One top-up and how far it is paid."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return jsonify(top_up_json(read_top_up(session, top_up_id)))


@routes.get("/credit/top-ups")
@permitted(Permission.CREDIT_READ)
@asks(PageQuery)
@answers(200, TopUpPage)
def list_top_ups(query: dict[str, Any]) -> Response:
    """Top-ups that you see, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = read_top_ups.list_top_ups(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=top_up_json, place=lambda row: row.id)
