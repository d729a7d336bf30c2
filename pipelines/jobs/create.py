"""Write a job's row; the same file submitted twice for the same purpose is refused here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from models.base import new_id
from models.jobs import Job, Priority
from pipelines.errors import Kind, Refusal
from pipelines.jobs.kinds import UndoInProgress
from pipelines.limits import Limits


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """The job of an accepted request, and whether an earlier request with its key made it."""

    job_id: UUID
    is_replay: bool = False


class DuplicateUpload(Refusal):
    """The same file was submitted for this purpose before; `job_id` names that job."""

    code = "duplicate_upload"
    kind = Kind.CONFLICT
    detail = "This file was submitted before. Send force=true to submit it again on purpose."


@dataclass(frozen=True, slots=True)
class Upload:
    """A file behind a job: its purpose (campaign, pool), its digest unless forced, its name."""

    purpose: UUID
    sha256: bytes | None
    file_name: str | None


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job is, by its kind; `spec` holds ids and choices, no people and no codes."""

    kind: str
    agency_id: UUID | None
    client_id: UUID | None
    spec: dict[str, Any]
    submitted_by: UUID
    campaign_id: UUID | None = None
    total: int = 0
    currency: str | None = None
    is_single: bool = False
    priority: Priority = Priority.NORMAL
    scheduled_for: datetime | None = None
    upload: Upload | None = None
    cloned_from_id: UUID | None = None
    undoes_id: UUID | None = None


_EARLIER = text("""
SELECT id FROM jobs WHERE kind = :kind AND upload_scope = :purpose AND upload_sha256 = :sha
""")


def create_job(
    session: Session, job: NewJob, *, now: datetime, limits: Limits, job_id: UUID | None = None
) -> UUID:
    """Insert the job, queued; raises `DuplicateUpload` or `UndoInProgress`.

    The transaction stays usable then.
    """
    job_id = job_id or new_id()
    upload = job.upload
    row = insert(Job).values(
        id=job_id,
        kind=job.kind,
        agency_id=job.agency_id,
        client_id=job.client_id,
        campaign_id=job.campaign_id,
        spec=job.spec,
        total=job.total,
        currency=job.currency,
        is_single=job.is_single,
        priority=job.priority.value,
        scheduled_for=job.scheduled_for,
        upload_scope=str(upload.purpose) if upload else None,
        upload_sha256=upload.sha256 if upload else None,
        file_name=upload.file_name if upload else None,
        cloned_from_id=job.cloned_from_id,
        undoes_id=job.undoes_id,
        submitted_by=job.submitted_by,
        request_id=get_contextvars().get("request_id"),
        retain_until=(now + timedelta(days=limits.retention_days)).date(),
    )
    try:
        with session.begin_nested():
            session.execute(row)
    except IntegrityError as error:
        if "uq_jobs_undoing" in str(error.orig):
            raise UndoInProgress from None
        if "uq_jobs_upload" not in str(error.orig):
            raise
        raise DuplicateUpload(extra=_earlier(session, job)) from None
    return job_id


def _earlier(session: Session, job: NewJob) -> dict[str, str]:
    assert job.upload is not None
    values = {"kind": job.kind, "purpose": str(job.upload.purpose), "sha": job.upload.sha256}
    found = session.execute(_EARLIER, values).scalars().first()
    return {} if found is None else {"job_id": str(found)}
