"""The form that makes an endpoint, and the one page that shows its secret."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from pipelines.access.permissions import Permission
from pipelines.errors import NotFound
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from pipelines.queue.keys import once
from pipelines.webhooks.addresses import RULES, URL_CHARACTERS_MAX, url_fault
from pipelines.webhooks.catalogue import ALL
from pipelines.webhooks.endpoints import (
    DESCRIPTION_CHARACTERS_MAX,
    TooManyEndpoints,
    Wanted,
    endpoint_row,
    host_of,
    make_endpoint,
)
from pipelines.webhooks.signing import secret_of
from web.console.form_names import form_name, key_of_form
from web.console.frame import page
from web.console.person_form import offered_clients, typed_client
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.front import front
from web.guards import freshly_proven, permitted, principal
from web.tenant_choice import place_of_endpoint

NO_CLIENT = "Choose one of your clients, or nobody for all that you see."


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/webhooks/new", "webhook_new", ask, methods=["GET"])
    console.add_url_rule("/webhooks/new", "webhook_new_now", make, methods=["POST"])


@permitted(Permission.WEBHOOKS_MANAGE)
def ask() -> Response:
    freshly_proven()
    return _form({}, {})


@permitted(Permission.WEBHOOKS_MANAGE)
def make() -> Response:
    """Make the endpoint and show its secret this once; sent again, it shows which one it made."""
    caller, typed, house = freshly_proven(), _typed(), front().house
    anywhere = house.settings.webhooks_anywhere
    errors, (field, named) = _errors(typed, anywhere=anywhere), typed_client(typed)
    client_id = id_in(named)
    if named and client_id is None:
        errors[field] = NO_CLIENT
    if errors:
        return _form(typed, errors)
    wanted = Wanted(typed["url"], typed["description"], typed["events"] or None)

    def write() -> UUID:
        place = place_of_endpoint(session, caller, client_id)
        return make_endpoint(session, wanted, place, actor_id=caller.actor_id, anywhere=anywhere)

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, write, status=200, resource_kind="webhook_endpoint")
            row = endpoint_row(session, done.resource_id)
    except NotFound:
        return _form(typed, {field: NO_CLIENT})
    except TooManyEndpoints as refusal:
        return _form(typed, {"url": refusal.detail})
    return show_made(row, is_repeat=done.is_replay)


def show_made(row: Any, *, is_repeat: bool) -> Response:
    """The only page that has a secret on it; of a repeat it has none."""
    secret = secret_of(row.id, row.secret_version, key=front().house.webhook_key)
    return page(
        "webhook_made.html",
        title="Webhook secret",
        section="webhooks",
        crumbs=[("Webhooks", url_for("console.webhooks")), (host_of(row.url), None)],
        row=row,
        secret=None if is_repeat else secret,
    )


def _typed() -> dict[str, Any]:
    form = request.form
    return {
        "url": form.get("url", "").strip()[: URL_CHARACTERS_MAX + 1],
        "description": form.get("description", "").strip()[: DESCRIPTION_CHARACTERS_MAX + 1],
        "events": [name for name in form.getlist("events") if name in ALL],
        **typed_fields("client_id", "other_client_id"),
    }


def _errors(typed: Mapping[str, Any], *, anywhere: bool) -> dict[str, str]:
    errors: dict[str, str] = {}
    rule, description = url_fault(typed["url"], anywhere=anywhere), typed["description"]
    if rule is not None:
        errors["url"] = RULES[rule]
    if len(description) > DESCRIPTION_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(description):
        errors["description"] = (
            f"Write one line of at most {DESCRIPTION_CHARACTERS_MAX} characters."
        )
    return errors


def _form(typed: Mapping[str, Any], errors: dict[str, str]) -> Response:
    return page(
        "webhook_new.html",
        title="New webhook",
        section="webhooks",
        crumbs=[("Webhooks", url_for("console.webhooks")), ("New", None)],
        status=422 if errors else 200,
        typed=typed,
        types=list(ALL.values()),
        **offered_clients(principal()),
        form_name=form_name(),
        errors=errors,
    )
