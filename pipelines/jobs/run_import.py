"""The worker's step of every import: lock the job, work its file in, end it; one transaction (EC-101).

An `ImportKind` says what is a kind's own: what the rows become, and what else follows. What is wrong
with the file as a whole leaves nothing of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from models.jobs import JobState
from pipelines.errors import Refusal
from pipelines.jobs.csv_reader import ColumnRules, CsvTable, open_csv
from pipelines.jobs.imports import CANCELLED, Landing, end_import, file_refused, given_up
from pipelines.jobs.states import ENDED
from pipelines.jobs.stored_input import StoredInput
from pipelines.limits import Limits
from pipelines.queue.kinds import TaskKind
from pipelines.queue.work import TaskInHand
from pipelines.sealing import Keyring, Purpose
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_JOB = text("""
SELECT id, state, agency_id, client_id, spec, submitted_by FROM jobs
WHERE id = :job FOR NO KEY UPDATE
""")


@dataclass(frozen=True, slots=True)
class FileInHand:
    """The upload of a job (its row, locked), and what it takes to read it."""

    job: Row[Any]
    now: datetime
    keyring: Keyring
    person_secret: bytes = field(repr=False)
    limits: Limits
    _stored: StoredInput

    def rows(self, columns: ColumnRules, limits: Limits | None = None) -> CsvTable:
        """The rows, to be read once; raises what is wrong with the file as a whole."""
        stream = cast(BinaryIO, self._stored)
        return open_csv(stream, columns=columns, limits=limits or self.limits)


#: Stages the rows, lands the good ones and says how the job ends; what a `Refusal` leaves is undone.
Work = Callable[[Session, FileInHand], Landing]


@dataclass(frozen=True, slots=True)
class ImportKind:
    """A kind of file: `task` reads it, `purpose` says under which keys it is kept."""

    task: TaskKind
    work: Work
    #: What the log calls the end.
    event: str
    purpose: Purpose = Purpose.CODES
    #: Reads and locks the job `:job`, with what the kind needs to know besides.
    job: TextClause = _JOB
    #: Locks what imports of a kind wait for; what it writes stays, whatever becomes of the file.
    hold: Callable[[Session, Row[Any]], None] | None = None
    #: Called when the job (its row) has ended so.
    tell: Callable[[Session, Row[Any], Landing], None] | None = None
    #: Says what did not happen when the work keeps failing.
    nothing: str = "nothing was kept"


def run_import(
    session: Session,
    task: TaskInHand,
    now: datetime,
    *,
    kind: ImportKind,
    keyring: Keyring,
    person_secret: bytes,
    limits: Limits,
) -> None:
    """The work of the kind's task. With `on_error=abort` one bad row means that nothing is kept."""
    job = _locked(session, task, kind)
    if JobState(job.state) in ENDED:
        return
    landing = CANCELLED
    if job.state != JobState.CANCELLING:
        if kind.hold is not None:
            kind.hold(session, job)
        stored = StoredInput(session, job.id, keyring, purpose=kind.purpose)
        file = FileInHand(job, now, keyring, person_secret, limits, stored)
        landing = _landed(session, kind.work, file)
    _end(session, kind, job, landing, now)


def give_up_import(session: Session, task: TaskInHand, now: datetime, *, kind: ImportKind) -> None:
    """An import that keeps failing ends `failed internal_error` with nothing of its file."""
    _end(session, kind, _locked(session, task, kind), given_up(kind.nothing), now)


def _locked(session: Session, task: TaskInHand, kind: ImportKind) -> Row[Any]:
    return session.execute(kind.job, {"job": UUID(task.args["job_id"])}).one()


def _landed(session: Session, work: Work, file: FileInHand) -> Landing:
    savepoint = session.begin_nested()
    try:
        landing = work(session, file)
        savepoint.commit()
    except Refusal as why:
        savepoint.rollback()
        return file_refused(why.code, why.detail)
    return landing


def _end(
    session: Session, kind: ImportKind, job: Row[Any], landing: Landing, now: datetime
) -> None:
    end_import(session, job.id, landing, now)
    if kind.tell is not None:
        kind.tell(session, job, landing)
    log.info(
        kind.event,
        job_id=str(job.id),
        rows=landing.total,
        imported=landing.succeeded,
        state=landing.state.value,
    )
