"""The results file of a distribution: who was to get what, and what became of it."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.jobs.csv_writer import csv_blocks

#: Its people can be uploaded into a pool as they are; `coupon_id` is what a draw is checked with.
COLUMNS = (
    "user_id",
    "email",
    "external_id",
    "name",
    "row",
    "state",
    "error_code",
    "error_detail",
    "code",
    "coupon_id",
    "coupon_state",
)
PAGE_ROWS = 2_000
# A sealed code is told by its last characters.
_PAGE = text("""
SELECT i.position, i.user_id, u.email, u.external_id, u.name, i.state, i.code AS error_code,
    i.detail, coalesce(c.code, '****' || s.last4) AS code, c.id AS coupon_id, c.state AS coupon_state
FROM items i
LEFT JOIN client_users u ON u.client_id = i.client_id AND u.user_id = i.user_id
LEFT JOIN coupons c ON c.book_id = :book AND c.id = i.result_id
LEFT JOIN coupon_codes s ON s.id = c.id
WHERE i.job_id = :job AND i.position > :after AND (CAST(:state AS text) IS NULL OR i.state = :state)
ORDER BY i.position LIMIT :limit
""")


def results_csv(
    sessions: Sessions, scope: Scope, job: Row[Any], state: str | None
) -> Iterator[bytes]:
    """The file as blocks of UTF-8; each page is its own short transaction, memory is constant."""
    return csv_blocks(COLUMNS, _rows(sessions, scope, job, state))


def _rows(
    sessions: Sessions, scope: Scope, job: Row[Any], state: str | None
) -> Iterator[Sequence[str | int | None]]:
    values = {
        "job": job.id,
        "book": UUID(job.spec["book_id"]),
        "state": state,
        "after": 0,
        "limit": PAGE_ROWS,
    }
    while True:
        with scoped_transaction(sessions, scope) as session:
            page = session.execute(_PAGE, values).all()
        if not page:
            return
        for row in page:
            yield _cells(row)
        values["after"] = page[-1].position


def _cells(row: Row[Any]) -> tuple[str | int | None, ...]:
    return (
        str(row.user_id),
        row.email,
        row.external_id,
        row.name,
        row.position,
        row.state,
        row.error_code,
        row.detail,
        row.code,
        str(row.coupon_id) if row.coupon_id else None,
        row.coupon_state,
    )
