"""Jobs whose chunks count by themselves: what they make is no item, and has its row elsewhere (EC-028)."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.errors import Refusal
from pipelines.jobs.chunks import rest_chunk
from pipelines.jobs.create import NewJob
from pipelines.jobs.kinds import ChunkInHand, Reopened
from pipelines.jobs.layout import release_first_chunks, reopen_chunks
from pipelines.limits import Limits
from pipelines.telemetry import get_logger

log = get_logger(__name__)

# There are no items whose trigger would count: a chunk is given its number, and ends it by itself.
_CHUNKS = text("""
INSERT INTO chunks (job_id, number, agency_id, client_id, first_position, last_position, pending)
SELECT :job, number, :agency, :client, (number - 1) * :size + 1, least(number * :size, :count),
    least(:size, :count - (number - 1) * :size)
FROM generate_series(1, (:count - 1) / :size + 1) AS number
""")
_END = text("""
UPDATE chunks SET pending = 0, succeeded = succeeded + :succeeded, failed = failed + :failed,
    cancelled = cancelled + :cancelled, updated_at = :now
WHERE job_id = :job AND number = :chunk
""")
# A chunk that ends badly says why, last of all; the job is free, or its holder waits for no chunk.
_BLAME = text("""
UPDATE jobs SET error = coalesce(error, CAST(:error AS jsonb)), version = version + 1
WHERE id = :job
""")
_REOPEN = text("""
WITH reopened AS (
    UPDATE chunks SET pending = failed, failed = 0 WHERE job_id = :job AND failed > 0
    RETURNING number, pending
)
SELECT coalesce(sum(pending), 0) AS codes, array_agg(number) AS chunks FROM reopened
""")
_FORGET_ERROR = text("UPDATE jobs SET error = NULL WHERE id = :job")
_MADE = text("SELECT coalesce(sum(succeeded), 0) FROM chunks WHERE job_id = :job")


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a chunk's codes: all of them, or none."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    because: Refusal | None = None


class AccountSuspended(Refusal):
    """The client is suspended: nothing more is made for it."""

    code = "account_suspended"
    detail = "The account was suspended."


class GenerationFailed(Refusal):
    """A part of the codes could not be made for a reason of ours; a retry makes it."""

    code = "internal_error"
    detail = "Some codes could not be made, by an error of ours. Retry the job to make them."


def lay_counted(
    session: Session, job_id: UUID, new: NewJob, *, size: int, now: datetime, limits: Limits
) -> None:
    """Give a job that was just created its chunks of `size`, and start the first of them."""
    assert new.client_id is not None, "what is made is some client's"
    values = {"job": job_id, "agency": new.agency_id, "client": new.client_id}
    session.execute(_CHUNKS, values | {"size": size, "count": new.total})
    release_first_chunks(session, job_id=job_id, tenant_id=new.client_id, now=now, limits=limits)


def stopped(job: Row[Any]) -> tuple[Refusal | None] | None:
    """Why nothing more is made, without a reason where somebody asked for it; None: it goes on."""
    if job.state == JobState.CANCELLING:
        return (None,)
    return (AccountSuspended(),) if job.is_suspended else None


def end_counted(
    session: Session, chunk: ChunkInHand, ended: Ended, now: datetime, limits: Limits
) -> None:
    """Count what a chunk made, and rest it; the job is told why it ended badly."""
    place = {"job": chunk.job_id, "chunk": chunk.number, "now": now}
    counts = {name: getattr(ended, name) for name in ("succeeded", "failed", "cancelled")}
    session.execute(_END, place | counts)
    rest_chunk(
        session,
        job_id=chunk.job_id,
        number=chunk.number,
        tenant_id=chunk.tenant_id,
        now=now,
        open_orders_max=limits.open_orders_per_job_max,
    )
    log.info("codes.made", job_id=str(chunk.job_id), chunk=chunk.number, **counts)
    if ended.because is not None:
        _blame(session, chunk.job_id, ended.because)


def made_by(session: Session, job_id: UUID) -> int:
    """How many the job made so far."""
    return int(session.execute(_MADE, {"job": job_id}).scalar_one())


def reopen_counted(session: Session, job: Row[Any], _round: int, _now: datetime) -> Reopened:
    """The codes that failed are made again; what was cancelled is asked for anew."""
    found = session.execute(_REOPEN, {"job": job.id}).one()
    session.execute(_FORGET_ERROR, {"job": job.id})
    reopen_chunks(session, job.id, found.chunks)
    return Reopened(int(found.codes), 0)


def _blame(session: Session, job_id: UUID, why: Refusal) -> None:
    status = 500 if isinstance(why, GenerationFailed) else 422
    error = {"status": status, "code": why.code, "detail": why.detail}
    session.execute(_BLAME, {"job": job_id, "error": json.dumps(error)})
