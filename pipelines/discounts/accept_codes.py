"""Accept a file of discount codes: kept sealed, with the job and task that will read it, and its batch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from pipelines.discounts.batches import agency_of, open_batch
from pipelines.discounts.code_rows import BETWEEN, COLUMNS, of_codes
from pipelines.discounts.tiers import tiers_cell, tiers_from
from pipelines.jobs.create import AcceptedJob, NewJob, Upload, create_job
from pipelines.jobs.csv_reader import open_csv
from pipelines.jobs.imports import CodesFile, SealedFile, accept_file, listed_file
from pipelines.jobs.kinds import DISCOUNT_IMPORT, OnError
from pipelines.jobs.quotas import QueueSaturated, admit_job
from pipelines.limits import Limits
from pipelines.queue.keys import RequestKey, first_result
from pipelines.queue.kinds import IMPORT_DISCOUNTS
from pipelines.sealing import Keyring, Purpose

#: Rows in a JSON body; more come as a file.
LISTED_ROWS_MAX = 1_000


def listed_rows(rows: Sequence[Mapping[str, Any]], on_error: OnError) -> CodesFile:
    """Rows of a JSON body as the file they could have been."""
    names = (*COLUMNS.required, *COLUMNS.optional)
    return listed_file(names, ([_cell(row, name) for name in names] for row in rows), on_error)


def accept_codes(
    session: Session,
    client_id: UUID,
    file: CodesFile,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Take codes for a client that the caller's scope can see; `file.stream` is seekable.

    The header and the start of the file are judged now; the rows by the worker. Raises the
    whole-file refusals of the CSV reader, `NotFound`, `TenantQuotaExceeded`, and `saturated`.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    if saturated is not None:
        raise saturated
    admit_job(session, client_id, limits=limits)
    open_csv(file.stream, columns=COLUMNS, limits=of_codes(limits))
    file.stream.seek(0)
    now = clock.now(session)
    new = _new_job(session, client_id, file, actor_id)
    job_id = create_job(session, new, now=now, limits=limits)
    open_batch(session, job_id, new.agency_id, client_id, actor_id=actor_id)
    accept_file(
        session,
        job_id,
        new,
        SealedFile(file.stream, Purpose.CODES, keyring),
        IMPORT_DISCOUNTS,
        action="job.submitted",
        key=key,
        now=now,
        limits=limits,
    )
    return AcceptedJob(job_id)


def _new_job(session: Session, client_id: UUID, file: CodesFile, actor_id: UUID) -> NewJob:
    return NewJob(
        kind=DISCOUNT_IMPORT,
        agency_id=agency_of(session, client_id),
        client_id=client_id,
        spec={"on_error": file.on_error.value},
        upload=Upload(client_id, None, file.name),
        submitted_by=actor_id,
    )


#: What each column has of the customer whom a row is for.
_ASSIGNED = {
    "assigned_to": "email",
    "assigned_external_id": "external_id",
    "assigned_user_id": "id",
}


def _cell(row: Mapping[str, Any], name: str) -> str:
    if name in _ASSIGNED:
        return str((row.get("assigned_to") or {}).get(_ASSIGNED[name]) or "")
    value = row.get(name)
    if name == "max_uses_per_customer" and name in row and value is None:
        return "0"
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if name == "tiers":
        return tiers_cell(tiers_from(value)) or ""
    return BETWEEN.join(value) if isinstance(value, list) else str(value)
