"""Read books: their rules, their patterns, and what is in stock of each."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from models.books import Book
from pipelines.books.capacity import capacity
from pipelines.books.patterns import Pattern
from pipelines.books.rules import BookRules
from pipelines.errors import NotFound

_RULE_NAMES = tuple(field.name for field in fields(BookRules))
_RULES = select(*(getattr(Book, name) for name in _RULE_NAMES))
#: What `stock` counts; `redemptions` may be more than coupons, where each has several.
STATES = ("unassigned", "assigned", "locked", "redeemed", "void")

_BOOKS = """
SELECT b.id, b.agency_id, b.client_id, b.name, b.prefix, b.random_length, b.alphabet, b.suffix,
    b.seals_codes, b.allow_multi_redemption, b.max_redemptions_per_coupon,
    b.max_redemptions_per_user, b.max_redemptions, b.max_assignments_per_user, b.max_assignments,
    b.starts_at, b.expires_at, b.closed_at, b.tells_holder, b.version, b.draws, b.created_by,
    b.created_at, b.updated_at, s.*
FROM books b
CROSS JOIN LATERAL (
    SELECT coalesce(sum(unassigned), 0) AS unassigned, coalesce(sum(assigned), 0) AS assigned,
        coalesce(sum(locked), 0) AS locked, coalesce(sum(redeemed), 0) AS redeemed,
        coalesce(sum(void), 0) AS void, coalesce(sum(redemptions), 0) AS redemptions
    FROM book_stock WHERE book_stock.book_id = b.id) s
"""
_ONE = text(_BOOKS + "WHERE b.id = :book")
_LIST = text(
    _BOOKS
    + """
WHERE (CAST(:before AS uuid) IS NULL OR b.id < :before)
  AND (CAST(:client AS uuid) IS NULL OR b.client_id = :client)
  AND b.name ILIKE ALL (CAST(:words AS text[]))
  AND CASE CAST(:state AS text) WHEN 'closed' THEN b.closed_at IS NOT NULL
    WHEN 'expired' THEN b.closed_at IS NULL AND b.expires_at <= :now
    WHEN 'scheduled' THEN b.closed_at IS NULL AND b.starts_at > :now
    WHEN 'open' THEN b.closed_at IS NULL AND coalesce(b.expires_at > :now, true)
      AND coalesce(b.starts_at <= :now, true)
    ELSE true END
ORDER BY b.id DESC LIMIT :limit
"""
)


class BookState(StrEnum):
    """How a book stands at a moment."""

    OPEN = "open"
    CLOSED = "closed"
    EXPIRED = "expired"
    #: Its coupons are assigned, and cannot be redeemed yet.
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which books of a list: None asks for any."""

    state: BookState | None = None
    #: Each of its words stands in the name.
    words: str | None = None
    client_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class BookView:
    """A book with its pattern and its stock, as it was read at `now`."""

    rules: BookRules
    pattern: Pattern | None
    row: Row[Any]
    now: datetime

    @property
    def state(self) -> BookState:
        return standing(self.rules, self.now)

    @property
    def stock(self) -> dict[str, int]:
        """Coupons by state, all of them, and how often coupons were redeemed."""
        counts = {name: int(getattr(self.row, name)) for name in STATES}
        return counts | {"total": sum(counts.values()), "redemptions": int(self.row.redemptions)}

    def as_json(self) -> dict[str, Any]:
        rules = {name: getattr(self.rules, name) for name in _RULE_NAMES}
        stock, pattern = self.stock, self.pattern
        room = pattern and capacity(
            pattern, existing=stock["total"], is_bearer=self.rules.seals_codes
        )
        return rules | {
            "state": self.state.value,
            "pattern": pattern and pattern_json(pattern),
            "capacity": room and room.as_json(),
            "stock": stock,
            "created_by": self.row.created_by,
            "created_at": self.row.created_at,
            "updated_at": self.row.updated_at,
        }


def book_rules(session: Session, book_id: UUID) -> BookRules:
    """What decides about a book's coupons; `NotFound` if this scope cannot see it."""
    row = session.execute(_RULES.where(Book.id == book_id)).one_or_none()
    if row is None:
        raise NotFound
    return BookRules(*row)


def read_book(session: Session, book_id: UUID, *, now: datetime) -> BookView:
    """One book with its stock; `NotFound` if this scope cannot see it."""
    row = session.execute(_ONE, {"book": book_id}).one_or_none()
    if row is None:
        raise NotFound
    return _view(row, now)


def list_books(
    session: Session, wanted: Wanted, *, now: datetime, before: UUID | None, limit: int
) -> list[BookView]:
    """Books this scope can see, newest first; `before` is the last id of the page before."""
    values = {
        "before": before,
        "client": wanted.client_id,
        "words": [f"%{as_letters(word)}%" for word in (wanted.words or "").split()],
        "state": wanted.state,
        "now": now,
        "limit": limit,
    }
    return [_view(row, now) for row in session.execute(_LIST, values)]


def standing(rules: BookRules, now: datetime) -> BookState:
    """The state of a book at a moment."""
    if rules.closed_at is not None:
        return BookState.CLOSED
    if rules.expires_at is not None and rules.expires_at <= now:
        return BookState.EXPIRED
    if rules.starts_at is not None and rules.starts_at > now:
        return BookState.SCHEDULED
    return BookState.OPEN


def pattern_of(row: Row[Any]) -> Pattern | None:
    """The pattern in a row of books; None for a book whose codes are uploaded."""
    if row.random_length is None:
        return None
    return Pattern(row.prefix, row.random_length, row.alphabet, row.suffix)


def pattern_json(pattern: Pattern) -> dict[str, Any]:
    return {
        "prefix": pattern.prefix,
        "random_length": pattern.random_length,
        "alphabet": pattern.alphabet,
        "suffix": pattern.suffix,
    }


def _view(row: Row[Any], now: datetime) -> BookView:
    rules = BookRules(*(getattr(row, name) for name in _RULE_NAMES))
    return BookView(rules, pattern_of(row), row, now)


def as_letters(word: str) -> str:
    """The word as ILIKE takes it at its letters."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
