"""Books with coupons for tests: coupons written as assignment and redemption would."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from models import clock
from models.base import new_id
from models.books import Book, BookDelta, CodeIndex, Coupon, CouponCode, CouponEvent, OpenRedemption
from models.database import scoped_transaction
from models.locks import Namespace
from models.scope import SYSTEM, client
from models.usage import CouponUsageDelta
from pipelines.books.generate import lay_generation
from pipelines.books.patterns import Pattern
from pipelines.books.recount import count_book
from pipelines.books.write_coupons import sealed_code
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
            "code": secrets.token_hex(8).upper(),
            "draw_key": secrets.randbits(62),
            "load_job_id": ACTOR,
        }
        for _ in range(count)
    ]
    return insert(Coupon), values


def indexed(values: list[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """A statement that says which codes these coupons have, and its values; nobody finds them so."""
    whose = ("book_id", "agency_id", "client_id")
    return insert(CodeIndex), [
        {"blind_index": value["code"].encode(), "coupon_id": value["id"]}
        | {name: value[name] for name in whose}
        for value in values
    ]


def lay_codes(
    house: House, seeded: Seeded, book_id: UUID, pattern: Pattern, count: int, *, size: int
) -> UUID:
    """A job that generates codes in chunks of `size`, without a look at the room for them."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        book = session.execute(text("SELECT * FROM books WHERE id = :id"), {"id": book_id}).one()
        who: dict[str, Any] = {"actor_id": ACTOR, "limits": house.limits}
        return lay_generation(session, book, pattern, count, size=size, **who)


def hand_out(house: House, book_id: UUID | str, shares: tuple[int, ...]) -> list[UUID]:
    """Give each person so many coupons, once redeemed each, past all limits; the persons."""
    (book,) = rows(house, "SELECT * FROM books WHERE id = :id", id=book_id)
    people = [new_id() for _ in shares]
    with scoped_transaction(house.sessions, SYSTEM) as session:
        for person, share in zip(people, shares, strict=True):
            statement, values = coupons(book, book.id, share)
            held = {"state": "assigned", "user_id": person, "redemptions": 1}
            session.execute(statement, [value | held for value in values])
            session.execute(*indexed(values))
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


def full_book(house: House, seeded: Seeded, job_id: UUID) -> UUID:
    """A book with a row in each of its tables; a redemption of the job is open."""
    tenant = {"agency_id": seeded.agency_id, "client_id": seeded.client_id}
    book_id = make_book(house, seeded, max_assignments=10)
    (person,) = hand_out(house, book_id, (1,))
    (coupon,) = rows(house, "SELECT id FROM coupons WHERE book_id = :book", book=book_id)
    sealed = sealed_code(house.settings.keyring, secrets.token_hex(8).upper(), coupon.id)
    event = {"coupon_id": coupon.id, "number": 1, "move": "assigned", "user_id": person}
    redemption = {"coupon_id": coupon.id, "book_id": book_id, "job_id": job_id}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        count_book(session, book_id)
        code = {"id": coupon.id, "code_sealed": sealed, "last4": "0000"}
        session.execute(insert(CouponCode).values(code | tenant))
        at = {"book_id": book_id, "at": clock.now(session)}
        session.execute(insert(CouponEvent).values(event | at | tenant))
        session.execute(insert(OpenRedemption).values(redemption | tenant))
    return book_id


def change_stock_by_nothing(session: Session, seeded: Seeded) -> None:
    """One more delta of each kind, for those before are added up."""
    (book_id,) = session.execute(
        select(Book.id).where(Book.client_id == seeded.client_id).limit(1)
    ).one()
    states = ("unassigned", "assigned", "locked", "redeemed", "void", "redemptions")
    whose = {"agency_id": seeded.agency_id, "client_id": seeded.client_id, "book_id": book_id}
    session.execute(insert(BookDelta).values(dict.fromkeys(states, 0) | whose))
    moves = ("assigned", "released", "redeemed", "voided")
    day = clock.now(session).date()
    session.execute(insert(CouponUsageDelta).values(dict.fromkeys(moves, 0) | whose | {"day": day}))
