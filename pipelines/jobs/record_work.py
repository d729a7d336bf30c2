"""Tell the audit what a job did to something that is not the job itself."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from pipelines.audit.record import Detail, record


def record_work(
    session: Session,
    action: str,
    job: Row[Any],
    *,
    object_kind: str,
    object_id: UUID,
    detail: Detail,
) -> None:
    """Record `action` of the job (its row) on an object, as the work of whoever submitted the job."""
    record(
        session,
        action,
        object_kind=object_kind,
        object_id=object_id,
        actor_id=job.submitted_by,
        agency_id=job.agency_id,
        client_id=job.client_id,
        job_id=job.id,
        detail=detail,
    )
