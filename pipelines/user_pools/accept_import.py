"""Accept a file of people: keep it sealed, part by part, with the job and task that will read it."""

from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from sqlalchemy.orm import Session

from models import clock
from pipelines.jobs.create import AcceptedJob, NewJob, Upload, create_job
from pipelines.jobs.csv_reader import MissingColumns, open_csv
from pipelines.jobs.imports import SealedFile, accept_file
from pipelines.jobs.kinds import POOL_IMPORT, OnError
from pipelines.jobs.quotas import QueueSaturated, admit_job
from pipelines.jobs.stored_input import Tenant
from pipelines.limits import Limits
from pipelines.queue.keys import RequestKey, first_result
from pipelines.queue.kinds import IMPORT_MEMBERS
from pipelines.sealing import Keyring, Purpose
from pipelines.user_pools.member_rows import COLUMNS, IDENTIFIERS
from pipelines.user_pools.pools import hold_open_pool


@dataclass(frozen=True, slots=True)
class Import:
    """A file for a pool; with `makes` people whom the client does not know are made."""

    pool_id: UUID
    on_error: OnError
    makes: bool
    file_name: str | None = None


def accept_import(
    session: Session,
    asked: Import,
    stream: BinaryIO,
    *,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    limits: Limits,
    saturated: QueueSaturated | None = None,
) -> AcceptedJob:
    """Take a file for a pool that the caller's scope can see.

    The header and the start of the file are judged now; the rows by the worker. `stream` must be
    seekable. Raises the whole-file refusals of the CSV reader, `NotFound`, `PoolArchived`,
    `TenantQuotaExceeded`, and `saturated` for what is no repeat.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    if saturated is not None:
        raise saturated
    pool = hold_open_pool(session, asked.pool_id)
    table = open_csv(stream, columns=COLUMNS, limits=limits)
    if not set(IDENTIFIERS) & set(table.columns):
        raise MissingColumns(f"The file needs one of these columns: {', '.join(IDENTIFIERS)}.")
    stream.seek(0)
    admit_job(session, pool.client_id, limits=limits)
    tenant, now = Tenant(pool.agency_id, pool.client_id), clock.now(session)
    new = _job(asked, tenant, actor_id)
    job_id = create_job(session, new, now=now, limits=limits)
    accept_file(
        session,
        job_id,
        new,
        SealedFile(stream, Purpose.PII, keyring),
        IMPORT_MEMBERS,
        action="user_pool.import_submitted",
        key=key,
        now=now,
        limits=limits,
    )
    return AcceptedJob(job_id)


def _job(asked: Import, tenant: Tenant, actor_id: UUID) -> NewJob:
    """The same file may come again: whoever is in the pool is told so, row by row."""
    return NewJob(
        kind=POOL_IMPORT,
        agency_id=tenant.agency_id,
        client_id=tenant.client_id,
        spec={
            "pool_id": str(asked.pool_id),
            "on_error": asked.on_error.value,
            "create_missing": asked.makes,
        },
        upload=Upload(asked.pool_id, None, asked.file_name),
        submitted_by=actor_id,
    )
