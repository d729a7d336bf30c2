"""Books of coupons over HTTP: made, listed, changed, closed and reopened."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.books.capacity import capacity, days_per_hit, guesses_per_hit
from pipelines.books.change import change_book as change
from pipelines.books.change import close_book as close
from pipelines.books.change import reopen_book as reopen
from pipelines.books.create import NewBook
from pipelines.books.create import create_book as create
from pipelines.books.patterns import (
    PLAIN_ALPHABET,
    TOLD_MAX,
    Pattern,
    check_pattern,
    draw_codes,
    told,
)
from pipelines.books.read import BookState, BookView, Wanted, read_book
from pipelines.books.read import list_books as books_of
from pipelines.queue.keys import once
from web.admission import canonical, mark_replay, offered_key
from web.api.routes import IF_MATCH, MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.fields import Count, Flag, Identity, PageQuery, Stamp, Text, Word, in_years, one_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, insisted_version, listed, with_version
from web.tenant_choice import chosen_client

routes = Routes("books", "Books of coupons: supplies of codes, each with one set of rules.")

LIMIT_MAX = 2**31 - 1
NAME_CHARACTERS_MAX = 200
PART_CHARACTERS_MAX = 64
EXAMPLES = 5
#: For what a pattern is judged when nobody says how many codes there will be.
CODES_MEANT = 1_000


def _limit() -> Count:
    return Count(low=1, high=LIMIT_MAX, allow_none=True)


def _capped(words: str) -> fields.Integer:
    most = f"{TOLD_MAX} (2^53 - 1) stands for so many or more."
    return fields.Integer(metadata={"description": f"{words} {most}", "maximum": TOLD_MAX})


class PatternBody(Schema):
    """`{prefix}-{random}-{suffix}`: empty parts are left out."""

    prefix = fields.String(load_default="")
    random_length = Count(low=1, high=PART_CHARACTERS_MAX, required=True)
    alphabet = fields.String(
        load_default=PLAIN_ALPHABET,
        metadata={"description": "Left out: letters and digits that nobody takes for another."},
    )
    suffix = fields.String(load_default="")


class BookRulesBody(Schema):
    """What may be changed; a limit of null is none."""

    pattern = fields.Nested(
        PatternBody,
        allow_none=True,
        metadata={"description": "Of codes that are generated; null: codes are uploaded only."},
    )
    allow_multi_redemption = Flag()
    max_redemptions_per_coupon = _limit()
    max_redemptions_per_user = _limit()
    max_redemptions = _limit()
    max_assignments_per_user = _limit()
    max_assignments = _limit()
    starts_at = Stamp(allow_none=True, validate=in_years)
    expires_at = Stamp(allow_none=True, validate=in_years)
    tells_holder = Flag(
        metadata={
            "description": "Whether holders are told by mail when their coupon is redeemed; false "
            "if nobody says."
        }
    )


class BookBody(BookRulesBody):
    name = Text(required=True, longest=NAME_CHARACTERS_MAX)
    seals_codes = Flag(
        load_default=False,
        metadata={
            "description": "Whether a code is worth money to whoever holds it: such codes are kept "
            "sealed, and must be hard to guess. It stays so."
        },
    )
    client_id = Identity(load_default=None, allow_none=True)


class BookChange(BookRulesBody):
    name = Text(longest=NAME_CHARACTERS_MAX)

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required|Give what shall be changed.")


class BooksQuery(PageQuery):
    state = fields.String(load_default=None, validate=one_of(*BookState))
    name = Text(
        longest=NAME_CHARACTERS_MAX,
        load_default=None,
        metadata={"description": "Words that stand in the name."},
    )
    client_id = Identity(load_default=None)


class PatternTrial(Schema):
    pattern = fields.Nested(PatternBody, required=True)
    seals_codes = Flag(load_default=False)
    count = Count(low=1, high=10**9, load_default=CODES_MEANT)


class BookPattern(Schema):
    prefix = fields.String()
    random_length = fields.Integer()
    alphabet = fields.String()
    suffix = fields.String()


class BookCapacity(Schema):
    space = _capped("How many codes fit the pattern.")
    bits = fields.Float(metadata={"description": "The size of the whole space, however large."})
    room_for = _capped("How many more may be generated.")


class BookStock(Schema):
    """Coupons by state; `redemptions` may be more, where a coupon has several."""

    unassigned = fields.Integer()
    assigned = fields.Integer()
    locked = fields.Integer()
    redeemed = fields.Integer()
    void = fields.Integer()
    total = fields.Integer()
    redemptions = fields.Integer()


class Book(Schema):
    id = fields.UUID()
    agency_id = fields.UUID()
    client_id = fields.UUID()
    name = fields.String()
    state = Word(BookState)
    pattern = fields.Nested(BookPattern, allow_none=True)
    capacity = fields.Nested(BookCapacity, allow_none=True)
    seals_codes = fields.Boolean()
    allow_multi_redemption = fields.Boolean()
    max_redemptions_per_coupon = fields.Integer(allow_none=True)
    max_redemptions_per_user = fields.Integer(allow_none=True)
    max_redemptions = fields.Integer(allow_none=True)
    max_assignments_per_user = fields.Integer(allow_none=True)
    max_assignments = fields.Integer(allow_none=True)
    starts_at = fields.DateTime(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    closed_at = fields.DateTime(allow_none=True)
    tells_holder = fields.Boolean()
    stock = fields.Nested(BookStock)
    version = fields.Integer()
    created_by = fields.UUID()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class BookPage(Schema):
    data = fields.List(fields.Nested(Book))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True)


class PatternPreview(Schema):
    pattern = fields.Nested(BookPattern)
    capacity = fields.Nested(BookCapacity)
    fits = fields.Boolean(metadata={"description": "Whether `count` codes may be made of it."})
    examples = fields.List(fields.String())
    guesses_per_hit = _capped("How many tries find a code, on average.")
    days_per_hit = fields.Float(
        metadata={"description": "Of a network that makes 1.7 million tries an hour."}
    )


@routes.post("/books")
@permitted(Permission.BOOKS_MANAGE)
@reads(BookBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, Book)
def create_book(body: dict[str, Any]) -> Response:
    """Make a book; it has no coupons yet."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def make() -> UUID:
            client_id = chosen_client(session, caller, body["client_id"])
            book = NewBook(**(_told(body) | {"client_id": client_id}))
            return create(session, book, actor_id=caller.actor_id)

        done = once(session, key, make, status=201, resource_kind="book")
        shown = _shown(session, done.resource_id)
    return mark_replay(with_version(shown, 201), is_replay=done.is_replay)


