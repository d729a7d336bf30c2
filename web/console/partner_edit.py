"""The forms that make a partner and change one, with the books that it may offer (S0-29, S0-33)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, url_for
from sqlalchemy import Row

from models import clock
from pipelines.access.permissions import Permission
from pipelines.books.read import Wanted, list_books
from pipelines.books.refusals import PreconditionFailed
from pipelines.errors import NotFound, ValidationFailed
from pipelines.partners.offers import live_offers
from pipelines.partners.partners import TooManyPartners, change_partner, create_partner
from pipelines.partners.read import read_partner as partner_row
from pipelines.partners.rules import PartnerWanted
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.clients import client_places
from pipelines.tenants.time_zones import zones_by_area
from web.console.at_work import still_at_work
from web.console.book_edit import version_typed
from web.console.book_words import BOOK_STATES
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.partner_form import (
    FIELDS,
    OFFERED,
    offer_rows,
    partner_errors,
    read_partner,
    shown_partner,
    typed_partner,
)
from web.console.partners import TITLE, place_of
from web.console.person_form import CHOICES_MAX, offered_clients, typed_client
from web.console.stale_forms import filled_again, shown_before
from web.console.typed import id_in
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal
from web.tenant_choice import ClientRequired, chosen_client

NO_CLIENT = "Choose the client whose coupons the partner gives."


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/partners/new", "partner_new", ask, methods=["GET"])
    console.add_url_rule("/partners/new", "partner_new_now", make, methods=["POST"])
    path = "/partners/<uuid:partner_id>/edit"
    console.add_url_rule(path, "partner_edit", edit, methods=["GET"])
    console.add_url_rule(path, "partner_edit_now", change, methods=["POST"])


@permitted(Permission.PARTNERS_MANAGE)
def ask() -> Response:
    return _new_page(OFFERED, {})


@permitted(Permission.PARTNERS_MANAGE)
def make() -> Response:
    """Make a partner; the form sent again shows the one it made."""
    caller, typed = principal(), typed_partner("client_id", "other_client_id")
    errors = dict[str, str]()
    wanted = read_partner(typed, errors)
    field, named = typed_client(typed)
    given = id_in(named)
    if named and given is None:
        errors[field] = NO_CLIENT
    if errors:
        return _new_page(typed, errors)

    def write() -> UUID:
        client_id = chosen_client(session, caller, given)
        now, actor_id = clock.now(session), caller.actor_id
        return create_partner(
            session, client_id, wanted, actor_id=actor_id, anywhere=_anywhere(), now=now
        )

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, write, status=201, resource_kind="partner")
    except RequestInProgress:
        return still_at_work(url_for("console.partners"))
    except (ClientRequired, NotFound):
        return _new_page(typed, {field: NO_CLIENT})
    except TooManyPartners as refusal:
        return _new_page(typed, {"name": refusal.detail})
    except ValidationFailed as refusal:
        return _new_page(typed, partner_errors(refusal.errors))
    return go(url_for("console.partner", partner_id=done.resource_id, done="created"))


@permitted(Permission.PARTNERS_MANAGE)
def edit(partner_id: UUID) -> Response:
    return _edit_page(*_read(partner_id))


@permitted(Permission.PARTNERS_MANAGE)
def change(partner_id: UUID) -> Response:
    """Write what was typed, if nobody changed the partner since the form was shown."""
    row, found = _read(partner_id)
    typed, errors = typed_partner("version"), dict[str, str]()
    wanted = read_partner(typed, errors)
    if errors:
        return _edit_page(row, found, typed, errors)

    def write() -> UUID:
        change_partner(
            session,
            partner_id,
            _values(wanted),
            version=version_typed(typed["version"]),
            actor_id=actor_id,
            anywhere=_anywhere(),
            now=clock.now(session),
        )
        return partner_id

    actor_id = principal().actor_id
    try:
        with looking() as session:
            once(session, key_of_form(actor_id), write, status=200, resource_kind="partner")
    except RequestInProgress:
        return still_at_work(url_for("console.partner", partner_id=partner_id))
    except ValidationFailed as refusal:
        return _edit_page(row, found, typed, partner_errors(refusal.errors))
    except PreconditionFailed:
        return _edit_page(*_read(partner_id), typed, status=409)
    return go(url_for("console.partner", partner_id=partner_id, done="changed"))


def _values(wanted: PartnerWanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in FIELDS}


def _anywhere() -> bool:
    return front().house.settings.webhooks_anywhere


def _read(partner_id: UUID) -> tuple[Row[Any], dict[str, str]]:
    """The partner, and what the fields of its form hold."""
    with looking() as session:
        row = partner_row(session, partner_id)
        return row, shown_partner(row, live_offers(session, partner_id))


def _new_page(typed: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    caller = principal()
    return page(
        "partner_new.html",
        title="New partner",
        section="partners",
        crumbs=[(TITLE, url_for("console.partners")), ("New", None)],
        status=422 if errors else 200,
        typed=typed,
        errors=errors,
        **offered_clients(caller),
        needs_client=caller.client_id is None,
        **_choices(caller.client_id, typed),
        form_name=form_name(),
    )


def _edit_page(
    row: Row[Any],
    found: Mapping[str, str],
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
) -> Response:
    """The form; after a conflict it says what is there now, and keeps what was typed, and that alone."""
    # A form with an error still stands on what its visitor read; a stale one is told it now.
    seen = {**found, "version": str(row.version)}
    if typed is not None and errors:
        seen = shown_before(FIELDS) | {"version": typed["version"]}
    elif typed is not None:
        typed = filled_again(FIELDS, typed, shown_before(FIELDS), found)
    shown = typed or found
    return page(
        "partner_edit.html",
        title=f"Edit {row.name}",
        section="partners",
        crumbs=[*place_of(row.id, row.name).above, ("Edit", None)],
        status=status or (422 if errors else 200),
        partner=row,
        typed=shown,
        seen=seen,
        fields=FIELDS,
        errors=errors or {},
        is_stale=typed is not None and not errors,
        **_choices(row.client_id, shown),
        form_name=form_name(),
    )


def _choices(client_id: UUID | None, typed: Mapping[str, str]) -> dict[str, Any]:
    """What the fields offer: zones by area, and books, by client where there are several."""
    with looking() as session:
        now = clock.now(session)
        wanted = Wanted(client_id=client_id)
        books = list_books(session, wanted, now=now, before=None, limit=CHOICES_MAX)
        places = client_places(session, {book.row.client_id for book in books})
    by_client: dict[str, list[tuple[str, str]]] = {}
    for book in books:
        owner = "" if client_id is not None else places[book.row.client_id].name
        words = f"{book.row.name} ({BOOK_STATES[book.state].word.lower()})"
        by_client.setdefault(owner, []).append((str(book.row.id), words))
    rows = offer_rows(typed["offers"])
    listed = {str(book.row.id) for book in books}
    return {
        "areas": zones_by_area(),
        "books": list(by_client.items()),
        "books_cut": CHOICES_MAX if len(books) == CHOICES_MAX else None,
        "offers": rows,
        # Beyond the choices, or none: it stays what it is until another is chosen.
        "unlisted": {row.book for row in rows if row.book and row.book not in listed},
    }
