"""The form that makes a discount code: what it does is tried on a sample cart first (S2-061)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.discounts.create import NewDiscount, create_discount
from pipelines.discounts.customers import Customer, known_customer
from pipelines.discounts.options import OPTION_NAMES, CodeOptions
from pipelines.discounts.read import LIMIT_NAMES
from pipelines.discounts.refusals import CodeExists
from pipelines.discounts.rule_checks import check_rules
from pipelines.discounts.rules import DiscountKind, DiscountRules
from pipelines.errors import NotFound, ValidationFailed
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.clients import client
from web.console.at_work import still_at_work
from web.console.discount_form import (
    CHOICES,
    FIELDS,
    OFFERED,
    PRODUCTS_CHARACTERS_MAX,
    by_field,
    kind_of,
    read_values,
)
from web.console.discount_preview import FIELDS as CART_FIELDS
from web.console.discount_preview import LINES, Preview, offered_cart, preview, read_cart
from web.console.discount_tiers import TIERS_CHARACTERS_MAX, tier_lines
from web.console.discounts import TITLE
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.person_form import address, offered_clients, typed_client
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal
from web.tenant_choice import ClientRequired, chosen_client

NO_ADDRESS = "Give one address such as ada@example.com, or none."
NO_CLIENT = "Choose the client whose code this is."
IS_PAST = "This is over already: nobody could use the code. Give a later day, or say below that it is meant."
#: Where nobody chose a client yet.
NO_ZONE = "UTC"


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/discounts/new", "discount_new", ask, methods=["GET"])
    console.add_url_rule("/discounts/new", "discount_new_now", make, methods=["POST"])


@permitted(Permission.DISCOUNTS_MANAGE)
def ask() -> Response:
    return _form(OFFERED | offered_cart(), {})


@permitted(Permission.DISCOUNTS_MANAGE)
def make() -> Response:
    """Try it on the sample cart, or make it; the form sent again shows the one it made."""
    typed = typed_fields(
        "code", "assigned_to", "kind", "client_id", "other_client_id", "past_meant", *CART_FIELDS
    )
    typed |= typed_rules()
    errors = dict[str, str]()
    is_trial = request.form.get("do") == "preview"
    with looking() as session:
        client_id, zone = client_of(session, typed, errors if not is_trial else {})
        now = clock.now(session)
    does = read_does(kind_of(typed, errors), typed, zone, errors)
    rules = does.rules
    if is_trial:
        return _form(typed, errors, tried=tried(rules, typed, errors, now), zone=zone)
    if typed["assigned_to"] and not address(typed["assigned_to"]):
        errors["assigned_to"] = NO_ADDRESS
    if is_past(rules, now) and not typed["past_meant"] and "ends_on" not in errors:
        errors["ends_on"] = IS_PAST
    if errors or client_id is None:
        return _form(typed, errors, zone=zone)
    new = NewDiscount(client_id, typed["code"], rules, **does.limits, options=does.options)
    return _made(new, typed, zone)


def typed_rules() -> dict[str, str]:
    """What stands in the fields of the rules; products and tiers are longer texts."""
    typed = typed_fields(*FIELDS)
    products = request.form.get("products", "").strip()[:PRODUCTS_CHARACTERS_MAX]
    tiers = request.form.get("tiers", "")[:TIERS_CHARACTERS_MAX]
    # Without empty lines: an error names the line as it then stands there.
    return typed | {"products": products, "tiers": "\n".join(tier_lines(tiers))}


@dataclass(frozen=True, slots=True)
class Does:
    """What was typed of what a code does, how often, and what becomes of refunds, late payments and leaks."""

    rules: DiscountRules
    limits: dict[str, Any]
    options: CodeOptions


def read_does(
    kind: DiscountKind, typed: Mapping[str, str], zone: str, errors: dict[str, str]
) -> Does:
    """The fields of rules, limits and options; what is wrong is put into `errors`."""
    values = read_values(typed, zone, errors)
    limits = {name: values.pop(name) for name in LIMIT_NAMES}
    options = CodeOptions(**{name: values.pop(name) for name in OPTION_NAMES})
    return Does(DiscountRules(kind, **values), limits, options)


def tried(
    rules: DiscountRules, typed: Mapping[str, str], errors: dict[str, str], now: datetime
) -> Preview | None:
    """The sample cart with the rules; None where something is wrong, with what in `errors`."""
    try:
        check_rules(rules)
    except ValidationFailed as refusal:
        errors |= {
            name: words for name, words in by_field(refusal.errors).items() if name not in errors
        }
    cart = read_cart(typed, rules, errors)
    return None if errors or cart is None else preview(rules, cart, now)


def is_past(rules: DiscountRules, now: datetime) -> bool:
    return rules.expires_at is not None and rules.expires_at <= now


def client_of(
    session: Session, typed: Mapping[str, str], errors: dict[str, str]
) -> tuple[UUID | None, str]:
    """Whose the code is and its time zone; None with why in `errors`."""
    field, named = typed_client(typed)
    given = id_in(named)
    try:
        if named and given is None:
            raise NotFound
        client_id = chosen_client(session, principal(), given)
        return client_id, client(session, client_id).time_zone
    except (ClientRequired, NotFound):
        errors[field] = NO_CLIENT
        return None, NO_ZONE


def _made(new: NewDiscount, typed: Mapping[str, str], zone: str) -> Response:
    actor_id, secret = principal().actor_id, front().house.person_secret
    whom = address(typed["assigned_to"])

    def write() -> UUID:
        assignee = None
        if whom:
            assignee = known_customer(session, new.client_id, Customer(email=whom), secret)
        return create_discount(session, replace(new, assigned_to=assignee), actor_id=actor_id)

    try:
        with looking() as session:
            done = once(session, key_of_form(actor_id), write, status=201, resource_kind="discount")
    except RequestInProgress:
        return still_at_work(url_for("console.discounts"))
    except CodeExists as refusal:
        return _form(typed, {"code": refusal.detail}, zone=zone, status=409)
    except ValidationFailed as refusal:
        return _form(typed, by_field(refusal.errors), zone=zone)
    return go(url_for("console.discount", discount_id=done.resource_id, done="created"))


def _form(
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    tried: Preview | None = None,
    zone: str | None = None,
    status: int | None = None,
) -> Response:
    caller = principal()
    if zone is None and caller.client_id is not None:
        with looking() as session:
            zone = client(session, caller.client_id).time_zone
    offered: dict[str, Any] = offered_clients(caller)
    return page(
        "discount_new.html",
        title="New discount code",
        section="discounts",
        crumbs=[(TITLE, url_for("console.discounts")), ("New", None)],
        status=status or (422 if errors else 200),
        typed=typed,
        errors=errors,
        tried=tried,
        cart_lines=LINES,
        choices=CHOICES,
        zone=zone if caller.client_id is not None else None,
        asks_past=errors.get("ends_on") == IS_PAST or bool(typed.get("past_meant")),
        **offered,
        needs_client=caller.client_id is None,
        form_name=form_name(),
    )
