"""Flagged uses of discount codes over HTTP: why, and what a person decides; slots given back."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields, validate
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.discounts import UsageState
from models.risks import Decision
from pipelines.access.permissions import Permission
from pipelines.checkout import decide
from pipelines.checkout.release_now import release_now
from pipelines.discounts.read import quoted_json, read_reservation
from pipelines.fraud.read import (
    FlaggedPlace,
    WantedFlagged,
    flagged_json,
    list_flagged,
    read_flagged,
)
from web.api.reservations import QuotedReservation
from web.api.routes import Routes, answers, asks, reads
from web.api.shop_schemas import APPLIED_CODES
from web.fields import Flag, Identity, PageQuery, Text
from web.front import front
from web.guards import permitted, principal
from web.pages import InvalidCursor, listed, text_cursor

routes = Routes("flagged", "Uses of codes that look like a deception: a person decides on them.")
REASON = {"description": "Why, in your own words; kept in the audit log."}


class FlaggedQuery(PageQuery):
    decided = Flag(
        in_text=True,
        load_default=False,
        metadata={"description": "Those that somebody decided on; else those that wait."},
    )
    discount_id = Identity(load_default=None)
    client_id = Identity(load_default=None)


class DecisionBody(Schema):
    reason = Text(required=True, longest=200, metadata=REASON)


class RiskReason(Schema):
    reason = fields.String()
    points = fields.Integer()
    count = fields.Integer()
    words = fields.String()


class FlaggedUse(Schema):
    id = fields.UUID()
    client_id = fields.UUID()
    discount_id = fields.UUID()
    code = fields.String(metadata={"description": "The first one of the cart."})
    codes = APPLIED_CODES
    state = fields.String(validate=validate.OneOf([state.value.upper() for state in UsageState]))
    score = fields.Integer(metadata={"description": "0 to 100; from 70 on it is flagged."})
    reasons = fields.List(fields.Nested(RiskReason))
    purchase_id = fields.UUID(allow_none=True)
    review = fields.String(
        allow_none=True,
        metadata={"description": "`risk_high`: it is paid, and confirmed by nothing yet."},
    )
    cart_id = fields.String()
    user_id = fields.UUID(allow_none=True)
    currency = fields.String()
    discount_minor = fields.Integer()
    total_minor = fields.Integer()
    flagged_at = fields.DateTime()
    decision = fields.String(allow_none=True, validate=validate.OneOf(list(Decision)))
    decided_by = fields.UUID(allow_none=True)
    decided_at = fields.DateTime(allow_none=True)
    decision_reason = fields.String(allow_none=True)
    created_at = fields.DateTime()


class FlaggedPage(Schema):
    data = fields.List(fields.Nested(FlaggedUse))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.get("/discounts/flagged")
@permitted(Permission.DISCOUNTS_MANAGE)
@asks(FlaggedQuery)
@answers(200, FlaggedPage)
def list_flagged_uses(query: dict[str, Any]) -> Response:
    """Uses of codes with a score of 70 or more that wait for a person, the highest first, with reasons.

    Those that somebody decided on are newest first.
    """
    wanted = WantedFlagged(query["decided"], query["client_id"], query["discount_id"])
    limit, place = query["limit"], text_cursor(query)
    try:
        before = None if place is None else FlaggedPlace.named(place)
    except ValueError:
        raise InvalidCursor from None
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = list_flagged(session, wanted, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=flagged_json, place=_place)


def _place(row: Row[Any]) -> str:
    return str(FlaggedPlace.of(row))


@routes.post("/usages/<uuid:reservation_id>/approve")
@permitted(Permission.PURCHASES_SETTLE)
@reads(DecisionBody)
@answers(200, FlaggedUse)
def approve_use(body: dict[str, Any], reservation_id: UUID) -> Response:
    """Let a flagged use be: what is paid is confirmed by it, what is not paid yet goes on.

    409 `not_flagged`, or `already_decided` where somebody has rejected it. Sent again it stays.
    """
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        decide.approve(
            session,
            reservation_id,
            reason=body["reason"],
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        return jsonify(flagged_json(read_flagged(session, reservation_id)))


@routes.post("/usages/<uuid:reservation_id>/reject")
@permitted(Permission.PURCHASES_SETTLE)
@reads(DecisionBody)
@answers(200, FlaggedUse)
def reject_use(body: dict[str, Any], reservation_id: UUID) -> Response:
    """Refuse a flagged use: its money goes back, its slot is free, a page that is open ends.

    409 as `approve`. After 503 it is decided, and its page is still open: send the same again.
    """
    house, caller = front().house, principal()
    decide.reject(
        house.sessions,
        caller.scope,
        reservation_id,
        reason=body["reason"],
        pages=house.paying.pages,
        actor_id=caller.actor_id,
    )
    with scoped_transaction(house.sessions, caller.scope) as session:
        return jsonify(flagged_json(read_flagged(session, reservation_id)))


@routes.post("/usages/<uuid:reservation_id>/release")
@permitted(Permission.DISCOUNTS_MANAGE)
@reads(DecisionBody)
@answers(200, QuotedReservation)
def release_use(body: dict[str, Any], reservation_id: UUID) -> Response:
    """Give the slot of any reservation back by hand, flagged or not; 409 `reservation_ended` if paid.

    A payment page that is open for it is ended first; 503 if Stripe does not answer, and the slot
    stays as it is.
    """
    house, caller = front().house, principal()
    release_now(
        house.sessions,
        caller.scope,
        reservation_id,
        reason=body["reason"],
        pages=house.paying.pages,
        actor_id=caller.actor_id,
    )
    with scoped_transaction(house.sessions, caller.scope) as session:
        row = read_reservation(session, reservation_id)
        return jsonify(quoted_json(row))
