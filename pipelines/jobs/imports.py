"""A file that one transaction works in, whole: how it is accepted, and how its job ends.

What the rows mean is the affair of the room that the file is for: cards, codes or people.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.jobs import Chunk, ItemState, JobState
from pipelines.audit.record import record
from pipelines.jobs.create import NewJob
from pipelines.jobs.csv_writer import guarded
from pipelines.jobs.ending import TOLD_COLUMNS, JobError, internal_error, tell_finished
from pipelines.jobs.kinds import OnError
from pipelines.jobs.states import end_state
from pipelines.jobs.stored_input import Tenant, forget_input, keep_input
from pipelines.limits import Limits
from pipelines.queue.defer import defer
from pipelines.queue.keys import RequestKey, remember
from pipelines.queue.kinds import TaskKind
from pipelines.sealing import Keyring, Purpose

_END_CHUNK = text("""
UPDATE chunks SET state = 'closed', holds_slot = false, succeeded = :succeeded,
    cancelled = :cancelled, updated_at = :now WHERE job_id = :job AND number = 1
""")
_END_JOB = text(f"""
UPDATE jobs SET state = :state, total = :total, error = CAST(:error AS jsonb), started_at = :now,
    finished_at = clock_timestamp(), version = version + 1
WHERE id = :job RETURNING {TOLD_COLUMNS}
""")


@dataclass(frozen=True, slots=True)
class CodesFile:
    """An upload as it came: its bytes, its name, and what a wrong row means for the others."""

    stream: BinaryIO
    on_error: OnError
    name: str | None = None


def listed_file(
    header: Sequence[str], rows: Iterable[Sequence[str]], on_error: OnError
) -> CodesFile:
    """Rows that came as a list, as the file they could have been; it reads as they are."""
    text = io.StringIO()
    write = csv.writer(text, quoting=csv.QUOTE_ALL)
    write.writerow(header)
    # As our own files are: whoever reads a file takes one apostrophe off.
    write.writerows([guarded(cell) for cell in row] for row in rows)
    return CodesFile(io.BytesIO(text.getvalue().encode()), on_error)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """An upload, from where its stream stands; `purpose` says under which keys it is kept."""

    stream: BinaryIO
    purpose: Purpose
    keyring: Keyring


def accept_file(
    session: Session,
    job_id: UUID,
    new: NewJob,
    file: SealedFile,
    work: TaskKind,
    *,
    action: str,
    key: RequestKey | None,
    now: datetime,
    limits: Limits,
) -> None:
    """Keep the file of a job that was just created, with the task that will read it.

    `action` is what the audit says the caller did.
    """
    tenant = Tenant(new.agency_id, new.client_id)
    owner = {"agency_id": new.agency_id, "client_id": new.client_id}
    session.execute(insert(Chunk).values(job_id=job_id, number=1, state="released", **owner))
    keep_input(
        session,
        job_id,
        file.stream,
        tenant=tenant,
        purpose=file.purpose,
        keyring=file.keyring,
        limits=limits,
    )
    args = {"job_id": str(job_id)}
    defer(session, work, args=args, now=now, tenant_id=new.client_id, job_id=job_id)
    if key is not None:
        remember(session, key, status=202, resource_kind="job", resource_id=job_id)
    about = {name: value for name, value in new.spec.items() if name in ("pool_id", "book_id")}
    record(
        session,
        action,
        object_kind="job",
        object_id=job_id,
        actor_id=new.submitted_by,
        detail=about,
        **owner,
    )


@dataclass(frozen=True, slots=True)
class Landing:
    """How an import ends: its rows by what became of them, and why a refused file was refused."""

    state: JobState
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    #: Good rows of a file that was refused for others.
    cancelled: int = 0
    error: JobError | None = None

    @property
    def total(self) -> int:
        return self.succeeded + self.failed + self.skipped + self.cancelled

    @property
    def counts(self) -> dict[ItemState, int]:
        return {
            ItemState.SUCCEEDED: self.succeeded,
            ItemState.FAILED: self.failed,
            ItemState.SKIPPED: self.skipped,
            ItemState.CANCELLED: self.cancelled,
        }


CANCELLED = Landing(JobState.CANCELLED)


def landed(good: int, *, failed: int, skipped: int = 0) -> Landing:
    """The good rows are in."""
    counts = {
        ItemState.SUCCEEDED: good,
        ItemState.FAILED: failed,
        ItemState.SKIPPED: skipped,
    }
    return Landing(end_state(counts, is_cancelled=False), good, failed, skipped)


def rows_refused(good: int, *, failed: int, skipped: int = 0, nothing: str) -> Landing:
    """One bad row means that nothing is kept; `nothing` says so for this kind of row."""
    rows = good + failed + skipped
    error = JobError("rows_refused", f"{failed} of {rows} rows have errors and {nothing}.")
    return Landing(JobState.FAILED, failed=failed, skipped=skipped, cancelled=good, error=error)


def file_refused(code: str, detail: str) -> Landing:
    """The file as a whole is no good; none of its rows counts."""
    return Landing(JobState.FAILED, error=JobError(code, detail))


def given_up(nothing: str) -> Landing:
    """The import keeps failing; `nothing` says what was not kept."""
    detail = f"The import could not be completed; {nothing}."
    return Landing(JobState.FAILED, error=internal_error(detail))


def values_of(job: Row[Any]) -> dict[str, Any]:
    """The job and whose it is, for statements that write what is in its file."""
    return {"job": job.id, "agency": job.agency_id, "client": job.client_id}


def is_refused_for_rows(job: Row[Any], failed: int) -> bool:
    """Whether rows that failed keep the others out."""
    return failed > 0 and job.spec["on_error"] == OnError.ABORT


def end_import(session: Session, job_id: UUID, landing: Landing, now: datetime) -> None:
    """Write the end of a job whose rows are in or refused, forget its file and tell who listens."""
    forget_input(session, job_id)
    chunk = {"succeeded": landing.succeeded, "cancelled": landing.cancelled, "now": now}
    session.execute(_END_CHUNK, {"job": job_id} | chunk)
    values = {
        "job": job_id,
        "state": landing.state.value,
        "total": landing.total,
        "error": landing.error and landing.error.as_json(),
        "now": now,
    }
    job = session.execute(_END_JOB, values).one()
    tell_finished(session, job, landing.state, landing.counts, now=now)
