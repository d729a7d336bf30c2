"""Hand a chunk to its job's kind, and split what keeps failing down to the single item."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.jobs.chunks import ALL_POSITIONS, lock_chunk, rest_chunk
from pipelines.jobs.kinds import ChunkInHand, JobKind, WorkChunk
from pipelines.jobs.settle import settle_job
from pipelines.limits import Limits
from pipelines.queue.defer import defer
from pipelines.queue.kinds import RUN_CHUNK, RUN_SINGLE
from pipelines.queue.work import Postpone, TaskInHand
from pipelines.telemetry import get_logger

log = get_logger(__name__)

# The time a job is to start at is in its row: a task that comes sooner, whyever, waits.
_TAKE_UP = text("""
SELECT j.kind, j.state, j.scheduled_for,
    j.state = 'queued' AND coalesce(j.scheduled_for > :now, false) AS is_early,
    j.state = 'queued' AND j.scheduled_for IS NOT NULL AND EXISTS (
        SELECT FROM campaigns c JOIN clients l ON l.id = c.client_id
        WHERE c.id = j.campaign_id AND c.state = 'paused' AND l.suspended_at IS NULL
    ) AS is_held_up
FROM jobs j WHERE j.id = :job
""")
# The first chunk to be done marks the job, as its last statement: who wants to pause a job that has
# just begun does not wait for the chunk. Nobody waits here, so the lock order is kept.
_MARK_STARTED = text("""
UPDATE jobs SET state = 'running', started_at = coalesce(started_at, :now)
WHERE id = (SELECT id FROM jobs WHERE id = :job AND state = 'queued'
            FOR NO KEY UPDATE SKIP LOCKED)
""")
# A request of one item is alone with its job, and settles it in the same transaction.
_LOCK_JOB = text("SELECT 1 FROM jobs WHERE id = :job FOR NO KEY UPDATE")
# All or nothing is one piece, whatever happens.
_KIND = text("""
SELECT kind, priority, coalesce(spec->>'on_failure' = 'atomic', false) AS is_whole
FROM jobs WHERE id = :job
""")
_PENDING = text("""
SELECT position FROM items
WHERE job_id = :job AND chunk_number = :chunk AND state = 'pending'
  AND position BETWEEN :first AND :last
ORDER BY position FOR NO KEY UPDATE
""")


def work_chunk(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> None:
    """The work of RUN_CHUNK and RUN_SINGLE: every pending item in hand gets its turn."""
    chunk = _in_hand(task)
    if chunk.is_whole_job:
        session.execute(_LOCK_JOB, {"job": chunk.job_id})
    job = session.execute(_TAKE_UP, {"job": chunk.job_id, "now": now}).one()
    if job.state == JobState.PAUSED:
        raise Postpone(now, "job_paused")
    if job.is_early:
        raise Postpone(job.scheduled_for, "scheduled")
    if job.is_held_up:
        wait = timedelta(seconds=limits.campaign_paused_look_seconds)
        raise Postpone(now + wait, "campaign_paused")
    chunk = _locked(session, chunk)
    _part(kinds[job.kind].run_chunk, job.kind)(session, chunk, now, limits)
    session.execute(_MARK_STARTED, {"job": chunk.job_id, "now": now})
    if chunk.is_whole_job:
        settle_job(session, chunk.job_id, now, kinds=kinds, limits=limits)


def give_up_chunk(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    kinds: Mapping[str, JobKind],
    limits: Limits,
) -> None:
    """A chunk that keeps failing or killing its workers: split it, down to the single item.

    The kind ends the single item that cannot be worked on (EC-121), or all of them where they are one.
    """
    chunk = _in_hand(task)
    if chunk.is_whole_job:
        session.execute(_LOCK_JOB, {"job": chunk.job_id})
    chunk = _locked(session, chunk)
    positions = pending_positions(session, chunk)
    kind, priority, is_whole = session.execute(_KIND, {"job": chunk.job_id}).one()
    if len(positions) > 1 and not is_whole:
        _split(session, chunk, positions, now, priority)
        return
    _part(kinds[kind].give_up, kind)(session, chunk, now, limits)
    if chunk.is_whole_job:
        settle_job(session, chunk.job_id, now, kinds=kinds, limits=limits)


def pending_positions(session: Session, chunk: ChunkInHand) -> list[int]:
    """The positions in hand that are still to be worked on; their items are locked."""
    return list(session.execute(_PENDING, part_of(chunk)).scalars())


def part_of(chunk: ChunkInHand) -> dict[str, object]:
    """The parameters that name the items in hand in a statement."""
    return {
        "job": chunk.job_id,
        "chunk": chunk.number,
        "first": chunk.first,
        "last": chunk.last,
    }


def rest_in_hand(session: Session, chunk: ChunkInHand, now: datetime, limits: Limits) -> None:
    """After a kind has worked on the items in hand: the chunk's state, and what comes next."""
    rest_chunk(
        session,
        job_id=chunk.job_id,
        number=chunk.number,
        tenant_id=chunk.tenant_id,
        now=now,
        open_orders_max=limits.open_orders_per_job_max,
        is_whole_job=chunk.is_whole_job,
    )


def _in_hand(task: TaskInHand) -> ChunkInHand:
    return ChunkInHand(
        job_id=UUID(task.args["job_id"]),
        number=int(task.args["chunk"]),
        tenant_id=task.tenant_id,
        first=int(task.args.get("first", ALL_POSITIONS[0])),
        last=int(task.args.get("last", ALL_POSITIONS[1])),
        is_whole_job=task.kind == RUN_SINGLE.name,
    )


def _locked(session: Session, chunk: ChunkInHand) -> ChunkInHand:
    """The chunk, locked; its task may be for a part of it only."""
    first, last = lock_chunk(session, chunk.job_id, chunk.number)
    return replace(chunk, first=max(chunk.first, first), last=min(chunk.last, last))


def _part(work: WorkChunk | None, kind: str) -> WorkChunk:
    if work is None:
        raise LookupError(f"jobs of kind {kind} have no chunks of work")
    return work


def _split(
    session: Session, chunk: ChunkInHand, positions: list[int], now: datetime, priority: int
) -> None:
    middle = positions[len(positions) // 2]
    for first, last in ((positions[0], middle - 1), (middle, positions[-1])):
        defer(
            session,
            RUN_CHUNK,
            args={
                "job_id": str(chunk.job_id),
                "chunk": chunk.number,
                "first": first,
                "last": last,
            },
            now=now,
            tenant_id=chunk.tenant_id,
            job_id=chunk.job_id,
            priority=priority,
        )
    log.warning("chunk.split", job_id=str(chunk.job_id), chunk=chunk.number, items=len(positions))
