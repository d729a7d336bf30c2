"""Pools of people: the list, the form that makes one, its settings, and putting it away and back."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.access.places import places_of
from pipelines.books.read import read_book
from pipelines.errors import NotFound
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from pipelines.queue.keys import RequestInProgress, once
from pipelines.tenants.refusals import NameTaken, VersionConflict
from pipelines.user_pools import pools
from web.console.at_work import still_at_work
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.person_form import offered_clients, typed_client
from web.console.stale_forms import filled_again, shown_before
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.guards import permitted, principal
from web.tenant_choice import ClientRequired, chosen_client

PAGE_SIZE = 50
FIND_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 200
DESCRIPTION_CHARACTERS_MAX = 1_000
#: As the database counts it.
VERSION_MAX = 2**31 - 1
NO_NAME = f"Give a name of at most {NAME_CHARACTERS_MAX} ordinary characters."
NO_DESCRIPTION = f"Give at most {DESCRIPTION_CHARACTERS_MAX:,} ordinary characters, or nothing."
NO_CLIENT = "Choose the client whose people these are."


def add_pages(console: Blueprint) -> None:
    path = "/user-pools/<uuid:user_pool_id>"
    console.add_url_rule("/user-pools", "user_pools", show_list, methods=["GET"])
    console.add_url_rule("/user-pools/new", "user_pool_new", ask, methods=["GET"])
    console.add_url_rule("/user-pools/new", "user_pool_new_now", make, methods=["POST"])
    console.add_url_rule(f"{path}/settings", "user_pool_settings", settings, methods=["GET"])
    console.add_url_rule(f"{path}/settings", "user_pool_settings_now", change, methods=["POST"])
    console.add_url_rule(f"{path}/archive", "user_pool_archive", archive, methods=["POST"])
    console.add_url_rule(f"{path}/restore", "user_pool_restore", restore, methods=["POST"])


@permitted(Permission.USER_POOLS_READ)
def show_list() -> Response:
    """Pools of the visitor's scope, newest first; who comes from a book chooses the pool for it."""
    words = " ".join(request.args.get("find", "").split())[:FIND_CHARACTERS_MAX]
    is_archived = request.args.get("state") == "archived"
    with looking() as session:
        found = pools.list_pools(
            session,
            pools.Wanted("".join(c for c in words if c.isprintable()), is_archived),
            before=id_in(request.args.get("before")),
            limit=PAGE_SIZE + 1,
        )
        shown = found[:PAGE_SIZE]
        places = places_of(session, shown) if principal().client_id is None else None
    kept: dict[str, Any] = {"find": words or None, "state": "archived" if is_archived else None}
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for("console.user_pools", **kept, before=shown[-1].id)
    return page(
        "user_pools.html",
        title="Pools of people",
        section="user-pools",
        pools=[(row, places.of(row) if places else "") for row in shown],
        find=words,
        is_archived=is_archived,
        older=older,
        for_book=_book_in_address(),
        may_manage=is_allowed(principal(), Permission.USER_POOLS_MANAGE),
        may_assign=is_allowed(principal(), Permission.COUPONS_ASSIGN),
    )


def _book_in_address() -> tuple[UUID, str] | None:
    """The book whose coupons somebody wants to give to a pool."""
    book_id = id_in(request.args.get("book_id"))
    if book_id is None:
        return None
    try:
        with looking() as session:
            return book_id, read_book(session, book_id, now=clock.now(session)).rules.name
    except NotFound:
        return None


@permitted(Permission.USER_POOLS_MANAGE)
def ask() -> Response:
    return _new_page({}, {})


@permitted(Permission.USER_POOLS_MANAGE)
def make() -> Response:
    """Make an empty pool; the form sent again shows the one it made."""
    caller, typed = principal(), _typed("client_id", "other_client_id")
    errors, (field, named) = _errors(typed), typed_client(typed)
    given = id_in(named)
    if named and given is None:
        errors[field] = NO_CLIENT
    if errors:
        return _new_page(typed, errors)

    def write() -> UUID:
        return pools.create_pool(
            session,
            client_id=chosen_client(session, caller, given),
            name=typed["name"],
            description=typed["description"],
            actor_id=caller.actor_id,
        )

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, write, status=201, resource_kind="user_pool")
    except RequestInProgress:
        return still_at_work(url_for("console.user_pools"))
    except (ClientRequired, NotFound):
        return _new_page(typed, {field: NO_CLIENT})
    except NameTaken as refusal:
        return _new_page(typed, {"name": refusal.detail}, status=STATUS[refusal.kind])
    return go(url_for("console.user_pool", user_pool_id=done.resource_id, done="created"))


