"""Corrections of the books over HTTP: the platform's, and never by one person alone."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.approvals.approvals import approval_row
from pipelines.approvals.corrections import ask_to_adjust, ask_to_reverse, ask_to_unfreeze
from pipelines.credit.drift import check_balances
from pipelines.queue.keys import Made, once_made
from web.admission import canonical, mark_replay, request_key
from web.api.approvals import Approval, view
from web.api.routes import IDEMPOTENCY_KEY, Routes, answers, documented, reads
from web.fields import Identity, SignedMinor, Text
from web.front import front
from web.guards import freshly_proven, permitted

routes = Routes("credit-corrections", "Corrections of the books, with a second person's word.")
ASKED = 202
REASON_CHARACTERS_MAX = 500


class CorrectionReason(Schema):
    reason = Text(longest=REASON_CHARACTERS_MAX, required=True)


class CreditAdjustment(CorrectionReason):
    account_id = Identity(required=True)
    amount_minor = SignedMinor(
        required=True,
        metadata={"description": "Enters the account from outside; negative: leaves it."},
    )


class BalanceCheck(Schema):
    frozen = fields.List(fields.UUID())


@routes.post("/credit/adjustments")
@permitted(Permission.CREDIT_CORRECT)
@reads(CreditAdjustment)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(ASKED, Approval)
def adjust(body: dict[str, Any]) -> Response:
    """Ask for an adjustment of an account; it is made when a second person approves it."""
    values = {"account_id": body["account_id"], "amount": body["amount_minor"]}
    return asked(body, partial(ask_to_adjust, **values))


@routes.post("/credit/transfers/<uuid:transfer_id>/reverse")
@permitted(Permission.CREDIT_CORRECT)
@reads(CorrectionReason)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(ASKED, Approval)
def reverse(body: dict[str, Any], transfer_id: UUID) -> Response:
    """Ask for a movement of credit to be moved back, which can be done once."""
    body |= {"transfer_id": str(transfer_id)}
    return asked(body, partial(ask_to_reverse, transfer_id=transfer_id))


@routes.post("/credit/accounts/<uuid:account_id>/unfreeze")
@permitted(Permission.CREDIT_CORRECT)
@reads(CorrectionReason)
@documented(parameters=[IDEMPOTENCY_KEY])
@answers(ASKED, Approval)
def unfreeze(body: dict[str, Any], account_id: UUID) -> Response:
    """Ask to take the ledger's word for a frozen account: its balance and what is held."""
    body |= {"account_id": str(account_id)}
    return asked(body, partial(ask_to_unfreeze, account_id=account_id))


@routes.post("/credit/balance-checks")
@permitted(Permission.CREDIT_CORRECT)
@answers(200, BalanceCheck)
def check() -> Response:
    """Compare every account with its postings and holds, as every night; what differs is frozen."""
    caller = freshly_proven()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        frozen = check_balances(session, clock.now(session))
    return jsonify({"frozen": frozen})


def asked(body: dict[str, Any], ask: Callable[..., UUID]) -> Response:
    """Write an act down for a second person, once per key; 202 with the approval."""
    caller, house = freshly_proven(), front().house
    key = request_key(caller, canonical(body))
    with scoped_transaction(house.sessions, caller.scope) as session:
        done = once_made(session, key, partial(_write, session, caller, body["reason"], ask))
        response = jsonify(view(approval_row(session, done.resource_id), clock.now(session)))
    response.status_code = done.status
    where = url_for("approvals.get_approval", approval_id=done.resource_id)
    response.headers["Location"] = where
    return mark_replay(response, is_replay=done.is_replay)


def _write(session: Session, caller: Any, reason: str, ask: Callable[..., UUID]) -> Made:
    limits, now = front().house.limits, clock.now(session)
    return Made(ask(session, caller, reason=reason, limits=limits, now=now), ASKED, "approval")
