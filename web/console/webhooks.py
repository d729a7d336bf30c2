"""Webhooks at the console: the endpoints, what each was sent, and what a person does about it."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.webhooks import WebhookState
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.places import places_of
from pipelines.access.rate_policies import Policy
from pipelines.queue.keys import once
from pipelines.webhooks import endpoints, redeliver
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.typed import id_in
from web.console.visit import looking
from web.console.webhook_new import show_made
from web.console.webhook_words import STATES, delivery_words, endpoint_words
from web.guards import freshly_proven, permitted, principal
from web.rate_limits import limited

PAGE_SIZE = 50
DONE = {
    "tested": "The test is on its way; it is tried once. Load this page again to see what came of it.",
    "again": "The event is on its way again, under its old id.",
    "enabled": "It is told of what happens from now on.",
    "disabled": "It is told of nothing more; what waited is cancelled.",
}


def add_pages(console: Blueprint) -> None:
    home = "/webhooks/<uuid:endpoint_id>"
    console.add_url_rule("/webhooks", "webhooks", show)
    console.add_url_rule(home, "webhook", show_one)
    for word, view in (("test", test), ("enable", enable), ("disable", disable)):
        console.add_url_rule(f"{home}/{word}", f"webhook_{word}", view, methods=["POST"])
    console.add_url_rule(f"{home}/rotate", "webhook_rotate", ask_rotation, methods=["GET"])
    console.add_url_rule(f"{home}/rotate", "webhook_rotate_now", rotate, methods=["POST"])
    console.add_url_rule(f"{home}/delete", "webhook_delete", ask_end, methods=["GET"])
    console.add_url_rule(f"{home}/delete", "webhook_delete_now", end, methods=["POST"])
    again = "/webhook-deliveries/<uuid:delivery_id>/retry"
    console.add_url_rule(again, "webhook_again", send_again, methods=["POST"])


@permitted(Permission.WEBHOOKS_READ)
def show() -> Response:
    """The endpoints in the visitor's scope, newest first."""
    before = id_in(request.args.get("before"))
    with looking() as session:
        rows = endpoints.list_endpoints(session, before=before, limit=PAGE_SIZE + 1)
        shown, now = rows[:PAGE_SIZE], clock.now(session)
        places = places_of(session, shown)
        words = [endpoint_words(row, places.of(row), now=now) for row in shown]
    older = url_for("console.webhooks", before=words[-1].id) if len(rows) > PAGE_SIZE else None
    return page(
        "webhooks.html",
        title="Webhooks",
        section="webhooks",
        endpoints=words,
        older=older,
        is_later_page=before is not None,
        may_manage=is_allowed(principal(), Permission.WEBHOOKS_MANAGE),
    )


@permitted(Permission.WEBHOOKS_READ)
def show_one(endpoint_id: UUID) -> Response:
    return _one(endpoint_id)


@permitted(Permission.WEBHOOKS_MANAGE)
@limited(Policy.TRIAL)
def test(endpoint_id: UUID) -> Response:
    """Send a test; the form sent again sends no second one."""
    caller = principal()
    with looking() as session:
        now = clock.now(session)
        send = partial(redeliver.send_test, session, endpoint_id, actor_id=caller.actor_id, now=now)
        key = key_of_form(caller.actor_id)
        once(session, key, send, status=200, resource_kind="webhook_delivery")
    return _back(endpoint_id, "tested")


@permitted(Permission.WEBHOOKS_MANAGE)
def enable(endpoint_id: UUID) -> Response:
    return _changed(endpoint_id, endpoints.enable_endpoint, "enabled")


@permitted(Permission.WEBHOOKS_MANAGE)
def disable(endpoint_id: UUID) -> Response:
    return _changed(endpoint_id, endpoints.disable_endpoint, "disabled")


@permitted(Permission.WEBHOOKS_MANAGE)
def ask_rotation(endpoint_id: UUID) -> Response:
    freshly_proven()
    return _question(endpoint_id, "webhook_rotate.html", "Another secret")


