"""The form that makes a book: its pattern is tried before anything is made."""

from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, Response, request, url_for

from pipelines.access.permissions import Permission
from pipelines.books.create import NewBook, create_book
from pipelines.errors import NotFound, ValidationFailed
from pipelines.queue.keys import RequestInProgress, once
from web.console.at_work import still_at_work
from web.console.book_form import FIELDS, OFFERED, Trial, by_field, read_rules, try_pattern
from web.console.books import TITLE
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.person_form import offered_clients, typed_client
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.guards import permitted, principal
from web.tenant_choice import ClientRequired, chosen_client

NO_CLIENT = "Choose the client whose book this is."
SEALED, BEARER_FREE = "bearer", "plain"


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/books/new", "book_new", ask, methods=["GET"])
    console.add_url_rule("/books/new", "book_new_now", make, methods=["POST"])


@permitted(Permission.BOOKS_MANAGE)
def ask() -> Response:
    return _form(OFFERED, {})


@permitted(Permission.BOOKS_MANAGE)
def make() -> Response:
    """Look at the pattern, or make the book; the form sent again shows the one it made."""
    typed = typed_fields(*FIELDS, "client_id", "other_client_id", "worth", "meant")
    errors = dict[str, str]()
    if request.form.get("do") == "look":
        trial = try_pattern(typed, errors, existing=0, seals_codes=typed["worth"] == SEALED)
        return _form(typed, errors, trial=trial)
    rules = read_rules(typed, errors)
    if typed["worth"] not in {SEALED, BEARER_FREE}:
        errors["worth"] = "Choose what a code is worth by itself."
    field, named = typed_client(typed)
    given = id_in(named)
    if named and given is None:
        errors[field] = NO_CLIENT
    if errors:
        return _form(typed, errors)
    caller = principal()

    def write() -> UUID:
        client_id = chosen_client(session, caller, given)
        book = NewBook(client_id=client_id, seals_codes=typed["worth"] == SEALED, **rules)
        return create_book(session, book, actor_id=caller.actor_id)

    try:
        with looking() as session:
            key = key_of_form(caller.actor_id)
            done = once(session, key, write, status=201, resource_kind="book")
    except RequestInProgress:
        return still_at_work(url_for("console.books"))
    except (ClientRequired, NotFound):
        return _form(typed, {field: NO_CLIENT})
    except ValidationFailed as refusal:
        return _form(typed, by_field(refusal.errors))
    return go(url_for("console.book", book_id=done.resource_id, done="created"))


def _form(
    typed: Mapping[str, str], errors: Mapping[str, str], *, trial: Trial | None = None
) -> Response:
    caller = principal()
    return page(
        "book_new.html",
        title="New book",
        section="books",
        crumbs=[(TITLE, url_for("console.books")), ("New", None)],
        status=422 if errors else 200,
        typed=typed,
        errors=errors,
        trial=trial,
        **offered_clients(caller),
        needs_client=caller.client_id is None,
        form_name=form_name(),
    )
