"""Work a file of people into a pool: judge, make known, add; all of it in one transaction.

The verdict of a row that went in is the member; rows that did not become items of the job, so that
100,000 good rows do not write twice.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.errors import Refusal
from pipelines.jobs.csv_reader import CsvRow, CsvRowError, open_csv
from pipelines.jobs.imports import (
    CANCELLED,
    Landing,
    end_import,
    file_refused,
    given_up,
    is_refused_for_rows,
    landed,
    rows_refused,
)
from pipelines.jobs.states import ENDED
from pipelines.jobs.stored_input import StoredInput
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring, Purpose
from pipelines.telemetry import get_logger
from pipelines.user_pools.member_rows import COLUMNS, check_member
from pipelines.user_pools.pools import audit_pool, hold_open_pool
from pipelines.user_pools.staging import (
    Entry,
    Place,
    add_good,
    judge,
    make_known,
    stage,
)

log = get_logger(__name__)

_JOB = text("""
SELECT id, kind, state, agency_id, client_id, spec, submitted_by, round, is_single FROM jobs
WHERE id = :job FOR NO KEY UPDATE
""")
_LEFT_OUT = text("""
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, code, detail, field,
    email, reference, name)
SELECT :job, position, 1, :agency, :client, v.state, v.code, v.detail, v.field, i.email,
    i.external_id, nullif(i.name, '')
FROM pool_verdicts v JOIN pool_intake i USING (position) WHERE v.state IS NOT NULL
""")


class _NobodyMade(Refusal):
    """Two rows turned out to be of one person only when people were made: nothing is kept."""

    code = "rows_refused"
    detail = "Rows give one person several identifiers. Send them in files of their own."


def import_members(
    session: Session, task: TaskInHand, now: datetime, *, keyring: Keyring, limits: Limits
) -> None:
    """The work of IMPORT_MEMBERS. With `on_error=abort` one wrong row means that nobody is added."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    if JobState(job.state) in ENDED:
        return
    if job.state == JobState.CANCELLING:
        end_import(session, job.id, CANCELLED, now)
        return
    savepoint = session.begin_nested()
    try:
        _stage(session, job, keyring, limits)
        landing = _land(session, job)
        savepoint.commit()
    except Refusal as refusal:
        savepoint.rollback()
        landing = file_refused(refusal.code, refusal.detail)
    end_import(session, job.id, landing, now)
    log.info(
        "members.imported",
        job_id=str(job.id),
        rows=landing.total,
        added=landing.succeeded,
        state=landing.state.value,
    )


def _stage(session: Session, job: Row[Any], keyring: Keyring, limits: Limits) -> None:
    stored = cast(BinaryIO, StoredInput(session, job.id, keyring, purpose=Purpose.PII))
    stage(session, _entries(open_csv(stored, columns=COLUMNS, limits=limits)))


def _entries(table: Iterator[CsvRow | CsvRowError] | Any) -> Iterator[Entry]:
    for row in table:
        if isinstance(row, CsvRowError):
            yield Entry(row.number, row.as_field_error())
            continue
        shown = (row.cells.get(name) for name in ("email", "external_id", "name"))
        yield Entry(row.number, check_member(row.cells), *shown)


def _land(session: Session, job: Row[Any]) -> Landing:
    """Add whom the good rows name, list the others, and say how the job ends."""
    pool = hold_open_pool(session, UUID(job.spec["pool_id"]))
    place, makes = Place(pool.id, pool.agency_id, pool.client_id), job.spec["create_missing"]
    tally = judge(session, place, makes=makes)
    new = tally.new
    is_refused = is_refused_for_rows(job, tally.failed)
    if makes and not is_refused:
        make_known(session, place)
        tally = judge(session, place, makes=False)
        if is_refused_for_rows(job, tally.failed):
            raise _NobodyMade
    ids = {"job": job.id, "agency": job.agency_id, "client": job.client_id}
    session.execute(_LEFT_OUT, ids)
    if is_refused:
        return rows_refused(
            tally.good, failed=tally.failed, skipped=tally.skipped, nothing="nobody was added"
        )
    add_good(session, place, actor_id=job.submitted_by)
    told = {"added": tally.good, "new_people": new}
    audit_pool(session, "user_pool.members_added", pool, job.submitted_by, told)
    return landed(tally.good, failed=tally.failed, skipped=tally.skipped)


def give_up_import(session: Session, task: TaskInHand, now: datetime) -> None:
    """An import that keeps failing ends `failed internal_error` with nobody added."""
    end_import(session, UUID(task.args["job_id"]), given_up("nobody was added"), now)
