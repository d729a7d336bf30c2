"""Campaigns over HTTP: made, changed, paused, resumed, and who pays for them."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import Row

from models.base import new_id
from models.database import scoped_transaction
from models.tenants import BudgetMode, CampaignState
from pipelines.access.permissions import Permission
from pipelines.queue.keys import RequestKey, once
from pipelines.tenants import budgets, campaigns
from web.admission import canonical, mark_replay, offered_key, request_key
from web.api.clients import TIME_ZONE
from web.api.routes import MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import (
    Count,
    Currency,
    Identity,
    Minor,
    PageQuery,
    Stamp,
    Text,
    Word,
    in_years,
    one_of,
)
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, listed, read_version, with_version
from web.tenant_choice import chosen_client

routes = Routes("campaigns", "Campaigns of clients.")

REWARDS_MAX = 2**31 - 1
#: What is said of a campaign's conditions, in the words of the body.
CONDITIONS = ("starts_at", "ends_at", "max_rewards", "max_rewards_per_recipient")


class CampaignConditions(Schema):
    """When rewards are given and how many; null lifts a condition."""

    starts_at = Stamp(allow_none=True, validate=in_years)
    ends_at = Stamp(allow_none=True, validate=in_years)
    max_rewards = Count(low=1, high=REWARDS_MAX, allow_none=True)
    max_rewards_per_recipient = Count(low=1, high=REWARDS_MAX, allow_none=True)


class CampaignBody(CampaignConditions):
    name = Text(required=True, longest=200)
    client_id = Identity()
    time_zone = Text(longest=64, validate=TIME_ZONE)


class CampaignChange(CampaignConditions):
    name = Text(longest=200)
    time_zone = Text(longest=64, validate=TIME_ZONE)
    version = Count(low=1, high=2**31 - 1)


class BudgetBody(Schema):
    mode = fields.String(required=True, validate=one_of(*BudgetMode))
    amount_minor = Minor(zero=True, load_default=0)
    currency = Currency(load_default=None, allow_none=True)


class Campaign(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    name = fields.String()
    time_zone = fields.String()
    state = Word(CampaignState)
    pause_reason = fields.String(allow_none=True)
    budget_mode = Word(BudgetMode)
    starts_at = fields.DateTime(allow_none=True)
    ends_at = fields.DateTime(allow_none=True)
    max_rewards = fields.Integer(allow_none=True)
    max_rewards_per_recipient = fields.Integer(allow_none=True)
    #: Open and given rewards; null while the campaign was never limited.
    rewards_counted = fields.Integer(allow_none=True)
    is_open = fields.Boolean(
        metadata={
            "description": "Active and within its window at this moment: what begins now is refused "
            "for neither."
        }
    )
    version = fields.Integer()
    created_at = fields.DateTime()


class CampaignPage(Schema):
    data = fields.List(fields.Nested(Campaign))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


def shown(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


@routes.post("/campaigns")
@permitted(Permission.CAMPAIGNS_MANAGE)
@reads(CampaignBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Campaign)
def create_campaign(body: dict[str, Any]) -> Response:
    """Make an active campaign."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def make() -> UUID:
            return campaigns.create_campaign(
                session,
                client_id=chosen_client(session, caller, body.get("client_id")),
                name=body["name"],
                time_zone=body.get("time_zone"),
                conditions={name: body[name] for name in CONDITIONS if name in body},
                actor_id=caller.actor_id,
                limits=front().house.limits,
            )

        done = once(session, key, make, status=201, resource_kind="campaign")
        row = campaigns.campaign(session, done.resource_id)
    return mark_replay(with_version(shown(row), 201), is_replay=done.is_replay)


@routes.get("/campaigns")
@permitted(Permission.CAMPAIGNS_READ)
@asks(PageQuery)
@answers(200, CampaignPage)
def list_campaigns(query: dict[str, Any]) -> Response:
    """List campaigns, newest first."""
    limit, before = query["limit"], id_cursor(query)
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        rows = campaigns.list_campaigns(session, before=before, limit=limit + 1)
    return listed(rows, limit=limit, view=shown, place=lambda row: row.id)


@routes.get("/campaigns/<uuid:campaign_id>")
@permitted(Permission.CAMPAIGNS_READ)
@answers(200, Campaign)
def get_campaign(campaign_id: UUID) -> Response:
    """One campaign."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(shown(campaigns.campaign(session, campaign_id)))


@routes.patch("/campaigns/<uuid:campaign_id>")
@permitted(Permission.CAMPAIGNS_MANAGE)
@reads(CampaignChange)
@answers(200, Campaign)
def change_campaign(body: dict[str, Any], campaign_id: UUID) -> Response:
    """Change a campaign; `If-Match` or `version` says what you last read."""
    caller = principal()
    values = {name: value for name, value in body.items() if name != "version"}
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        campaigns.change_campaign(
            session,
            campaign_id,
            values,
            version=read_version(body),
            actor_id=caller.actor_id,
            limits=front().house.limits,
        )
        row = campaigns.campaign(session, campaign_id)
    return with_version(shown(row))


@routes.post("/campaigns/<uuid:campaign_id>/pause")
@permitted(Permission.CAMPAIGNS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Campaign)
def pause_campaign(campaign_id: UUID) -> Response:
    """Accept nothing new for a campaign."""
    return _moved(campaign_id, offered_key(principal()), campaigns.pause_campaign)


@routes.post("/campaigns/<uuid:campaign_id>/resume")
@permitted(Permission.CAMPAIGNS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Campaign)
def resume_campaign(campaign_id: UUID) -> Response:
    """Accept work for a campaign again."""
    return _moved(campaign_id, offered_key(principal()), campaigns.resume_campaign)


@routes.post("/campaigns/<uuid:campaign_id>/budget")
@permitted(Permission.CAMPAIGNS_BUDGET)
@reads(BudgetBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Campaign)
def set_budget(body: dict[str, Any], campaign_id: UUID) -> Response:
    """Give a campaign its own budget (`isolated`), or let it share its client's (`shared`).

    An amount moves money, so it needs an Idempotency-Key. What you may not move alone within a day
    goes through `/credit/allocations` and `/credit/recalls`, where a second person can agree.
    """
    admit = request_key if body["amount_minor"] else offered_key
    key = admit(principal(), canonical(body))
    name = f"budget:{campaign_id}:{new_id()}"
    by: dict[str, Any] = {"client_ref": name, "caller": principal(), "limits": front().house.limits}
    if body["mode"] == BudgetMode.SHARED:
        return _changed(campaign_id, key, partial(budgets.share_budget, **by))
    amount, currency = body["amount_minor"], body["currency"]
    isolate = partial(budgets.isolate_budget, amount=amount, currency=currency, **by)
    return _changed(campaign_id, key, isolate)


def _moved(campaign_id: UUID, key: RequestKey | None, move: Callable[..., object]) -> Response:
    return _changed(campaign_id, key, partial(move, actor_id=principal().actor_id))


def _changed(campaign_id: UUID, key: RequestKey | None, change: Callable[..., object]) -> Response:
    """Change the campaign; a repeat with the same key answers the campaign as it is now."""
    caller = principal()

    def changed() -> UUID:
        change(session, campaign_id)
        return campaign_id

    with scoped_transaction(front().house.sessions, caller.scope) as session:
        done = once(session, key, changed, status=200, resource_kind="campaign")
        row = campaigns.campaign(session, campaign_id)
    return mark_replay(with_version(shown(row)), is_replay=done.is_replay)
