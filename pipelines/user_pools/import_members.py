"""Work a file of people into a pool: judge, make known, add; all of it in one transaction.

The verdict of a row that went in is the member; rows that did not become items of the job, so that
100,000 good rows do not write twice.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.jobs import ItemState, JobState
from pipelines.errors import Refusal
from pipelines.jobs.csv_reader import CsvRow, CsvRowError, open_csv
from pipelines.jobs.kinds import OnError
from pipelines.jobs.states import ENDED, end_state
from pipelines.jobs.stored_input import StoredInput, forget_input
from pipelines.limits import Limits
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring, Purpose
from pipelines.telemetry import get_logger
from pipelines.user_pools.member_rows import COLUMNS, check_member
from pipelines.user_pools.pools import audit_pool, hold_open_pool
from pipelines.user_pools.staging import (
    Entry,
    Place,
    Tally,
    add_good,
    judge,
    make_known,
    stage,
)
from pipelines.webhooks.catalogue import JOB_FINISHED
from pipelines.webhooks.happened import Event, happened

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
_END_CHUNK = text("""
UPDATE chunks SET state = 'closed', holds_slot = false, succeeded = :succeeded,
    cancelled = :cancelled WHERE job_id = :job AND number = 1
""")
_END_JOB = text("""
UPDATE jobs SET state = :state, total = :total, error = CAST(:error AS jsonb), started_at = :now,
    finished_at = clock_timestamp(), version = version + 1
WHERE id = :job
""")


@dataclass(frozen=True, slots=True)
class Landing:
    """How an import ends: its counts, and the job-level error of a refused file."""

    state: JobState
    total: int = 0
    added: int = 0
    left_out: int = 0
    failed: int = 0
    skipped: int = 0
    error: str | None = None


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
        forget_input(session, job.id)
        _end(session, job, Landing(JobState.CANCELLED), now)
        return
    savepoint = session.begin_nested()
    try:
        _stage(session, job, keyring, limits)
        landing = _land(session, job)
        savepoint.commit()
    except Refusal as refusal:
        savepoint.rollback()
        landing = Landing(JobState.FAILED, error=_error(422, refusal.code, refusal.detail))
    forget_input(session, job.id)
    _end(session, job, landing, now)
    log.info(
        "members.imported",
        job_id=str(job.id),
        rows=landing.total,
        added=landing.added,
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
    is_strict = job.spec["on_error"] == OnError.ABORT
    tally = judge(session, place, makes=makes)
    new = tally.new
    is_refused = is_strict and tally.failed > 0
    if makes and not is_refused:
        make_known(session, place)
        tally = judge(session, place, makes=False)
        if is_strict and tally.failed:
            raise _NobodyMade
    ids = {"job": job.id, "agency": job.agency_id, "client": job.client_id}
    session.execute(_LEFT_OUT, ids)
    if is_refused:
        return _refused(tally)
    add_good(session, place, actor_id=job.submitted_by)
    told = {"added": tally.good, "new_people": new}
    audit_pool(session, "user_pool.members_added", pool, job.submitted_by, told)
    state = end_state(
        {
            ItemState.SUCCEEDED: tally.good,
            ItemState.FAILED: tally.failed,
            ItemState.SKIPPED: tally.skipped,
        },
        is_cancelled=False,
    )
    return Landing(state, tally.rows, tally.good, 0, tally.failed, tally.skipped)


def _refused(tally: Tally) -> Landing:
    detail = f"{tally.failed} of {tally.rows} rows have errors and nobody was added."
    return Landing(
        JobState.FAILED,
        tally.rows,
        left_out=tally.good,
        failed=tally.failed,
        skipped=tally.skipped,
        error=_error(422, "rows_refused", detail),
    )


def _end(session: Session, job: Row[Any], landing: Landing, now: datetime) -> None:
    chunk = {"job": job.id, "succeeded": landing.added, "cancelled": landing.left_out}
    session.execute(_END_CHUNK, chunk)
    session.execute(
        _END_JOB,
        {
            "job": job.id,
            "state": landing.state.value,
            "total": landing.total,
            "error": landing.error,
            "now": now,
        },
    )
    facts = {
        "kind": job.kind,
        "state": landing.state.value,
        "round": job.round,
        "campaign_id": None,
        "is_single": job.is_single,
        "succeeded": landing.added,
        "failed": landing.failed,
        "skipped": landing.skipped,
        "needs_review": 0,
        "cancelled": landing.left_out,
    }
    happened(session, Event(JOB_FINISHED, job.id, job.agency_id, job.client_id, facts), now=now)


def _error(status: int, code: str, detail: str) -> str:
    return json.dumps({"status": status, "code": code, "detail": detail})


def give_up_import(session: Session, task: TaskInHand, now: datetime) -> None:
    """An import that keeps failing ends `failed internal_error` with nobody added."""
    job = session.execute(_JOB, {"job": UUID(task.args["job_id"])}).one()
    error = _error(500, "internal_error", "The import could not be completed; nobody was added.")
    forget_input(session, job.id)
    _end(session, job, Landing(JobState.FAILED, error=error), now)
