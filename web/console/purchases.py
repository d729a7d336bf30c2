"""Purchases: the list, with what each waits for (S2-013, S2-105)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from pipelines.access.permissions import Permission
from pipelines.checkout.read import STATES as STATE_NAMES
from pipelines.checkout.read import WantedPurchases, list_purchases, state_of_purchase
from pipelines.discounts.look_up import ids_of_text
from pipelines.tenants.clients import client_places
from pipelines.user_pools.find_person import people_named
from web.console.changes import Place
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.person_form import client_choices
from web.console.purchase_words import STATES, asked_words
from web.console.typed import FIELD_CHARACTERS_MAX, id_in
from web.console.visit import looking
from web.guards import permitted, principal

PAGE_SIZE = 50
NO_CODE = "No discount code that you see has this text. Give all of it, or the code’s id."
NO_STATE = "A purchase has no such state. Choose one of the filters."
NO_CLIENT = "This is no client. Choose one of the list."
TITLE = "Purchases"
GUEST = "Guest"
UNKNOWN_CUSTOMER = "A person whom the client does not know any more"


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """One purchase of the list."""

    id: UUID
    cart: str
    owner: str
    state: StateWords
    amount: str
    codes: list[dict[str, Any]]
    customer: str
    is_disputed: bool
    created_at: datetime


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/purchases", "purchases", show)


def section_place(row: Row[Any]) -> Place:
    """Where the forms of a purchase stand."""
    home = url_for("console.purchase", purchase_id=row.id)
    above = ((TITLE, url_for("console.purchases")), (row.cart_reference, home))
    return Place("purchases", above)


@permitted(Permission.PURCHASES_READ)
def show() -> Response:
    """Purchases in the visitor's scope, newest first."""
    caller, before, chosen = principal(), id_in(request.args.get("before")), _chosen()
    with looking() as session:
        wanted, errors = _wanted(session, chosen)
        found = list_purchases(session, wanted, before=before, limit=PAGE_SIZE + 1)
        # What cannot be is told, and never taken for no filter at all.
        found = [] if errors else found
        lines = _lines(session, found[:PAGE_SIZE])
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for("console.purchases", **chosen, before=lines[-1].id)
    return page(
        "purchases.html",
        title=TITLE,
        section="purchases",
        crumbs=[(TITLE, None)],
        status=422 if errors else 200,
        errors=errors,
        purchases=lines,
        filters=[(name, STATES[name].word) for name in STATE_NAMES],
        chosen=chosen,
        is_filtered=any(chosen.values()),
        clients=client_choices(caller),
        older=older,
        is_later_page=before is not None,
    )


def _chosen() -> dict[str, Any]:
    """What the address narrows the list to; what says nothing is None, and stands in no link."""
    told = {name: request.args.get(name, "").strip() for name in ("state", "client", "discount")}
    return {
        "state": told["state"] or None,
        "disputed": "1" if request.args.get("disputed") == "1" else None,
        "client": told["client"] or None,
        "discount": told["discount"][:FIELD_CHARACTERS_MAX] or None,
    }


def _wanted(session: Session, chosen: Mapping[str, Any]) -> tuple[WantedPurchases, dict[str, str]]:
    """What is looked for, and by field what is wrong; a code is named by its text or its id."""
    errors = dict[str, str]()
    client_id, discount = id_in(chosen["client"]), chosen["discount"]
    if chosen["client"] and client_id is None:
        errors["client"] = NO_CLIENT
    if chosen["state"] and chosen["state"] not in STATES:
        errors["state"] = NO_STATE
    codes = None
    if discount:
        code_id = id_in(discount)
        codes = ids_of_text(session, discount) if code_id is None else [code_id]
        if not codes:
            errors["discount"] = NO_CODE
    state = None if "state" in errors else chosen["state"]
    is_disputed = chosen["disputed"] is not None
    return WantedPurchases(client_id, codes, state, is_disputed), errors


def _lines(session: Session, rows: list[Row[Any]]) -> list[PurchaseLine]:
    places = client_places(session, {row.client_id for row in rows})
    customers = customers_of(session, rows)
    return [
        PurchaseLine(
            row.id,
            row.cart_reference,
            "" if principal().client_id is not None else places[row.client_id].name,
            STATES[state_of_purchase(row)],
            asked_words(row),
            row.codes or [],
            customers[row.id],
            row.is_disputed,
            row.created_at,
        )
        for row in rows
    ]


def customers_of(session: Session, rows: list[Row[Any]]) -> dict[UUID, str]:
    """Who buys each, as their client knows them."""
    by_client: dict[UUID, set[UUID]] = {}
    for row in rows:
        if row.user_id is not None:
            by_client.setdefault(row.client_id, set()).add(row.user_id)
    known = {one: people_named(session, one, ids) for one, ids in by_client.items()}
    return {row.id: _customer(row, known.get(row.client_id, {})) for row in rows}


def _customer(row: Row[Any], known: dict[UUID, Row[Any]]) -> str:
    if row.user_id is None:
        return GUEST
    person = known.get(row.user_id)
    if person is None:
        return UNKNOWN_CUSTOMER
    return str(person.email or person.name or person.external_id or UNKNOWN_CUSTOMER)
