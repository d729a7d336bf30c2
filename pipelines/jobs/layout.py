"""Lay a job out in chunks before its items are written, and start the first of them after."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.jobs.chunks import release_next_chunk
from pipelines.jobs.kinds import Reopened
from pipelines.limits import Limits

_CHUNKS = text("""
INSERT INTO chunks (job_id, number, agency_id, client_id, first_position, last_position)
SELECT :job, number, :agency, :client, (number - 1) * :size + 1, number * :size
FROM generate_series(1, (:last_position - 1) / :size + 1) AS number
""")
_CLOSE_EMPTY = text(
    "UPDATE chunks SET state = 'closed', holds_slot = false WHERE job_id = :job AND pending = 0"
)
_LOCK_FAILED = text("""
SELECT number FROM chunks WHERE job_id = :job AND (failed > 0 OR needs_review > 0)
ORDER BY number FOR NO KEY UPDATE
""")
_REOPEN_ITEMS = text("""
WITH reopened AS (
    UPDATE items SET state = 'pending', round = :round, code = NULL, detail = NULL, field = NULL
    WHERE job_id = :job AND state = 'failed' RETURNING chunk_number
)
SELECT count(*) AS items, array_agg(DISTINCT chunk_number) AS chunks FROM reopened
""")
_REOPEN = text("""
UPDATE chunks SET state = 'waiting', holds_slot = true
WHERE job_id = :job AND number = ANY(:chunks)
""")


def lay_chunks(
    session: Session,
    job_id: UUID,
    *,
    agency_id: UUID | None,
    client_id: UUID | None,
    last_position: int,
    limits: Limits,
) -> None:
    """Write the chunks of positions 1 to `last_position`; position p is in (p - 1) / size + 1."""
    values = {
        "job": job_id,
        "agency": agency_id,
        "client": client_id,
        "last_position": last_position,
        "size": limits.chunk_items_max,
    }
    session.execute(_CHUNKS, values)


def close_empty_chunks(session: Session, job_id: UUID) -> None:
    """After the items are written: a chunk in which nothing is pending is done."""
    session.execute(_CLOSE_EMPTY, {"job": job_id})


def lock_failed_chunks(session: Session, job_id: UUID) -> None:
    """Before failed items are reopened: chunks are locked before their items, in their order."""
    session.execute(_LOCK_FAILED, {"job": job_id})


def reopen_chunks(session: Session, job_id: UUID, chunks: Sequence[int] | None) -> None:
    """For another round: these chunks have pending items again."""
    if chunks:
        session.execute(_REOPEN, {"job": job_id, "chunks": list(chunks)})


def reopen_failed(session: Session, job_id: UUID, round_number: int) -> Reopened:
    """Make every failed item of an uncharged job pending in the new round."""
    values = {"job": job_id, "round": round_number}
    found = session.execute(_REOPEN_ITEMS, values).one()
    reopen_chunks(session, job_id, found.chunks)
    return Reopened(int(found.items), 0)


def release_first_chunks(
    session: Session,
    *,
    job_id: UUID,
    tenant_id: UUID | None,
    now: datetime,
    limits: Limits,
    is_single: bool = False,
    run_after: datetime | None = None,
) -> None:
    """Give as many chunks their tasks as a job may have at work at once."""
    for _ in range(limits.chunks_released_max):
        released = release_next_chunk(
            session,
            job_id=job_id,
            tenant_id=tenant_id,
            now=now,
            is_single=is_single,
            run_after=run_after,
        )
        if released is None:
            return
