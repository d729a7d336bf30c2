"""The rules and limits of a discount code: changed unless somebody else did (EC-004, EC-025)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from pipelines.access.permissions import Permission
from pipelines.books.refusals import PreconditionFailed
from pipelines.discounts.change import change_discount
from pipelines.discounts.read import CodeView, read_code
from pipelines.discounts.refusals import CodeArchived, LimitBelowUsage
from pipelines.discounts.stored_rules import RULE_NAMES
from pipelines.errors import ValidationFailed
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.clients import client
from web.console.at_work import still_at_work
from web.console.book_edit import version_typed
from web.console.discount_form import (
    CHOICES,
    FIELDS,
    by_field,
    read_values,
    said_in_words,
    shown_values,
    touched_values,
)
from web.console.discount_new import IS_PAST, is_past, tried, typed_rules
from web.console.discount_page import place
from web.console.discount_preview import FIELDS as CART_FIELDS
from web.console.discount_preview import LINES, Preview, offered_cart
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.stale_forms import differences, filled_again, shown_before
from web.console.typed import typed_fields
from web.console.visit import looking
from web.guards import permitted, principal

NOTHING_ELSE = "It was paused or resumed; what stands here did not change."


@dataclass(frozen=True, slots=True)
class _Found:
    """The code as it is now, and the time zone of its client."""

    view: CodeView
    zone: str


def add_pages(console: Blueprint) -> None:
    path = "/discounts/<uuid:discount_id>/edit"
    console.add_url_rule(path, "discount_edit", show, methods=["GET"])
    console.add_url_rule(path, "discount_edit_now", change, methods=["POST"])


@permitted(Permission.DISCOUNTS_MANAGE)
def show(discount_id: UUID) -> Response:
    return _page(_found(discount_id))


@permitted(Permission.DISCOUNTS_MANAGE)
def change(discount_id: UUID) -> Response:
    """Try it on the sample cart, or write what was changed, if nobody else changed the code."""
    found = _found(discount_id)
    was = shown_before(FIELDS)
    typed = typed_fields("version", "past_meant", *CART_FIELDS) | typed_rules()
    typed["kind"] = found.view.rules.kind.value
    errors = dict[str, str]()
    values = touched_values(read_values(typed, found.zone, errors), typed, was)
    told = {name: value for name, value in values.items() if name in RULE_NAMES}
    rules = replace(found.view.rules, **told)
    if request.form.get("do") == "preview":
        trial = tried(rules, typed, errors, found.view.now)
        return _page(found, typed, errors, was=was, trial=trial)
    if "expires_at" in values and is_past(rules, found.view.now) and not typed["past_meant"]:
        errors.setdefault("ends_on", IS_PAST)
    if errors:
        return _page(found, typed, errors, was=was)
    return _written(found, typed, was, values)


def _written(
    found: _Found, typed: Mapping[str, str], was: Mapping[str, str], values: Mapping[str, Any]
) -> Response:
    discount_id: UUID = found.view.row.id
    actor_id = principal().actor_id
    home = url_for("console.discount", discount_id=discount_id)

    def changed() -> UUID:
        version, now = version_typed(typed["version"]), clock.now(session)
        change_discount(session, discount_id, values, version=version, actor_id=actor_id, now=now)
        return discount_id

    try:
        with looking() as session:
            once(session, key_of_form(actor_id), changed, status=200, resource_kind="discount")
    except RequestInProgress:
        return still_at_work(home)
    except ValidationFailed as refusal:
        return _page(found, typed, by_field(refusal.errors), was=was)
    except LimitBelowUsage as refusal:
        return _page(found, typed, {"max_uses": refusal.detail}, was=was, status=409)
    except CodeArchived as refusal:
        return _page(found, typed, {"version": refusal.detail}, was=was, status=409)
    except PreconditionFailed:
        return _page(_found(discount_id), typed, was=was, status=409)
    return go(url_for("console.discount", discount_id=discount_id, done="changed"))


def _page(
    found: _Found,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    was: Mapping[str, str] | None = None,
    status: int | None = None,
    trial: Preview | None = None,
) -> Response:
    """The form; after a conflict it says what is different now, and keeps what was typed, and that alone."""
    view, errors = found.view, errors or {}
    shown = shown_values(view, found.zone)
    seen = {name: shown[name] for name in FIELDS} | {"version": str(view.row.version)}
    is_stale = status is not None and not errors
    told = None
    if is_stale and was is not None:
        told = differences(FIELDS, said_in_words(was), said_in_words(shown), NOTHING_ELSE)
        typed = filled_again(FIELDS, typed or shown, was, shown)
    elif typed is not None and was is not None:
        # A form with an error still stands on what its visitor read.
        seen = {**was, "version": typed["version"]}
    return page(
        "discount_edit.html",
        title=f"Edit {view.row.code}",
        section="discounts",
        crumbs=place(view, ("Edit", None)),
        status=status or (422 if errors else 200),
        code=view.row,
        kind=view.rules.kind,
        typed=typed or shown | offered_cart(view.rules),
        seen=seen,
        fields=FIELDS,
        errors=errors,
        differences=told,
        tried=trial,
        cart_lines=LINES,
        choices=CHOICES,
        zone=found.zone,
        asks_past=errors.get("ends_on") == IS_PAST or bool(typed and typed["past_meant"]),
        form_name=form_name(),
    )


def _found(discount_id: UUID) -> _Found:
    with looking() as session:
        view = read_code(session, discount_id, now=clock.now(session), opens=True)
        return _Found(view, client(session, view.row.client_id).time_zone)
