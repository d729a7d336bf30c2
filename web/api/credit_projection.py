"""How long the credit of an account lasts, over HTTP."""

from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, fields

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.credit.projection import Projection, projection
from pipelines.errors import NotFound
from web.api.routes import Routes, answers
from web.front import front
from web.guards import permitted, principal

routes = Routes("credit-projections", "How long credit lasts.")
#: So many days are drawn ahead.
DAYS_AHEAD = 30


class ComingJob(Schema):
    job_id = fields.UUID()
    scheduled_for = fields.DateTime(allow_none=True)
    held_minor = fields.Integer()
    waiting_minor = fields.Integer(
        metadata={"description": "What its open rows are charged that nothing is held for."}
    )


class DayAhead(Schema):
    day = fields.Date()
    available_minor = fields.Integer(metadata={"description": "At its end (UTC), at this pace."})


class CreditProjection(Schema):
    account_id = fields.UUID()
    currency = fields.String()
    covers_below = fields.Boolean(
        metadata={"description": "The accounts below count too: an agency’s, the platform’s."}
    )
    as_of = fields.DateTime()
    available_minor = fields.Integer()
    held_minor = fields.Integer()
    waiting_minor = fields.Integer(
        metadata={"description": "Of jobs that wait for credit, or will when they start."}
    )
    spent_minor = fields.Integer(metadata={"description": "Within the last `spent_days`."})
    spent_days = fields.Integer()
    days_left = fields.Integer(
        allow_none=True,
        metadata={
            "description": "Until nothing is available; null: not at this pace, or nothing ever moved."
        },
    )
    runs_out_on = fields.Date(allow_none=True)
    redemptions_left = fields.Integer(
        allow_none=True, metadata={"description": "At the average charge; null: none is known."}
    )
    jobs = fields.List(fields.Nested(ComingJob))
    days = fields.List(fields.Nested(DayAhead))


@routes.get("/credit/accounts/<uuid:account_id>/projection")
@permitted(Permission.CREDIT_READ)
@answers(200, CreditProjection)
def get_projection(account_id: UUID) -> Response:
    """When the account runs out at the pace of the last 30 days, and how many cards it still pays.

    What jobs hold is not available any more. Jobs that wait for credit, or are scheduled and not
    wholly held for, take theirs on their day.
    """
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = projection(session, account_id, now=clock.now(session))
    if found is None:
        raise NotFound
    return jsonify(_view(found))


def _view(found: Projection) -> dict[str, object]:
    ends = found.runs_out_on
    return {
        "account_id": found.account_id,
        "currency": found.currency,
        "covers_below": found.covers_below,
        "as_of": found.at,
        "available_minor": found.free_minor,
        "held_minor": found.held_minor,
        "waiting_minor": found.waiting_minor,
        "spent_minor": found.pace.spent_minor,
        "spent_days": found.pace.days,
        "days_left": found.days_left,
        "runs_out_on": ends.isoformat() if ends else None,
        "redemptions_left": found.cards_left,
        "jobs": [
            {
                "job_id": one.job_id,
                "scheduled_for": one.starts_at,
                "held_minor": one.held_minor,
                "waiting_minor": one.waiting_minor,
            }
            for one in found.coming
        ],
        "days": [
            {"day": day.isoformat(), "available_minor": free}
            for day, free in found.course(DAYS_AHEAD)
        ],
    }