@permitted(Permission.WEBHOOKS_MANAGE)
def rotate(endpoint_id: UUID) -> Response:
    """Draw another secret, and show it this once."""
    caller = freshly_proven()
    try:
        with looking() as session:
            now = clock.now(session)
            draw = partial(
                endpoints.rotate_secret, session, endpoint_id, actor_id=caller.actor_id, now=now
            )
            key = key_of_form(caller.actor_id)
            done = once(session, key, draw, status=200, resource_kind="webhook_endpoint")
            row = endpoints.endpoint_row(session, endpoint_id)
    except endpoints.SecretRotating as refusal:
        return _one(endpoint_id, wrong=refusal.detail, status=409)
    return show_made(row, is_repeat=done.is_replay)


@permitted(Permission.WEBHOOKS_MANAGE)
def ask_end(endpoint_id: UUID) -> Response:
    return _question(endpoint_id, "webhook_delete.html", "Delete")


@permitted(Permission.WEBHOOKS_MANAGE)
def end(endpoint_id: UUID) -> Response:
    with looking() as session:
        now = clock.now(session)
        endpoints.delete_endpoint(session, endpoint_id, actor_id=principal().actor_id, now=now)
    return go(url_for("console.webhooks"))


@permitted(Permission.WEBHOOKS_MANAGE)
@limited(Policy.REDELIVER)
def send_again(delivery_id: UUID) -> Response:
    """Send an event once more; to an endpoint that is not enabled the page says why not."""
    with looking() as session:
        endpoint_id = redeliver.delivery_row(session, delivery_id).endpoint_id
    try:
        with looking() as session:
            now = clock.now(session)
            redeliver.redeliver(session, delivery_id, actor_id=principal().actor_id, now=now)
    except redeliver.EndpointNotEnabled as refusal:
        return _one(endpoint_id, wrong=refusal.detail, status=409)
    return _back(endpoint_id, "again")


def _one(endpoint_id: UUID, *, wrong: str | None = None, status: int = 200) -> Response:
    asked, before = request.args.get("state"), id_in(request.args.get("before"))
    chosen = asked if asked in STATES else None
    with looking() as session:
        row = endpoints.endpoint_row(session, endpoint_id)
        words = endpoint_words(row, places_of(session, [row]).of(row), now=clock.now(session))
        rows = redeliver.list_deliveries(
            session, endpoint_id=endpoint_id, state=chosen, before=before, limit=PAGE_SIZE + 1
        )
    home, older = partial(url_for, "console.webhook", endpoint_id=endpoint_id), None
    if len(rows) > PAGE_SIZE:
        older = home(before=rows[PAGE_SIZE - 1].id, state=chosen)
    return page(
        "webhook.html",
        title="Webhook",
        section="webhooks",
        crumbs=_crumbs(words.url),
        status=status,
        endpoint=words,
        deliveries=[delivery_words(delivery) for delivery in rows[:PAGE_SIZE]],
        filters=[(state.value, STATES[state].word) for state in WebhookState],
        chosen=chosen,
        older=older,
        is_narrowed=chosen is not None or before is not None,
        may_manage=is_allowed(principal(), Permission.WEBHOOKS_MANAGE),
        form_name=form_name(),
        done=DONE.get(request.args.get("done", "")),
        wrong=wrong,
    )


def _question(endpoint_id: UUID, template: str, word: str) -> Response:
    """Ask before anything is done."""
    with looking() as session:
        row = endpoints.endpoint_row(session, endpoint_id)
    return page(
        template,
        title=f"{word} – webhook",
        section="webhooks",
        crumbs=_crumbs(row.url),
        endpoint=row,
        home=url_for("console.webhook", endpoint_id=endpoint_id),
        form_name=form_name(),
    )


def _changed(endpoint_id: UUID, change: Callable[..., Any], word: str) -> Response:
    with looking() as session:
        now = clock.now(session)
        change(session, endpoint_id, actor_id=principal().actor_id, now=now)
    return _back(endpoint_id, word)


def _back(endpoint_id: UUID, word: str) -> Response:
    return go(url_for("console.webhook", endpoint_id=endpoint_id, done=word))


def _crumbs(url: str) -> list[tuple[str, str | None]]:
    return [("Webhooks", url_for("console.webhooks")), (endpoints.host_of(url), None)]
