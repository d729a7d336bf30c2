"""The rules of a book: changed unless somebody else did; closed and reopened for a reason."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.books.change import change_book, close_book, reopen_book
from pipelines.books.read import BookView, read_book
from pipelines.books.refusals import PreconditionFailed
from pipelines.errors import ValidationFailed
from pipelines.queue.keys import RequestInProgress, once
from web.console.at_work import still_at_work
from web.console.book_form import (
    CODES_MEANT,
    FIELDS,
    Trial,
    by_field,
    changed_rules,
    read_rules,
    shown_rules,
    try_pattern,
)
from web.console.book_words import BOOK_STATES
from web.console.books import TITLE, place
from web.console.changes import Change, Line, Place, agree
from web.console.form_names import form_name, key_of_form
from web.console.formats import plural
from web.console.frame import go, page
from web.console.stale_forms import differences, filled_again, shown_before
from web.console.typed import typed_fields
from web.console.visit import looking
from web.guards import permitted, principal

#: As the database counts it.
VERSION_MAX = 2**31 - 1
NOTHING_ELSE = "It was closed or reopened; what stands here did not change."


def add_pages(console: Blueprint) -> None:
    path = "/books/<uuid:book_id>"
    console.add_url_rule(f"{path}/edit", "book_edit", show, methods=["GET"])
    console.add_url_rule(f"{path}/edit", "book_edit_now", change, methods=["POST"])
    console.add_url_rule(f"{path}/close", "book_close", close, methods=["GET", "POST"])
    console.add_url_rule(f"{path}/reopen", "book_reopen", reopen, methods=["GET", "POST"])


@permitted(Permission.BOOKS_MANAGE)
def show(book_id: UUID) -> Response:
    return _page(book_id)


@permitted(Permission.BOOKS_MANAGE)
def change(book_id: UUID) -> Response:
    """Look at the pattern, or write what was changed, if nobody changed the book meanwhile."""
    typed = typed_fields("version", "meant", *FIELDS)
    errors = dict[str, str]()
    if request.form.get("do") == "look":
        view = _read(book_id)
        existing, seals = view.stock["total"], view.rules.seals_codes
        trial = try_pattern(typed, errors, existing=existing, seals_codes=seals)
        return _page(book_id, typed, errors, trial=trial)
    rules = read_rules(typed, errors)
    if errors:
        return _page(book_id, typed, errors)
    values = changed_rules(rules, typed, shown_before(FIELDS))
    actor_id = principal().actor_id
    try:
        with looking() as session:

            def changed() -> UUID:
                version, now = version_typed(typed["version"]), clock.now(session)
                change_book(session, book_id, values, version=version, actor_id=actor_id, now=now)
                return book_id

            once(session, key_of_form(actor_id), changed, status=200, resource_kind="book")
    except RequestInProgress:
        return still_at_work(url_for("console.book", book_id=book_id))
    except ValidationFailed as refusal:
        return _page(book_id, typed, by_field(refusal.errors))
    except PreconditionFailed:
        return _page(book_id, typed, status=409)
    return go(url_for("console.book", book_id=book_id, done="changed"))


@permitted(Permission.BOOKS_MANAGE)
def close(book_id: UUID) -> Response:
    """Assign and redeem nothing of it any more, until it is reopened."""
    view = _read(book_id)
    held = view.stock["assigned"] + view.stock["locked"]
    return agree(_place(view), _closing(view, plural(held, "coupon")), {})


@permitted(Permission.BOOKS_MANAGE)
def reopen(book_id: UUID) -> Response:
    """Take the closing back."""
    view = _read(book_id)
    return agree(_place(view), _reopening(view), {})


def _closing(view: BookView, held: str) -> Change:
    return Change(
        title=f"Close {view.rules.name}",
        lines=(
            Line("The book", BOOK_STATES[view.state].word, "Closed"),
            Line("Coupons that people hold", held, f"{held}, which cannot be redeemed"),
        ),
        note="Nobody can redeem, lock or be given its coupons until it is reopened. Nothing is "
        "taken from anybody.",
        button="Close the book",
        done=url_for("console.book", book_id=view.rules.id, done="closed"),
        kind="book",
        act=partial(_close, view.rules.id),
        is_ending=True,
    )


def _reopening(view: BookView) -> Change:
    return Change(
        title=f"Reopen {view.rules.name}",
        lines=(Line("The book", BOOK_STATES[view.state].word, "As its times say"),),
        note="Its coupons are assigned and redeemed again, within its times and limits.",
        button="Reopen the book",
        done=url_for("console.book", book_id=view.rules.id, done="reopened"),
        kind="book",
        act=partial(_reopen, view.rules.id),
    )


def _close(book_id: UUID, session: Session, reason: str) -> UUID:
    now, actor_id = clock.now(session), principal().actor_id
    close_book(session, book_id, actor_id=actor_id, now=now, reason=reason)
    return book_id


def _reopen(book_id: UUID, session: Session, reason: str) -> UUID:
    now, actor_id = clock.now(session), principal().actor_id
    reopen_book(session, book_id, actor_id=actor_id, now=now, reason=reason)
    return book_id


def _page(
    book_id: UUID,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
    trial: Trial | None = None,
) -> Response:
    """The form; after a conflict it says what is different now, and keeps what was typed, and that alone."""
    view = _read(book_id)
    found = shown_rules(view) | {"version": str(view.rules.version), "meant": str(CODES_MEANT)}
    was, told = shown_before(FIELDS), None
    # A form with an error still stands on what its visitor read; a stale one is told it now.
    seen = was | {"version": typed["version"]} if typed is not None else found
    if typed is not None and status is not None:
        seen, told = found, differences(FIELDS, was, found, NOTHING_ELSE)
        typed = filled_again(FIELDS, typed, was, found)
    return page(
        "book_edit.html",
        title=f"Edit {view.rules.name}",
        section="books",
        crumbs=place(view, ("Edit", None)),
        status=status or (422 if errors else 200),
        book=view.rules,
        typed=typed or found,
        seen=seen,
        fields=FIELDS,
        errors=errors or {},
        differences=told,
        trial=trial,
        form_name=form_name(),
    )


def _read(book_id: UUID) -> BookView:
    with looking() as session:
        return read_book(session, book_id, now=clock.now(session))


def _place(view: BookView) -> Place:
    home = url_for("console.book", book_id=view.rules.id)
    return Place("books", ((TITLE, url_for("console.books")), (view.rules.name, home)))


def version_typed(text: str) -> int:
    """The version that the form stands on; zero, which no row has, for anything else."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(VERSION_MAX))
    return int(text) if is_number else 0
