"""Books with coupons for tests: coupons written as assignment and redemption would."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from models.base import new_id
from models.books import Book, Coupon
from models.database import scoped_transaction
from models.locks import Namespace
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import ACTOR, Seeded


def make_book(house: House, seeded: Seeded, **columns: Any) -> UUID:
    """A book, as a row."""
    values = {
        "id": new_id(),
        "agency_id": seeded.agency_id,
        "client_id": seeded.client_id,
        "name": "Book",
        "created_by": ACTOR,
    }
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(insert(Book).values(values | columns))
    return UUID(str((values | columns)["id"]))


def coupons(seeded: Seeded, book_id: UUID, count: int) -> tuple[Any, list[dict[str, Any]]]:
    """A statement that writes coupons nobody has, and its values."""
    values = [
        {
            "book_id": book_id,
            "id": new_id(),
            "agency_id": seeded.agency_id,
            "client_id": seeded.client_id,
            "code": (code := secrets.token_hex(8).upper()),
            "blind_index": code.encode(),
            "draw_key": secrets.randbits(63),
            "load_job_id": ACTOR,
        }
        for _ in range(count)
    ]
    return insert(Coupon), values


def hand_out(house: House, book_id: UUID | str, shares: tuple[int, ...]) -> list[UUID]:
    """Give each person so many coupons, once redeemed each, past all limits; the persons."""
    (book,) = rows(house, "SELECT * FROM books WHERE id = :id", id=book_id)
    people = [new_id() for _ in shares]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for person, share in zip(people, shares, strict=True):
            statement, values = coupons(book, book.id, share)
            held = {"state": "assigned", "user_id": person, "redemptions": 1}
            session.execute(statement, [value | held for value in values])
    return people


@contextmanager
def set_lock_apart(house: House, book_id: UUID | str) -> Iterator[None]:
    """While somebody in another connection shares the deck of a book."""
    with house.sessions.kw["bind"].connect() as connection, connection.begin():
        connection.execute(
            text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:key, 0))"),
            {"key": f"{Namespace.DECK}:{book_id}"},
        )
        yield
