"""The form that makes a campaign, and how it and the settings read a name and a time zone."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, url_for

from models.tenants import BudgetMode
from pipelines.access.permissions import Permission, is_allowed
from pipelines.errors import NotFound
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants import campaigns
from pipelines.tenants.refusals import NameTaken
from pipelines.tenants.time_zones import TIME_ZONES, zones_by_area
from web.console.at_work import still_at_work
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.person_form import offered_clients, typed_client
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.tenant_choice import ClientRequired, chosen_client

NAME_CHARACTERS_MAX = 200
FIELDS = ("name", "time_zone", "client_id", "other_client_id", "budget")
NO_NAME = f"Give a name of at most {NAME_CHARACTERS_MAX} ordinary characters."
NO_ZONE = "Choose a time zone."
NO_CLIENT = "Choose the client whose campaign this is."


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/campaigns/new", "campaign_new", ask, methods=["GET"])
    console.add_url_rule("/campaigns/new", "campaign_new_now", make, methods=["POST"])


@permitted(Permission.CAMPAIGNS_MANAGE)
def ask() -> Response:
    return _new_page({}, {})


@permitted(Permission.CAMPAIGNS_MANAGE)
def make() -> Response:
    """Make an active campaign; the form sent again shows the one it made."""
    caller, typed = principal(), typed_fields(*FIELDS)
    errors, (field, named) = name_errors(typed, zone_required=False), typed_client(typed)
    given = id_in(named)
    if named and given is None:
        errors[field] = NO_CLIENT
    may_budget = is_allowed(caller, Permission.CAMPAIGNS_BUDGET)
    if errors:
        return _new_page(typed, errors)

    def write() -> UUID:
        return campaigns.create_campaign(
            session,
            client_id=chosen_client(session, caller, given),
            name=typed["name"],
            time_zone=typed["time_zone"] or None,
            actor_id=caller.actor_id,
            limits=front().house.limits,
        )

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, write, status=201, resource_kind="campaign")
    except RequestInProgress:
        return still_at_work(url_for("console.campaigns"))
    except (ClientRequired, NotFound):
        return _new_page(typed, {field: NO_CLIENT})
    except NameTaken as refusal:
        return _new_page(typed, {"name": refusal.detail}, status=STATUS[refusal.kind])
    if typed["budget"] == BudgetMode.ISOLATED and may_budget:
        return go(url_for("console.campaign_budget", campaign_id=done.resource_id, made="yes"))
    return go(url_for("console.campaign", campaign_id=done.resource_id, done="created"))


def _new_page(
    typed: Mapping[str, str], errors: Mapping[str, str], *, status: int | None = None
) -> Response:
    caller = principal()
    return page(
        "campaign_new.html",
        title="New campaign",
        section="campaigns",
        crumbs=[("Campaigns", url_for("console.campaigns")), ("New", None)],
        status=status or (422 if errors else 200),
        typed=typed,
        errors=errors,
        **offered_clients(caller),
        needs_client=caller.client_id is None,
        may_budget=is_allowed(caller, Permission.CAMPAIGNS_BUDGET),
        areas=zones_by_area(),
        form_name=form_name(),
    )


def name_errors(typed: Mapping[str, Any], *, zone_required: bool) -> dict[str, str]:
    """What is wrong with name and time zone, by field."""
    errors: dict[str, str] = {}
    name = typed["name"]
    is_line = not FORBIDDEN_CONTROLS.search(name) and "\n" not in name and "\r" not in name
    if not name or len(name) > NAME_CHARACTERS_MAX or not is_line:
        errors["name"] = NO_NAME
    if typed["time_zone"] not in TIME_ZONES and (typed["time_zone"] or zone_required):
        errors["time_zone"] = NO_ZONE
    return errors
