"""Accept a card file: keep it sealed, part by part, with the job and task that will read it."""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import clock
from models.cards import CardPool
from pipelines.errors import NotFound
from pipelines.jobs.create import AcceptedJob, NewJob, Upload, create_job
from pipelines.jobs.csv_reader import open_csv
from pipelines.jobs.imports import SealedFile, accept_file
from pipelines.jobs.kinds import CARD_IMPORT, OnError
from pipelines.jobs.stored_input import Tenant
from pipelines.limits import Limits
from pipelines.pools.batches import keep_batch
from pipelines.pools.card_rows import COLUMNS
from pipelines.queue.keys import RequestKey, first_result
from pipelines.queue.kinds import IMPORT_CARDS
from pipelines.sealing import Keyring, Purpose


def accept_import(
    session: Session,
    pool_id: UUID,
    stream: BinaryIO,
    *,
    on_error: OnError,
    force: bool,
    file_name: str | None,
    actor_id: UUID,
    key: RequestKey | None,
    keyring: Keyring,
    limits: Limits,
) -> AcceptedJob:
    """Take a card file for a pool that the caller's scope can see.

    The header and the start of the file are judged now; the rows by the worker. `stream` must be
    seekable. Raises the whole-file refusals of the CSV reader, `NotFound`, `DuplicateUpload`.
    """
    if key is not None and (made := first_result(session, key)) is not None:
        return AcceptedJob(made, is_replay=True)
    tenant = _owner_of(session, pool_id)
    open_csv(stream, columns=COLUMNS, limits=limits)
    stream.seek(0)
    digest = _digest(stream)
    stream.seek(0)
    now = clock.now(session)
    new = NewJob(
        kind=CARD_IMPORT,
        agency_id=tenant.agency_id,
        client_id=tenant.client_id,
        spec={"pool_id": str(pool_id), "on_error": on_error.value},
        upload=Upload(pool_id, None, file_name),
        submitted_by=actor_id,
    )
    job_id = create_job(session, new, now=now, limits=limits)
    keep_batch(session, job_id, pool_id=pool_id, tenant=tenant, sha256=digest, force=force)
    accept_file(
        session,
        job_id,
        new,
        SealedFile(stream, Purpose.CODES, keyring),
        IMPORT_CARDS,
        action="cards.import_submitted",
        key=key,
        now=now,
        limits=limits,
    )
    return AcceptedJob(job_id)


def _owner_of(session: Session, pool_id: UUID) -> Tenant:
    """Whose pool it is; `NotFound` if this scope cannot see it."""
    pool = session.execute(
        select(CardPool.agency_id, CardPool.client_id).where(CardPool.id == pool_id)
    ).one_or_none()
    if pool is None:
        raise NotFound
    return Tenant(pool.agency_id, pool.client_id)


def _digest(stream: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    for part in _parts(stream, 1024 * 1024):
        digest.update(part)
    return digest.digest()


def _parts(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while part := stream.read(size):
        yield part