@routes.get("/books")
@permitted(Permission.BOOKS_READ)
@asks(BooksQuery)
@answers(200, BookPage)
def list_books(query: dict[str, Any]) -> Response:
    """List books with their stock, newest first."""
    limit, before = query["limit"], id_cursor(query)
    state = query["state"] and BookState(query["state"])
    wanted = Wanted(state, query["name"], query["client_id"])
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        now = clock.now(session)
        books = books_of(session, wanted, now=now, before=before, limit=limit + 1)
    return listed(books, limit=limit, view=BookView.as_json, place=lambda book: book.rules.id)


@routes.post("/books/preview-pattern")
@permitted(Permission.BOOKS_READ)
@reads(PatternTrial)
@answers(200, PatternPreview)
def preview_pattern(body: dict[str, Any]) -> Response:
    """What a pattern would do: how many codes fit, examples, and how long guessing takes."""
    pattern, count = Pattern(**body["pattern"]), body["count"]
    check_pattern(pattern)
    room = capacity(pattern, existing=0, is_bearer=body["seals_codes"])
    return jsonify(
        {
            "pattern": body["pattern"],
            "capacity": room.as_json(),
            "fits": room.room_for >= count,
            "examples": draw_codes(pattern, EXAMPLES, draw=os.urandom),
            "guesses_per_hit": told(guesses_per_hit(pattern, count)),
            "days_per_hit": days_per_hit(pattern, count),
        }
    )


@routes.get("/books/<uuid:book_id>")
@permitted(Permission.BOOKS_READ)
@answers(200, Book)
def get_book(book_id: UUID) -> Response:
    """One book with its stock; its ETag is what a change must name."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(_shown(session, book_id))


@routes.patch("/books/<uuid:book_id>")
@permitted(Permission.BOOKS_MANAGE)
@reads(BookChange)
@documented(parameters=[IF_MATCH])
@answers(200, Book)
def change_book(body: dict[str, Any], book_id: UUID) -> Response:
    """Change a book's rules; `If-Match` says which version you read.

    A new pattern is for new codes. A limit below what people have takes nothing back.
    """
    version = insisted_version()
    return _moved(book_id, partial(change, values=_told(body), version=version))


@routes.post("/books/<uuid:book_id>/close")
@permitted(Permission.BOOKS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Book)
def close_book(book_id: UUID) -> Response:
    """Assign and redeem nothing of a book any more; a closed book stays closed."""
    return _moved(book_id, close, is_keyed=True)


@routes.post("/books/<uuid:book_id>/reopen")
@permitted(Permission.BOOKS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, Book)
def reopen_book(book_id: UUID) -> Response:
    """Take the closing of a book back."""
    return _moved(book_id, reopen, is_keyed=True)


def _moved(book_id: UUID, move: Callable[..., None], *, is_keyed: bool = False) -> Response:
    """Do it; a repeat with the same key answers the book as it is now."""
    caller = principal()
    key = offered_key(caller) if is_keyed else None
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def moved() -> UUID:
            move(session, book_id, actor_id=caller.actor_id, now=clock.now(session))
            return book_id

        done = once(session, key, moved, status=200, resource_kind="book")
        shown = _shown(session, book_id)
    return mark_replay(with_version(shown), is_replay=done.is_replay)


def _told(body: dict[str, Any]) -> dict[str, Any]:
    """The body with its pattern as a value."""
    if body.get("pattern") is None:
        return body
    return body | {"pattern": Pattern(**body["pattern"])}


def _shown(session: Session, book_id: UUID) -> dict[str, Any]:
    return read_book(session, book_id, now=clock.now(session)).as_json()
