"""Books of coupons: the list, and the page of one with what can be done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission, is_allowed
from pipelines.books.generate import GENERATED_AT_ONCE_MAX
from pipelines.books.read import BookState, BookView, Wanted, list_books, read_book
from pipelines.books.usage import usage_of_book
from pipelines.errors import FieldError
from pipelines.limits import DEFAULTS
from pipelines.tenants.clients import client_names
from web.console.book_words import (
    BOOK_STATES,
    EFFECTS,
    StockPart,
    assign_why_not,
    expiry_words,
    generate_why_not,
    limit_lines,
    limits_in_short,
    manage_why_not,
    pattern_look,
    stock_parts,
    stock_words,
)
from web.console.form_names import form_name
from web.console.formats import moment
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.jobs import worded_jobs_of_book
from web.console.typed import id_in
from web.console.usage_charts import usage_chart, usage_words
from web.console.visit import looking
from web.guards import permitted, principal

PAGE_SIZE = 50
JOBS_SHOWN = 8
FIND_CHARACTERS_MAX = 200
TITLE = "Books & codes"
DONE = {
    "created": "The book is made. It has no coupons yet: generate or upload codes.",
    "changed": "The book is changed.",
    "closed": "The book is closed: nothing of it is assigned or redeemed any more.",
    "reopened": "The book is open again.",
}


@dataclass(frozen=True, slots=True)
class BookLine:
    """One book of the list."""

    id: UUID
    name: str
    owner: str
    state: StateWords
    stock: list[StockPart]
    stock_words: str
    limits: str
    expires: str


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/books", "books", show_list, methods=["GET"])
    console.add_url_rule("/books/<uuid:book_id>", "book", show, methods=["GET"])


def place(view: BookView, *below: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    """The crumbs of a page of the book."""
    book_id = view.rules.id
    above = [(TITLE, url_for("console.books"))]
    return [*above, (view.rules.name, url_for("console.book", book_id=book_id)), *below]


@permitted(Permission.BOOKS_READ)
def show_list() -> Response:
    """Books of the visitor's scope, newest first, by state and by words of the name."""
    asked = request.args.get("state", "")
    chosen = BookState(asked) if asked in BOOK_STATES else None
    words = " ".join(request.args.get("find", "").replace("\0", "").split())[:FIND_CHARACTERS_MAX]
    before = id_in(request.args.get("before"))
    with looking() as session:
        wanted = Wanted(chosen, words or None)
        now = clock.now(session)
        found = list_books(session, wanted, now=now, before=before, limit=PAGE_SIZE + 1)
        shown = found[:PAGE_SIZE]
        lines = _lines(session, shown)
    older = None
    if len(found) > PAGE_SIZE:
        older = url_for(
            "console.books", state=chosen, find=words or None, before=shown[-1].rules.id
        )
    return page(
        "books.html",
        title=TITLE,
        section="books",
        crumbs=[(TITLE, None)],
        books=lines,
        filters=[(state, words.word) for state, words in BOOK_STATES.items()],
        chosen=chosen,
        find=words,
        older=older,
        may_manage=is_allowed(principal(), Permission.BOOKS_MANAGE),
    )


@permitted(Permission.BOOKS_READ)
def show(book_id: UUID) -> Response:
    return book_page(book_id)


def book_page(
    book_id: UUID,
    errors: Mapping[str, str] | None = None,
    *,
    rows: Sequence[FieldError] = (),
    status: int | None = None,
) -> Response:
    """A book: rules, stock, room for codes, its jobs, and each thing that can be done or why not."""
    caller = principal()
    with looking() as session:
        now = clock.now(session)
        view = read_book(session, book_id, now=now)
        used = usage_of_book(session, book_id, today=now.date())
        owner = _owners(session, [view])[view.rules.client_id]
        jobs = worded_jobs_of_book(session, view.rules.client_id, book_id, limit=JOBS_SHOWN)
    may_manage = is_allowed(caller, Permission.BOOKS_MANAGE)
    may_assign = is_allowed(caller, Permission.COUPONS_ASSIGN)
    return page(
        "book.html",
        title=view.rules.name,
        section="books",
        crumbs=[*place(view)[:-1], (view.rules.name, None)],
        status=status or (422 if errors else 200),
        book=view.rules,
        owner=owner,
        state_words=BOOK_STATES[view.state],
        effect=EFFECTS[view.state],
        stock=stock_parts(view.stock),
        stock_words=stock_words(view.stock),
        redemptions=view.stock["redemptions"],
        used=(usage_words(used), usage_chart(used)),
        limits=limit_lines(view.rules),
        window=_window(view),
        look=_look(view),
        jobs=jobs,
        is_closed=view.state is BookState.CLOSED,
        may_manage=may_manage,
        may_assign=may_assign,
        may_reveal=is_allowed(caller, Permission.CODES_REVEAL),
        generate_why_not=generate_why_not(view, may_manage=may_manage),
        upload_why_not=manage_why_not(view, may_manage=may_manage),
        assign_why_not=assign_why_not(view, may_assign=may_assign),
        errors=errors or {},
        rows=rows,
        typed=request.form,
        form_name=form_name(),
        count_max=GENERATED_AT_ONCE_MAX,
        bytes_max=DEFAULTS.intake_inline_bytes_max,
        done=DONE.get(request.args.get("done", "")),
    )


def _lines(session: Session, books: Sequence[BookView]) -> list[BookLine]:
    owners = _owners(session, books)
    return [
        BookLine(
            one.rules.id,
            one.rules.name,
            owners[one.rules.client_id],
            BOOK_STATES[one.state],
            stock_parts(one.stock),
            stock_words(one.stock),
            limits_in_short(one.rules),
            expiry_words(one.rules),
        )
        for one in books
    ]


def _owners(session: Session, books: Sequence[BookView]) -> dict[UUID, str]:
    """Whose each book is, as far as that is not the visitor's own place."""
    ids = {one.rules.client_id for one in books}
    if principal().client_id is not None:
        return dict.fromkeys(ids, "")
    names = client_names(session, ids)
    return {one: names.get(one, "") for one in ids}


def _window(view: BookView) -> list[tuple[str, str]]:
    rules = view.rules
    starts = moment(rules.starts_at) if rules.starts_at else "At once"
    lines = [("Redeemable from", starts), ("Expires", expiry_words(rules))]
    if rules.closed_at:
        lines.append(("Closed since", moment(rules.closed_at)))
    return lines


def _look(view: BookView) -> Any:
    """What its pattern has room for; None where codes are uploaded."""
    if view.pattern is None:
        return None
    total = view.stock["total"]
    return pattern_look(
        view.pattern, existing=total, meant=max(1, total), seals_codes=view.rules.seals_codes
    )
