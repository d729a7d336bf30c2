"""Make a book of coupons for a client."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from models.base import new_id
from models.books import Book
from models.tenants import Client
from pipelines.audit.record import record
from pipelines.books.patterns import Pattern, check_pattern
from pipelines.books.read import book_rules
from pipelines.books.recount import count_book
from pipelines.errors import FieldError, NotFound, ValidationFailed


@dataclass(frozen=True, slots=True)
class NewBook:
    """What a book is; limits of None are none, and a book without a pattern takes uploads only."""

    client_id: UUID
    name: str
    pattern: Pattern | None = None
    seals_codes: bool = False
    allow_multi_redemption: bool = False
    max_redemptions_per_coupon: int | None = None
    max_redemptions_per_user: int | None = None
    max_redemptions: int | None = None
    max_assignments_per_user: int | None = None
    max_assignments: int | None = None
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    tells_holder: bool = False


def create_book(session: Session, book: NewBook, *, actor_id: UUID) -> UUID:
    """Raises `NotFound` (client), `ValidationFailed`."""
    agency_id = session.execute(
        select(Client.agency_id).where(Client.id == book.client_id)
    ).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    values = {
        name: getattr(book, name)
        for name in NewBook.__dataclass_fields__
        if name not in {"client_id", "pattern"}
    }
    check_rules(values)
    identity = new_id()
    session.execute(
        insert(Book).values(
            id=identity,
            agency_id=agency_id,
            client_id=book.client_id,
            created_by=actor_id,
            **values,
            **pattern_columns(book.pattern),
        )
    )
    if book_rules(session, identity).counts_itself:
        count_book(session, identity)
    record(
        session,
        "book.created",
        object_kind="book",
        object_id=identity,
        actor_id=actor_id,
        agency_id=agency_id,
        client_id=book.client_id,
        detail={"name": book.name, "seals_codes": book.seals_codes},
    )
    return identity


def check_rules(values: Mapping[str, Any]) -> None:
    """Raises `ValidationFailed` for rules that contradict each other."""
    errors = []
    starts_at, expires_at = values["starts_at"], values["expires_at"]
    has_both = isinstance(starts_at, datetime) and isinstance(expires_at, datetime)
    if has_both and expires_at <= starts_at:
        detail = "The book must expire after it starts. Correct `expires_at` or `starts_at`."
        errors.append(FieldError("window_ends_first", detail, pointer="/expires_at"))
    per_coupon = values["max_redemptions_per_coupon"]
    if not values["allow_multi_redemption"] and per_coupon not in (None, 1):
        detail = "A coupon is redeemed once unless `allow_multi_redemption` is true."
        errors.append(
            FieldError("single_redemption", detail, pointer="/max_redemptions_per_coupon")
        )
    if errors:
        raise ValidationFailed(errors=tuple(errors))


def pattern_columns(pattern: Pattern | None) -> dict[str, str | int | None]:
    """The pattern as the columns of a book; raises `ValidationFailed` for one that makes no codes."""
    if pattern is None:
        return {"prefix": "", "random_length": None, "alphabet": None, "suffix": ""}
    check_pattern(pattern)
    return {
        "prefix": pattern.prefix,
        "random_length": pattern.random_length,
        "alphabet": pattern.alphabet,
        "suffix": pattern.suffix,
    }