@permitted(Permission.USER_POOLS_MANAGE)
def settings(user_pool_id: UUID) -> Response:
    return _settings_page(user_pool_id)


@permitted(Permission.USER_POOLS_MANAGE)
def change(user_pool_id: UUID) -> Response:
    """Write name and description, if nobody changed the pool since the form was shown."""
    typed = _typed("version")
    with looking() as session:
        pools.pool(session, user_pool_id)
    if errors := _errors(typed):
        return _settings_page(user_pool_id, typed, errors)
    values = {name: typed[name] for name in ("name", "description")}
    try:
        return _written(user_pool_id, values, "changed", version=_version(typed["version"]))
    except NameTaken as refusal:
        wrong = {"name": refusal.detail}
        return _settings_page(user_pool_id, typed, wrong, status=STATUS[refusal.kind])
    except VersionConflict as refusal:
        return _settings_page(user_pool_id, typed, {}, status=STATUS[refusal.kind])


@permitted(Permission.USER_POOLS_MANAGE)
def archive(user_pool_id: UUID) -> Response:
    """Put the pool away: its people stay, nobody is added and nothing distributed."""
    return _written(user_pool_id, {"archived": True}, "archived")


@permitted(Permission.USER_POOLS_MANAGE)
def restore(user_pool_id: UUID) -> Response:
    """Take the pool back into use."""
    return _written(user_pool_id, {"archived": False}, "restored")


def _written(
    user_pool_id: UUID, values: Mapping[str, object], done: str, *, version: int | None = None
) -> Response:
    caller = principal()
    home = url_for("console.user_pool", user_pool_id=user_pool_id)
    try:
        with looking() as session:

            def changed() -> UUID:
                now = clock.now(session)
                pools.change_pool(
                    session,
                    user_pool_id,
                    values,
                    version=version,
                    actor_id=caller.actor_id,
                    now=now,
                )
                return user_pool_id

            key = key_of_form(caller.actor_id)
            once(session, key, changed, status=303, resource_kind="user_pool")
    except RequestInProgress:
        return still_at_work(home)
    return go(url_for("console.user_pool", user_pool_id=user_pool_id, done=done))


def _new_page(
    typed: Mapping[str, str], errors: Mapping[str, str], *, status: int | None = None
) -> Response:
    caller = principal()
    return page(
        "user_pool_new.html",
        title="New pool of people",
        section="user-pools",
        crumbs=[("Pools of people", url_for("console.user_pools")), ("New", None)],
        status=status or (422 if errors else 200),
        typed=typed,
        errors=errors,
        **offered_clients(caller),
        needs_client=caller.client_id is None,
        form_name=form_name(),
    )


def _settings_page(
    user_pool_id: UUID,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
) -> Response:
    """The form; after a conflict it says what is there now, and keeps what was typed, and that alone."""
    with looking() as session:
        row = pools.pool(session, user_pool_id)
    found = {"name": row.name, "description": row.description}
    # A form with an error still stands on what its visitor read; a stale one is told it now.
    seen = found | {"version": row.version}
    if typed is not None and errors:
        seen = shown_before(found) | {"version": typed["version"]}
    elif typed is not None:
        typed = filled_again(found, typed, shown_before(found), found)
    return page(
        "user_pool_settings.html",
        title=f"Settings of {row.name}",
        section="user-pools",
        crumbs=[
            ("Pools of people", url_for("console.user_pools")),
            (row.name, url_for("console.user_pool", user_pool_id=user_pool_id)),
            ("Settings", None),
        ],
        status=status or (422 if errors else 200),
        pool=row,
        typed=typed or found,
        seen=seen,
        errors=errors or {},
        is_stale=typed is not None and not errors,
        form_name=form_name(),
    )


def _typed(*names: str) -> dict[str, str]:
    """The fields as typed; a description has more room than other fields."""
    description = request.form.get("description", "").strip().replace("\r\n", "\n")
    kept = description[: DESCRIPTION_CHARACTERS_MAX + 1]
    return typed_fields("name", *names) | {"description": kept}


def _errors(typed: Mapping[str, str]) -> dict[str, str]:
    errors: dict[str, str] = {}
    name, description = typed["name"], typed["description"]
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        errors["name"] = NO_NAME
    if len(description) > DESCRIPTION_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(description):
        errors["description"] = NO_DESCRIPTION
    return errors


def _version(text: str) -> int:
    """The version that the form stands on; zero, which no row has, for anything else."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(VERSION_MAX))
    return int(text) if is_number else 0
