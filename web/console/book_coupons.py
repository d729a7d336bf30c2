"""The codes of a book: a table by state and by holder, as they stand now."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.books import CouponState
from pipelines.access.permissions import Permission
from pipelines.books.coupon_list import CouponsWanted, list_coupons, shown_code
from pipelines.books.read import BookView, read_book
from pipelines.user_pools.find_person import find_person, people_named
from web.console.books import place
from web.console.coupon_words import COUPON_STATES
from web.console.formats import instant, moment
from web.console.frame import page
from web.console.job_words import StateWords
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted

PAGE_SIZE = 50
FIND_CHARACTERS_MAX = 320
UNKNOWN_HOLDER = "somebody not known any more"


@dataclass(frozen=True, slots=True)
class CouponLine:
    """One coupon of the table."""

    id: UUID
    code: str
    state: StateWords
    holder: str
    since: str
    locked_until: str


def add_pages(console: Blueprint) -> None:
    path = "/books/<uuid:book_id>/coupons"
    console.add_url_rule(path, "book_coupons", show, methods=["GET"])


@permitted(Permission.BOOKS_READ)
def show(book_id: UUID) -> Response:
    """Coupons of the book, newest first; an unknown filter shows all."""
    asked = request.args.get("state", "")
    chosen = CouponState(asked) if asked in set(CouponState) else None
    find = request.args.get("find", "").replace("\0", "").strip()[:FIND_CHARACTERS_MAX]
    before = id_in(request.args.get("before"))
    with looking() as session:
        now = clock.now(session)
        view = read_book(session, book_id, now=now)
        holder = _holder(session, view, find)
        rows = []
        if holder is not None or not find:
            wanted = CouponsWanted(chosen, holder)
            rows = list_coupons(
                session, book_id, wanted, now=now, before=before, limit=PAGE_SIZE + 1
            )
        shown = rows[:PAGE_SIZE]
        lines = _lines(session, view, shown)
    older = None
    if len(rows) > PAGE_SIZE:
        older = url_for(
            "console.book_coupons",
            book_id=book_id,
            state=chosen,
            find=find or None,
            before=shown[-1].id,
        )
    return page(
        "book_coupons.html",
        title=f"Codes of {view.rules.name}",
        section="books",
        crumbs=place(view, ("Codes", None)),
        book=view.rules,
        coupons=lines,
        filters=[(state, words.word) for state, words in COUPON_STATES.items()],
        chosen=chosen,
        find=find,
        is_unknown=bool(find) and holder is None,
        older=older,
    )


def _holder(session: Session, view: BookView, words: str) -> UUID | None:
    found = find_person(session, view.rules.client_id, words) if words else None
    return None if found is None else found.user_id


def _lines(session: Session, view: BookView, rows: list[Row[Any]]) -> list[CouponLine]:
    holders = {row.user_id for row in rows if row.user_id is not None}
    people = people_named(session, view.rules.client_id, holders)
    return [
        CouponLine(
            row.id,
            shown_code(row.code, row.last4),
            COUPON_STATES[row.state],
            holder_words(people, row.user_id),
            moment(row.assigned_at),
            instant(row.locked_until) if row.locked_until else "–",
        )
        for row in rows
    ]


def holder_words(people: dict[UUID, Row[Any]], user_id: UUID | None) -> str:
    """The address of who holds a coupon, or what else is known of them."""
    if user_id is None:
        return "–"
    row = people.get(user_id)
    if row is None:
        return UNKNOWN_HOLDER
    return str(row.email or row.name or row.external_id or UNKNOWN_HOLDER)
