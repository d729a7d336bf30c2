"""The coupons of a book as a file; sealed codes are opened for who may, and the audit is told first."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.audit.record import record
from pipelines.books.coupon_list import (
    STANDING,
    CouponsWanted,
    created_at,
    page_of_coupons,
    shown_code,
)
from pipelines.books.rules import BookRules
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.sealing import Keyring, Purpose

COLUMNS = ("code", "state", "user_id", "assigned_at", "locked_until", "redemptions", "created_at")
PAGE_ROWS = 2_000
_PAGE = page_of_coupons(f"""c.id, c.code, k.last4, k.code_sealed, {STANDING} AS state, c.user_id,
    c.assigned_at, c.redemptions,
    CASE WHEN c.locked_until > :now THEN c.locked_until END AS locked_until""")


def audit_export(
    session: Session,
    book: BookRules,
    wanted: CouponsWanted,
    *,
    opens_codes: bool,
    actor_id: UUID,
) -> None:
    """One audit entry, before anything is opened: somebody takes the codes of a book with them."""
    record(
        session,
        "codes.exported",
        object_kind="book",
        object_id=book.id,
        actor_id=actor_id,
        agency_id=book.agency_id,
        client_id=book.client_id,
        detail={
            "state": None if wanted.state is None else wanted.state.value,
            "user_id": None if wanted.user_id is None else str(wanted.user_id),
            "opened": opens_codes and book.seals_codes,
        },
    )


def coupons_csv(
    sessions: Sessions,
    scope: Scope,
    book: BookRules,
    wanted: CouponsWanted,
    *,
    now: datetime,
    keyring: Keyring | None,
) -> Iterator[bytes]:
    """The file as blocks of UTF-8, states as at `now`; each page is its own short transaction.

    With a `keyring`, and only then, sealed codes are opened: `audit_export` comes before.
    """
    page, values = _PAGE[wanted.state], wanted.values(book.id, now)
    return csv_blocks(COLUMNS, _rows(sessions, scope, page, values, keyring))


def file_name(book: BookRules, wanted: CouponsWanted, now: datetime) -> str:
    """What is in the file, and as at when: `coupons-<book>-assigned-20260131T090000Z.csv`."""
    kind = wanted.state.value if wanted.state else "all"
    return f"coupons-{book.id}-{kind}-{now:%Y%m%dT%H%M%SZ}.csv"


def _rows(
    sessions: Sessions,
    scope: Scope,
    page: TextClause,
    values: dict[str, Any],
    keyring: Keyring | None,
) -> Iterator[Sequence[str | int | None]]:
    place: dict[str, Any] = {"before": None, "limit": PAGE_ROWS}
    while found := _page(sessions, scope, page, values | place):
        for row in found:
            yield _cells(row, keyring)
        place["before"] = found[-1].id


def _page(
    sessions: Sessions, scope: Scope, page: TextClause, values: dict[str, Any]
) -> list[Row[Any]]:
    with scoped_transaction(sessions, scope) as session:
        return list(session.execute(page, values))


def _cells(row: Row[Any], keyring: Keyring | None) -> tuple[str | int | None, ...]:
    return (
        _code(row, keyring),
        row.state,
        row.user_id and str(row.user_id),
        _moment(row.assigned_at),
        _moment(row.locked_until),
        row.redemptions,
        _moment(created_at(row.id)),
    )


def _code(row: Row[Any], keyring: Keyring | None) -> str:
    if keyring is None or row.code_sealed is None:
        return shown_code(row.code, row.last4)
    opened = keyring.open_sealed(
        Purpose.CODES,
        row.code_sealed,
        table="coupon_codes",
        row_id=row.id,
        column="code_sealed",
    )
    return opened.reveal()


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
