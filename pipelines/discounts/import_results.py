"""The results file of an import of discount codes: each row that was left out, and why."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, text

from models.database import Sessions, scoped_transaction
from models.scope import Scope
from pipelines.jobs.csv_writer import csv_blocks

COLUMNS = ("row", "state", "field", "error_code", "error_detail")
PAGE_ROWS = 2_000
_PAGE = text("""
SELECT position, state, field, code, detail FROM items
WHERE job_id = :job AND position > :after AND (CAST(:state AS text) IS NULL OR state = :state)
ORDER BY position LIMIT :limit
""")


def results_csv(
    sessions: Sessions, scope: Scope, job: Row[Any], state: str | None
) -> Iterator[bytes]:
    """The file as blocks of UTF-8; each page is its own short transaction, memory is constant."""
    return csv_blocks(COLUMNS, _rows(sessions, scope, job, state))


def _rows(
    sessions: Sessions, scope: Scope, job: Row[Any], state: str | None
) -> Iterator[Sequence[str | int | None]]:
    values = {"job": job.id, "state": state, "after": 0, "limit": PAGE_ROWS}
    while True:
        with scoped_transaction(sessions, scope) as session:
            page = session.execute(_PAGE, values).all()
        if not page:
            return
        for row in page:
            yield tuple(row)
        values["after"] = page[-1].position
