"""Release chunks to workers, close them, and hand the job to its settlement."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.jobs import Priority
from pipelines.queue.defer import defer
from pipelines.queue.kinds import RUN_CHUNK, RUN_SINGLE, SETTLE_JOB

#: Bounds of a chunk whose own are not known.
ALL_POSITIONS = (1, 2_147_483_647)

#: SQL: chunk `c` of job `j` has a pending item that its hold covers; a job that is being cancelled
#: ends what is not covered, too.
_IS_FUNDED = """(j.funded_to IS NULL OR j.state = 'cancelling' OR EXISTS (
    SELECT FROM items i WHERE i.job_id = c.job_id AND i.chunk_number = c.number
      AND i.state = 'pending'
      AND i.position BETWEEN c.first_position AND least(c.last_position, j.funded_to)))"""
# The job's priority is read anew each time: a change reaches whatever is released after it.
_RELEASE = text(f"""
UPDATE chunks SET state = 'released', holds_slot = true WHERE job_id = :job AND number = (
    SELECT c.number FROM chunks c JOIN jobs j ON j.id = c.job_id
    WHERE c.job_id = :job AND c.state = 'waiting' AND {_IS_FUNDED}
    ORDER BY c.number LIMIT 1 FOR NO KEY UPDATE OF c SKIP LOCKED)
RETURNING number, (SELECT priority FROM jobs WHERE id = :job) AS priority
""")
# A chunk is closed when none of its items is open, and open while vendor orders are. One whose
# pending items are not paid for yet waits again.
_REST = text(f"""
UPDATE chunks c SET state = CASE
    WHEN c.pending > 0 AND (c.state = 'waiting' OR NOT {_IS_FUNDED}) THEN 'waiting'
    WHEN c.pending > 0 THEN 'released'
    WHEN c.running + c.retrying > 0 THEN 'open' ELSE 'closed' END
FROM jobs j WHERE j.id = c.job_id AND c.job_id = :job AND c.number = :number
RETURNING c.state, c.holds_slot, j.priority
""")
_GIVE_SLOT = text("UPDATE chunks SET holds_slot = false WHERE job_id = :job AND number = :number")
_LOCK = text("""
SELECT first_position, last_position FROM chunks
WHERE job_id = :job AND number = :number FOR NO KEY UPDATE
""")
_OPEN_ORDERS = text(
    "SELECT count(*) FROM (SELECT FROM provider_orders WHERE job_id = :job "
    "AND state IN ('created', 'sent') LIMIT :enough) o"
)


def release_next_chunk(
    session: Session,
    *,
    job_id: UUID,
    tenant_id: UUID | None,
    now: datetime,
    is_single: bool = False,
    run_after: datetime | None = None,
) -> UUID | None:
    """Give the next waiting chunk its task; the task's id, or None when no chunk waits."""
    released = session.execute(_RELEASE, {"job": job_id}).one_or_none()
    if released is None:
        return None
    return defer(
        session,
        RUN_SINGLE if is_single else RUN_CHUNK,
        args={"job_id": str(job_id), "chunk": released.number},
        now=now,
        tenant_id=tenant_id,
        job_id=job_id,
        run_after=run_after,
        priority=released.priority,
    )


def lock_chunk(session: Session, job_id: UUID, number: int) -> tuple[int, int]:
    """Lock a chunk before its items, as the lock order wants; its first and last position."""
    row = session.execute(_LOCK, {"job": job_id, "number": number}).one()
    return (row.first_position or ALL_POSITIONS[0], row.last_position or ALL_POSITIONS[1])


def among(positions: Sequence[int]) -> dict[str, object]:
    """The parameters `positions`, `first` and `last` of a statement about items of one chunk.

    The bounds add nothing to the list but certainty: with them whatever index a plan chooses
    leads to the chunk's own rows. The planner may know nothing of a job that has just come in,
    and a list alone leaves it the way through all items of the job.
    """
    return {"positions": list(positions), "first": min(positions), "last": max(positions)}


def rest_chunk(
    session: Session,
    *,
    job_id: UUID,
    number: int,
    tenant_id: UUID | None,
    now: datetime,
    open_orders_max: int,
    is_whole_job: bool = False,
) -> None:
    """After any change of a chunk's items: set its state, and keep the job moving.

    The chunk gives its slot to the next one when it closes, or sooner while the job has few
    vendor orders open. When no chunk took the slot and this one is closed, or waits for credit, the
    job goes to `SETTLE_JOB`, which is a no-op if it comes too early. A chunk that is its whole job is settled
    by its own worker.
    """
    chunk = {"job": job_id, "number": number}
    state, holds_slot, priority = session.execute(_REST, chunk).one()
    if state == "released" or is_whole_job:
        return
    is_done = state in {"closed", "waiting"}
    if holds_slot and (is_done or not _is_crowded(session, job_id, open_orders_max)):
        session.execute(_GIVE_SLOT, chunk)
        if release_next_chunk(session, job_id=job_id, tenant_id=tenant_id, now=now) is not None:
            return
    if is_done:
        defer_settlement(session, job_id=job_id, tenant_id=tenant_id, now=now, priority=priority)


def _is_crowded(session: Session, job_id: UUID, open_orders_max: int) -> bool:
    values = {"job": job_id, "enough": open_orders_max + 1}
    found: int = session.execute(_OPEN_ORDERS, values).scalar_one()
    return found > open_orders_max


def defer_settlement(
    session: Session,
    *,
    job_id: UUID,
    tenant_id: UUID | None,
    now: datetime,
    priority: int = Priority.NORMAL,
) -> None:
    """Ask for the job's settlement; many may ask, one settles."""
    defer(
        session,
        SETTLE_JOB,
        args={"job_id": str(job_id)},
        now=now,
        tenant_id=tenant_id,
        job_id=job_id,
        priority=priority,
    )
