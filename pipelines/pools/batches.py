"""Import batches: a number for each card file, what became of its rows, and its rejects as CSV."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.database import Sessions, scoped_transaction
from models.scope import SYSTEM, Scope
from pipelines.errors import NotFound
from pipelines.jobs.create import DuplicateUpload
from pipelines.jobs.csv_writer import csv_blocks
from pipelines.jobs.stored_input import Tenant

REJECT_COLUMNS = ("row", "field", "code", "sentence")
PAGE_ROWS = 2_000

_KEEP = text("""
INSERT INTO card_batches (id, agency_id, client_id, pool_id, sha256, keeps_file)
VALUES (:id, :agency, :client, :pool, :sha, :keeps_file) ON CONFLICT (id) DO NOTHING
""")
_EARLIER = text("SELECT id, number FROM card_batches WHERE sha256 = :sha AND keeps_file")
_FREE_FILE = text("UPDATE card_batches SET keeps_file = false WHERE id = :id")
_BATCHES = text("""
SELECT t.id, t.number, t.pool_id, t.agency_id, t.client_id, t.quarantined_at, t.created_at,
    j.state, j.file_name, j.total, j.error, j.submitted_by, j.finished_at,
    encode(t.sha256, 'hex') AS sha256, c.succeeded AS imported, c.failed AS rejected,
    c.cancelled AS left_out,
    (SELECT count(*) FROM items i WHERE i.job_id = t.id AND i.code = 'duplicate_card') AS duplicates
FROM card_batches t JOIN jobs j ON j.id = t.id JOIN chunks c ON c.job_id = t.id AND c.number = 1
WHERE (CAST(:batch AS uuid) IS NULL OR t.id = :batch)
  AND (CAST(:pool AS uuid) IS NULL OR t.pool_id = :pool)
  AND (CAST(:before AS bigint) IS NULL OR t.number < :before)
ORDER BY t.number DESC LIMIT :limit
""")
# By one index, which holds all that is counted.
_CARDS = text("""
SELECT import_job_id AS id, state, count(*) AS cards FROM cards
WHERE import_job_id = ANY (:batches) GROUP BY import_job_id, state
""")
_REJECTS = text("""
SELECT position, field, code, detail FROM items
WHERE job_id = :batch AND position > :after AND state = 'failed' ORDER BY position LIMIT :limit
""")
_CARD_LIST = text("""
SELECT c.id, c.last4, c.state, c.import_row, c.expires_on, p.id AS redemption_id, p.client_id,
    c.issued_at
FROM cards c LEFT JOIN provisions p ON p.card_id = c.id AND p.undone_at IS NULL
WHERE c.import_job_id = :batch AND (CAST(:state AS text) IS NULL OR c.state = :state)
  AND (CAST(:after AS uuid) IS NULL OR c.id > :after)
ORDER BY c.id LIMIT :limit
""")


def keep_batch(
    session: Session,
    batch_id: UUID,
    *,
    pool_id: UUID,
    tenant: Tenant,
    sha256: bytes | None = None,
    force: bool = False,
) -> None:
    """Give the import job its batch; once is enough.

    The same bytes are taken once on the whole platform, unless `force`: `DuplicateUpload` names
    the earlier batch to whom it belongs. The transaction stays usable then.
    """
    values = {
        "id": batch_id,
        "pool": pool_id,
        "agency": tenant.agency_id,
        "client": tenant.client_id,
        "sha": sha256,
        "keeps_file": not force,
    }
    try:
        with session.begin_nested():
            session.execute(_KEEP, values)
    except IntegrityError as error:
        if "uq_card_batches_file" not in str(error.orig):
            raise
        earlier = session.execute(_EARLIER, values).one_or_none()
        known = {"job_id": str(earlier.id), "batch": earlier.number} if earlier else {}
        raise DuplicateUpload(extra=known) from None


def free_file(session: Session, batch_id: UUID) -> None:
    """A file of which nothing was kept may be corrected and sent again."""
    session.execute(_FREE_FILE, {"id": batch_id})


class Batch:
    """A batch and its cards by state."""

    def __init__(self, row: Row[Any], cards: dict[str, int]) -> None:
        self.row, self.cards = row, cards

    def as_json(self) -> dict[str, Any]:
        row = self.row
        return {
            "id": row.id,
            "number": row.number,
            "pool_id": row.pool_id,
            "state": row.state,
            "file_name": row.file_name,
            "sha256": row.sha256,
            "submitted_by": row.submitted_by,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
            "error": row.error,
            "rows": {
                "total": row.total,
                "imported": row.imported,
                "duplicate": row.duplicates,
                "bad": row.rejected - row.duplicates,
                "left_out": row.left_out,
            },
            "cards": self.cards,
            "quarantined_at": row.quarantined_at,
        }


def list_batches(
    sessions: Sessions, scope: Scope, pool_id: UUID, *, before: int | None, limit: int
) -> list[Batch]:
    """The pool's batches, newest first; the pool is one that `scope` was seen to have."""
    return _read(sessions, scope, pool=pool_id, before=before, limit=limit)


def read_batch(sessions: Sessions, scope: Scope, batch_id: UUID) -> Batch:
    """One batch that `scope` can see, or `NotFound`."""
    found = _read(sessions, scope, batch=batch_id, limit=1)
    if not found:
        raise NotFound
    return found[0]


def batch_cards(
    session: Session, batch_id: UUID, *, state: str | None, after: UUID | None, limit: int
) -> list[Row[Any]]:
    """Cards of a batch, never their numbers; `redemption_id` of those that are given. SYSTEM scope."""
    values = {"batch": batch_id, "state": state, "after": after, "limit": limit}
    return list(session.execute(_CARD_LIST, values))


def rejects_csv(sessions: Sessions, scope: Scope, batch_id: UUID) -> Iterator[bytes]:
    """What was wrong with which row, and never a value; page by page, memory is constant."""
    return csv_blocks(REJECT_COLUMNS, _rejects(sessions, scope, batch_id))


def _rejects(
    sessions: Sessions, scope: Scope, batch_id: UUID
) -> Iterator[Sequence[str | int | None]]:
    after = 0
    while True:
        values = {"batch": batch_id, "after": after, "limit": PAGE_ROWS}
        with scoped_transaction(sessions, scope) as session:
            page = list(session.execute(_REJECTS, values))
        if not page:
            return
        for row in page:
            yield (row.position, row.field, row.code, row.detail)
        after = page[-1].position


def _read(sessions: Sessions, scope: Scope, *, limit: int, **which: Any) -> list[Batch]:
    values = {"batch": None, "pool": None, "before": None} | which | {"limit": limit}
    with scoped_transaction(sessions, scope) as session:
        found = list(session.execute(_BATCHES, values))
    if not found:
        return []
    cards: dict[UUID, dict[str, int]] = {row.id: {} for row in found}
    with scoped_transaction(sessions, SYSTEM) as session:
        for row in session.execute(_CARDS, {"batches": list(cards)}):
            cards[row.id][row.state] = row.cards
    return [Batch(row, cards[row.id]) for row in found]
