"""Change, close and reopen a book; a limit on what it already gave counts that first (EC-025)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.orm import Session

from models.books import Book
from models.locks import Namespace, wait_for_lock
from pipelines.audit.record import Detail, changes, record
from pipelines.books.create import check_rules, pattern_columns
from pipelines.books.patterns import Pattern
from pipelines.books.read import book_rules
from pipelines.books.recount import count_book, count_people, refuse_too_many
from pipelines.books.refusals import PreconditionFailed
from pipelines.books.rules import BookRules
from pipelines.errors import NotFound

_LOCK = select(*Book.__table__.columns)
_CLOSE = text("""
UPDATE books SET closed_at = :now, version = version + 1, updated_at = :now
WHERE id = :book AND closed_at IS NULL
""")
_REOPEN = text("""
UPDATE books SET closed_at = NULL, version = version + 1, updated_at = :now
WHERE id = :book AND closed_at IS NOT NULL
""")


def change_book(
    session: Session,
    book_id: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Write rules, a name or a `pattern`; what is not in `values` stays as it is.

    `version` is what the caller last read. A new pattern is for new codes. A limit below what
    people have takes nothing back and gives no more. Raises `NotFound`, `PreconditionFailed`,
    `ValidationFailed`, `TooManyToCount`.
    """
    before = _locked(session, book_id, values)
    if version is not None and version != before.version:
        raise PreconditionFailed(current=before.version)
    columns = _columns(values)
    check_rules({**before._mapping, **columns})
    was = book_rules(session, book_id)
    session.execute(
        update(Book)
        .where(Book.id == book_id)
        .values(**columns, version=before.version + 1, updated_at=now)
    )
    becomes = book_rules(session, book_id)
    if becomes.counts_people and not was.counts_people:
        count_people(session, book_id)
    if becomes.counts_itself and not was.counts_itself:
        count_book(session, book_id)
    _tell(session, "book.changed", before, actor_id, changes(dict(before._mapping), columns))


def close_book(
    session: Session, book_id: UUID, *, actor_id: UUID, now: datetime, reason: str | None = None
) -> None:
    """Assign and redeem none of its coupons any more; a closed one stays as it is."""
    before = _row(session, book_id)
    if session.execute(_CLOSE, {"book": book_id, "now": now}).rowcount:  # type: ignore[attr-defined]
        _tell(session, "book.closed", before, actor_id, _said(reason))


def reopen_book(
    session: Session, book_id: UUID, *, actor_id: UUID, now: datetime, reason: str | None = None
) -> None:
    """Take the closing back; an open book stays as it is."""
    before = _row(session, book_id)
    if session.execute(_REOPEN, {"book": book_id, "now": now}).rowcount:  # type: ignore[attr-defined]
        _tell(session, "book.reopened", before, actor_id, _said(reason))


def _locked(session: Session, book_id: UUID, values: Mapping[str, Any]) -> Row[Any]:
    """The book, locked until the commit; where counting begins, its deck after it.

    A distribution that is submitted counts itself in the book's row before it takes the deck;
    whoever shares the deck waits for no book.
    """
    row = _row(session, book_id)
    if _begins_counting(book_rules(session, book_id), values):
        limits = [name for name, most in values.items() if name.startswith("max_") and most]
        refuse_too_many(session, book_id, limits)
        wait_for_lock(session, Namespace.DECK, str(book_id))
    return row


def _begins_counting(was: BookRules, values: Mapping[str, Any]) -> bool:
    limits = {
        name: value for name, value in values.items() if name in BookRules.__dataclass_fields__
    }
    becomes = replace(was, **limits)
    return (becomes.counts_people and not was.counts_people) or (
        becomes.counts_itself and not was.counts_itself
    )


def _row(session: Session, book_id: UUID) -> Row[Any]:
    row = session.execute(
        _LOCK.where(Book.id == book_id).with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise NotFound
    return row


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in values.items() if name != "pattern"}
    if "pattern" in values:
        pattern: Pattern | None = values["pattern"]
        columns |= pattern_columns(pattern)
    return columns


def _said(reason: str | None) -> Detail | None:
    return {"reason": reason} if reason else None


def _tell(
    session: Session, action: str, row: Row[Any], actor_id: UUID, detail: Detail | None
) -> None:
    record(
        session,
        action,
        object_kind="book",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
