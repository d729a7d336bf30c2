"""Referral programs: the list, and the forms that make and change one (S2-128)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models import clock
from models.discounts import CodeState
from pipelines.access.permissions import Permission, is_allowed
from pipelines.books.refusals import PreconditionFailed
from pipelines.errors import NotFound, ValidationFailed
from pipelines.queue.keys import RequestInProgress, once
from pipelines.referrals import programs, read
from pipelines.referrals.refusals import ProgramArchived
from pipelines.referrals.rules import ProgramRules, part_from, part_json
from pipelines.tenants.clients import client_places
from web.console.at_work import still_at_work
from web.console.book_edit import version_typed
from web.console.discount_form import PRODUCTS_CHARACTERS_MAX
from web.console.discount_words import what_it_does
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.person_form import offered_clients, typed_client
from web.console.referral_form import (
    FIELDS,
    OFFERED,
    PARTS,
    program_errors,
    read_program,
    shown_program,
)
from web.console.referral_words import PROGRAMS
from web.console.stale_forms import filled_again, shown_before
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.guards import permitted, principal
from web.tenant_choice import ClientRequired, chosen_client

PAGE_SIZE = 50
TITLE = "Referrals"
NO_CLIENT = "Choose the client whose customers bring friends."


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/referrals", "referrals", show_list, methods=["GET"])
    console.add_url_rule("/referrals/new", "referral_new", ask, methods=["GET"])
    console.add_url_rule("/referrals/new", "referral_new_now", make, methods=["POST"])
    path = "/referrals/<uuid:program_id>/edit"
    console.add_url_rule(path, "referral_edit", edit, methods=["GET"])
    console.add_url_rule(path, "referral_edit_now", change, methods=["POST"])


@permitted(Permission.DISCOUNTS_READ)
def show_list() -> Response:
    """Programs of the visitor's scope, newest first."""
    caller, state = principal(), request.args.get("state")
    wanted = read.Wanted(CodeState(state) if state in set(CodeState) else None)
    with looking() as session:
        found = read.list_programs(
            session, wanted, before=id_in(request.args.get("before")), limit=PAGE_SIZE + 1
        )
        shown = found[:PAGE_SIZE]
        whose = client_places(session, [row.client_id for row in shown])
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for("console.referrals", state=wanted.state, before=shown[-1].id)
    return page(
        "referrals.html",
        title=TITLE,
        section="referrals",
        programs=[
            {
                "row": row,
                "owner": "" if caller.client_id is not None else whose[row.client_id].name,
                "state": PROGRAMS[row.state],
                "friend": what_it_does(part_from(row.friend)),
                "reward": what_it_does(part_from(row.reward)),
            }
            for row in shown
        ],
        filters=[(state.value, PROGRAMS[state].word) for state in CodeState],
        chosen=wanted.state,
        older=older,
        may_manage=is_allowed(caller, Permission.DISCOUNTS_MANAGE),
    )


@permitted(Permission.DISCOUNTS_MANAGE)
def ask() -> Response:
    return _new_page(OFFERED, {})


@permitted(Permission.DISCOUNTS_MANAGE)
def make() -> Response:
    """Make a program; the form sent again shows the one it made."""
    caller, typed, errors = principal(), _typed("client_id", "other_client_id"), dict[str, str]()
    rules = read_program(typed, errors)
    field, named = typed_client(typed)
    given = id_in(named)
    if named and given is None:
        errors[field] = NO_CLIENT
    if errors:
        return _new_page(typed, errors)

    def write() -> UUID:
        client_id = chosen_client(session, caller, given)
        return programs.create_program(session, client_id, rules, actor_id=caller.actor_id)

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, write, status=201, resource_kind="referral_program")
    except RequestInProgress:
        return still_at_work(url_for("console.referrals"))
    except (ClientRequired, NotFound):
        return _new_page(typed, {field: NO_CLIENT})
    except ValidationFailed as refusal:
        return _new_page(typed, program_errors(refusal.errors))
    return go(url_for("console.referral", program_id=done.resource_id, done="created"))


@permitted(Permission.DISCOUNTS_MANAGE)
def edit(program_id: UUID) -> Response:
    return _edit_page(_row(program_id))


@permitted(Permission.DISCOUNTS_MANAGE)
def change(program_id: UUID) -> Response:
    """Write what was typed, if nobody changed the program since the form was shown."""
    row, typed, errors = _row(program_id), _typed("version"), dict[str, str]()
    rules = read_program(typed, errors)
    if errors:
        return _edit_page(row, typed, errors)
    actor_id, version = principal().actor_id, version_typed(typed["version"])

    def write() -> UUID:
        now = clock.now(session)
        programs.change_program(
            session, program_id, _values(rules), version=version, actor_id=actor_id, now=now
        )
        return program_id

    try:
        with looking() as session:
            key = key_of_form(actor_id)
            once(session, key, write, status=200, resource_kind="referral_program")
    except RequestInProgress:
        return still_at_work(url_for("console.referral", program_id=program_id))
    except ValidationFailed as refusal:
        return _edit_page(row, typed, program_errors(refusal.errors))
    except ProgramArchived as refusal:
        return _edit_page(row, typed, {"version": refusal.detail}, status=409)
    except PreconditionFailed:
        return _edit_page(_row(program_id), typed, status=409)
    return go(url_for("console.referral", program_id=program_id, done="changed"))


def _values(rules: ProgramRules) -> dict[str, Any]:
    parts = {"friend": part_json(rules.friend), "reward": part_json(rules.reward)}
    return parts | {name: getattr(rules, name) for name in programs.PLAIN_NAMES}


def _row(program_id: UUID) -> Row[Any]:
    with looking() as session:
        return read.read_program(session, program_id)


def _typed(*names: str) -> dict[str, str]:
    """What stands in the fields; the products of a part are a longer text."""
    typed = typed_fields(*FIELDS, *names)
    for field in (f"{part}_products" for part in PARTS):
        typed[field] = request.form.get(field, "").strip()[:PRODUCTS_CHARACTERS_MAX]
    return typed


def _new_page(typed: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    caller = principal()
    return page(
        "referral_new.html",
        title="New referral program",
        section="referrals",
        crumbs=[(TITLE, url_for("console.referrals")), ("New", None)],
        status=422 if errors else 200,
        typed=typed,
        errors=errors,
        **offered_clients(caller),
        needs_client=caller.client_id is None,
        form_name=form_name(),
    )


def _edit_page(
    row: Row[Any],
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
) -> Response:
    """The form; after a conflict it says what is there now, and keeps what was typed, and that alone."""
    found = shown_program(row)
    # A form with an error still stands on what its visitor read; a stale one is told it now.
    seen = found | {"version": str(row.version)}
    if typed is not None and errors:
        seen = shown_before(FIELDS) | {"version": typed["version"]}
    elif typed is not None:
        typed = filled_again(FIELDS, typed, shown_before(FIELDS), found)
    return page(
        "referral_edit.html",
        title=f"Edit {row.name}",
        section="referrals",
        crumbs=[
            (TITLE, url_for("console.referrals")),
            (row.name, url_for("console.referral", program_id=row.id)),
            ("Edit", None),
        ],
        status=status or (422 if errors else 200),
        program=row,
        typed=typed or found,
        seen=seen,
        fields=FIELDS,
        errors=errors or {},
        is_stale=typed is not None and not errors,
        form_name=form_name(),
    )
