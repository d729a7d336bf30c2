"""Write the items of an undo: one for every provision of the original, at the same position."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.jobs.chunks import defer_settlement
from pipelines.jobs.kinds import PlanTools
from pipelines.jobs.layout import close_empty_chunks, lay_chunks, release_first_chunks
from pipelines.jobs.states import STOPPED
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_JOB = text("SELECT id, agency_id, client_id, undoes_id, created_at FROM jobs WHERE id = :job")
# Taken only when the items are written: people may pause and cancel meanwhile.
_LOCK_JOB = text("SELECT state FROM jobs WHERE id = :job FOR NO KEY UPDATE")
# The original's items stay as they were planned: whatever is given meanwhile lies within them.
_LAST = text("SELECT coalesce(max(position), 0) FROM items WHERE job_id = :original")
# What was given before the undo was accepted, and nothing after.
# The recipient's words come along, so that a results file of the undo says whose card it was.
_ITEMS = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, reference, email, name,
                   phone, person_key, brand_id, denomination_minor, charge_minor)
SELECT :job, p.position, (p.position - 1) / :size + 1, p.agency_id, p.client_id, i.reference,
       i.email, i.name, i.phone, p.person_key, p.brand_id, p.face_value_minor, p.charge_minor
FROM provisions p JOIN items i ON i.job_id = p.job_id AND i.position = p.position
WHERE p.job_id = :original AND p.created_at <= :accepted_at ORDER BY p.position
""")
# People are forgotten with the original: an undo does not keep them longer.
_PLANNED = text("""
UPDATE jobs SET total = :total, version = version + 1,
    retain_until = (SELECT o.retain_until FROM jobs o WHERE o.id = :original)
WHERE id = :job
""")


def plan_undo(session: Session, task: TaskInHand, now: datetime, tools: PlanTools) -> None:
    """Write the items and release the first chunks; an undo cancelled meanwhile ends empty."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    savepoint = session.begin_nested()
    total = _write_items(session, job, tools.limits)
    if session.execute(_LOCK_JOB, {"job": job.id}).scalar_one() in STOPPED:
        savepoint.rollback()
        defer_settlement(session, job_id=job.id, tenant_id=job.client_id, now=now)
        return
    values = {"job": job.id, "original": job.undoes_id, "total": total}
    session.execute(_PLANNED, values)
    release_first_chunks(
        session, job_id=job.id, tenant_id=job.client_id, now=now, limits=tools.limits
    )
    savepoint.commit()
    log.info("undo.planned", job_id=str(job.id), items=total)


def _write_items(session: Session, job: Row[Any], limits: Limits) -> int:
    values = {
        "job": job.id,
        "original": job.undoes_id,
        "accepted_at": job.created_at,
        "size": limits.chunk_items_max,
    }
    lay_chunks(
        session,
        job.id,
        agency_id=job.agency_id,
        client_id=job.client_id,
        last_position=session.execute(_LAST, values).scalar_one(),
        limits=limits,
    )
    written = session.execute(_ITEMS, values)
    close_empty_chunks(session, job.id)
    return int(written.rowcount)  # type: ignore[attr-defined]
