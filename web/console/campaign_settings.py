"""The settings of a campaign: name, time zone and conditions, changed unless somebody else did."""

from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, Response, url_for
from sqlalchemy import Row

from pipelines.access.permissions import Permission
from pipelines.errors import ValidationFailed
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants import campaigns
from pipelines.tenants.refusals import NameTaken, TooManyToCount, VersionConflict
from pipelines.tenants.time_zones import zones_by_area
from web.console.at_work import still_at_work
from web.console.campaign_form import name_errors
from web.console.condition_form import read_conditions, shown_conditions
from web.console.form_names import form_name, key_of_form
from web.console.formats import number
from web.console.frame import go, page
from web.console.stale_forms import differences, filled_again, shown_before
from web.console.typed import typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal

#: As the database counts it.
VERSION_MAX = 2**31 - 1
NOTHING_ELSE = "Its state or its budget changed; what stands here did not."
#: What a form shows, and what the words of a conflict call it.
FIELDS = {
    "name": "Its name",
    "time_zone": "Its time zone",
    "starts_at": "Its start",
    "ends_at": "Its end",
    "max_rewards": "Its number of rewards",
    "max_rewards_per_recipient": "Its number of rewards for each recipient",
}
#: Where a refusal that is about one field stands.
FIELD_OF = {NameTaken: "name", TooManyToCount: "max_rewards_per_recipient"}


def add_pages(console: Blueprint) -> None:
    path = "/campaigns/<uuid:campaign_id>/settings"
    console.add_url_rule(path, "campaign_settings", show, methods=["GET"])
    console.add_url_rule(path, "campaign_settings_now", change, methods=["POST"])


@permitted(Permission.CAMPAIGNS_MANAGE)
def show(campaign_id: UUID) -> Response:
    return _page(campaign_id)


@permitted(Permission.CAMPAIGNS_MANAGE)
def change(campaign_id: UUID) -> Response:
    """Write what was changed, if nobody changed the campaign since the form was shown."""
    caller = principal()
    typed = typed_fields("version", *FIELDS)
    with looking() as session:
        campaigns.campaign(session, campaign_id)
    errors, version = name_errors(typed, zone_required=True), _version(typed["version"])
    values: dict[str, object] = {"name": typed["name"], "time_zone": typed["time_zone"]}
    if "time_zone" not in errors:
        values |= read_conditions(typed, shown_before(FIELDS), errors)
    if errors:
        return _page(campaign_id, typed, errors)
    try:
        with looking() as session:

            def changed() -> UUID:
                campaigns.change_campaign(
                    session,
                    campaign_id,
                    values,
                    version=version,
                    actor_id=caller.actor_id,
                    limits=front().house.limits,
                )
                return campaign_id

            key = key_of_form(caller.actor_id)
            once(session, key, changed, status=200, resource_kind="campaign")
    except RequestInProgress:
        return still_at_work(url_for("console.campaign", campaign_id=campaign_id))
    except (NameTaken, TooManyToCount) as refusal:
        wrong = {FIELD_OF[type(refusal)]: refusal.detail}
        return _page(campaign_id, typed, wrong, status=STATUS[refusal.kind])
    except ValidationFailed:
        return _page(campaign_id, typed, {"ends_at": "The end must be after the start."})
    except VersionConflict as refusal:
        return _page(campaign_id, typed, status=STATUS[refusal.kind])
    return go(url_for("console.campaign", campaign_id=campaign_id, done="changed"))


def _page(
    campaign_id: UUID,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
) -> Response:
    """The form; after a conflict it says what is different now, and keeps what was typed, and that alone."""
    with looking() as session:
        row = campaigns.campaign(session, campaign_id)
    found = _found(row)
    seen, told = found | {"version": str(row.version)}, None
    if typed is not None and errors:
        # A form with an error still stands on what its visitor read; a stale one is told it now.
        seen = shown_before(FIELDS) | {"version": typed["version"]}
    elif typed is not None:
        was = shown_before(FIELDS)
        told = differences(FIELDS, was, found, NOTHING_ELSE)
        typed = filled_again(FIELDS, typed, was, found)
    return page(
        "campaign_settings.html",
        title=f"Settings of {row.name}",
        section="campaigns",
        crumbs=[
            ("Campaigns", url_for("console.campaigns")),
            (row.name, url_for("console.campaign", campaign_id=campaign_id)),
            ("Settings", None),
        ],
        status=status or (422 if errors else 200),
        campaign=row,
        typed=typed or found,
        seen=seen,
        fields=FIELDS,
        errors=errors or {},
        differences=told,
        counted=None if row.rewards_counted is None else number(row.rewards_counted),
        areas=zones_by_area(),
        form_name=form_name(),
    )


def _found(row: Row[object]) -> dict[str, str]:
    return {"name": row.name, "time_zone": row.time_zone} | shown_conditions(row)


def _version(text: str) -> int:
    """The version that the form stands on; zero, which no row has, for anything else."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(VERSION_MAX))
    return int(text) if is_number else 0
