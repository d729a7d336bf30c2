"""The form that makes an API key, and the one page that shows it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.api_keys import DrawnKey, NewKey, key_row, make_key
from pipelines.access.networks import NETWORKS_MAX, NOT_A_NETWORK, read_network
from pipelines.access.permissions import KeyScope, Permission
from pipelines.errors import NotFound
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from pipelines.queue.keys import once
from web.console.form_names import form_name, key_of_form
from web.console.frame import page
from web.console.person_form import offered_clients, typed_client
from web.console.role_words import SCOPE_WORDS
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.guards import freshly_proven, permitted, principal
from web.new_keys import draw
from web.tenant_choice import ClientRequired, chosen_client

NAME_CHARACTERS_MAX = 200
NETWORKS_CHARACTERS_MAX = 2_000
LIFETIMES = {"30": "30 days", "90": "90 days", "180": "180 days", "365": "One year"}


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/api-keys/new", "api_key_new", ask, methods=["GET"])
    console.add_url_rule("/api-keys/new", "api_key_new_now", make, methods=["POST"])


@permitted(Permission.KEYS_MANAGE)
def ask() -> Response:
    freshly_proven()
    return _form({}, {})


@permitted(Permission.KEYS_MANAGE)
def make() -> Response:
    """Make the key and show it this once; the form sent again shows which key it made."""
    caller, drawn, typed = freshly_proven(), draw(), _typed()
    errors = _errors(typed)
    if errors:
        return _form(typed, errors)

    def write() -> UUID:
        wanted = _wanted(session, typed)
        now = clock.now(session)
        return make_key(session, drawn, wanted, actor_id=caller.actor_id, now=now)

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, write, status=200, resource_kind="api_key")
            row = key_row(session, done.resource_id)
    except (ClientRequired, NotFound):
        field, _named = typed_client(typed)
        return _form(typed, {field: "Choose the client whose storefront gets the key."})
    return show_made(row, None if done.is_replay else drawn)


def show_made(row: Any, drawn: DrawnKey | None) -> Response:
    """The only page that has a key on it; None when it was shown already."""
    return page(
        "api_key_made.html",
        title="API key made",
        section="api-keys",
        crumbs=[("API keys", url_for("console.api_keys")), (row.name, None)],
        row=row,
        key_text=drawn.text if drawn else None,
    )


def chosen_days(form: Mapping[str, str]) -> int | None:
    """For how long the key is to live; None for what is not offered."""
    days = form.get("days", "")
    return int(days) if days in LIFETIMES else None


def _wanted(session: Session, typed: Mapping[str, Any]) -> NewKey:
    _field, named = typed_client(typed)
    given = id_in(named)
    if named and given is None:
        raise NotFound
    networks = [read_network(text) for text in typed["networks"].split()]
    return NewKey(
        name=typed["name"],
        client_id=chosen_client(session, principal(), given),
        scopes=[KeyScope(scope) for scope in typed["scopes"]],
        allowed_cidrs=[network for network in networks if network],
        days=int(typed["days"]),
    )


def _typed() -> dict[str, Any]:
    form = request.form
    return {
        "name": form.get("name", "").strip()[: NAME_CHARACTERS_MAX + 1],
        **typed_fields("client_id", "other_client_id"),
        "scopes": [scope for scope in form.getlist("scopes") if scope in set(KeyScope)],
        "networks": form.get("networks", "").replace(",", " ")[:NETWORKS_CHARACTERS_MAX],
        "days": form.get("days", ""),
    }


def _errors(typed: Mapping[str, Any]) -> dict[str, str]:
    errors: dict[str, str] = {}
    name, networks = typed["name"], typed["networks"].split()
    if not name or len(name) > NAME_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(name):
        errors["name"] = "Name the key after what uses it, such as “Web shop”."
    if not typed["scopes"]:
        errors["scopes"] = "Choose at least one thing that the key may do."
    wrong = next((text for text in networks if read_network(text) is None), None)
    if wrong is not None:
        errors["networks"] = f"“{wrong[:64]}” is not a network. {NOT_A_NETWORK}"
    elif len(networks) > NETWORKS_MAX:
        errors["networks"] = f"Name at most {NETWORKS_MAX} networks."
    if typed["days"] not in LIFETIMES:
        errors["days"] = "Choose how long the key lives."
    return errors


def _form(typed: Mapping[str, Any], errors: dict[str, str]) -> Response:
    return page(
        "api_key_new.html",
        title="New API key",
        section="api-keys",
        crumbs=[("API keys", url_for("console.api_keys")), ("New", None)],
        status=422 if errors else 200,
        typed=typed,
        scopes=list(SCOPE_WORDS.items()),
        **offered_clients(principal()),
        lifetimes=LIFETIMES,
        form_name=form_name(),
        errors=errors,
    )
