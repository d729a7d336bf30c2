"""Profit over HTTP, for administrators of the platform and of agencies: it tells costs."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.cards import Source
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.provisioning.profit import COLUMNS, campaign_profit, card_rows, client_profit
from web.api.routes import Routes, answers, answers_csv
from web.fields import Word
from web.front import front
from web.guards import permitted, principal

routes = Routes("profit", "What cards brought in and what they cost.")


class ProfitSums(Schema):
    currency = fields.String()
    cards = fields.Integer()
    revenue_minor = fields.Integer()
    cost_minor = fields.Integer(allow_none=True)
    profit_minor = fields.Integer(
        allow_none=True, metadata={"description": "Of the cards whose cost is known."}
    )
    cards_replaced = fields.Integer(
        metadata={"description": "Cards that did not work: a cost, and no revenue."}
    )
    cards_without_cost = fields.Integer()
    cards_of_other_cost_currency = fields.Integer()


class ProfitFinding(Schema):
    code = fields.String()
    cards = fields.Integer()


class ProfitTotal(ProfitSums):
    findings = fields.List(fields.Nested(ProfitFinding))


class ProfitLine(ProfitSums):
    campaign_id = fields.UUID()
    brand_id = fields.UUID()
    brand = fields.String()
    face_value_minor = fields.Integer()
    charge_minor = fields.Integer(metadata={"description": "Of one card: each price has a line."})
    source = Word(Source)


class Profit(Schema):
    campaign_id = fields.UUID()
    client_id = fields.UUID()
    totals = fields.List(fields.Nested(ProfitTotal))
    lines = fields.List(fields.Nested(ProfitLine))


def _answer(found: dict[str, Any]) -> Response:
    return jsonify(found)


@routes.get("/campaigns/<uuid:campaign_id>/profit")
@permitted(Permission.PROFIT_READ)
@answers(200, Profit)
def get_campaign_profit(campaign_id: UUID) -> Response:
    """Revenue, cost and profit of a campaign, by currency and by price."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return _answer(campaign_profit(session, campaign_id))


@routes.get("/clients/<uuid:client_id>/profit")
@permitted(Permission.PROFIT_READ)
@answers(200, Profit)
def get_client_profit(client_id: UUID) -> Response:
    """Revenue, cost and profit of a client over all its campaigns."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return _answer(client_profit(session, client_id))


@routes.get("/campaigns/<uuid:campaign_id>/profit.csv")
@permitted(Permission.PROFIT_READ)
@answers_csv()
def get_campaign_profit_csv(campaign_id: UUID) -> Response:
    """Every card of a campaign with its charge, cost and profit."""
    rows = card_rows(front().house.sessions, principal().scope, campaign_id)
    return Response(csv_blocks(COLUMNS, rows), mimetype="text/csv")
