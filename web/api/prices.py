"""Prices over HTTP: what a brand's cards are charged at where that is not their face value."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validates_schema

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.pricing.read import list_prices, price_row
from pipelines.pricing.rules import CHARGE_BP_MAX
from pipelines.pricing.set_price import end_price, set_price
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Identity, Minor, PageQuery, Text, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed

routes = Routes("prices", "What cards are charged at, where that is not their face value.")


NO_CHARGE = (
    "required|Say what is charged: give `charge_minor` (an amount) or `charge_bp` (a share of the "
    "face value)."
)
TWO_CHARGES = (
    "one_charge|Two charges are given, and only one can hold: leave out `charge_minor` (an amount) "
    "or `charge_bp` (a share of the face value)."
)


class PriceBody(Schema):
    """Either an amount for one denomination, or a share of the face value."""

    client_id = Identity(
        load_default=None,
        allow_none=True,
        metadata={"description": "Whose price it is; without it, everybody's who has none."},
    )
    denomination_minor = Minor(
        load_default=None,
        allow_none=True,
        metadata={"description": "For cards of this value only; without it, for all."},
    )
    charge_minor = Minor(load_default=None, allow_none=True)
    charge_bp = Count(
        low=1,
        high=CHARGE_BP_MAX,
        load_default=None,
        allow_none=True,
        metadata={"description": "Basis points of the face value: 10000 is the face value."},
    )
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)

    @validates_schema
    def _says_one_thing(self, data: dict[str, Any], **_: Any) -> None:
        ways = [data.get("charge_minor") is not None, data.get("charge_bp") is not None]
        if all(ways):
            raise ValidationError(TWO_CHARGES, "charge_minor")
        if not any(ways):
            raise ValidationError(NO_CHARGE, "charge_minor")
        if data.get("charge_minor") is not None and data.get("denomination_minor") is None:
            sentence = "required|An amount is for one denomination: say which."
            raise ValidationError(sentence, "denomination_minor")


class PriceReason(Schema):
    reason = Text(required=True, longest=REASON_CHARACTERS_MAX)


class PriceQuery(PageQuery):
    state = fields.String(
        load_default="current",
        validate=one_of("current", "all"),
        metadata={"description": "`all`: those that ended, too."},
    )


class Price(Schema):
    id = fields.UUID()
    brand_id = fields.UUID()
    client_id = fields.UUID(allow_none=True)
    denomination_minor = fields.Integer(allow_none=True)
    charge_minor = fields.Integer(allow_none=True)
    charge_bp = fields.Integer(allow_none=True)
    created_at = fields.DateTime()
    ended_at = fields.DateTime(allow_none=True)


class PricePage(Schema):
    data = fields.List(fields.Nested(Price))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


@routes.get("/brands/<uuid:brand_id>/prices")
@permitted(Permission.BRANDS_READ)
@asks(PriceQuery)
@answers(200, PricePage)
def list_brand_prices(query: dict[str, Any], brand_id: UUID) -> Response:
    """List a brand's prices, newest first; a tenant sees everybody's and its own."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = list_prices(
            session, brand_id, with_ended=query["state"] == "all", before=before, limit=limit + 1
        )
    return listed(found, limit=limit, view=lambda row: dict(row._mapping), place=lambda row: row.id)


@routes.post("/brands/<uuid:brand_id>/prices")
@permitted(Permission.BRANDS_MANAGE)
@reads(PriceBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Price)
def set_brand_price(body: dict[str, Any], brand_id: UUID) -> Response:
    """Charge cards by this from now on; the price for the same client and denomination ends.

    A client's own price goes before everybody's, one for a denomination before one for all. What
    was accepted before keeps its charge.
    """
    caller = principal()
    key = offered_key(caller, canonical(body | {"brand_id": str(brand_id)}))
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        make = partial(
            set_price,
            session,
            brand_id=brand_id,
            actor_id=caller.actor_id,
            now=clock.now(session),
            **body,
        )
        done = once(session, key, make, status=201, resource_kind="price")
        made = price_row(session, brand_id, done.resource_id)
    answer = jsonify(dict(made._mapping))
    answer.status_code = 201
    return mark_replay(answer, is_replay=done.is_replay)


@routes.post("/brands/<uuid:brand_id>/prices/<uuid:price_id>/end")
@permitted(Permission.BRANDS_MANAGE)
@reads(PriceReason)
@answers(200, Price)
def end_brand_price(body: dict[str, Any], brand_id: UUID, price_id: UUID) -> Response:
    """End a price: cards are charged by the next one that fits, or at their face value."""
    caller = principal()
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        end_price(
            session,
            brand_id,
            price_id,
            reason=body["reason"],
            actor_id=caller.actor_id,
            now=clock.now(session),
        )
        ended = price_row(session, brand_id, price_id)
    return jsonify(dict(ended._mapping))
