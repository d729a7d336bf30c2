"""The codes of a batch as a file; the audit is told who takes it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.audit.record import record
from pipelines.discounts.batches import read_batch
from pipelines.discounts.read import CodeView, Wanted, list_codes
from pipelines.jobs.csv_writer import csv_blocks

COLUMNS = ("code", "standing", "used", "max_uses", "starts_at", "expires_at", "id")
PAGE_ROWS = 2_000


def audit_export(session: Session, batch_id: UUID, *, actor_id: UUID) -> None:
    """One audit entry: somebody takes the codes of a batch with them. Raises `NotFound`."""
    batch = read_batch(session, batch_id)
    record(
        session,
        "discount_batch.exported",
        object_kind="discount_batch",
        object_id=batch_id,
        actor_id=actor_id,
        agency_id=batch["agency_id"],
        client_id=batch["client_id"],
        detail={"codes": batch["codes"]},
    )


def codes_csv(
    sessions: Sessions, scope: Scope, batch_id: UUID, *, now: datetime
) -> Iterator[bytes]:
    """The file as blocks of UTF-8, standings as at `now`; each page is its own short transaction."""
    return csv_blocks(COLUMNS, _rows(sessions, scope, Wanted(batch_id=batch_id), now))


def _rows(
    sessions: Sessions, scope: Scope, wanted: Wanted, now: datetime
) -> Iterator[Sequence[str | int | None]]:
    before = None
    while True:
        with scoped_transaction(sessions, scope) as session:
            page = list_codes(session, wanted, now=now, before=before, limit=PAGE_ROWS, opens=True)
        if not page:
            return
        yield from map(_cells, page)
        before = page[-1].row.id


def _cells(code: CodeView) -> tuple[str | int | None, ...]:
    row = code.row
    times = (at and at.isoformat() for at in (row.starts_at, row.expires_at))
    return (row.code, code.standing.value, row.used, row.max_uses, *times, str(row.id))
