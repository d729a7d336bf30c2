"""The results file of a job: its input columns with what became of each row, page by page."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.audit.record import record
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.jobs.kinds import JobKind

#: A results file can be uploaded again as it is: recipients first, then the outcome.
COLUMNS = (
    "reference",
    "email",
    "name",
    "phone",
    "denomination_minor",
    "brand",
    "row",
    "state",
    "error_code",
    "error_detail",
    "source",
    "result_reference",
    "delivery_state",
    "undone_at",
)
PAGE_ROWS = 2_000
_PAGE = text("""
SELECT i.position, i.reference, i.email, i.name, i.phone, i.denomination_minor, b.name AS brand,
    i.state, i.code, i.detail, i.source, i.result_id,
    CASE WHEN i.source IS NOT NULL THEN coalesce(d.state, 'none') END AS delivery_state,
    p.undone_at
FROM items i LEFT JOIN brands b ON b.id = i.brand_id
LEFT JOIN deliveries d ON d.job_id = i.job_id AND d.position = i.position
LEFT JOIN provisions p ON p.job_id = i.job_id AND p.position = i.position
WHERE i.job_id = :job AND i.position > :after AND (CAST(:state AS text) IS NULL OR i.state = :state)
ORDER BY i.position LIMIT :limit
""")


def audit_download(session: Session, job: Row[Any], *, only: str | None, actor_id: UUID) -> None:
    """One audit entry: somebody took the recipients of a job with them."""
    record(
        session,
        "job.results_downloaded",
        object_kind="job",
        object_id=job.id,
        actor_id=actor_id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        detail={"only": only},
    )


def results_csv(
    sessions: Sessions,
    scope: Scope,
    job: Row[Any],
    *,
    state: str | None,
    kinds: Mapping[str, JobKind],
) -> Iterator[bytes]:
    """The file as blocks of UTF-8; each page is its own short transaction, memory is constant.

    A kind whose people are no recipients of cards has columns of its own.
    """
    own = kinds[job.kind].results
    if own is not None:
        return own(sessions, scope, job, state)
    return csv_blocks(COLUMNS, _rows(sessions, scope, job.id, state))


def _rows(
    sessions: Sessions, scope: Scope, job_id: UUID, state: str | None
) -> Iterator[Sequence[str | int | None]]:
    after = 0
    while page := _page(sessions, scope, job_id, state, after):
        for row in page:
            yield _cells(row)
        after = page[-1].position


def _page(
    sessions: Sessions, scope: Scope, job_id: UUID, state: str | None, after: int
) -> list[Row[Any]]:
    values = {"job": job_id, "state": state, "after": after, "limit": PAGE_ROWS}
    with scoped_transaction(sessions, scope) as session:
        return list(session.execute(_PAGE, values))


def _cells(row: Row[Any]) -> tuple[str | int | None, ...]:
    return (
        row.reference,
        row.email,
        row.name,
        row.phone,
        row.denomination_minor,
        row.brand,
        row.position,
        row.state,
        row.code,
        row.detail,
        row.source,
        str(row.result_id) if row.result_id else None,
        row.delivery_state,
        # Its item stays `succeeded`, as history: this says that the card was taken back since.
        row.undone_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if row.undone_at else None,
    )
